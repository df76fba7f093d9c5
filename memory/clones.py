"""Copies of agents: a new one with the settings of another, and as much of its memory as is wanted.

Messages and passages are copied within the database, one statement for each table, with what search
needs of them. Their vectors come along when every text has its own; otherwise the copies wait for
theirs like any new text, because vectors are given in the order of doc (embedding.py).
"""

from dataclasses import dataclass, replace

from memory import agents, core_memory, tool_servers, tools
from memory.agents import NewAgent
from memory.records import Agent, View
from memory.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Parts:
    """What of an agent's memory its clone gets. share_blocks: the blocks themselves, no copies."""

    blocks: bool = True
    passages: bool = True
    messages: bool = False
    share_blocks: bool = False


def clone_agent(transaction: Transaction, source: Agent, name: str, parts: Parts) -> Agent:
    """Create an agent like another; what the two remember from now on is each one's own.

    With messages it goes on in the conversation where the other is, without them it begins anew.

    Raises:
        NameTaken: another agent has the name.
        InvalidValue: it is no name.
    """
    blocks = core_memory.list_blocks(transaction, source) if parts.blocks else ()
    drafts = () if parts.share_blocks else tuple(replace(block, key=0) for block in blocks)
    clone = agents.create_agent(
        transaction,
        NewAgent(
            name=name,
            description=source.description,
            system=source.system,
            timezone=source.timezone,
            model=source.model,
            tags=source.tags,
            blocks=drafts,
            metadata=source.metadata,
            settings=source.settings,
        ),
    )
    if parts.share_blocks:
        for block in blocks:
            core_memory.attach_block(transaction, clone, block)
    for tool in tools.tools_of(transaction, source):  # its settings may name them
        tools.attach_tool(transaction, clone, tool)
    tool_servers.copy_attached(transaction, source, clone)
    # Asked before anything is copied: the copies wait too, until their vectors are there.
    with_vectors = transaction.value("count_pending") == 0
    if parts.passages:
        _copy(transaction, "copy_passages", (source.archive_key, clone.archive_key), with_vectors)
        _record_passages(transaction, clone)
    if parts.messages:
        first = _copy(transaction, "copy_messages", (source.key, clone.key), with_vectors)
        clone = _continue(transaction, source, clone, first)
    if with_vectors:
        transaction.changes.newest_embedded = int(transaction.value("newest_embedded"))
    return clone


def _copy(
    transaction: Transaction, texts: str, collections: tuple[int, int], with_vectors: bool
) -> int:
    """Copy a collection into another; return the first of its docs, or 0 without any."""
    origin, target = collections
    count = transaction.value("count_collection", collection=origin)
    if not count:
        return 0
    ((first, last),) = transaction.rows("take_doc_range", count=count)
    vectors = ("copy_vectors",) if with_vectors else ()
    for query in (texts, "copy_documents", "copy_postings", *vectors):
        transaction.run(query, origin=origin, target=target, first=first)
    transaction.changes.newest_docs[target] = last
    if with_vectors:
        transaction.changes.copied_vectors.append(target)
    return int(first)


def _record_passages(transaction: Transaction, clone: Agent) -> None:
    """An event for each copied passage, as for any other; watchers hear of the new agent alone."""
    transaction.run(
        "record_copied_passages",
        target=clone.archive_key,
        now=transaction.now_utc,
        actor=transaction.origin.actor,
        reason=transaction.origin.reason,
        request_id=transaction.origin.request_id,
        agent_id=clone.id,
    )


def _continue(transaction: Transaction, source: Agent, clone: Agent, first: int) -> Agent:
    """Give a clone with messages the window and the summary that the other has."""
    if not first:
        return clone
    start = transaction.value(
        "copied_window_start", origin=source.key, window_start=source.window_start, first=first
    )
    if start is None:  # nothing is in the window
        start = transaction.changes.newest_docs[clone.key] + 1
    steps_from = source.view.steps_from and transaction.value(
        "copied_window_start", origin=source.key, window_start=source.view.steps_from, first=first
    )
    view = View(summary=source.view.summary, steps_from=steps_from or 0)
    agents.set_view(transaction, clone, start, view)
    return replace(clone, window_start=start, view=view)
