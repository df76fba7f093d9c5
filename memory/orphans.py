"""Orphans: blocks and archives that no agent has, detached or left by a deletion.

They can be given to an agent again (core_memory.attach_block, archives.use_archive) or deleted.
Whoever may see some agents only sees none of them.
"""

from memory import archives, core_memory
from memory.errors import UnknownId
from memory.records import Orphan
from memory.transaction import Reader, Transaction


def list_orphans(reader: Reader, after: int = 0, limit: int = 50) -> list[Orphan]:
    """Return orphans in the order in which they were made, those after a given key."""
    if reader.visible is not None:
        return []
    rows = reader.rows("list_orphans", after=after, limit=limit, id=None)
    return [Orphan(*row) for row in rows]


def find_orphan(reader: Reader, id_: str) -> Orphan:
    """Return the orphan with this id.

    Raises:
        UnknownId: there is none; a block or archive that an agent has is no orphan.
    """
    if reader.visible is None:
        for row in reader.rows("list_orphans", after=0, limit=1, id=id_):
            return Orphan(*row)
    raise UnknownId("orphan", id_)


def delete_orphan(transaction: Transaction, orphan: Orphan) -> None:
    """Delete an orphan; events keep the text of a block and of passages."""
    if orphan.kind == "block":
        block = core_memory.find_block(transaction, orphan.id)
        core_memory.delete_block(transaction, block, None)
        return
    archives.delete_archive(transaction, orphan.key)
    before = {"name": orphan.name, "passages": orphan.size}
    transaction.record("archive.delete", orphan.id, None, before=before)
