"""What a host and its server said to each other that a new server would have to hear again.

Pure bookkeeping over JSON-RPC lines, for a front whose owner may die: the handshake, and every
request without an answer. Requests are repeated with the ids they had, so the new owner can tell
them from new ones (docs/decisions/0007).
"""

from __future__ import annotations

import json

MAX_TIMES_SENT = 8
"""A request that ended this many owners is answered with an error, not tried for ever."""

_ANSWER_BEGINS = b'{"jsonrpc":"2.0","id":'  # as lines.encode_message writes it
_LONGEST_ID = 200
INTERNAL_ERROR = -32603


class Conversation:
    """Follows both sides of one connection, line by line."""

    def __init__(self) -> None:
        self._initialize: bytes | None = None
        self._initialize_id: object = None
        self._initialized: bytes | None = None
        self._swallowed: object = None
        self._unanswered: dict[object, tuple[bytes, int]] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether the host waits for an answer."""
        return bool(self._unanswered)

    def host_said(self, line: bytes) -> None:
        """Take account of a line of the host that is sent on."""
        message = _message(line)
        method, message_id = message.get("method"), _id(message)
        if method == "initialize" and message_id is not None:
            self._initialize, self._initialize_id = line, message_id
        elif method == "notifications/initialized":
            self._initialized = line
        elif method == "notifications/cancelled":
            params = message.get("params")
            cancelled = params.get("requestId") if isinstance(params, dict) else None
            if isinstance(cancelled, str | int):
                self._unanswered.pop(cancelled, None)
        if method is not None and message_id is not None:
            self._unanswered[message_id] = (line, 1)

    def server_said(self, line: bytes) -> bool:
        """Take account of a line of the server; False: the host has heard it before."""
        answered = _answered_id(line)
        if answered is None:
            return True
        if self._swallowed is not None and answered == self._swallowed:
            self._swallowed = None
            return False
        self._unanswered.pop(answered, None)
        return True

    def lines_to_repeat(self) -> list[bytes]:
        """What a new server must hear first, in order; the handshake's second answer is ours."""
        lines = []
        if self._initialize is not None:
            lines.append(self._initialize)
            if self._initialize_id not in self._unanswered:
                self._swallowed = self._initialize_id
            if self._initialized is not None:
                lines.append(self._initialized)
        for message_id, (line, times) in list(self._unanswered.items()):
            self._unanswered[message_id] = (line, times + 1)
            if line is not self._initialize:
                lines.append(line)
        return lines

    def give_up_hopeless(self) -> list[bytes]:
        """Forget what was sent too often; return the answers that say so."""
        hopeless = [i for i, (_, times) in self._unanswered.items() if times >= MAX_TIMES_SENT]
        answers = []
        for message_id in hopeless:
            del self._unanswered[message_id]
            said = f"mnemon ended {MAX_TIMES_SENT} times while it worked on this; see owner.log"
            error = {"code": INTERNAL_ERROR, "message": said}
            answer = {"jsonrpc": "2.0", "id": message_id, "error": error}
            answers.append(json.dumps(answer).encode())
        return answers


def _message(line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}  # the server answers it; there is nothing to repeat
    return value if isinstance(value, dict) else {}


def _id(message: dict[str, object]) -> str | int | None:
    found = message.get("id")
    return found if isinstance(found, str | int) else None


def _answered_id(line: bytes) -> str | int | None:
    """The id of an answer, None for any other message; a long answer is not read to its end."""
    if line.startswith(_ANSWER_BEGINS):
        head = line[len(_ANSWER_BEGINS) : len(_ANSWER_BEGINS) + _LONGEST_ID]
        try:
            text = head.decode("utf-8", "replace")
            found, end = json.JSONDecoder().raw_decode(text)
        except ValueError:
            return _id_of_any(line)
        if text.startswith((',"result"', ',"error"'), end):
            return found if isinstance(found, str | int) else None
    elif line.startswith(b'{"jsonrpc":"2.0","method":'):
        return None
    return _id_of_any(line)


def _id_of_any(line: bytes) -> str | int | None:
    message = _message(line)
    return None if "method" in message else _id(message)
