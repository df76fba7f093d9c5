"""The vector index seam: which documents of a collection are nearest to a query.

ExactIndex asks the database and is always right. HnswIndex (hnsw.py) proposes candidates of a large
collection that is searched whole. Both answer with exact cosines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from memory.transaction import Reader, to_json

if TYPE_CHECKING:  # numpy is heavy and this module is not
    from memory.embedder import Vectors


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents may be found, as the search queries name it; all None: every one."""

    tags_any: str | None = None
    tags_all: str | None = None
    roles: str | None = None
    since: object | None = None
    until: object | None = None
    before_doc: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is filtered out but what came late (before_doc)."""
        return replace(self, before_doc=None) == Filter()

    def has_doc(self, doc: int) -> bool:
        """Whether before_doc lets a document pass."""
        return self.before_doc is None or doc < self.before_doc

    def leg(self, name: str) -> str:
        """The query that a search runs: without a filter a shorter one does."""
        return name if self.is_open else f"{name}_filtered"

    def for_leg(self) -> dict[str, Any]:
        """The parameters of that query."""
        return {"before_doc": self.before_doc, **({} if self.is_open else self.parameters())}

    def parameters(self) -> dict[str, Any]:
        """All but before_doc, as parameters of the queries that filter."""
        names = (name for name in Filter.__dataclass_fields__ if name != "before_doc")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """A search by meaning: `vector` is the query's, as text for the database."""

    collection: int
    vector: str
    where: Filter
    limit: int


class VectorIndex(Protocol):
    """Finds the nearest documents."""

    def nearest(self, reader: Reader, query: VectorQuery) -> dict[int, float] | None:
        """Return doc -> exact cosine of the nearest documents.

        None: this index cannot say; ask another.
        """


class ExactIndex:
    """Compares the query with every vector that passes the filter."""

    def nearest(self, reader: Reader, query: VectorQuery) -> dict[int, float]:
        """Return doc -> cosine of the nearest documents."""
        what = {
            "collection": query.collection,
            "vector": query.vector,
            "limit": query.limit,
            **query.where.for_leg(),
        }
        return dict(reader.rows(query.where.leg("vector_leg"), **what))


def exact_scores(reader: Reader, query: VectorQuery, docs: Sequence[int]) -> dict[int, float]:
    """Return doc -> cosine of given documents; those without a vector are absent."""
    if not docs:
        return {}
    return dict(
        reader.rows(
            "vector_scores",
            collection=query.collection,
            vector=query.vector,
            docs=to_json(list(docs)),
        )
    )


def vector_text(vector: "Vectors") -> str:
    """A vector of shape (d,) as the database reads it; see insert_vectors for why text."""
    numbers = vector.tolist()
    return "[" + ",".join(["%.7g"] * len(numbers)) % tuple(numbers) + "]"
