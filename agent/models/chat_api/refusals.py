"""What a server says when it refuses: a message, and how much too long a prompt is. Pure.

Only messages in the form of this API are taken over, never a page of whatever else may answer
there: a model's URL must not become a way to read other servers.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_MESSAGE_CHARS: Final = 300

_TOO_LONG: Final = re.compile(
    r"exceed_context_size|context_length_exceeded|context (?:length|size|window)"
    r"|maximum model length|context the overflows|prompt is too long|greater than the context",
    re.IGNORECASE,
)
_WINDOW: Final = re.compile(
    r"(?:maximum context length is|context length of(?: only)?|maximum model length of"
    r"|context (?:size|window|length)(?: is| of)?|\bn_ctx\"?:?)\s*\(?(\d{1,9})",
    re.IGNORECASE,
)
_PROMPT: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bn_prompt_tokens\"?:?\s*(\d{1,9})",
        r"resulted in (\d{1,9})",
        r"(\d{1,9}) in the messages",
        r"has (\d{1,9}) input tokens",
        r"prompt \(length (\d{1,9})\)",
        r"request \((\d{1,9}) tokens\)",
        r"first (\d{1,9}) tokens",
        r"requested (\d{1,9}) tokens",  # with the room for the reply, so last
    )
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a server refused. message: empty when it did not say so in our API's form.

    too_long: the prompt does not fit. window_tokens, prompt_tokens: where the message tells.
    """

    message: str = ""
    too_long: bool = False
    window_tokens: int | None = None
    prompt_tokens: int | None = None


def read_refusal(body: str) -> Refusal:
    """Read the body of an answer that is an error."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal()
    message, said = _message(value), json.dumps(value)
    if _TOO_LONG.search(said) is None:
        return Refusal(message)
    window = _number(_WINDOW, said)
    counts = (_number(pattern, said) for pattern in _PROMPT)
    prompt = next((count for count in counts if count is not None), None)
    return Refusal(message, True, window, prompt)


def _message(value: object) -> str:
    """The message of an error, in the forms that servers have for it, fit for one line."""
    for key in ("error", "message", "detail"):
        if isinstance(value, Mapping) and key in value:
            return _message(value[key])
    if not isinstance(value, str):
        return ""
    line = "".join(letter if letter.isprintable() else " " for letter in value[:4096])
    line = " ".join(line.split())
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 1] + "…"


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found[1]) if found else None
