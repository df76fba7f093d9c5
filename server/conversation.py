"""What a host and its server said to each other that a new server would have to hear again.

Pure bookkeeping over JSON-RPC lines, for a front whose owner may die: the handshake, what the host
listens to, and every request without an answer. Requests are repeated with the ids they had, so the
new owner can tell them from new ones (docs/decisions/0007).
"""

from __future__ import annotations

import json

MAX_TIMES_SENT = 8
"""A request that ended this many owners is answered with an error, not tried for ever."""

_ANSWER_BEGINS = b'{"jsonrpc":"2.0","id":'  # as lines.encode_message writes it
_LONGEST_ID = 200
_ASKS = b'"id":'  # among the first fields of a request; a notice has none
INTERNAL_ERROR = -32603


class Conversation:
    """Follows both sides of one connection, line by line."""

    def __init__(self) -> None:
        self._initialize: bytes | None = None
        self._initialize_id: object = None
        self._initialized: bytes | None = None
        self._unanswered: dict[object, tuple[bytes, int]] = {}
        # By what they are about: requests whose effect lasts. A `subscriptions/listen` lasts until
        # its answer; subscriptions of the handshake era and the log level were answered at once.
        self._lasting: dict[object, tuple[object, bytes]] = {}
        self._swallowed: set[object] = set()
        self._asked: dict[object, None] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether the host waits for an answer."""
        return bool(self._unanswered)

    @property
    def is_listening(self) -> bool:
        """Whether the host wants to hear what it does not ask for."""
        return any(key != _LOG_LEVEL for key in self._lasting)

    @property
    def hears_again(self) -> bool:
        """Whether an answer is to come that the host had from an earlier server."""
        return bool(self._swallowed)

    def host_said(self, line: bytes) -> None:
        """Take account of a line of the host that is sent on."""
        message = _message(line)
        method, message_id = message.get("method"), _id(message)
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        if method == "notifications/initialized":
            self._initialized = line
        elif method == "notifications/cancelled":
            self._forget(params.get("requestId"))
        elif method == "subscriptions/listen" and message_id is not None:
            self._lasting[_listening(message_id)] = (message_id, line)
        elif method is not None and message_id is not None:
            self._unanswered[message_id] = (line, 1)
            self._note_effect(method, params, message_id, line)
        elif method is None:
            self._asked.pop(message_id, None)

    def _note_effect(
        self, method: object, params: dict[str, object], message_id: object, line: bytes
    ) -> None:
        if method == "initialize":
            self._initialize, self._initialize_id = line, message_id
        elif method == "resources/subscribe":
            self._lasting[_subscribed(params)] = (message_id, line)
        elif method == "resources/unsubscribe":
            self._lasting.pop(_subscribed(params), None)
        elif method == "logging/setLevel":
            self._lasting[_LOG_LEVEL] = (message_id, line)

    def server_said(self, line: bytes) -> bool:
        """Take account of a line of the server; False: the host has heard it before."""
        answered = _answered_id(line)
        if answered is None:
            self._note_question(line)
            return True
        if answered in self._swallowed:
            self._swallowed.remove(answered)
            return False
        self._forget(answered)
        return True

    def _note_question(self, line: bytes) -> None:
        if _ASKS in line[:_LONGEST_ID]:
            message = _message(line)
            message_id = _id(message)
            if message_id is not None and "method" in message:
                self._asked[message_id] = None

    def withdrawn_questions(self) -> list[bytes]:
        """Tell the host that what a dead server asked it needs no answer; the next asks again."""
        lines = []
        for message_id in self._asked:
            params = {"requestId": message_id, "reason": "the server has restarted"}
            notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
            lines.append(json.dumps(notice).encode())
        self._asked.clear()
        return lines

    def _forget(self, message_id: object) -> None:
        """A request is done with; the effect of one that was answered at once lasts."""
        if isinstance(message_id, str | int):
            self._unanswered.pop(message_id, None)
            self._lasting.pop(_listening(message_id), None)

    def lines_to_repeat(self) -> list[bytes]:
        """What a new server must hear first, in order; answers that the host had are ours then."""
        self._swallowed = set()
        lines = [*self._repeat_handshake(), *self._repeat_lasting()]
        for message_id, (line, times) in list(self._unanswered.items()):
            self._unanswered[message_id] = (line, times + 1)
            if line is not self._initialize:
                lines.append(line)
        return lines

    def _repeat_handshake(self) -> Iterator[bytes]:
        if self._initialize is not None:
            yield self._initialize
            if self._initialize_id not in self._unanswered:
                self._swallowed.add(self._initialize_id)
            if self._initialized is not None:
                yield self._initialized

    def _repeat_lasting(self) -> Iterator[bytes]:
        for key, (message_id, line) in self._lasting.items():
            if message_id not in self._unanswered:  # which are repeated in their place
                yield line
                if key != _listening(message_id):
                    self._swallowed.add(message_id)

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


_LOG_LEVEL = ("logging/setLevel",)


def _listening(message_id: object) -> object:
    return ("subscriptions/listen", message_id)


def _subscribed(params: dict[str, object]) -> object:
    return ("resources/subscribe", str(params.get("uri")))


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


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
