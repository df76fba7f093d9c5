"""MCP servers as peers: mnemon with default settings, and server-memory."""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.peers.peer import Absent, Item, Peer
from benchmarks.report import say
from benchmarks.stdio_servers import MemoryHost, StdioServer, memory_host, piped, server_memory
from memory.terms import STOP_WORDS
from scripts.node_tools import ToolsMissing


class Mnemon:
    """An agent's archive, through its default tools."""

    def __init__(self, host: MemoryHost) -> None:
        self._host, self._names = host, (f"agent {n}" for n in count())
        self._agent, self._ids = "", dict[str, str]()

    def reset(self) -> None:
        """A new agent."""
        self._agent, self._ids = next(self._names), {}
        self._host.call("agent_create", name=self._agent)
        self._host.warm_up(self._agent)

    def add(self, items: Sequence[Item]) -> None:
        """With author, session and time; then wait for the vectors."""
        for item in items:
            given = {"author": item.author, "session": item.session}
            given |= {"occurred_at": item.occurred_at}
            known = {name: value for name, value in given.items() if value is not None}
            stored = self._host.call(
                "archival_memory_insert", agent_id=self._agent, content=item.text, **known
            )
            self._ids[stored["id"]] = item.id
        self._host.embedded(self._agent)

    def search(self, question: str, limit: int) -> list[str]:
        """As an agent searches."""
        asked = {"agent_id": self._agent, "query": question, "top_k": limit}
        found = self._host.call("archival_memory_search", **asked)["results"]
        return [self._ids[hit["id"]] for hit in found if hit["id"] in self._ids]

    def cpu_s(self) -> float:
        """Of front and owner."""
        return self._host.cpu_s()


class ServerMemory:
    """Node's server: an entity for each item, and a search for text that contains the query."""

    def __init__(self, command: Sequence[str], folder: Path, by_word: bool) -> None:
        self._command, self._folder, self._by_word = command, folder, by_word
        self._files = count()
        self._server: StdioServer | None = None

    def reset(self) -> None:
        """A new server with a new file."""
        self.end()
        file = self._folder / f"{next(self._files)}.jsonl"
        self._server = StdioServer(
            piped(self._command, {**os.environ, "MEMORY_FILE_PATH": str(file)})
        )

    def add(self, items: Sequence[Item]) -> None:
        """One call for each, as for every peer."""
        for item in items:
            entity = {"name": item.id, "entityType": "memory", "observations": [item.whole]}
            self._opened.call("create_entities", entities=[entity])

    def search(self, question: str, limit: int) -> list[str]:
        """The question as it is, or each of its words and then what has most of them."""
        asked = content_words(question) if self._by_word else [question]
        hits = Counter[str]()
        for query in asked:
            found = self._opened.call("search_nodes", query=query)["entities"]
            hits.update([entity["name"] for entity in found])
        return [name for name, _ in hits.most_common(limit)]

    def cpu_s(self) -> float:
        """Of the server."""
        return self._opened.cpu_s()

    def end(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.end()

    @property
    def _opened(self) -> StdioServer:
        if self._server is None:
            raise RuntimeError("reset comes first")
        return self._server


def content_words(question: str) -> list[str]:
    """What somebody would look for who can look for words only: all but function words."""
    words = dict.fromkeys(re.findall(r"\w+", question.lower()))
    return [word for word in words if word not in STOP_WORDS] or list(words)


@contextmanager
def mnemon() -> Iterator[Peer]:
    """On a memory of its own."""
    with memory_host() as host:
        yield Mnemon(host)


@contextmanager
def server_memory_whole() -> Iterator[Peer]:
    """Asked with the question as it is."""
    with _server_memory(by_word=False) as peer:
        yield peer


@contextmanager
def server_memory_by_word() -> Iterator[Peer]:
    """Asked with each word of the question, which is the best that a patient agent can do."""
    with _server_memory(by_word=True) as peer:
        yield peer


@contextmanager
def _server_memory(by_word: bool) -> Iterator[Peer]:
    try:
        command = server_memory()
    except ToolsMissing as error:
        say(str(error))
        raise Absent("npm is missing or cannot install it") from None
    with tempfile.TemporaryDirectory() as folder:
        peer = ServerMemory(command, Path(folder), by_word)
        try:
            yield peer
        finally:
            peer.end()
