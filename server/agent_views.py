"""Agents as hosts and the command line show them; for hosts within what a reply may hold."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from memory import core_memory
from memory.records import Agent, Block
from memory.transaction import Reader, to_json
from server.agent_models import AgentPage, AgentShown, AgentSummary, BlockShown
from server.counted import counted
from server.memory_tools import with_cursor
from server.memory_uris import agent_record, agent_uri, block_uri, settings_uri, waiting_line
from server.reply_size import PAGE_BYTES, first_of, fitting, json_bytes, shortened

# Of an agent's page: its own settings and its blocks share PAGE_BYTES.
_SYSTEM_BYTES: Final = 1_000
_DESCRIPTION_BYTES: Final = 300
_TAGS_BYTES: Final = 500
_VALUE_BYTES: Final = 2_000
_OBJECT_BYTES: Final = 1_000
_PROBLEMS_BYTES: Final = 600
_TOOLS_BYTES: Final = 400
_BLOCKS_BYTES: Final = PAGE_BYTES - 2_200


def summary_of(agent: Agent) -> AgentSummary:
    """An agent in a list."""
    where = f"memory_read {agent_uri(agent.id)}"
    return AgentSummary(
        id=agent.id,
        name=agent.name,
        description=shortened(agent.description, _DESCRIPTION_BYTES, where),
        tags=first_of(agent.tags, _TAGS_BYTES),
    )


def page_of(found: Sequence[Agent], limit: int) -> AgentPage:
    """As many agents as fit a page; found holds one more than the limit when there are more."""
    shown = [summary_of(agent) for agent in found[:limit]]
    count = fitting([json_bytes(summary.model_dump()) + 1 for summary in shown], PAGE_BYTES)
    return AgentPage(
        agents=shown[:count],
        next_cursor=str(found[count - 1].key) if count < len(found) else None,
    )


def show_agent(reader: Reader, agent: Agent, after: int = 0) -> AgentShown:
    """An agent with as many of its blocks, from the `after`-th on, as fit a page."""
    stored = core_memory.list_blocks(reader, agent)
    shown = [_show_block(agent, block) for block in stored[after:]]
    where = f"memory_read {agent_uri(agent.id)}"
    whole = show_whole(reader, agent)
    bounded = {
        "metadata": _short_object(agent.metadata, settings_uri(agent.id)),
        "settings": _short_object(agent.settings, settings_uri(agent.id)),
        "problems": first_of(whole.problems, _PROBLEMS_BYTES),
        "tools": first_of(whole.tools, _TOOLS_BYTES),
        "server_tools": first_of(whole.server_tools, _TOOLS_BYTES),
    }
    room = _BLOCKS_BYTES - sum(map(json_bytes, bounded.values()))
    count = fitting([json_bytes(block.model_dump()) + 1 for block in shown], room)
    return whole.model_copy(
        update={
            **bounded,
            "description": shortened(agent.description, _DESCRIPTION_BYTES, where),
            "system": shortened(agent.system, _SYSTEM_BYTES, where),
            "tags": first_of(agent.tags, _TAGS_BYTES),
            "blocks": shown[:count],
            "next_cursor": str(after + count) if count < len(shown) else None,
        }
    )


def show_whole(reader: Reader, agent: Agent) -> AgentShown:
    """An agent with all its blocks, however long."""
    return AgentShown.model_validate(agent_record(reader, agent))


def agent_text(shown: AgentShown) -> str:
    """An agent as a model reads it."""
    lines = [
        f"Agent {shown.name} ({shown.id}), created {shown.created_at}, time zone {shown.timezone},"
        f" model {shown.model or 'as configured'}; {counted(shown.messages, 'message')},"
        f" {counted(shown.passages, 'passage')}."
    ]
    if shown.waiting is not None:
        lines.append(waiting_line(**shown.waiting.model_dump()))
    if shown.runs_in_work:
        lines.append(f"{counted(shown.runs_in_work, 'run')} in work.")
    lines += [f"Labels: {', '.join(shown.tags)}."] if shown.tags else []
    lines += [f"Description: {shown.description}"] if shown.description else []
    lines += [f"Instructions to its model: {shown.system}"] if shown.system else []
    lines += [f"Settings: {to_json(shown.settings)}"] if shown.settings else []
    lines += [f"Metadata: {to_json(shown.metadata)}"] if shown.metadata else []
    lines += [f"Custom tools: {', '.join(shown.tools)}."] if shown.tools else []
    if shown.server_tools:
        lines.append(f"Tools of MCP servers: {', '.join(shown.server_tools)}.")
    lines += shown.problems
    for block in shown.blocks:
        about = ", read-only" if block.read_only else ""
        lines.append(
            f"Block {block.label} (version {block.version}, limit {block.limit_chars}{about}):"
            f" {block.description}\n{block.value}"
        )
    return with_cursor("\n".join(lines), shown.next_cursor)


def page_text(page: AgentPage) -> str:
    """A list of agents as a model reads it."""
    lines = [
        f"- {agent.name} ({agent.id})"
        + (f": {agent.description}" if agent.description else "")
        + (f" [{', '.join(agent.tags)}]" if agent.tags else "")
        for agent in page.agents
    ]
    return with_cursor("\n".join(lines) or "No agents found.", page.next_cursor)


def _short_object(value: Mapping[str, Any], uri: str) -> dict[str, Any]:
    """An object that fits a page, or where to read it: half of one would pass for the whole."""
    size = json_bytes(value)
    return dict(value) if size <= _OBJECT_BYTES else {"…": f"{size} bytes: memory_read {uri}"}


def _show_block(agent: Agent, block: Block) -> BlockShown:
    where = f"memory_read {block_uri(agent.id, block.label)}"
    value = shortened(block.value, _VALUE_BYTES, where)
    description = shortened(
        block.description, _DESCRIPTION_BYTES, f"memory_read {agent_uri(agent.id)}"
    )
    return BlockShown(
        id=block.id,
        label=block.label,
        value=value,
        limit_chars=block.limit_chars,
        description=description,
        read_only=block.read_only,
        version=block.version,
        cut=(value, description) != (block.value, block.description),
    )
