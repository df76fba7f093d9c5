"""Calling a tool of the owner from a command, over its socket, as a host would.

A handful of lines instead of the SDK's client, which takes longer to import than a command runs.
"""

import json
import os
from types import TracebackType
from typing import Any, Final, Self

from server import owner_files
from server.errors import OperatorError
from server.owner_questions import complaint

_WELCOME_S: Final = 5.0
_ANSWER_S: Final = 120.0
_INITIALIZE: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "mnemon command line", "version": "1"},
}


class CallFailed(OperatorError):
    """The owner refused a call; the message is the tool's."""


class OwnerSession:
    """One connection to the owner of a directory. Use it in a `with`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._last_id = 0

    @classmethod
    def open(cls, directory: str) -> Self | None:
        """Connect and shake hands; None: nobody owns the directory.

        Raises:
            CallFailed: the directory or the owner's socket may not be used.
        """
        try:
            connection = owner_files.connect(directory)
        except OSError as error:
            raise CallFailed(f"{directory} cannot be used: {error.strerror}") from error
        if connection is None:
            return None
        session = cls(connection)
        connection.settimeout(_WELCOME_S)
        front = os.urandom(16).hex()
        try:
            session._send({"mnemon": 1, "front": front, "pid": os.getpid(), "settings": None})
            welcome = session._lines.readline()
        except TimeoutError as error:
            raise complaint(directory) from error
        except ConnectionError:
            welcome = b""
        if not welcome:  # it ends
            session.close()
            return None
        connection.settimeout(_ANSWER_S)
        session._request("initialize", _INITIALIZE)
        session._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._connection.close()

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool and return its result.

        Raises:
            CallFailed: with the tool's message.
        """
        result = self._request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise CallFailed(result["content"][0]["text"])
        found: dict[str, Any] = result["structuredContent"]
        return found

    def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        try:
            self._send(request)
            while line := self._lines.readline():
                answer = json.loads(line)
                if answer.get("id") == self._last_id and "method" not in answer:
                    break
            else:
                raise CallFailed("the owner ended while it worked on this; try again")
        except OSError as error:
            raise CallFailed(f"the owner does not answer: {error}; try again") from error
        if "error" in answer:
            raise CallFailed(answer["error"]["message"])
        found: dict[str, Any] = answer["result"]
        return found

    def _send(self, message: dict[str, Any]) -> None:
        self._connection.sendall(json.dumps(message).encode() + b"\n")
