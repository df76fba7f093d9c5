"""What do searches and inserts cost as memory grows, and does the fast path find the same?

Question: CPU ms of a whole search (query embedded, both legs, ranking, hits read) and of an insert,
at each size, in one archive and spread over many; recall@10 of the vectors in memory against exact
search under every filter. Baselines in the same run: the same search by SQL in the same file, and a
product of a float32 matrix with numpy.

    python -m benchmarks.size [--sizes 1000 10000] [--agents 1 100] [--queries 40] [--vectors FILE]

Texts are generated, their vectors are the packaged embedder's: 2 ms of CPU each. --vectors keeps
them in FILE (.npy), so that a large run does not embed them again. Prints one JSON line: for each
size and number of archives the figures, and with which power of the size each cost grows.
"""

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import WHOLE, growth
from benchmarks.report import Report, print_line, say, spread
from memory import agents, archival
from memory.agents import NewAgent
from memory.embedder import Embedder, Vectors
from memory.embedders.factory import load_embedder
from memory.embedding import claim_vectors
from memory.gathering import Collection, Corpus, Wanted
from memory.records import Agent, NewPassage, Origin
from memory.search_pages import Query
from memory.store import MemoryStore, SearchMeans
from memory.transaction import to_json
from memory.vectors import ExactIndex, Filter, VectorQuery, vector_text

SEED = 20_261_126
ORIGIN = Origin("person:bench", "benchmark")
PORTION = 2_000
COSTS = ("search_cpu_ms", "search_by_sql_cpu_ms", "insert_cpu_ms", "first_search_s")
START = datetime(2020, 1, 1, tzinfo=UTC)

NAMES = (
    "Amara Bruno Celia Dmitri Elif Farid Greta Hugo Ines Jonas Keiko Lars Mina Nadia Otto".split()
)
SHAPES = (
    "{n} wants the {a} {b} before {c}.",
    "Our {a} moved to {b}, said {n}.",
    "{n} keeps {a} and {b} in the {c}.",
    "Never buy {a} from the {b} {c}.",
    "The {a} of {n} was {b} on Monday.",
    "{n} asked whether {a} needs {b}.",
    "Meeting about {a}: {n} will write the {b} {c}.",
    "{a} works only with {b} when {c} is off.",
    "{n} likes {a}, dislikes {b}.",
    "We decided against {a}; {n} prefers {b}.",
)

FILTERS = {
    "none": Filter(),
    "tag of a half": Filter(tags_any=to_json(["x"])),
    "tag of one in a hundred": Filter(tags_any=to_json(["rare"])),
    "dates": Filter(since=datetime(2020, 1, 2), until=datetime(2020, 3, 1)),
}


def texts(count: int) -> Iterator[str]:
    """Short sentences about everything that the embedder's vocabulary has a word for."""
    tokenizer = files("memory").joinpath("embedders", "all-MiniLM-L6-v2-int8", "tokenizer.json")
    known = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    words = sorted(w for w in known if w.isascii() and w.isalpha() and w.islower() and len(w) > 3)
    choose = random.Random(SEED)  # noqa: S311 - a benchmark repeats itself
    for _ in range(count):
        chosen = {slot: choose.choice(words) for slot in "abc"}
        yield choose.choice(SHAPES).format(n=choose.choice(NAMES), **chosen)


def vectors_of(said: Sequence[str], embedder: Embedder, kept: Path | None) -> Vectors:
    """The vectors of all texts, from the file that keeps them if it holds enough."""
    if kept is not None and kept.exists():
        found: Vectors = np.load(kept, mmap_mode="r")
        if len(found) >= len(said):
            return found[: len(said)]
    rows = np.empty((len(said), embedder.dimensions), np.float32)
    for start in range(0, len(said), 64):
        rows[start : start + 64] = embedder.embed(said[start : start + 64], "passage")
        if start % 6_400 == 0:
            say(f"{start} of {len(said)} texts embedded")
    if kept is not None:
        np.save(kept, rows)
    return rows


class Prepared:
    """The packaged embedder, which has the vectors of the benchmark's texts already."""

    def __init__(self, embedder: Embedder, said: Sequence[str], vectors: Vectors) -> None:
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._embedder, self._vectors = embedder, vectors
        self._rows = {text: row for row, text in enumerate(said)}

    def embed(self, texts: Sequence[str], kind: Any) -> Vectors:
        """As the embedder does."""
        rows = [self._rows[text] for text in texts if text in self._rows]
        if kind == "query" or len(rows) < len(texts):
            return self._embedder.embed(texts, kind)
        return np.asarray(self._vectors[rows])

    def split(self, text: str) -> list[str]:
        """None of the texts is long."""
        return [text]


