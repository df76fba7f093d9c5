"""archival_memory_import: many passages in one call, each kept once, and waiting for their vectors.

What a host stores faster than it is embedded is on disk and waits there; the answer says how much
that is, and a host that wants to go no faster waits for it.
"""

from typing import TYPE_CHECKING, Final

import anyio.to_thread
from pydantic import Field

from agent.memory_tools import Result
from memory import agents
from memory.importing import Imported, import_passages
from memory.transaction import Reader, Transaction
from server.counted import counted
from server.memory_access import MemoryAccess
from server.memory_tools import FULL_ONLY, ChangesAgent, HostPassage, new_passage
from server.registry import Call, Tool

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

NAME: Final = "archival_memory_import"
MAX_WAIT_S: Final = 60.0


class ImportedPassage(HostPassage):
    """A passage of an import."""

    copy_number: int = Field(0, ge=0, description="Same passages before it, in all calls.")


class ImportPassages(ChangesAgent):
    """Arguments of archival_memory_import."""

    passages: list[ImportedPassage]
    wait_s: float = Field(
        0, ge=0, le=MAX_WAIT_S, description="Wait so long for the archive's vectors."
    )


class PassagesImported(Result):
    """What became of an import.

    held: how many the archive had already. pending_vectors: passages of the archive that cannot be
    found by meaning yet; problem: why they will not be for now, or empty.
    """

    stored: int
    held: int
    pending_vectors: int
    problem: str


class _Written(Result):
    stored: int
    held: int


def import_tool(access: MemoryAccess) -> Tool:
    """The tool."""

    async def run(call: Call, a: ImportPassages) -> PassagesImported:
        def write(store: "MemoryStore", transaction: Transaction) -> _Written:
            agent = agents.find_agent(transaction, a.agent_id)
            imported = [
                Imported(new_passage(given, agent.timezone), given.copy_number)
                for given in a.passages
            ]
            stored = len(import_passages(transaction, agent, imported))
            return _Written(stored=stored, held=len(imported) - stored)

        def look(store: "MemoryStore", reader: Reader) -> tuple["MemoryStore", int]:
            return store, agents.find_agent(reader, a.agent_id).archive_key

        written = _Written(stored=0, held=0)
        if a.passages:
            written = await access.write(call, NAME, a, _Written, write)
        store, archive = await access.read(call.caller, look)
        if a.wait_s:
            await anyio.to_thread.run_sync(store.embedding.settle, [archive], a.wait_s)
        pending = await access.read(
            call.caller, lambda _, reader: reader.value("count_pending_in", collection=archive)
        )
        return PassagesImported(
            stored=written.stored,
            held=written.held,
            pending_vectors=pending,
            problem=store.embedding.obstacle if pending else "",
        )

    return Tool(
        name=NAME,
        title="Import passages",
        description="Keep many passages at once; those that the archive holds are passed over.",
        arguments=ImportPassages,
        result=PassagesImported,
        run=run,
        text=imported_text,
        toolsets=FULL_ONLY,
    )


def imported_text(result: PassagesImported) -> str:
    """What became of an import, in a line."""
    text = f"Stored {counted(result.stored, 'passage')}"
    text += f"; {result.held} were there already." if result.held else "."
    if result.pending_vectors:
        text += f" {result.pending_vectors} of the archive are found by words only, until embedded"
        text += f": {result.problem}." if result.problem else "."
    return text
