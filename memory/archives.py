"""Archives as such: which one an agent uses, and their end. What is in them is archival.py's."""

from dataclasses import replace as with_changes

from memory import documents
from memory.errors import UnknownId
from memory.records import Agent
from memory.transaction import Reader, Transaction


def archive_id(reader: Reader, agent: Agent) -> str:
    """The public id of an agent's archive."""
    return str(reader.value("archive_id", key=agent.archive_key))


def use_archive(transaction: Transaction, agent: Agent, wanted: str) -> Agent:
    """Let an agent use another archive; its own stays, but not empty without anybody.

    Raises:
        UnknownId: there is no archive with this id, or not for whoever asks.
    """
    key = transaction.value("find_archive", id=wanted, visible=transaction.visible_ids)
    if key is None:
        raise UnknownId("archive", wanted)
    if key == agent.archive_key:
        return agent
    before = archive_id(transaction, agent)
    transaction.run("set_archive", key=agent.key, archive_key=key)
    transaction.record(
        "agent.use_archive", agent.id, agent.id, {"archive": before}, {"archive": wanted}
    )
    used = transaction.value("count_archive_users", archive_key=agent.archive_key)
    if not used and not transaction.value("count_passages", archive_key=agent.archive_key):
        delete_archive(transaction, agent.archive_key)
    updated = with_changes(agent, archive_key=key)
    transaction.changes.agents[agent.key] = updated
    return updated


def delete_archive(transaction: Transaction, archive_key: int) -> None:
    """Delete an archive that no agent has any more, with its passages; their events keep them."""
    transaction.run("delete_passages", archive_key=archive_key)
    documents.remove_collection(transaction, archive_key)
    transaction.run("delete_archive", key=archive_key)
