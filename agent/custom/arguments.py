"""The arguments of a call, checked against the tool's schema before anything runs. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.errors import ToolSchemaInvalid
from agent.models.tool_schema import find_violation, sanitise_schema
from memory.errors import InvalidValue

MAX_ARGUMENT_BYTES: Final = 256 * 1024


def checked_arguments(
    tool: str, schema: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments, when the tool takes them.

    Raises:
        InvalidValue: naming what is wrong, and what the tool takes.
    """
    arguments = dict(given)
    try:
        size = len(json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, TypeError, RecursionError):  # UnicodeEncodeError is a ValueError
        raise InvalidValue(
            f"the arguments of {tool} are no JSON: NaN, half a character or too many levels"
        ) from None
    if size > MAX_ARGUMENT_BYTES:
        raise InvalidValue(
            f"the arguments of {tool} take {size} bytes; the limit is {MAX_ARGUMENT_BYTES}"
        )
    try:
        takes = sanitise_schema(tool, schema)
    except ToolSchemaInvalid as error:
        raise InvalidValue(str(error)) from None
    if problem := find_violation(arguments, takes):
        names = ", ".join(takes["properties"]) or "nothing"
        raise InvalidValue(f"{problem[:1_000]}; {tool} takes {names}")
    return {
        name: _as_declared(value, _kinds(takes, name))
        for name, value in arguments.items()
        # By null models mean that they leave an argument out; then its default holds.
        if value is not None or name in takes.get("required", ()) or "null" in _kinds(takes, name)
    }


def _kinds(takes: Mapping[str, Any], name: str) -> Sequence[str]:
    declared = takes["properties"].get(name, {}).get("type", ("null",))
    return (declared,) if isinstance(declared, str) else tuple(declared)


def _as_declared(value: Any, kinds: Sequence[str]) -> Any:
    """JSON knows one kind of number; Python's range() and indexes do not take 3.0."""
    return int(value) if isinstance(value, float) and "integer" in kinds else value
