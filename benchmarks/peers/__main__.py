"""How well and how fast do memories that can be installed find what they were told?

Question: of the same items and the same questions, how much is among the first 1, 5 and 10 hits,
and what does a call take: mnemon over stdio with default settings; @modelcontextprotocol/
server-memory over stdio, asked with the question and asked for each of its words; mem0 with
infer=False; plain cosine with the packaged embedder; BM25 (bm25s); grep for the question's words.

    python -m benchmarks.peers [--facts 100] [--seed 20260331] [--locomo PATH] [--only NAME...]

Each is told one item a call and then asked, alone on the machine, one call after the other. ms are
those of whole calls, add_ms until the item can be found; CPU is that of all processes of a peer.
Peers are installed on the first run, below .bench/ and .node/; one that cannot be is left out, with
the reason. Prints one JSON line.
"""

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from benchmarks.facts import SEED
from benchmarks.peers.in_process import BM25, bm25, cosine, grep
from benchmarks.peers.mem0_peer import MEM0, TORCH, mem0
from benchmarks.peers.over_stdio import mnemon, server_memory_by_word, server_memory_whole
from benchmarks.peers.peer import Absent, Opener, Peer
from benchmarks.peers.questions import Collection, fact_questions, locomo_questions
from benchmarks.report import Report, print_line, say, spread
from benchmarks.stdio_servers import SERVER_MEMORY_VERSION, node_version

PEERS: Mapping[str, Opener] = {
    "mnemon": mnemon,
    "server-memory, the question": server_memory_whole,
    "server-memory, each word": server_memory_by_word,
    "mem0, infer=False": mem0,
    "cosine": cosine,
    "BM25": bm25,
    "grep": grep,
}
SHOWN = 10
"""Hits asked for."""


def measure(
    peers: Mapping[str, Opener], sets: Mapping[str, Sequence[Collection]]
) -> dict[str, dict[str, Any]]:
    """The figures of every peer on every set of questions, or why there are none."""
    found: dict[str, dict[str, Any]] = {name: {} for name in sets}
    for name, opener in peers.items():
        try:
            with opener() as peer:
                for which, collections in sets.items():
                    say(f"{name}: {which}")
                    found[which][name] = ask(peer, collections)
        except Absent as reason:
            say(f"{name} is left out: {reason}")
            for which in sets:
                found[which].setdefault(name, f"left out: {reason}")
    return found


def ask(peer: Peer, collections: Sequence[Collection]) -> dict[str, Any]:
    """Tell a peer everything and ask it everything."""
    added_s = added_cpu_s = 0.0
    walls_ms, cpus_ms, ranks = [], [], []
    for collection in collections:
        peer.reset()
        began, used = time.perf_counter(), peer.cpu_s()
        peer.add(collection.items)
        added_s += time.perf_counter() - began
        added_cpu_s += peer.cpu_s() - used
        peer.search(collection.questions[0].text, SHOWN)  # what is loaded late is loaded now
        for question in collection.questions:
            used, began = peer.cpu_s(), time.perf_counter()
            hits = peer.search(question.text, SHOWN)
            walls_ms.append(1e3 * (time.perf_counter() - began))
            cpus_ms.append(1e3 * (peer.cpu_s() - used))
            ranks.append(ranks_of(hits, question.relevant))
    items = sum(len(collection.items) for collection in collections)
    return {
        **found_figures(ranks),
        "add_ms": round(1e3 * added_s / items, 2),
        "add_cpu_ms": round(1e3 * added_cpu_s / items, 2),
        "search_ms": spread(walls_ms, 50, 95),
        "search_cpu_ms": spread(cpus_ms, 50, 95),
    }


def ranks_of(hits: Sequence[str], relevant: frozenset[str]) -> list[int | None]:
    """Where each relevant item stands among the hits, from 1; None: not among them."""
    places = {hit: place for place, hit in reversed(list(enumerate(hits, start=1)))}
    return [places.get(item) for item in sorted(relevant)]


def found_figures(ranks: Sequence[Sequence[int | None]]) -> dict[str, float]:
    """Recall (the mean share of what is relevant) and the mean reciprocal rank of the first."""
    figures = {
        f"recall_at_{k}": statistics.fmean(
            statistics.fmean(place is not None and place <= k for place in places)
            for places in ranks
        )
        for k in (1, 5, SHOWN)
    }
    first = [min((place for place in places if place), default=None) for places in ranks]
    figures["mrr"] = statistics.fmean(1 / place if place else 0.0 for place in first)
    return {name: round(value, 3) for name, value in figures.items()}


def versions(peers: Set[str]) -> dict[str, str]:
    """What these peers are made of that is not installed here."""
    found: dict[str, str] = {}
    if any(name.startswith("server-memory") for name in peers):
        found |= {"server-memory": SERVER_MEMORY_VERSION, "node": node_version()}
    if "mem0, infer=False" in peers:
        found |= {"mem0ai": MEM0, "torch": TORCH}
    if "BM25" in peers:
        found |= {"bm25s": BM25.partition("==")[2]}
    return found


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--facts", type=int, default=100, help="how many, at most 500")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--locomo", type=Path, help="folder of the LoCoMo harness and data")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    options = parser.parse_args()
    sets = {"facts": fact_questions(options.facts, options.seed)}
    if options.locomo is not None:
        sets["locomo"] = locomo_questions(options.locomo)
        if not sets["locomo"]:
            parser.error(f"{options.locomo} holds no data/dev/*.json")
    figures = measure({name: PEERS[name] for name in options.only}, sets)
    sizes = {
        f"{name} {what}": sum(len(getattr(each, what)) for each in collections)
        for name, collections in sets.items()
        for what in ("items", "questions")
    }
    measured = {name for name, found in figures["facts"].items() if not isinstance(found, str)}
    packages = ("duckdb", "numpy", "onnxruntime")
    print_line(Report("peers", figures, sizes, {}, options.seed, packages, versions(measured)))


if __name__ == "__main__":
    main()
