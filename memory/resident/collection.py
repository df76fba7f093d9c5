"""One collection in memory: what stored.py asks the database, answered from arrays.

It is filled from what is committed, and then takes what is newer; texts stay in the database.
"""

import json
import threading
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memory.gathering import ASKS, ONLY_ASKS, REACH, Collection, Gathered, Wanted, ranks
from memory.resident.columns import COLUMNS, Columns, Mask
from memory.resident.postings import Postings, bm25_scores
from memory.resident.vectors import ResidentVectors
from memory.surroundings import Statistics, Texts, microseconds, rarity
from memory.terms import terms
from memory.transaction import Reader
from memory.vectors import Filter

if TYPE_CHECKING:
    from memory.database import Database

VECTORS_AT_ONCE = 20_000
"""Read in one portion: 31 MB of numbers before they are rounded."""

MAX_CODES = 10_000
"""Terms of queries whose hashes are remembered."""

Names = Mapping[str, dict[int, Any]]


class ResidentCollection:
    """A collection as arrays. Safe to use from several threads; one at a time is served."""

    def __init__(self, database: "Database", collection: Collection) -> None:
        self._database, self._collection = database, collection
        self._columns = Columns()
        self._postings = Postings()
        self._vectors: ResidentVectors | None = None
        self._names: Names = {"author": {}, "tags": {}, "role": {}}
        self._embedded = 0
        self._gone = 0
        self._codes: dict[str, int] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def nbytes(self) -> int:
        """The memory that is taken."""
        vectors = self._vectors.nbytes if self._vectors else 0
        return self._columns.nbytes + self._postings.nbytes + vectors

    @property
    def gone(self) -> int:
        """How many of the documents here are deleted."""
        return self._gone

    def newest(self) -> int:
        """The last document; 0 without any."""
        return self._columns.newest

    def read_on(self, reader: Reader) -> None:
        """Take what the database has that is newer than what is here."""
        with self._lock:
            self._read_documents(reader)
            while self._read_vectors(reader):
                pass

    def remove(self, doc: int) -> None:
        """Note that a document is no more."""
        with self._lock:
            self._gone += self._columns.remove(doc)

    def gather(self, wanted: Wanted) -> Gathered:
        """Find candidates by word and by meaning, with their neighbours, in the order of doc."""
        with self._lock:
            return self._gather(self._codes_of(wanted.text), wanted)

    def _gather(self, codes: Mapping[str, int], wanted: Wanted) -> Gathered:
        columns, seen = self._columns, self._columns.seen(wanted.where.before_doc)
        alive = columns["alive"][:seen]
        held = {term: self._postings_of(code, seen, alive) for term, code in sorted(codes.items())}
        held = {term: postings for term, postings in held.items() if len(postings[0])}
        lengths = columns["length"][:seen]
        count = int(alive.sum())
        mean_length = float(lengths[alive].mean()) if count else 1.0
        idf = {term: rarity(count, len(positions)) for term, (positions, _) in held.items()}
        statistics = Statistics(idf, mean_length)
        allowed = alive & self._allowed(wanted.where, seen)
        by_word = []
        if held:
            by_word = _best(bm25_scores(held, idf, lengths, mean_length), allowed, wanted.limit)
        near: dict[int, float] = {}
        if wanted.vector is not None and self._vectors is not None:
            near = self._vectors.nearest(wanted.vector, allowed, wanted.limit)
        proposed = ranks(by_word, near)
        first = np.asarray(sorted(proposed), np.intp)
        chosen = columns.beside(first, REACH[self._collection.kind], seen)
        cosine = np.full(len(chosen), np.nan)
        if wanted.vector is not None and self._vectors is not None:
            cosine = self._vectors.cosines(wanted.vector, chosen)
        texts = self._texts(chosen, cosine, _counts(held, chosen), allowed[chosen], proposed)
        return Gathered(texts, statistics)

    def _postings_of(
        self, code: int, seen: int, alive: Mask
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The documents that hold a term: of those before `seen`, without the deleted ones."""
        positions, counts = self._postings.of(code)
        before = int(np.searchsorted(positions, seen))
        positions, counts = positions[:before], counts[:before]
        if self._gone:
            here = alive[positions]
            positions, counts = positions[here], counts[here]
        return positions, counts

    def _allowed(self, where: Filter, seen: int) -> Mask:
        """Which documents pass a filter."""
        allowed = np.ones(seen, np.bool_)
        dated = self._columns["dated"][:seen]
        if where.since is not None:
            allowed &= dated >= _microseconds(where.since)
        if where.until is not None:
            allowed &= dated < _microseconds(where.until)
        for column, asked, test in (
            ("tags", where.tags_any, lambda tags, some: bool(some & set(tags or ()))),
            ("tags", where.tags_all, lambda tags, all_: tags is not None and all_ <= set(tags)),
            ("role", where.roles, lambda role, roles: role in roles),
        ):
            if asked is not None:
                names = set(json.loads(asked))
                known = self._names[column]
                passing = [code for code, value in known.items() if test(value, names)]
                allowed &= np.isin(self._columns[column][:seen], np.asarray(passing, np.uint64))
        return allowed

    def _texts(
        self,
        chosen: NDArray[np.intp],
        cosine: NDArray[np.float64],
        counts: NDArray[np.float64],
        allowed: Mask,
        proposed: Mapping[int, tuple[int, int]],
    ) -> Texts:
        """The columns of chosen documents."""
        columns = {name: self._columns[name][chosen] for name in COLUMNS}
        hashes, author = np.unique(columns["author"], return_inverse=True)
        names = [self._names["author"].get(code) for code in hashes.tolist()]
        nobody = np.asarray([name is None for name in names], np.bool_)
        given = np.asarray([proposed.get(at, (0, 0)) for at in chosen.tolist()], np.int32)
        keyword_rank, vector_rank = given.reshape(len(chosen), 2).T
        return Texts(
            doc=columns["doc"],
            length=columns["length"],
            dated=columns["dated"],
            counts=counts,
            cosine=cosine,
            author=np.where(nobody[author], -1, author),
            authors=tuple(name or "" for name in names),
            thread=_numbered(columns["thread"], columns["placed"]),
            sequence=columns["sequence"].astype(np.int64),
            session=_numbered(columns["session"], columns["in_session"]),
            asks=columns["asks"],
            only_asks=columns["only_asks"],
            allowed=allowed,
            keyword_rank=keyword_rank,
            vector_rank=vector_rank,
            reach=REACH[self._collection.kind],
        )

    def _codes_of(self, text: str) -> Mapping[str, int]:
        """The hashes of a query's terms."""
        words = set(terms(text))
        if len(self._codes) > MAX_CODES:
            self._codes.clear()
        unknown = words - self._codes.keys()
        if unknown:
            with self._database.scratch() as scratch:
                self._codes.update(scratch.rows("term_codes", terms=" ".join(sorted(unknown))))
        return {word: self._codes[word] for word in words}

    def _read_documents(self, reader: Reader) -> None:
        what = {"collection": self._collection.key, "after": self._columns.newest}
        kind = self._collection.kind
        rows = reader.arrays(f"resident_{kind}", asks=ASKS, only_asks=ONLY_ASKS, **what)
        if not len(rows["doc"]):
            return
        for name, code, text, texts in reader.rows(f"resident_{kind}_names", **what):
            self._names[name][code] = text if texts is None else tuple(texts)
        postings = reader.arrays("resident_postings", **what)
        self._columns.append(rows)
        positions = np.searchsorted(self._columns["doc"], postings["doc"]).astype(np.int32)
        self._postings.append(postings["code"], positions, postings["tf"])

    def _read_vectors(self, reader: Reader) -> bool:
        """Take the next portion of vectors; False when there is none."""
        what: dict[str, Any] = {"collection": self._collection.key, "after": self._embedded}
        until = reader.value("vector_portion", limit=VECTORS_AT_ONCE, **what)
        if until is None:
            return False
        docs = reader.arrays("resident_vector_docs", until=until, **what)["doc"]
        numbers = reader.arrays("resident_vectors", until=until, **what)["number"]
        rows = numbers.reshape(len(docs), -1)
        if self._vectors is None:
            self._vectors = ResidentVectors(rows.shape[1])
        order = np.argsort(docs, kind="stable")
        positions = np.searchsorted(self._columns["doc"], docs[order]).astype(np.int32)
        self._vectors.append(rows[order], positions)
        self._embedded = until
        return True


def _best(scores: NDArray[np.float64], allowed: Mask, limit: int) -> list[int]:
    """The positions with the greatest scores above 0, best first; the older first among equals."""
    found = np.flatnonzero((scores > 0) & allowed)
    if len(found) > limit:
        # All that are as good as the last one, for the order among equals.
        least = np.partition(scores[found], len(found) - limit)[len(found) - limit]
        found = found[scores[found] >= least]
    order = np.lexsort((found, -scores[found]))
    return [int(position) for position in found[order][:limit]]


def _counts(
    held: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int32]]], chosen: NDArray[np.intp]
) -> NDArray[np.float64]:
    """How often each chosen document holds each term: a row each, a column for each term."""
    counts = np.zeros((len(chosen), len(held)))
    for column, (positions, held_counts) in enumerate(held.values()):
        at = np.searchsorted(positions, chosen)
        here = at < len(positions)
        here[here] = positions[at[here]] == chosen[here]
        counts[here, column] = held_counts[at[here]]
    return counts


def _numbered(hashes: NDArray[np.uint64], valid: Mask) -> NDArray[np.int64]:
    """A number for each hash, the same for the same; -1 where it is none."""
    _, numbers = np.unique(hashes, return_inverse=True)
    return np.where(valid, numbers, -1)


def _microseconds(moment: Any) -> int:
    """A moment of a filter, which is naive and in UTC, as the column `dated` has it."""
    return microseconds(moment.replace(tzinfo=UTC))
