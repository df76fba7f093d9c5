"""Errors of remembering.

MemoryStoreError
├── DatabaseError
│   ├── DatabaseLocked       another process has the file open
│   ├── DatabaseCorrupt      the file or its write-ahead log cannot be read
│   ├── DatabaseTooNew       written by a newer mnemon
│   ├── DatabaseUnusable     the path cannot be opened for another reason
│   ├── DatabaseClosed       mnemon is shutting down
│   └── CommitFailed         the disk did not take a change
├── NotFound
│   ├── UnknownAgent
│   ├── UnknownBlock
│   ├── UnknownPassage
│   ├── UnknownMessage
│   ├── UnknownRun
│   ├── UnknownTool          no tool has this name or id
│   ├── UnknownVersion       the tool never had this version
│   ├── UnknownToolServer    no MCP server of others has this name or id
│   └── UnknownId            no block or archive has this id
├── InvalidValue             a value that cannot be stored or understood
│   ├── BlockOverflow        the edit would exceed the block's limit
│   ├── EditMismatch         the text to replace is absent or not unique
│   ├── NameTaken            another agent has this name
│   ├── ToolNameTaken        another tool has this name
│   ├── VersionMoved         somebody changed it since the version that was expected
│   └── KeyReused            the idempotency key belongs to another request
├── RunInProgress            the agent is thinking, so its messages cannot be forgotten
├── BlockReadOnly            agents and hosts may not edit this block
└── EmbedderMismatch         the vectors were made by another embedder

Each message says what happened, with which value, and what would work. Nothing was changed when one
is raised.
"""

from collections.abc import Sequence
from pathlib import Path


class MemoryStoreError(Exception):
    """Memory refused or failed; nothing was changed."""


class DatabaseError(MemoryStoreError):
    """The database file cannot be used."""


class DatabaseLocked(DatabaseError):
    """Another process has the file open; DuckDB lets one process hold it."""

    def __init__(self, path: Path, holder_pid: int | None) -> None:
        self.path, self.holder_pid = path, holder_pid
        holder = f"process {holder_pid}" if holder_pid else "another process"
        super().__init__(
            f"{path} is in use by {holder}; end it with `mnemon stop` or close it, or give this"
            " one its own directory with --data"
        )


class DatabaseCorrupt(DatabaseError):
    """The file or its write-ahead log is damaged; nothing was written to it."""

    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(
            f"{path} cannot be read: {detail}. Nothing was changed. Keep a copy of the file and of"
            f" {path.name}.wal, then restore a backup, or move the .wal file aside to open the"
            " last checkpoint"
        )


class DatabaseTooNew(DatabaseError):
    """The file was written by a newer mnemon."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.path, self.found, self.known = path, found, known
        super().__init__(
            f"{path} has schema version {found}, this mnemon knows versions up to {known}; upgrade"
            " mnemon to open it (nothing was changed)"
        )


class DatabaseUnusable(DatabaseError):
    """The path cannot be opened: no permission, not a directory, disk full."""

    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"{path} cannot be opened: {detail}; choose another directory with --data")


class DatabaseClosed(DatabaseError):
    """The database was closed while somebody still wanted to use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is closed: mnemon is shutting down; start it again")


class CommitFailed(DatabaseError):
    """A change could not be written, for instance because the disk is full."""

    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(
            f"{path} did not take the change: {detail}. Nothing was changed; make room on the disk,"
            " then do it again"
        )


class NotFound(MemoryStoreError):
    """Nothing has this name or id."""


class RunInProgress(MemoryStoreError):
    """The agent has a run that has begun and not ended."""

    def __init__(self, agent: str, run_id: str) -> None:
        self.agent, self.run_id = agent, run_id
        super().__init__(
            f"agent {agent!r} has a run in progress ({run_id}); let it end, or cancel it with"
            " run_cancel, then reset the messages"
        )


class UnknownAgent(NotFound):
    """No agent has this id or name."""

    def __init__(self, agent: str, known: Sequence[str], more: bool = False) -> None:
        self.agent, self.known = agent, tuple(known)
        have = ", ".join(known) if known else "none yet: create one with agent_create"
        have += ", and more: agent_list shows all" if more else ""
        super().__init__(f"no agent {agent!r}; agents: {have}")


class UnknownBlock(NotFound):
    """The agent has no block with this label."""

    def __init__(self, agent: str, label: str, known: Sequence[str]) -> None:
        self.agent, self.label, self.known = agent, label, tuple(known)
        super().__init__(
            f"agent {agent!r} has no block {label!r}; it has {', '.join(known) or 'none'}"
        )


