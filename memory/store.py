"""The memory of all agents in one file: the object that server and agent are given.

Holds the database, the embedding queue, the vector index and the working set together. What is
remembered and how lives beside it: agents.py, core_memory.py, recall.py, archival.py take the
Reader or Transaction that `read` and `write` yield; search goes through `search_passages`,
`search_messages` and `search_both`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from memory import agents, recall, requests, runs
from memory.archival import passage_of
from memory.database import Database
from memory.embedder import Embedder, Vectors
from memory.embedding import EmbeddingQueue
from memory.gathering import Collection, Corpus
from memory.hnsw import HnswIndex
from memory.records import Agent, AgentState, Origin
from memory.reranking import Reranker
from memory.resident.cache import ResidentCollections
from memory.search import Means, search
from memory.search_pages import MessageHit, Page, PassageHit, Query
from memory.stored import StoredCorpus
from memory.transaction import Change, Reader, Transaction, Visible, to_json
from memory.working_set import WorkingSet

logger = logging.getLogger(__name__)

EMBEDDER_WAIT_S = 2.0
"""How long a search waits for an embedder that is still loading (MiniLM: 0.2 s)."""
SETTLE_WAIT_S = 0.3
"""How long a search waits for texts just written to get their vectors."""
MAX_AWAITED = 100
"""Documents: when more wait, as after an import, they would not be done in that time."""


@dataclass(frozen=True, slots=True)
class SearchMeans:
    """What searches may take to be fast (docs/decisions/0021).

    memory_bytes: for collections that are held in memory, enough for a million short texts; 0: all
    searches ask the database. hnsw_threshold: vectors from which a collection that is not held in
    memory gets an HNSW index, which takes several times as much; None: none does.
    """

    memory_bytes: int = 1 << 30
    hnsw_threshold: int | None = None


class MemoryStore:
    """All agents' memory. Safe to use from several threads; close it, or use it in a `with`.

    Args:
        path: the database file, created when missing; None keeps everything in memory.
        load_embedder: makes the embedder, in the background; None: search by keyword only.
        means: what searches may take to be fast.
        vss_file: the VSS extension; None: the one in its installed package.
        reranker: reads the best hits of each search and orders them anew; None: nobody does.

    Raises:
        DatabaseError: the file is locked, damaged, too new or cannot be opened.
    """

    def __init__(
        self,
        path: Path | None,
        load_embedder: Callable[[], Embedder] | None,
        means: SearchMeans = SearchMeans(),
        vss_file: Path | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._reranker = reranker
        with ExitStack() as opened:
            self.database = opened.enter_context(Database(path, vss_file))
            self.index = HnswIndex(self.database, means.hnsw_threshold)
            opened.callback(self.index.close)
            self.resident = ResidentCollections(self.database, means.memory_bytes)
            opened.callback(self.resident.close)
            self.embedding = EmbeddingQueue(self.database, load_embedder, self._vectors_written)
            opened.callback(self.embedding.close)
            requests.forget_old(self.database)
            runs.forget_prompts(self.database)
            self._opened = opened.pop_all()
        self._working_set = WorkingSet()
        self._watchers: list[Callable[[Sequence[Change]], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the background threads, fold the log into the file and release it."""
        self._opened.close()

    def watch(self, watcher: Callable[[Sequence[Change]], None]) -> None:
        """Have `watcher` called with what each transaction changed, on the thread that wrote it.

        Its failure is logged and changes nothing.
        """
        self._watchers.append(watcher)

    @contextmanager
    def read(self, visible: Visible = None) -> Iterator[Reader]:
        """A Reader of what is committed."""
        with self.database.read(visible) as reader:
            yield reader

    @contextmanager
    def write(self, origin: Origin, visible: Visible = None) -> Iterator[Transaction]:
        """One transaction; caches, indexes and watchers learn of it once it is committed."""
        with self.database.lock:
            with self.database.write(origin, visible) as transaction:
                transaction.committed_blocks = self._working_set.blocks_of
                yield transaction
            self._working_set.follow(transaction.changes)
            self.index.follow(transaction.changes)
            self.resident.follow(transaction.changes)
            self.embedding.add(transaction.changes.newest_docs, transaction.changes.newest_embedded)
        for watcher in self._watchers:
            try:
                watcher(transaction.changes.all)
            except Exception:  # what was written stays written, whoever fails to hear of it
                logger.exception("a watcher of memory failed")

    def agent_state(self, agent: str, visible: Visible = None) -> AgentState:
        """Return what a turn of the agent with this id or name needs.

        Raises:
            UnknownAgent: naming some that exist.
        """
        with self.database.lock:
            known = self._working_set.find(agent)
            if known is not None and (visible is None or known.agent.id in visible):
                return known
            with self.database.read(visible) as reader:
                return self._working_set.get(reader, agents.find_agent(reader, agent))

    def search_passages(self, reader: Reader, query: Query) -> tuple[list[PassageHit], Page]:
        """Search an archive (query.collection is its key); see search.search.

        A reader sees what is committed by now, later than what it has read so far.
        """
        page = self._search(reader, query, [Collection(query.collection, "passages")])
        return list(_passage_hits(reader, query.collection, page).values()), page

    def search_messages(self, reader: Reader, query: Query) -> tuple[list[MessageHit], Page]:
        """Search an agent's recall memory (query.collection is the agent's key)."""
        page = self._search(reader, query, [Collection(query.collection, "messages")])
        return list(_message_hits(reader, query.collection, page).values()), page

    def search_both(
        self, reader: Reader, query: Query, agent: Agent
    ) -> tuple[list[PassageHit | MessageHit], Page]:
        """Search an agent's archive and its recall memory, in one ranking."""
        query = replace(query, collection=agent.archive_key, recall=agent.key)
        archive, said = Collection(agent.archive_key, "passages"), Collection(agent.key, "messages")
        page = self._search(reader, query, [archive, said])
        hits: dict[int, PassageHit | MessageHit] = {
            **_passage_hits(reader, archive.key, page),
            **_message_hits(reader, said.key, page),
        }
        return [hits[hit.doc] for hit in page.hits], page

    def _search(self, reader: Reader, query: Query, collections: Sequence[Collection]) -> Page:
        vector = self._query_vector(query.text)
        if not isinstance(reader, Transaction) and self.embedding.behind <= MAX_AWAITED:
            # Inside a transaction the queue cannot write, so waiting for it would be in vain.
            self.embedding.settle([c.key for c in collections], SETTLE_WAIT_S)
        behind = vector is not None and self.embedding.behind > 0
        # Before the reader is renewed: what a corpus in memory holds it must see, too.
        corpora = [self.corpus(reader, collection) for collection in collections]
        if any(self.resident.keeps_waiting(collection.key) for collection in collections):
            vector = None
        reader.renew()
        try:
            means = Means(vector, self._reranker, self._query_vector)
            page = search(reader, query, corpora, means)
        finally:
            self.resident.read_later()
        if not behind:
            return page
        # Of this collection alone: others' are nobody's business who may not see them.
        counts = [reader.value("count_pending_in", collection=c.key) for c in collections]
        return replace(page, pending=sum(counts))

    def _query_vector(self, text: str) -> Vectors | None:
        return self.embedding.query_vector(text, EMBEDDER_WAIT_S)

    def corpus(self, reader: Reader, collection: Collection) -> Corpus:
        """What answers for a collection: memory where it can, else the database."""
        # A transaction sees what it has written itself, and nobody else does.
        held = None if isinstance(reader, Transaction) else self.resident.get(collection)
        return StoredCorpus(reader, collection, self.index) if held is None else held

    def _vectors_written(self, collections: set[int]) -> None:
        self.index.vectors_written(collections)
        self.resident.changed(collections)


def _passage_hits(reader: Reader, archive_key: int, page: Page) -> dict[int, PassageHit]:
    """The hits of a page that are passages, in its order."""
    rows = reader.rows("passages_by_doc", collection=archive_key, docs=_docs(page))
    passages = {passage.doc: passage for passage in map(passage_of, rows)}
    return {h.doc: PassageHit(passages[h.doc], h) for h in page.hits if h.doc in passages}


def _message_hits(reader: Reader, agent_key: int, page: Page) -> dict[int, MessageHit]:
    """The hits of a page that are messages, in its order."""
    rows = reader.rows("messages_by_doc", collection=agent_key, docs=_docs(page))
    messages = {message.doc: message for message in map(recall.message_of, rows)}
    return {h.doc: MessageHit(messages[h.doc], h) for h in page.hits if h.doc in messages}


def _docs(page: Page) -> str:
    return to_json([hit.doc for hit in page.hits])
