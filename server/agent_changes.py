"""Changing an agent for the person it belongs to, and making another like it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from agent.outside import ToolSource
from agent.rule_checks import check_arguments, check_rules
from agent.settings import checked_settings, merged, settings_of
from agent.tool_table import ToolTable
from memory import agents, archives, blocks, core_memory
from memory.clones import Parts, clone_agent
from memory.errors import InvalidValue
from memory.limits import check_object
from memory.meta import stored_embedder
from memory.records import Agent, AgentState, Block
from memory.transaction import Reader, Transaction
from server.agent_models import BlockChange, Clone, Update

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
UNBORN: Final = Agent(0, "", "", "", "", "UTC", None, (), 0, 0, _BEGINNING, _BEGINNING)
"""An agent before it is created: nothing is set, and nothing attached."""

_OWN_COLUMNS = {"name", "description", "system", "timezone", "model", "tags"}


def change_agent(transaction: Transaction, a: Update, source: ToolSource) -> Agent:
    """Do all that agent_update asks for.

    source: of the agent's tools outside of memory, which its rules may name.

    Raises:
        MemoryStoreError: something cannot be done; then nothing is.
    """
    agent = agents.find_agent(transaction, a.agent_id)
    refuse_other_embedder(transaction, a.embedder)
    changes: dict[str, Any] = a.model_dump(include=_OWN_COLUMNS, exclude_none=True)
    if a.metadata is not None:
        changes["metadata"] = merged(agent.metadata, check_object(a.metadata, "metadata"))
    if a.settings is not None:
        changes["settings"] = changed_settings(agent, a.settings, source)
    if changes:
        agent = agents.update_agent(transaction, agent, changes)
    if a.archive_id is not None:
        agent = archives.use_archive(transaction, agent, a.archive_id)
    for label in a.detach_blocks or ():
        core_memory.detach_block(transaction, agent, label)
    for block_id in a.attach_blocks or ():
        block = core_memory.find_block(transaction, block_id)
        core_memory.attach_block(transaction, agent, block)
    for change in a.blocks or ():
        _change_block(transaction, agent, change)
    return agent


def make_clone(transaction: Transaction, a: Clone) -> Agent:
    """Do what agent_clone asks for.

    Raises:
        InvalidValue: blocks are to be shared and left out; or the name cannot be.
    """
    source = agents.find_agent(transaction, a.agent_id)
    include = ("blocks", "passages") if a.include is None else a.include
    parts = Parts(
        blocks="blocks" in include,
        passages="passages" in include,
        messages="messages" in include,
        share_blocks=a.share_blocks,
    )
    if parts.share_blocks and not parts.blocks:
        raise InvalidValue("share_blocks needs 'blocks' in include; add it, or leave both out")
    return clone_agent(transaction, source, a.name, parts)


def changed_settings(agent: Agent, given: Any, source: ToolSource) -> dict[str, Any]:
    """Settings as they are to be stored, with those given merged; null resets one.

    What is stored and cannot be read any more hinders nobody from setting something else.
    """
    patch = check_object(given, "settings")
    wanted = merged(agent.settings, patch)
    changed = {
        name: checked_settings({name: value})[name] if name in patch else value
        for name, value in wanted.items()
    }
    if patch.keys() & {"tools", "tool_rules"}:
        _check_tools(replace(agent, settings=changed), source)
    return changed


def _check_tools(agent: Agent, source: ToolSource) -> None:
    """Refuse tools that do not exist, and rules that these tools cannot keep."""
    rules = settings_of(agent).tool_rules
    table = ToolTable.of(AgentState(agent, (), (), 0), source)
    check_rules(rules, table.names)
    check_arguments(rules, table.specs())


def refuse_other_embedder(reader: Reader, wanted: str | None) -> None:
    """Vectors of two embedders cannot be compared, so that there is one for all agents.

    Raises:
        InvalidValue: another one than the memory's is asked for.
    """
    stored = stored_embedder(reader)
    if wanted not in (None, stored):
        raise InvalidValue(
            f"all agents of a memory have one embedder, here {stored or 'none yet'!r}, because"
            " vectors of two cannot be compared; to change it for all of them, stop mnemon and run"
            " `mnemon reindex --embedder NAME`"
        )


def _change_block(transaction: Transaction, agent: Agent, change: BlockChange) -> None:
    known = {block.label for block in core_memory.list_blocks(transaction, agent)}
    given = change.model_dump(exclude={"label"}, exclude_none=True)
    if change.label not in known:
        core_memory.create_block(transaction, agent, Block(change.label, **given))
        return
    core_memory.configure_block(
        transaction, agent, change.label, lambda block: blocks.configure(block, given)
    )
