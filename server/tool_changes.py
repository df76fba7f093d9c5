"""What a host's arguments make of a custom tool: read and checked, nothing is stored here."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from agent.custom.revising import ToolDraft, new_tool, revised
from agent.custom.tool_policy import read_policy
from agent.settings import merged, settings_of
from memory import agents, tools
from memory.errors import InvalidValue, VersionMoved
from memory.limits import check_object
from memory.records import Agent
from memory.tools import NewTool, StoredTool
from memory.transaction import Reader
from server.custom_tool_models import CreateTool, UpdateTool
from server.registry import Caller
from server.shown_source import digest, line_count, mark, quoted


@dataclass(frozen=True, slots=True)
class Grants:
    """What a tool is given that could carry something out: secrets, and hosts it may reach."""

    secrets: tuple[str, ...] = ()
    network: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.secrets or self.network)

    def question(self, tool: StoredTool) -> str:
        """What a person is asked: of which source, and how that begins.

        tool: as it would be stored, at the version before that.
        """
        reads = [f"read the secrets {', '.join(self.secrets)}"] if self.secrets else []
        reaches = [f"reach {', '.join(self.network)}"] if self.network else []
        about = mark(digest(tool.source), line_count(tool.source))
        return (
            f"May tool {tool.name} {' and '.join(reads + reaches)}? A yes is for this source alone"
            f" (version {tool.version + 1}, {about}):\n{quoted(tool.source)}"
        )


_OTHERS: Final = ("policy", "return_limit_chars", "requires_approval")


def planned(reader: Reader, caller: Caller, a: CreateTool) -> StoredTool:
    """A new tool as it would be stored."""
    new = new_tool(draft_of(a, a.policy))
    tools.refuse_taken_name(reader, new.name)
    now = datetime.now(UTC)
    return tools.checked(
        StoredTool(
            key=0,
            id="",
            author=f"host:{caller.host}",
            version=0,
            created_at=now,
            updated_at=now,
            **{name: getattr(new, name) for name in NewTool.__dataclass_fields__},
        )
    )


def planned_change(reader: Reader, a: UpdateTool) -> StoredTool:
    """A tool as it would be stored."""
    tool, changes = changes_of(reader, a)
    if a.expected_version is not None and tool.version != a.expected_version:
        raise VersionMoved(f"tool {tool.name!r}", a.expected_version, tool.version)
    return tools.checked(replace(tool, **changes))


def changes_of(reader: Reader, a: UpdateTool) -> tuple[StoredTool, dict[str, Any]]:
    """A tool, and what is to change of it."""
    tool = tools.find_tool(reader, a.tool_id)
    patch = None if a.policy is None else check_object(a.policy, "policy")
    policy = None if patch is None else merged(tool.policy, patch)
    changes = revised(tool, draft_of(a, policy))
    if changes.get("name", tool.name) != tool.name:
        tools.refuse_taken_name(reader, changes["name"], tool.key)
        for user in users_of(reader, tool):
            refuse_in_rules(user, tool)
    return tool, changes


def new_grants(before: StoredTool | None, tool: StoredTool) -> Grants:
    """What is granted to a tool that nobody has agreed to.

    A yes is to a source: another one is asked for with all that it would have.
    """
    has, had = read_policy(tool.policy), read_policy({})
    if before is not None and before.source == tool.source:
        had = read_policy(before.policy)
    return Grants(
        tuple(name for name in has.secrets if name not in had.secrets),
        tuple(host for host in has.network if host not in had.network),
    )


def asks_for_new_packages(reader: Reader, a: UpdateTool) -> bool:
    """Whether a tool is to have other packages, or nobody was asked about those it has."""
    tool = tools.find_tool(reader, a.tool_id)
    return tool.package_lock is None or tuple(a.requirements or ()) != tool.requirements


def draft_of(a: CreateTool | UpdateTool, policy: dict[str, Any] | None) -> ToolDraft:
    """A tool as a host wrote it. policy: the whole one."""
    given = {name: getattr(a, name) for name in _OTHERS} | {"policy": policy}
    given |= {
        "tags": None if a.tags is None else tuple(a.tags),
        "requirements": None if a.requirements is None else tuple(a.requirements),
    }
    others = {name: value for name, value in given.items() if value is not None}
    return ToolDraft(a.source, a.name, a.description, a.json_schema, others)


def users_of(reader: Reader, tool: StoredTool) -> list[Agent]:
    """The agents that have a tool."""
    return [agents.find_agent(reader, id_) for id_, _ in tools.users_of_tool(reader, tool)]


def refuse_in_rules(agent: Agent, tool: StoredTool) -> None:
    """Refuse to take a tool from under a rule, which could not be kept without it."""
    if any(tool.name in rule.named for rule in settings_of(agent).tool_rules):
        raise InvalidValue(
            f"agent {agent.name!r} has a tool rule that names {tool.name!r}; take the rule out"
            " first (agent_update, settings.tool_rules)"
        )
