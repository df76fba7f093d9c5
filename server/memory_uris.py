"""What memory holds as texts with URIs: memory://agents/AGENT, and its blocks, passages, messages.

Pure but for the reader it is given. The same texts are MCP resources (memory_resources.py) and what
the tool memory_read returns, in pieces.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo

from agent.approval import Pending
from agent.context import render_blocks
from agent.settings import problems_of
from memory import agents, archival, archives, core_memory, recall, runs, tool_servers, tools
from memory.errors import InvalidValue, NotFound
from memory.meta import stored_embedder
from memory.records import Agent, Holdings
from memory.transaction import Reader, to_json
from server.counted import counted
from server.registry import ResourceTemplate
from server.reply_size import prefix_chars

AGENT_TEMPLATE: Final = "memory://agents/{agent_id}"

TEMPLATES: Final[Sequence[ResourceTemplate]] = (
    ResourceTemplate(
        AGENT_TEMPLATE, "agent", "An agent: its settings, its core memory, and what else it holds."
    ),
    ResourceTemplate(
        AGENT_TEMPLATE + "/settings", "settings", "An agent with all its blocks, as JSON."
    ),
    ResourceTemplate(
        AGENT_TEMPLATE + "/blocks/{label}", "block", "A core memory block of an agent."
    ),
    ResourceTemplate(
        AGENT_TEMPLATE + "/passages/{passage_id}", "passage", "A passage of an agent's archive."
    ),
    ResourceTemplate(
        AGENT_TEMPLATE + "/messages/{message_id}", "message", "A message of an agent's log."
    ),
)


class UnknownUri(NotFound):
    """No text of memory has this URI."""

    def __init__(self, uri: str) -> None:
        known = ", ".join(template.uri_template for template in TEMPLATES)
        signs = "; in a name # is written %23, ? %3F and / %2F" if {"#", "?"} & set(uri) else ""
        super().__init__(f"{uri[:200]!a} names no text of memory; known are {known}{signs}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, in characters from `start` to `end` of `total`."""

    text: str
    start: int
    end: int
    total: int
    digest: str

    @property
    def next_cursor(self) -> str | None:
        """Where the next piece begins; it holds only while the text is as it was."""
        return f"{self.end}-{self.digest}" if self.end < self.total else None


def agent_uri(agent: str) -> str:
    """The URI of an agent, by its id or name."""
    return f"memory://agents/{quote(agent, safe='')}"


def settings_uri(agent: str) -> str:
    """The URI of an agent's settings and blocks as JSON."""
    return f"{agent_uri(agent)}/settings"


def block_uri(agent: str, label: str) -> str:
    """The URI of a block."""
    return f"{agent_uri(agent)}/blocks/{quote(label, safe='')}"


def passage_uri(agent: str, passage_id: str) -> str:
    """The URI of a passage."""
    return f"{agent_uri(agent)}/passages/{quote(passage_id, safe='')}"


def message_uri(agent: str, message_id: str) -> str:
    """The URI of a message."""
    return f"{agent_uri(agent)}/messages/{quote(message_id, safe='')}"


