"""Plain ways to search, without a server: cosine, BM25, grep."""

import importlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.installing import install_folder
from benchmarks.peers.over_stdio import content_words
from benchmarks.peers.peer import Item, Peer
from memory.embedder import Embedder
from memory.embedders.factory import load_embedder
from memory.terms import terms

BM25 = "bm25s==0.3.16"


class Cosine:
    """The vectors of the packaged embedder, all compared by numpy."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._ids: list[str] = []
        self._vectors = np.empty((0, embedder.dimensions), np.float32)

    def reset(self) -> None:
        """Forget all."""
        self._ids, self._vectors = [], self._vectors[:0]

    def add(self, items: Sequence[Item]) -> None:
        """Embed each by itself."""
        rows = [self._embedder.embed([item.whole], "passage") for item in items]
        self._vectors = np.concatenate([self._vectors, *rows])
        self._ids += [item.id for item in items]

    def search(self, question: str, limit: int) -> list[str]:
        """The nearest."""
        scores = self._vectors @ self._embedder.embed([question], "query")[0]
        return [self._ids[row] for row in np.argsort(-scores, kind="stable")[:limit]]

    def cpu_s(self) -> float:
        """Of this process."""
        return time.process_time()


class Bm25:
    """bm25s over the terms that mnemon has: lower case, without stop words, stemmed."""

    def __init__(self, bm25s: Any) -> None:
        self._bm25s = bm25s
        self._index: Any = None
        self._ids: list[str] = []

    def reset(self) -> None:
        """Forget all."""
        self._index, self._ids = None, []

    def add(self, items: Sequence[Item]) -> None:
        """Index all at once: this library's index does not grow."""
        self._ids = [item.id for item in items]
        self._index = self._bm25s.BM25(k1=1.2, b=0.75)
        self._index.index([terms(item.whole) for item in items], show_progress=False)

    def search(self, question: str, limit: int) -> list[str]:
        """Those that share a term with the question, best first."""
        known = [term for term in terms(question) if term in self._index.vocab_dict]
        if not known:
            return []
        k = min(limit, len(self._ids))
        rows, scores = self._index.retrieve([known], k=k, show_progress=False)
        return [self._ids[row] for row, score in zip(rows[0], scores[0], strict=True) if score > 0]

    def cpu_s(self) -> float:
        """Of this process."""
        return time.process_time()


class Grep:
    """One line for each item in a file; grep for the words, lines with most of them first."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ids: list[str] = []

    def reset(self) -> None:
        """An empty file."""
        self._ids = []
        self._file.write_text("")

    def add(self, items: Sequence[Item]) -> None:
        """A line each."""
        for item in items:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(" ".join(item.whole.split()) + "\n")
            self._ids.append(item.id)

    def search(self, question: str, limit: int) -> list[str]:
        """All content words in one go, upper case or not; ties in the order of the file."""
        wanted = [argument for word in content_words(question) for argument in ("-e", word)]
        found = subprocess.run(
            ["grep", "-inoF", *wanted, str(self._file)],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        ).stdout
        words: dict[int, set[str]] = defaultdict(set)
        for row in found.splitlines():
            number, _, word = row.partition(":")
            words[int(number)].add(word.lower())
        best = sorted(words, key=lambda number: (-len(words[number]), number))
        return [self._ids[number - 1] for number in best[:limit]]

    def cpu_s(self) -> float:
        """Of this process and the greps."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime


@contextmanager
def cosine() -> Iterator[Peer]:
    """With the packaged embedder."""
    yield Cosine(load_embedder("minilm"))


@contextmanager
def bm25() -> Iterator[Peer]:
    """With the library in a folder of its own."""
    sys.path.append(str(install_folder("bm25", BM25)))
    try:
        yield Bm25(importlib.import_module("bm25s"))
    finally:
        sys.path.pop()


@contextmanager
def grep() -> Iterator[Peer]:
    """On a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        yield Grep(Path(folder) / "memory.txt")
