"""Calling tools of the owner from a command whose person may be asked, and shown how far it is.

Questions of the owner are asked at the terminal, unless the command was told the answer beforehand.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestParams, ElicitResult

from server.config import Settings
from server.console import Console
from server.errors import OperatorError
from server.host_session import HostFailed, HostSession, open_session
from server.typed_lines import TypedLines


class NotAgreed(OperatorError):
    """A question was answered with no, or nobody was there to be asked.

    by_person: somebody said no.
    """

    def __init__(self, question: str, by_person: bool) -> None:
        self.by_person = by_person
        super().__init__(f"not done: {question} To do it, add --yes")


class AskedSession:
    """Calls tools, one at a time. yes: the answer to every question."""

    def __init__(self, portal: BlockingPortal, console: Console, yes: bool) -> None:
        self._portal, self._console, self._yes = portal, console, yes
        self._lines: TypedLines | None = None
        self._refused: NotAgreed | None = None
        self.session: HostSession | None = None

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool and return its result.

        Raises:
            NotAgreed: it asked, and the answer was no.
            HostFailed: with the tool's message.
        """
        assert self.session is not None  # noqa: S101 - it is open
        try:
            return self._portal.call(self.session.call, tool, arguments, self._show)
        except HostFailed:
            if self._refused is not None:
                raise self._refused from None
            raise
        except MCPError as error:
            raise HostFailed(f"there is no answer: {error}") from None
        finally:
            self._console.end_preview()

    async def ask(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Ask the person what the owner wants to know."""
        self._console.end_preview()
        if self._yes:
            self._console.note(params.message)
            return ElicitResult(action="accept", content={})
        self._lines = self._lines or TypedLines()
        by_person = self._lines.by_person and not self._console.as_json
        if by_person and await self._lines.agrees(params.message):
            return ElicitResult(action="accept", content={})
        self._refused = NotAgreed(params.message, by_person)
        return ElicitResult(action="decline")

    async def _show(self, line: str) -> None:
        self._console.line(line)


@contextmanager
def open_asked(
    settings: Settings, given: dict[str, Any], console: Console, yes: bool | None
) -> Iterator[AskedSession]:
    """Connect to the owner of these settings; one is started when there is none.

    Args:
        given: the settings that the command was told.
        yes: answer every question with yes. None: nobody is asked, and what needs a yes waits.

    Raises:
        HostFailed: the owner has other settings.
    """
    failure: OperatorError | None = None
    with start_blocking_portal() as portal:
        asked = AskedSession(portal, console, bool(yes))
        ask = None if yes is None else asked.ask
        opening = open_session(settings, given, "mnemon tools", ask)
        with portal.wrap_async_context_manager(opening) as asked.session:
            try:
                yield asked
            except OperatorError as error:  # raised below: tasks inside would wrap it
                failure = error
    if failure is not None:
        raise failure