def read_text(reader: Reader, uri: str) -> str:
    """Return the whole text that a URI names.

    Raises:
        NotFound: nothing has this URI, or not for whoever reads.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise UnknownUri(uri) from None
    path = [unquote(part) for part in parts.path.split("/")[1:]]
    if parts.scheme != "memory" or parts.netloc != "agents" or parts.query or parts.fragment:
        raise UnknownUri(uri)
    match path:
        case [agent_id] if agent_id:
            return describe_agent(reader, agents.find_agent(reader, agent_id))
        case [agent_id, "settings"] if agent_id:
            return to_json(agent_record(reader, agents.find_agent(reader, agent_id)))
        case [agent_id, kind, name] if agent_id and kind in _TEXTS and name:
            return _TEXTS[kind](reader, agents.find_agent(reader, agent_id), name)
        case _:
            raise UnknownUri(uri)


def agent_record(reader: Reader, agent: Agent) -> dict[str, Any]:
    """All there is to say of an agent, but for what its archive and its log hold."""
    held = agents.holdings(reader, agent)
    return {
        "id": agent.id,
        **agents.describe(agent),
        "problems": problems_of(agent),
        "waiting": _waiting(reader, agent),
        "tools": _custom_tools(reader, agent),
        "server_tools": _server_tools(reader, agent),
        "blocks": [
            {"id": block.id, **core_memory.describe(block), "version": block.version}
            for block in core_memory.list_blocks(reader, agent)
        ],
        "messages": held.messages,
        "passages": held.passages,
        "archive_id": archives.archive_id(reader, agent),
        "embedder": stored_embedder(reader),
        "created_at": agent.created_at.isoformat("T", "seconds"),
    }


def describe_agent(reader: Reader, agent: Agent) -> str:
    """An agent as a text: settings, core memory, and what the rest of its memory holds."""
    lines = [
        f"Agent {agent.name} ({agent.id}), created {agent.created_at.isoformat('T', 'seconds')},"
        f" model {agent.model or 'as configured'}."
    ]
    if waiting := _waiting(reader, agent):
        lines.append(waiting_line(**waiting))
    said = (
        ("Labels: {}.", ", ".join(agent.tags)),
        ("Description: {}", agent.description),
        ("Settings: {}", to_json(agent.settings) if agent.settings else ""),
        ("Custom tools: {}.", ", ".join(_custom_tools(reader, agent))),
        ("Tools of MCP servers: {}.", ", ".join(_server_tools(reader, agent))),
        ("Metadata: {}", to_json(agent.metadata) if agent.metadata else ""),
        ("Instructions to its model:\n{}", agent.system),
    )
    lines += [line.format(what) for line, what in said if what]
    return "\n".join([*lines, describe_memory(reader, agent)])


def _custom_tools(reader: Reader, agent: Agent) -> list[str]:
    return [tool.name for tool in tools.tools_of(reader, agent)]


def _server_tools(reader: Reader, agent: Agent) -> list[str]:
    return [tool.offered for has in tool_servers.attached(reader, agent) for tool in has.offered]


def waiting_line(run_id: str, tools: Sequence[str], until: str) -> str:
    """What an agent waits for, and what to do."""
    return (
        f"It waits until {until} for a person to approve {', '.join(tools)}: run_approve {run_id}."
    )


def _waiting(reader: Reader, agent: Agent) -> dict[str, Any] | None:
    run = runs.waiting_run(reader, agent)
    if run is None or run.pending is None:
        return None
    pending = Pending.from_json(run.pending)
    return {
        "run_id": run.id,
        "tools": [call.name for call in pending.calls],
        "until": pending.until.isoformat(timespec="seconds"),
    }


def describe_memory(reader: Reader, agent: Agent) -> str:
    """An agent's core memory as text, and what the rest of its memory holds."""
    blocks = render_blocks(core_memory.list_blocks(reader, agent))
    held = describe_holdings(agents.holdings(reader, agent))
    return f"Time zone {agent.timezone}.\n{blocks}\n{held}"


def describe_holdings(held: Holdings) -> str:
    """What an agent's memory holds beside its core memory."""
    tags = f" Tags: {', '.join(held.tags)}." if held.tags else ""
    return (
        f"Archival memory: {counted(held.passages, 'passage')}.{tags}\n"
        f"Recall memory: {counted(held.messages, 'message')}."
    )


def piece_of(text: str, cursor: str | None, room_bytes: int) -> Piece:
    """The next piece of a text that takes at most so many bytes of JSON.

    Raises:
        InvalidValue: the cursor is none of this text, or the text has changed.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    start = 0
    if cursor is not None:
        given, _, of = cursor.partition("-")
        if not (given.isascii() and given.isdigit() and len(given) < 10):
            raise InvalidValue(f"{cursor[:40]!a} is no cursor of this text; start without one")
        start = int(given)
        if of != digest or start > len(text):
            raise InvalidValue("the text has changed since that cursor; start without one")
    kept = prefix_chars(text[start:], room_bytes)
    end = start + (kept or min(1, len(text) - start))
    return Piece(text[start:end], start, end, len(text), digest)


def _block(reader: Reader, agent: Agent, label: str) -> str:
    return core_memory.get_block(reader, agent, label).value


def _passage(reader: Reader, agent: Agent, passage_id: str) -> str:
    return archival.get_passage(reader, agent, passage_id).text


def _message(reader: Reader, agent: Agent, message_id: str) -> str:
    message = recall.get_message(reader, agent, message_id)
    when = message.created_at.astimezone(ZoneInfo(agent.timezone)).isoformat("T", "seconds")
    return f"[{when}] {message.role}: {message.content}"


_TEXTS: Final[dict[str, Callable[[Reader, Agent, str], str]]] = {
    "blocks": _block,
    "passages": _passage,
    "messages": _message,
}
