"""What does it cost to bring many texts into an archive, and what do those cost that wait?

Questions, each beside its baseline in one run: passages brought in 500 at a time against one call
each, in process and over stdio, from the first call until the last has its vector; the embedder
alone, which is the floor of both; one passage more in archives of growing size; the memory of a
process into which texts come faster than it embeds them. Goals: in batches three times as fast over
stdio, one passage in 5 ms without its embedding at any size.

    python -m benchmarks.ingest [--passages 2000] [--sizes 1000 10000 100000]

CPU is that of all threads of all processes that work on it: front and owner over stdio. What memory
grows by is what DuckDB keeps of its file, up to its limit of 1 GB. Prints one JSON line.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.hosts import resident_mb
from benchmarks.report import Report, print_line, spread
from benchmarks.stdio_servers import memory_host
from memory import agents, archival
from memory.agents import NewAgent
from memory.embedder import Embedder
from memory.embedders.factory import load_embedder
from memory.importing import Imported, import_passages
from memory.records import Agent, NewPassage, Origin
from memory.store import MemoryStore
from memory.terms import indexed_text

ORIGIN = Origin("host:benchmark", "ingest")
SEED = 20_260_331
BATCH = 500
WAIT_S = 600.0
SINGLE = 200
"""Passages inserted alone at each size."""

GOALS = {"times_as_fast_in_batches": {"over_stdio": 3}}

WORDS = (
    "the a in on with and but then never always ran sang built found lost market river kitchen"
    " train winter garden letter doctor piano bridge harbour coffee mountain ticket yellow quiet"
    " broken early neighbour sister teacher island museum bicycle violin window storm summer bread"
).split()


def texts(number: int, seed: int) -> list[NewPassage]:
    """Short passages, no two alike, of 8 to 30 words."""
    choose = random.Random(seed)  # noqa: S311 - texts, not secrets
    return [
        NewPassage(
            f"On day {n} {' '.join(choose.choices(WORDS, k=choose.randint(4, 26)))}.", author="Ada"
        )
        for n in range(number)
    ]


def batches(passages: Sequence[NewPassage]) -> Iterator[Sequence[NewPassage]]:
    """As they are brought in."""
    return (passages[start : start + BATCH] for start in range(0, len(passages), BATCH))


def each(passages: int, work: Callable[[], object], cpu: Callable[[], float]) -> dict[str, float]:
    """Do the work; what it took of each passage, in ms, and how many came in a second."""
    began, used = time.perf_counter(), cpu()
    work()
    wall, spent = time.perf_counter() - began, cpu() - used
    return {
        "cpu_ms": round(1e3 * spent / passages, 3),
        "wall_ms": round(1e3 * wall / passages, 3),
        "per_cpu_s": round(passages / spent, 1),
    }


@contextmanager
def memory(embedder: Embedder | None) -> Iterator[tuple[MemoryStore, Agent]]:
    """A new file with one agent, and the embedder at hand."""
    with tempfile.TemporaryDirectory() as folder:
        load = None if embedder is None else lambda: embedder
        with MemoryStore(Path(folder) / "mnemon.duckdb", load) as store:
            store.embedding.query_vector("ready", WAIT_S)
            with store.write(ORIGIN) as transaction:
                agent = agents.create_agent(transaction, NewAgent("Sam"))
            yield store, agent


def bring_in(store: MemoryStore, agent: Agent, passages: Sequence[NewPassage]) -> None:
    """Import in batches."""
    for batch in batches(passages):
        with store.write(ORIGIN) as transaction:
            import_passages(transaction, agent, [Imported(new) for new in batch])


def in_process(embedder: Embedder, passages: Sequence[NewPassage]) -> dict[str, Any]:
    """One by one and in batches, until all is embedded; and what the embedder takes alone."""
    found: dict[str, Any] = {}
    with memory(embedder) as (store, agent):

        def alone() -> None:
            for new in passages:
                with store.write(ORIGIN) as transaction:
                    archival.insert_passages(transaction, agent, [new])
            store.embedding.settle(None, WAIT_S)

        found["one_by_one"] = each(len(passages), alone, time.process_time)
    with memory(embedder) as (store, agent):

        def together() -> None:
            bring_in(store, agent, passages)
            store.embedding.settle(None, WAIT_S)

        found["in_batches"] = each(len(passages), together, time.process_time)
    whole = [indexed_text(new.text, new.author, new.occurred_at) for new in passages]
    found["embedder_alone"] = each(
        len(passages), lambda: embedder.embed(whole, "passage"), time.process_time
    )
    return found


def over_stdio(passages: Sequence[NewPassage]) -> dict[str, Any]:
    """One call each and one for each batch, until all is embedded."""
    found: dict[str, Any] = {}
    given = [{"content": new.text, "author": new.author} for new in passages]
    with memory_host() as opened:
        opened.call("agent_create", name="Sam")
        opened.warm_up("Sam")

        def alone() -> None:
            for arguments in given:
                opened.call("archival_memory_insert", agent_id="Sam", **arguments)
            opened.embedded("Sam")

        found["one_by_one"] = each(len(passages), alone, opened.cpu_s)
    with memory_host() as opened:
        opened.call("agent_create", name="Sam")
        opened.warm_up("Sam")

        def together() -> None:
            for start in range(0, len(given), BATCH):
                batch = given[start : start + BATCH]
                opened.call("archival_memory_import", agent_id="Sam", passages=batch)
            opened.embedded("Sam")

        found["in_batches"] = each(len(passages), together, opened.cpu_s)
    return found


def at_sizes(sizes: Sequence[int]) -> dict[str, dict[str, Any]]:
    """One passage more, without an embedder, in ever larger archives; memory while all waits."""
    found = {}
    with memory(None) as (store, agent):
        held = 0
        for size in sizes:
            more = texts(size, seed=size)[held:]
            work = partial(bring_in, store, agent, more)
            stored = each(max(1, len(more)), work, time.process_time)
            held, times = size, []
            for new in texts(SINGLE, seed=-size):
                used = time.process_time()
                with store.write(ORIGIN) as transaction:
                    archival.insert_passages(transaction, agent, [new])
                times.append(1e3 * (time.process_time() - used))
            found[f"{size} passages"] = {
                "stored_in_batches_cpu_ms": stored["cpu_ms"],
                "one_more_cpu_ms": spread(times, 50, 95),
                "waiting": store.embedding.behind,
                "rss_mb": resident_mb(os.getpid()),
            }
    return found


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--passages", type=int, default=2_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options = parser.parse_args()
    sizes = at_sizes(sorted(options.sizes))
    passages = texts(options.passages, seed=SEED)
    process = in_process(load_embedder("minilm"), passages)
    stdio = over_stdio(passages)
    ratios = {
        name: round(found["one_by_one"]["cpu_ms"] / found["in_batches"]["cpu_ms"], 2)
        for name, found in (("in_process", process), ("over_stdio", stdio))
    }
    figures = {
        "in_process": process,
        "over_stdio": stdio,
        "times_as_fast_in_batches": ratios,
        "archive": sizes,
    }
    packages = ("duckdb", "numpy", "onnxruntime", "mcp")
    print_line(Report("ingest", figures, {**vars(options), "batch": BATCH}, GOALS, SEED, packages))


if __name__ == "__main__":
    main()
