"""`mnemon chat AGENT`: a conversation in the terminal, by a host like any other.

A call that needs a person's yes is asked for here. Ctrl-C stops an answer that is being thought; at
the prompt it ends the conversation.
"""

import signal
import sys
from functools import partial
from typing import Any, Final

import anyio
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestParams, ElicitResult

from server.commands.runs import person_text
from server.config import Settings
from server.console import Console
from server.host_session import HostFailed, HostSession, innermost, open_session
from server.memory_uris import message_uri
from server.run_models import WRITING, RunShown
from server.typed_lines import TypedLines

_INTERRUPTED: Final = 130


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Answer one message, or each line of stdin until it ends."""
    try:
        return anyio.run(partial(_run, settings, options, console))
    except* (HostFailed, MCPError) as failed:
        found = innermost(failed)
        said = str(found) if isinstance(found, HostFailed) else f"there is no answer: {found}"
        raise HostFailed(said) from None


async def _run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    chat = Chat(console)
    ask = chat.ask if chat.lines.by_person and not console.as_json else None
    try:
        async with open_session(settings, options["given"], "mnemon chat", ask) as session:
            return await chat.run(session, options["agent_id"], options["message"])
    finally:
        chat.lines.close()


class Chat:
    """One conversation with an agent."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.lines = TypedLines()
        self._answering: anyio.CancelScope | None = None
        self._asking: anyio.CancelScope | None = None

    async def run(self, session: HostSession, agent: str, message: str | None) -> int:
        """Answer one message, or lines until they end; return the exit code."""
        shown = await session.call("agent_get", {"agent_id": agent})
        if message is not None:
            return await self._answer(session, shown["id"], message)
        if not self.lines.by_person:
            return await self._converse(session, shown["id"])
        self._console.note(f"talking to {shown['name']}; end with Ctrl-D or /quit")
        ended = list[int]()
        async with anyio.create_task_group() as tasks:
            if sys.platform != "win32":  # where Ctrl-C ends it all
                tasks.start_soon(self._watch_keys, tasks.cancel_scope)
            ended.append(await self._converse(session, shown["id"]))
            tasks.cancel_scope.cancel()
        return ended[0] if ended else _INTERRUPTED

    async def ask(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Ask the person what the server wants to know."""
        self._console.end_preview()
        with anyio.CancelScope() as self._asking:
            if await self.lines.agrees(params.message):
                return ElicitResult(action="accept", content={})
        return ElicitResult(action="decline")

    async def _converse(self, session: HostSession, agent_id: str) -> int:
        """Answer each line; one without an answer ends it unless a person can try again."""
        person = self.lines.by_person
        while (said := await self.lines.read("> ")) is not None:
            if person and said in ("/quit", "/exit"):
                break
            code = 0
            try:
                self._asking = None
                with anyio.CancelScope() as self._answering:
                    if said:
                        code = await self._answer(session, agent_id, said)
                # Only what was asked about here: another host's run may wait, too.
                if self._answering.cancelled_caught and self._asking is not None:
                    await _stop_waiting(session, agent_id)
            except HostFailed as error:
                self._console.fail(str(error))
                code = 2
            finally:
                self._answering = None
            if code and not person:
                self._console.note("the conversation ended there; no later line was sent")
                return code
        return 0

    async def _watch_keys(self, conversation: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT) as interrupts:
            async for _ in interrupts:
                if self._answering is None:
                    conversation.cancel()
                else:
                    self._answering.cancel()
                    if self._asking is not None:
                        self._asking.cancel()
                    self._console.note("stopped")

    async def _answer(self, session: HostSession, agent_id: str, text: str) -> int:
        """Say something and show the answer; return the exit code of that alone."""
        arguments = {"agent_id": agent_id, "message": text}
        try:
            turn = await session.call("agent_message", arguments, self._tell)
        finally:
            self._console.end_preview()
        shown = RunShown.model_validate(turn)
        if shown.cut:
            shown.reply = await _whole(session, agent_id, shown.message_id)
        if shown.status == "waiting" and not self._console.as_json:
            wants = ", ".join(wanted.tool for wanted in shown.pending)
            raise HostFailed(
                f"the agent waits for approval of {wants}: mnemon approve {shown.run_id}"
            )
        self._console.show(shown.model_dump(mode="json", exclude={"cut"}), person_text(shown))
        return 2 if shown.status == "waiting" else 0

    async def _tell(self, message: str) -> None:
        """Show where the run is: the reply as it is written, where it can be written over."""
        if message.startswith(WRITING):
            self._console.preview(message.removeprefix(WRITING))
        else:
            self._console.note(f"  [{message}]")


async def _stop_waiting(session: HostSession, agent_id: str) -> None:
    """Stop the run that was asked about; one that was in work ended with its call."""
    shown = await session.call("agent_get", {"agent_id": agent_id})
    if shown["waiting"] is not None:
        await session.call("run_cancel", {"run_id": shown["waiting"]["run_id"]})


async def _whole(session: HostSession, agent_id: str, message_id: str | None) -> str:
    """A reply that was too long for its own answer."""
    arguments = {"uri": message_uri(agent_id, message_id or "")}
    text: str = ""
    while True:
        piece = await session.call("memory_read", arguments)
        text += piece["text"]
        if piece["next_cursor"] is None:
            return text.partition(": ")[2]  # without when and by whom
        arguments["cursor"] = piece["next_cursor"]
