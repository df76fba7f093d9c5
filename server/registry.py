"""The declarative table of what the server offers: tools and resources, free of any wire format.

protocol.py turns a Registry into an MCP server; memory_tools.py, agent_tools.py and
block_resources.py fill one.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

ReportProgress = Callable[[float, float | None, str | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls and how to tell them of progress.

    host: name of the client program, e.g. "claude-desktop"; "unknown" when it does not say.
    request_id: the JSON-RPC id of the request.
    request_key: what the same request has when a front sends it again; None: none sends it again.
    progress: awaitable (done, total, message); does nothing when the client did not ask for it.
    """

    host: str
    request_id: str
    progress: ReportProgress
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `run` receives validated arguments and returns an instance of `result`.

    arguments: must refuse unknown fields, as agent.memory_tools.Arguments does.
    text: the result as compact text for the model; default is compact JSON.
    The hints become MCP annotations; no tool of ours reaches outside the machine.
    """

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[Call, Any], Awaitable[BaseModel]]
    text: Callable[[Any], str] | None = None
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """One readable resource in a listing."""

    uri: str
    name: str
    description: str
    mime_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class ResourceTemplate:
    """A family of resources, as an RFC 6570 template."""

    uri_template: str
    name: str
    description: str
    mime_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class ResourcePage:
    """Resources in a stable order and the cursor of the next page, or None at the end."""

    resources: tuple[Resource, ...]
    next_cursor: str | None = None


class Resources(Protocol):
    """Where resources come from.

    An unknown URI raises LookupError, an unknown cursor ValueError.
    """

    templates: Sequence[ResourceTemplate]

    async def list(self, cursor: str | None) -> ResourcePage:
        """Return one page."""

    async def read(self, uri: str) -> tuple[str, str]:
        """Return (mime type, text) of one resource."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything one server offers.

    describe_error: turns an exception that the caller can act on into one clear message, or None
        for a bug (which is logged with its traceback and reported without detail).
    on_second_message: called once, when the client sends anything after its first message was
        answered; heavy imports start there.
    """

    name: str
    version: str
    title: str
    instructions: str
    tools: tuple[Tool, ...]
    resources: Resources | None
    describe_error: Callable[[Exception], str | None]
    on_second_message: Callable[[], None]
