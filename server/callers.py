"""Who calls: the front at the other end of a socket, or the principal of a token."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from mcp.server.context import ServerRequestContext

from server.registry import DEFAULT_TOOLSET, Caller, Toolset

_MAX_HOST_CHARS: Final = 100  # a client's name is stored with every change it makes
PRINCIPAL_KEY: Final = "mnemon.principal"
"""Where http_guard.py puts the principal into the ASGI scope of a request."""


@dataclass(slots=True)
class Peer:
    """A front, and the host behind it.

    front: an id that the front keeps when it connects again, to this owner or to the next.
    host: the client program's name, once it has said it.
    """

    front: str
    pid: int
    since: str
    toolset: Toolset = DEFAULT_TOOLSET
    agent: str | None = None
    host: str = "unknown"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a bearer token stands for.

    id: of this very token; one made anew under the same name is another. agents: the ids it may
    know of; None: all.
    """

    name: str
    id: str
    agents: frozenset[str] | None = None
    toolset: Toolset | None = None

    @property
    def agent(self) -> str | None:
        """The one it means where it names none, because there is no other for it."""
        return next(iter(self.agents)) if self.agents and len(self.agents) == 1 else None


current_peer: ContextVar[Peer | None] = ContextVar("current_peer", default=None)
"""The peer whose request is being answered; None over HTTP and in one process."""


def caller_of(
    ctx: ServerRequestContext[Any, Any],
    toolset: Toolset = DEFAULT_TOOLSET,
    agent: str | None = None,
) -> Caller:
    """Who sent a message; toolset and agent: for those who have chosen none."""
    client = ctx.session.client_params
    host = printable_name(client.client_info.name if client is not None else "")
    peer = current_peer.get()
    if peer is not None:
        return Caller(host, toolset=peer.toolset, agent=peer.agent)
    if ctx.request is None:  # lines, not HTTP: whoever can start this process has its memory
        return Caller(host, toolset=toolset, agent=agent)
    principal: Principal = ctx.request.scope[PRINCIPAL_KEY]
    return Caller(
        host,
        principal.id,
        principal.agents,
        principal.toolset or toolset,
        # The server's own may be one that does not exist for this token.
        agent if principal.agents is None else principal.agent,
    )


def printable_name(name: object) -> str:
    """A client's name as it can be stored and shown: short and printable, or "unknown"."""
    given = name if isinstance(name, str) else ""
    shown = "".join(char for char in given if char.isprintable())
    return shown[:_MAX_HOST_CHARS].strip() or "unknown"
