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

    def parameters(self) -> dict[str, Any]:
        """As parameters of the search queries."""
        return {name: getattr(self, name) for name in Filter.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """A search by meaning: `vector` is the query's, as text for the database.

    also: documents whose cosines are wanted although they may not be among the nearest.
    """

    collection: int
    vector: str
    where: Filter
    limit: int
    also: tuple[int, ...] = ()


class VectorIndex(Protocol):
    """Finds the nearest documents."""

    def nearest(self, reader: Reader, query: VectorQuery) -> dict[int, float] | None:
        """Return doc -> exact cosine of the nearest documents and of those of query.also.

        None: this index cannot say; ask another.
        """


class ExactIndex:
    """Compares the query with every vector that passes the filter."""

    def nearest(self, reader: Reader, query: VectorQuery) -> dict[int, float]:
        """Return doc -> cosine of the nearest documents and of those of query.also."""
        rows = reader.rows(
            "vector_leg",
            collection=query.collection,
            vector=query.vector,
            limit=query.limit,
            docs=to_json(query.also),
            **query.where.parameters(),
        )
        return dict(rows)


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
    return "[" + ",".join(f"{value:.7g}" for value in vector.tolist()) + "]"
