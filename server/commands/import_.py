"""`mnemon import AGENT FILE ...`: files into an agent's archive, each passage once.

Everything is read first, so that a file with something wrong in it changes nothing. Then one batch
after another is stored, each in a transaction. Whatever ends the command in between, running it
again does the rest.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import anyio
from mcp.shared.exceptions import MCPError

from server.config import Settings
from server.console import Console
from server.counted import counted
from server.errors import OperatorError
from server.host_session import HostFailed, HostSession, innermost, open_session
from server.import_files import Source, in_batches, open_sources, read_passages
from server.import_tool import NAME, ImportedPassage, PassagesImported

_LOOK_S: Final = 1.0
"""How often a person sees how many texts are embedded."""

_NOTES: Final = ("author", "source", "session", "tags")


@dataclass(slots=True)
class _Import:
    """How far an import is."""

    agent: str
    total: int
    stored: int = 0
    held: int = 0
    pending: int = 0
    problem: str = ""

    @property
    def done(self) -> int:
        return self.stored + self.held

    def told(self, answer: PassagesImported) -> None:
        self.stored += answer.stored
        self.held += answer.held
        self.pending, self.problem = answer.pending_vectors, answer.problem


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Import files; Ctrl-C keeps what is stored."""
    notes = {name: options[name] for name in _NOTES if options[name]}
    with ExitStack() as opened:
        sources = open_sources(options["files"], options["format"], notes, opened)
        made = _Import(options["agent_id"], sum(1 for _ in read_passages(sources)))
        try:
            anyio.run(_send, settings, options, sources, made, console)
        except* (OperatorError, MCPError) as failed:
            raise HostFailed(f"{innermost(failed)}{_so_far(made)}") from None
        except* KeyboardInterrupt:
            console.end_progress()
            console.note(f"interrupted{_so_far(made)}")
            raise KeyboardInterrupt from None
    console.end_progress()
    result = {
        "stored": made.stored,
        "held": made.held,
        "pending_vectors": made.pending,
        "problem": made.problem,
    }
    console.show(result, _summary(made))
    return 0


async def _send(
    settings: Settings,
    options: dict[str, Any],
    sources: Sequence[Source],
    made: _Import,
    console: Console,
) -> None:
    async with open_session(settings, options["given"], "mnemon import") as session:
        made.told(await _call(session, made.agent, [], wait_s=0))  # whether there is such an agent
        for batch in in_batches(read_passages(sources)):
            made.told(await _call(session, made.agent, batch, wait_s=0))
            console.progress(made.done, made.total, "stored")
        console.end_progress()
        if not options["no_wait"]:
            await _embedded(session, made, console)


async def _embedded(session: HostSession, made: _Import, console: Console) -> None:
    """Wait until the passages of the archive have their vectors, or will not get them."""
    total = max(made.total, made.pending)
    while made.pending and not made.problem:
        made.told(await _call(session, made.agent, [], wait_s=_LOOK_S))
        console.progress(max(0, total - made.pending), total, "embedded")


async def _call(
    session: HostSession, agent: str, passages: Sequence[ImportedPassage], wait_s: float
) -> PassagesImported:
    given = [passage.model_dump(exclude_none=True) for passage in passages]
    # A key of its own: should the owner die with the answer, the next one knows what was asked.
    arguments: dict[str, Any] = {"agent_id": agent, "passages": given, "wait_s": wait_s}
    if passages:
        arguments["idempotency_key"] = f"import-{os.urandom(8).hex()}"
    return PassagesImported.model_validate(await session.call(NAME, arguments))


def _so_far(made: _Import) -> str:
    """What is stored, for somebody who sees the import end before its end."""
    if made.done < made.total:
        said = f"; {made.done} of {counted(made.total, 'passage')} are in the archive"
        return f"{said}: run the same command again to go on" if made.done else ""
    return f"; all is stored, and {made.pending} still wait for their vectors, in the background"


def _summary(made: _Import) -> str:
    text = f"{counted(made.stored, 'passage')} stored"
    text += f", {made.held} were there already" if made.held else ""
    if made.pending:
        why = made.problem or "they are embedded in the background"
        return f"{text}; {made.pending} of the archive are found by words only: {why}"
    return text
