"""The declarative table of what the server offers, free of any wire format.

Tools, resources, prompts, completions, and who calls them. protocol.py turns a Registry into an MCP
server; app.py fills one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from pydantic import BaseModel

ReportProgress = Callable[[float, float | None, str | None], Awaitable[None]]

Toolset = Literal["memory", "agents", "full"]
DEFAULT_TOOLSET: Final[Toolset] = "memory"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what exists for them.

    host: name of the client program, e.g. "claude-desktop"; "unknown" when it does not say.
    principal: whom its token stands for; "local" for whoever reaches the owner without one.
    agents: ids of the agents that exist for it; None: all, and new ones may be made.
    toolset: which tools are listed to it; others may be called by name.
    agent: name or id of the one that is meant where it names none; None: it must name one.
    """

    host: str = "unknown"
    principal: str = "local"
    agents: frozenset[str] | None = None
    toolset: Toolset = DEFAULT_TOOLSET
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered; `values` is empty unless accepted."""

    accepted: bool
    values: Mapping[str, Any] = field(default_factory=dict)


class Ask(Protocol):
    """Asks the person at the host, before the call has changed anything: it may run again."""

    async def __call__(
        self, question: str, schema: Mapping[str, Any], about: str = ""
    ) -> Answer | None:
        """Show a question and a form (JSON Schema of a flat object); return the answer.

        None: the host could not show it, or nobody answered.

        Args:
            about: what the call is asking of; another question in the same words about something
                else is another question. No `|` in it.
        """

    @property
    def answered(self) -> str:
        """What the answer is about that this call brings; empty: it brings none."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool: by whom, how to recognise it, how to tell of progress and to ask back.

    request_id: the JSON-RPC id of the request.
    request_key: what the same request has when a front sends it again; None: none sends it again.
    progress: awaitable (done, total, message); does nothing when the client did not ask for it.
    ask: None when the host cannot ask a person.
    """

    caller: Caller
    request_id: str
    progress: ReportProgress
    request_key: str | None = None
    ask: Ask | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `run` receives validated arguments and returns an instance of `result`.

    arguments: must refuse unknown fields, as agent.memory_tools.Arguments does.
    text: the result as compact text for the model; default is compact JSON.
    toolsets: those that list it; "full" lists all. for_all: only for callers for whom all agents
        exist; to others it is not listed.
    schema: of the arguments, where the model's own is not to be shown.
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
    toolsets: frozenset[Toolset] = frozenset({"memory", "agents"})
    for_all: bool = False
    schema: Mapping[str, Any] | None = None


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

    async def list(self, caller: Caller, cursor: str | None) -> ResourcePage:
        """Return one page."""

    async def read(self, caller: Caller, uri: str) -> tuple[str, str]:
        """Return (mime type, text) of one resource."""


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """One argument of a prompt; all are texts."""

    name: str
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text that a person can ask for by name; `render` gets every required argument."""

    name: str
    title: str
    description: str
    arguments: tuple[PromptArgument, ...]
    render: Callable[[Caller, Mapping[str, str]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Completing:
    """A value that a person is typing.

    of: the name of a prompt or a URI template. given: the other arguments so far.
    """

    of: str
    argument: str
    value: str
    given: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything one server offers.

    describe_error: turns an exception that the caller can act on into one clear message, or None
        for a bug (which is logged with its traceback and reported without detail).
    explain_for: what to add to that message for whoever called.
    more_tools: makes those that the default toolset does not list, to stand behind `tools`; called
        once, when one of them is listed or called, so that no start waits for what they import.
    on_second_message: called once, when the client sends anything after its first message was
        answered; heavy imports start there.
    complete: returns values that begin as the one being typed does, best first.
    icon: an image as a data URI. toolset, agent: of callers who have chosen none.
    """

    name: str
    version: str
    title: str
    instructions: str
    tools: tuple[Tool, ...]
    resources: Resources | None
    describe_error: Callable[[Exception], str | None]
    on_second_message: Callable[[], None]
    explain_for: Callable[[Exception, Caller], str] = lambda error, caller: ""
    more_tools: Callable[[], tuple[Tool, ...]] = tuple
    prompts: tuple[Prompt, ...] = ()
    complete: Callable[[Caller, Completing], Awaitable[Sequence[str]]] | None = None
    icon: str | None = None
    toolset: Toolset = DEFAULT_TOOLSET
    agent: str | None = None
