"""What memory holds, as frozen records. Times are aware datetimes in UTC.

Public ids are strings with a prefix (agent-, block-, message-, passage-, archive-). `key` and `doc`
are the short integers used inside the database: an archive's key names the collection of its
passages, an agent's key the collection of its messages, and `doc` numbers both kinds in one space.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

MessageRole = Literal["user", "assistant", "tool", "system"]
"""Who said it. "system": what mnemon tells the model of changes that it did not make itself."""

DEFAULT_BLOCK_LIMIT_CHARS = 5_000
"""Letta's last enforced default; long enough for notes, short enough for a 4k window."""


@dataclass(frozen=True, slots=True)
class View:
    """What an agent's prompts begin with, the same to the byte until the next compaction.

    head: the sections of the system prompt by name, in order; empty: to be rendered anew.
    summary: of the messages that left the window. seen: what the model was last shown of each
    block, by label (see agent/context.py). steps_from: of the window's first turn, the steps before
    this doc have left, too; its user message stays. notes_from: what notes before this doc tell of
    is in the head. clipped: results that are shown shorter than others, by doc: characters.
    """

    head: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    seen: Mapping[str, str] = field(default_factory=dict)
    steps_from: int = 0
    notes_from: int = 0
    clipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent's identity and settings. `system` is its instruction to the model.

    metadata is the owner's own; settings is what agent/settings.py reads. Both are JSON objects.
    """

    key: int
    id: str
    name: str
    description: str
    system: str
    timezone: str
    model: str | None
    tags: tuple[str, ...]
    archive_key: int
    window_start: int
    created_at: datetime
    updated_at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    view: View = View()


@dataclass(frozen=True, slots=True)
class Block:
    """A labelled piece of core memory; always in the model's view.

    Blocks outside a database (drafts) have key 0 and version 0.
    """

    label: str
    value: str = ""
    limit_chars: int = DEFAULT_BLOCK_LIMIT_CHARS
    description: str = ""
    read_only: bool = False
    key: int = 0
    id: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that an assistant made. `arguments` is decoded JSON."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be appended. `tool_calls` only for assistant, `tool_call_id` only for tool."""

    role: MessageRole
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message of recall memory. `sequence` counts the agent's messages from 1."""

    doc: int
    id: str
    role: MessageRole
    content: str
    tool_calls: tuple[ToolCall, ...]
    tool_call_id: str | None
    turn_id: str
    sequence: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage to be archived.

    session and sequence place it among its neighbours (a conversation, a file); sequence is counted
    on when a session is given without one. occurred_at: when what it tells of happened.
    """

    text: str
    tags: tuple[str, ...] = ()
    author: str | None = None
    source: str | None = None
    session: str | None = None
    sequence: int | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of archival memory."""

    doc: int
    id: str
    text: str
    tags: tuple[str, ...]
    author: str | None
    source: str | None
    session: str | None
    sequence: int | None
    occurred_at: datetime | None
    created_at: datetime

    @property
    def dated(self) -> datetime:
        """When it happened, or when it was written if nobody said."""
        return self.occurred_at or self.created_at


@dataclass(frozen=True, slots=True)
class AgentState:
    """What a turn needs: the agent, its blocks in order, and the messages in its window.

    messages are those from `agent.window_start` on, oldest first; total_messages counts all.
    """

    agent: Agent
    blocks: tuple[Block, ...]
    messages: tuple[Message, ...]
    total_messages: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an agent's memory holds: counts, and the tags of its archive, most used first."""

    messages: int
    passages: int
    pending_vectors: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Belongings:
    """What hangs on an agent alone, and would be orphaned without it; and what others share.

    passages: in its archive. archive: its id; None, and 0 passages, when others have it too.
    """

    messages: int
    passages: int
    archive: str | None
    blocks: tuple[Block, ...]
    shared_blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A block or an archive that no agent has. size: a block's characters, an archive's passages.

    name: a block's label, or that of the agent for which the archive was made.
    """

    kind: Literal["block", "archive"]
    key: int
    id: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes memory, why, and in answer to which request; stored with every event.

    actor: "agent:NAME", "host:NAME" or "person:NAME". reason: usually the tool's or command's name.
    """

    actor: str
    reason: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One change of memory: who, when, why, and the subject before and after (None: absent)."""

    number: int
    happened_at: datetime
    actor: str
    reason: str
    action: str
    agent_id: str | None
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
