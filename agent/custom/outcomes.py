"""What a model reads of a run in the sandbox. Pure.

The answer is a claim of code nobody trusts: text, and nothing else.
"""

import json
from collections.abc import Callable
from typing import Any

from agent.outside import Done
from agent.window import clipped
from sandbox.protocol import Outcome

Redact = Callable[[str], str]
"""Takes the values of secrets out of a text."""

NO_RESULT = "The tool ended without a result."
EMPTY = "The tool returned an empty text."


def told(
    outcome: Outcome, redact: Redact, max_chars: int, printed: bool = False, hint: str = ""
) -> Done:
    """The outcome as text: strings as they are, other answers as compact JSON.

    What it printed is shown where there is no answer, or an error. A tier below the strongest
    stands before all else, so that no limit cuts it off.

    Args:
        printed: what it printed is shown beside an answer, too.
        hint: stands below an error.
    """
    failed = outcome.status != "ok"
    if failed:
        parts = [outcome.error or f"it ended with status {outcome.status}", hint]
        parts += [f"[stdout]\n{outcome.stdout.rstrip()}"] if outcome.stdout.strip() else []
        parts += [f"[stderr]\n{outcome.stderr.rstrip()}"] if outcome.stderr.strip() else []
    else:
        answer = None if outcome.result is None else as_text(_without(outcome.result, redact))
        parts = [outcome.stdout.rstrip()] if printed or answer is None else []
        parts += [answer] if answer is not None else []
    text = "\n".join(filter(None, parts)) or (EMPTY if outcome.result == "" else NO_RESULT)
    mark = "" if outcome.tier == "namespaces" else f"[sandbox: {outcome.tier}]\n"
    text = clipped(mark + redact(text), max_chars, f"the tool's return limit is {max_chars}")
    return Done(text, failed, tier=outcome.tier)


def as_text(result: Any) -> str:
    """An answer as a model reads it."""
    match result:
        case str():
            return result
        case {"repr": str(shown)} if len(result) == 1:  # the last value of a script, no JSON
            return shown
    return json.dumps(result, ensure_ascii=False, separators=(",", ":"))


def _without(result: Any, redact: Redact) -> Any:
    """The answer without secrets; JSON would show some of their characters as escapes."""
    if isinstance(result, str):
        return redact(result)
    if isinstance(result, list):
        return [_without(item, redact) for item in result]
    if isinstance(result, dict):
        return {redact(key): _without(value, redact) for key, value in result.items()}
    return result