class UnknownMessage(NotFound):
    """No message of the agent has this id."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        super().__init__(f"no message {message_id!r}; conversation_search shows ids")


class UnknownPassage(NotFound):
    """No passage of the agent's archive has this id."""

    def __init__(self, passage_id: str) -> None:
        self.passage_id = passage_id
        super().__init__(
            f"no passage {passage_id!r} in the archive; archival_memory_search shows ids"
        )


class UnknownRun(NotFound):
    """There is no such run, or not for whoever asks."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no run {run_id[:80]!a}; run_list shows an agent's runs")


class UnknownTool(NotFound):
    """No tool has this name or id."""

    def __init__(self, tool: str, known: Sequence[str], more: bool = False) -> None:
        self.tool, self.known = tool, tuple(known)
        have = ", ".join(known) if known else "none yet: create one with tool_create"
        have += ", and more: tool_list shows all" if more else ""
        super().__init__(f"no tool {tool[:80]!a}; tools: {have}")


class UnknownVersion(NotFound):
    """A tool never had this version."""

    def __init__(self, tool: str, version: int, newest: int) -> None:
        self.tool, self.version, self.newest = tool, version, newest
        super().__init__(f"tool {tool!r} has no version {version}; it has 1 to {newest}")


class UnknownToolServer(NotFound):
    """No MCP server of others has this name or id."""

    def __init__(self, server: str, known: Sequence[str]) -> None:
        self.server, self.known = server, tuple(known)
        have = ", ".join(known) if known else "none yet: add one with mcp_server_add"
        super().__init__(f"no MCP server {server[:80]!a}; servers: {have}")


class UnknownId(NotFound):
    """No block or archive has this id."""

    def __init__(self, kind: str, id_: str) -> None:
        self.kind, self.id = kind, id_
        super().__init__(
            f"no {kind} {id_[:80]!r}; agent_get shows the ids of an agent's, orphan_list those that"
            " no agent has"
        )


class InvalidValue(MemoryStoreError):
    """A value cannot be stored or understood."""


class BlockOverflow(InvalidValue):
    """The edit would make the block longer than its limit."""

    def __init__(self, label: str, length_chars: int, limit_chars: int) -> None:
        self.label, self.length_chars, self.limit_chars = label, length_chars, limit_chars
        self.excess_chars = length_chars - limit_chars
        super().__init__(
            f"block {label!r} would have {length_chars} characters, {self.excess_chars} over its"
            f" limit of {limit_chars}; nothing was changed: shorten the text or replace something"
        )


class EditMismatch(InvalidValue):
    """The text or line an edit names is not there, or not only there."""


class NameTaken(InvalidValue):
    """Another agent has this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"an agent named {name!r} exists already; choose another name")


class ToolNameTaken(InvalidValue):
    """Another tool has this name."""

    def __init__(self, name: str, whose: str) -> None:
        self.name, self.whose = name, whose
        super().__init__(f"the name {name!r} is that of {whose}; choose another name")


class VersionMoved(InvalidValue):
    """Something was changed since the version that a caller had seen."""

    def __init__(self, what: str, expected: int, found: int) -> None:
        self.what, self.expected, self.found = what, expected, found
        super().__init__(
            f"{what} is at version {found}, not {expected}: it was changed meanwhile, and nothing"
            " is now; read it again, then decide"
        )


class KeyReused(InvalidValue):
    """The idempotency key was given to another request before."""

    def __init__(self, tool: str, first_tool: str) -> None:
        self.tool, self.first_tool = tool, first_tool
        super().__init__(
            f"this idempotency_key belongs to an earlier call of {first_tool} with other arguments;"
            " use a new key for a new request"
        )


class BlockReadOnly(MemoryStoreError):
    """The block is read-only for agents and hosts."""

    def __init__(self, label: str) -> None:
        self.label = label
        super().__init__(
            f"block {label!r} is read-only and nothing was changed; only its owner may edit it"
            " (agent_update)"
        )


class EmbedderMismatch(MemoryStoreError):
    """The stored vectors come from another embedder; the two cannot be compared."""

    def __init__(self, stored: str, configured: str) -> None:
        self.stored, self.configured = stored, configured
        super().__init__(
            f"the stored vectors were made by {stored!r}, the configured embedder is"
            f" {configured!r}; run `mnemon reindex` to embed everything again, or configure the"
            " old embedder"
        )
