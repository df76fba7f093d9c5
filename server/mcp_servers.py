"""MCP servers of others, for the person whose agents use them: added once they agree.

Then they are listed and given to agents. Only whoever may see all agents comes here. Connections
are external/'s.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from memory import agents, tool_servers
from memory.errors import InvalidValue
from memory.tool_server_records import Launch, ToolServer
from memory.transaction import Reader, Transaction
from server.consent import Act, Consent
from server.cursors import key_after
from server.errors import NotAllowed
from server.external.errors import ExternalServerError
from server.external.listing import changes
from server.mcp_server_models import (
    AddServer,
    AttachServer,
    ChangesServer,
    GetServer,
    ListServers,
    ServerAdded,
    ServerAttached,
    ServerChanged,
    ServerListed,
    ServerPage,
    ServerRemoved,
    ServerShown,
    UpdateServer,
)
from server.mcp_server_views import address, launch_of, may, server_line, tool_line
from server.memory_access import MemoryAccess
from server.once import Once
from server.registry import Call
from server.reply_size import PAGE_BYTES, first_of, fitting, json_bytes, shortened

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore
    from server.external.servers import ExternalServers

_NAMES_BYTES: Final = 1_500


@dataclass(frozen=True, slots=True)
class McpServers:
    """What the tools do."""

    consent: Consent

    @property
    def _access(self) -> MemoryAccess:
        return self.consent.access

    async def add(self, call: Call, a: AddServer) -> ServerAdded:
        """mcp_server_add."""
        _refuse_some_agents(call)
        launch = await self._startable(launch_of(a))
        place = shortened(address(launch), PAGE_BYTES // 2, "cut")

        def would(reader: Reader) -> ServerAdded:
            tool_servers.check_new(reader, a.name)
            return ServerAdded(status="waiting", id="", name=a.name, address=place, may=may(launch))

        def do(transaction: Transaction, lost: ServerAdded) -> ServerAdded:
            server = tool_servers.create_server(transaction, a.name, launch)
            return lost.model_copy(update={"status": "done", "id": server.id})

        act = Act("mcp_server_add", ServerAdded, would, do)
        added = await self.consent.once_agreed(call, a, act)
        if added.status != "done":
            return added
        try:
            listed = await self._list(call, added.id)
        except (ExternalServerError, InvalidValue) as error:
            return added.model_copy(update={"problem": f"{error}."})
        return added.model_copy(update={"tools": len(listed.tools)})

    async def list(self, call: Call, a: ListServers) -> ServerPage:
        """mcp_server_list."""
        _refuse_some_agents(call)
        after = key_after(a.cursor)

        def work(_: "MemoryStore", reader: Reader) -> ServerPage:
            found = tool_servers.list_servers(reader, after, a.limit + 1)
            lines = [server_line(server) for server in found[: a.limit]]
            count = fitting([json_bytes(line.model_dump()) + 1 for line in lines], PAGE_BYTES)
            more = count < len(found)
            return ServerPage(
                servers=lines[:count], next_cursor=str(found[count - 1].key) if more else None
            )

        return await self._access.read(call.caller, work)

    async def get(self, call: Call, a: GetServer) -> ServerShown:
        """mcp_server_get."""
        _refuse_some_agents(call)
        after = key_after(a.cursor)

        def work(_: "MemoryStore", reader: Reader) -> ServerShown:
            server = tool_servers.find_server(reader, a.server)
            users = list(tool_servers.users(reader, server))
            return _shown(server, users, a.tool, after)

        return await self._access.read(call.caller, work)

    async def refresh(self, call: Call, a: ChangesServer) -> ServerListed:
        """mcp_server_refresh."""
        _refuse_some_agents(call)
        before = await self._find(call, a.server)
        after = await self._list(call, before.id)
        names = {
            what: first_of(found, _NAMES_BYTES)
            for what, found in changes(before.tools, after.tools).items()
        }
        return ServerListed(
            id=after.id,
            name=after.name,
            tools=len(after.tools),
            unusable=sum(bool(tool.unusable) for tool in after.tools),
            **names,
        )

    async def update(self, call: Call, a: UpdateServer) -> ServerChanged:
        """mcp_server_update."""
        _refuse_some_agents(call)

        def work(_: "MemoryStore", transaction: Transaction) -> ServerChanged:
            server = tool_servers.find_server(transaction, a.server)
            changed = tool_servers.set_enabled(transaction, server, a.enabled)
            return ServerChanged(server=server_line(changed))

        done = await self._access.write(call, "mcp_server_update", a, ServerChanged, work)
        if not a.enabled:
            await (await self._servers()).forget(done.server.id)
        return done

    async def remove(self, call: Call, a: ChangesServer) -> ServerRemoved:
        """mcp_server_remove."""
        _refuse_some_agents(call)

        def work(_: "MemoryStore", transaction: Transaction) -> ServerRemoved:
            server = tool_servers.find_server(transaction, a.server)
            had = tool_servers.delete_server(transaction, server)
            return ServerRemoved(id=server.id, name=server.name, agents=first_of(had, _NAMES_BYTES))

        done = await self._access.write(call, "mcp_server_remove", a, ServerRemoved, work)
        await (await self._servers()).forget(done.id)
        return done

    async def attach(self, call: Call, a: AttachServer) -> ServerAttached:
        """mcp_server_attach."""
        return await self._attached(call, "mcp_server_attach", a)

    async def detach(self, call: Call, a: AttachServer) -> ServerAttached:
        """mcp_server_detach."""
        return await self._attached(call, "mcp_server_detach", a)

    async def _attached(self, call: Call, tool: str, a: AttachServer) -> ServerAttached:
        _refuse_some_agents(call)
        change = tool_servers.attach if tool == "mcp_server_attach" else tool_servers.detach

        def work(_: "MemoryStore", transaction: Transaction) -> ServerAttached:
            agent = agents.find_agent(transaction, a.agent_id)
            server = tool_servers.find_server(transaction, a.server)
            changed = change(transaction, agent, server, a.tool)
            offered = [
                tool.offered
                for has in tool_servers.attached(transaction, agent)
                if has.server.key == server.key
                for tool in has.tools
                if not tool.unusable
            ]
            return ServerAttached(
                agent_id=agent.id,
                agent=agent.name,
                server=server.name,
                tool=a.tool,
                changed=changed,
                offered=first_of(offered, _NAMES_BYTES),
            )

        return await self._access.write(call, tool, a, ServerAttached, work)

    async def _startable(self, launch: Launch) -> Launch:
        """How a server is reached, as far as can be known before it is."""
        outside = (await self._access.runtime()).outside
        await outside.servers.check_secrets(launch)
        return await outside.commands.startable(launch) if launch.command else launch

    async def _list(self, call: Call, id_: str) -> ToolServer:
        """Ask a server for its tools, and keep them."""
        server = await self._find(call, id_)
        servers = await self._servers()
        tools = await servers.list_tools(server.name, server.id, server.launch)

        def work(_: "MemoryStore", transaction: Transaction) -> ServerChanged:
            now = tool_servers.find_server(transaction, server.id)
            return ServerChanged(
                server=server_line(tool_servers.set_tools(transaction, now, tools))
            )

        # Asked again, it lists again: what is kept is what the server has now.
        anew = replace(call, request_key=None)
        await self._access.write(anew, "mcp_server_refresh", Once(), ServerChanged, work)
        return replace(server, tools=tuple(tools))

    async def _find(self, call: Call, name: str) -> ToolServer:
        return await self._access.read(
            call.caller, lambda _, reader: tool_servers.find_server(reader, name)
        )

    async def _servers(self) -> "ExternalServers":
        return (await self._access.runtime()).outside.servers


def _refuse_some_agents(call: Call) -> None:
    if call.caller.agents is not None:
        raise NotAllowed("use MCP servers of others")


def _shown(server: ToolServer, users: list[str], tool: str | None, after: int) -> ServerShown:
    """A server with a page of its tools, or with one and its schema."""
    tools = [t for t in server.tools if t.name == tool] if tool else list(server.tools)
    if tool and not tools:
        raise InvalidValue(f"{server.name!r} has no tool {tool[:80]!a}; leave it out to see all")
    lines = [tool_line(found) for found in tools[after:]]
    count = fitting([json_bytes(line.model_dump()) + 1 for line in lines], PAGE_BYTES // 2)
    launch = server.launch
    return ServerShown(
        server=server_line(server),
        environment=dict(launch.environment),
        headers=dict(launch.headers),
        read_paths=list(launch.grants.paths),
        network=list(launch.grants.network),
        call_timeout_s=launch.call_timeout_s,
        connect_timeout_s=launch.connect_timeout_s,
        agents=first_of(users, _NAMES_BYTES),
        tools=lines[:count],
        input_schema=dict(tools[0].schema) if tool else None,
        next_cursor=str(after + count) if count < len(lines) else None,
    )