def fill(store: MemoryStore, said: Sequence[str], archives: int) -> list[Agent]:
    """Archive the texts, twenty at a time for each agent in turn, as several conversations go."""
    with store.write(ORIGIN) as transaction:
        made = [agents.create_agent(transaction, NewAgent(f"Agent {n}")) for n in range(archives)]
    for start in range(0, len(said), PORTION):
        with store.write(ORIGIN) as transaction:
            of_agent: dict[int, list[NewPassage]] = {}
            for n in range(start, min(start + PORTION, len(said))):
                tags = ("rare",) if n % 100 == 0 else ("x",) if n % 2 else ()
                passage = NewPassage(
                    said[n],
                    tags,
                    session=f"session {n // 20}",
                    sequence=n % 20,
                    occurred_at=START + timedelta(minutes=10 * n % 1_000_000),
                )
                of_agent.setdefault(n // 20 % archives, []).append(passage)
            for agent, passages in of_agent.items():
                archival.insert_passages(transaction, made[agent], passages)
    store.embedding.settle(None, timeout_s=7_200)
    return made


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU of this thread, which does all of a search."""
    began = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - began)


def queries(said: Sequence[str], count: int) -> list[str]:
    """Some words of some texts, in any order."""
    choose = random.Random(SEED + 1)  # noqa: S311
    return [" ".join(choose.sample(choose.choice(said).split(), 3)) for _ in range(count)]


def searches(store: MemoryStore, made: Sequence[Agent], asked: Sequence[str]) -> list[float]:
    """CPU ms of each search, each in an archive by chance."""
    choose = random.Random(SEED + 2)  # noqa: S311

    def search(agent: Agent, text: str) -> None:
        with store.read() as reader:
            store.search_passages(reader, Query(agent.archive_key, text))

    return [cpu_ms(lambda text=text: search(choose.choice(made), text)) for text in asked]  # type: ignore[misc]


def inserts(store: MemoryStore, agent: Agent, count: int) -> list[float]:
    """CPU ms of storing one passage after the other; they are embedded on another thread."""

    def insert(n: int) -> None:
        with store.write(ORIGIN) as transaction:
            archival.insert_passages(transaction, agent, [NewPassage(f"Inserted later: {n}")])

    return [cpu_ms(lambda n=n: insert(n)) for n in range(count)]  # type: ignore[misc]


def recall(store: MemoryStore, agent: Agent, asked: Sequence[str], where: Filter) -> float | None:
    """Of the ten nearest by exact search the share that memory finds; None: there are none."""
    found = []
    with store.read() as reader:
        held = store.corpus(reader, Collection(agent.archive_key, "passages"))
        for text in asked:
            vector = store.embedding.query_vector(text, timeout_s=60)
            assert vector is not None  # noqa: S101
            exact = ExactIndex().nearest(
                reader, VectorQuery(agent.archive_key, vector_text(vector), where, 10)
            )
            if exact:
                near = nearest(held, Wanted(text, vector, where, 10))
                found.append(len(near & exact.keys()) / len(exact))
    return round(statistics.fmean(found), 4) if found else None


def nearest(corpus: Corpus, wanted: Wanted) -> set[int]:
    """What the vector search of a corpus proposes."""
    texts = corpus.gather(wanted).texts
    return set(texts.doc[texts.vector_rank > 0].tolist())


def measure(
    path: Path, said: Sequence[str], embedder: Embedder, archives: int, count: int
) -> dict[str, Any]:
    """Everything at one size."""
    asked = queries(said, count)
    with MemoryStore(path, lambda: embedder) as store:
        claim_vectors(store.database, embedder)
        made = fill(store, said, archives)
    began = time.perf_counter()
    with MemoryStore(path, lambda: embedder) as store:
        searches(store, made[:1], asked[:1])
        first_s = time.perf_counter() - began
        store.resident.settle()
        for agent in made:
            searches(store, [agent], asked[:1])
        store.resident.settle()
        found = {
            "search_cpu_ms": spread(searches(store, made, asked), 50, 95),
            "first_search_s": round(first_s, 3),
            "recall_at_10": {
                name: recall(store, made[0], asked[:20], where) for name, where in FILTERS.items()
            },
            "in_memory_mb": round(store.resident.nbytes / 1e6, 1),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
            "insert_cpu_ms": spread(inserts(store, made[0], count), 50, 95),
        }
    with MemoryStore(path, lambda: embedder, SearchMeans(0)) as store:
        found["search_by_sql_cpu_ms"] = spread(searches(store, made, asked[:10]), 50, 95)
    return found


def numpy_ms(vectors: Vectors, count: int) -> dict[str, float]:
    """CPU ms of comparing a query with a float32 matrix, without anything around it."""
    rows = np.ascontiguousarray(vectors)
    shown = min(10, len(rows))

    def search(query: int) -> None:
        np.argpartition(rows @ rows[query % len(rows)], -shown)

    return spread([cpu_ms(lambda n=n: search(n)) for n in range(count)], 50, 95)  # type: ignore[misc]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every size with every number of archives."""
    packaged = load_embedder("minilm")
    said = list(texts(max(options.sizes)))
    vectors = vectors_of(said, packaged, options.vectors)
    results: dict[str, dict[str, Any]] = {}
    for size in sorted(options.sizes):
        embedder = Prepared(packaged, said[:size], vectors)
        for archives in options.agents:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "mnemon.duckdb"
                result = measure(path, said[:size], embedder, archives, options.queries)
            result["numpy_float32_cpu_ms"] = numpy_ms(vectors[: size // archives], options.queries)
            results[name_of(size, archives)] = result
            say(f"{size} in {archives}: {json.dumps(result)}")
    return {
        "results": results,
        "growth": {
            f"in {archives} archives": growth(
                {size: costs(results[name_of(size, archives)]) for size in options.sizes}
            )
            for archives in options.agents
        },
    }


def name_of(size: int, archives: int) -> str:
    """What a size is called in the results."""
    return f"{size:,} texts in {archives} archives"


def costs(result: dict[str, Any]) -> dict[str, float]:
    """Those whose growth is of interest, medians."""
    found = (result[figure] for figure in COSTS)
    medians = [each["p50"] if isinstance(each, dict) else each for each in found]
    return dict(zip(COSTS, medians, strict=True))


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--vectors", type=Path, help="keeps the vectors of the texts (.npy)")
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("sizes", "agents", "queries")}
    packages = ("duckdb", "numpy", "onnxruntime", "simsimd")
    figures = run(options)
    # Nothing is quadratic, and over the whole range nothing grows faster than the archive.
    goals = {"growth": {name: {WHOLE: dict.fromkeys(COSTS, 1)} for name in figures["growth"]}}
    print_line(Report("size", figures, sizes, goals, SEED, packages))


if __name__ == "__main__":
    main()
