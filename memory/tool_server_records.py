"""MCP servers of others as frozen records; tool_servers.py keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Transport = Literal["stdio", "http"]


@dataclass(frozen=True, slots=True)
class Grants:
    """What a stdio server may use beyond its own empty folder.

    paths: folders and files that it can read. network: `host:port` that it may reach. unsandboxed:
    it runs as the person's own programs do, with everything that they may.
    """

    paths: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    unsandboxed: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is reached.

    command: program and arguments, for stdio. environment: for stdio. url, headers: for http. In
    values of environment and headers, `$secret:NAME` stands for a secret. call_timeout_s: of one
    call; connect_timeout_s: until it has said hello or listed its tools.
    """

    transport: Transport
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    grants: Grants = Grants()
    call_timeout_s: float = 60.0
    connect_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class SeenTool:
    """A tool as a server listed it, made fit for models.

    name: at the server. offered: to models, begins with the server's. digest: of what the server
    sent, so that a change can be told. unusable: why it cannot be offered; empty: it can.
    """

    name: str
    offered: str
    description: str
    schema: Mapping[str, Any]
    digest: str
    unusable: str = ""


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A server. tools: as it listed them last. listed_at: when; None: it never did."""

    key: int
    id: str
    name: str
    launch: Launch
    enabled: bool
    tools: tuple[SeenTool, ...]
    listed_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Attached:
    """What an agent has of a server. names: of single tools; whole: all, also those to come."""

    server: ToolServer
    whole: bool
    names: tuple[str, ...]

    @property
    def tools(self) -> tuple[SeenTool, ...]:
        """Those of them that the server listed last."""
        return tuple(t for t in self.server.tools if self.whole or t.name in self.names)

    @property
    def offered(self) -> tuple[SeenTool, ...]:
        """Those that the agent can call now: none of a server that is switched off."""
        return tuple(t for t in self.tools if self.server.enabled and not t.unusable)
