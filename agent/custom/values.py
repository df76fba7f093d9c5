"""Defaults and texts that go into a schema: only what is plain, finite and short."""

import ast
import json
from typing import Any, Final

from agent.custom.annotations import MAX_TEXT_CHARS, Place, Schema
from agent.custom.source import literal
from agent.models.tool_schema import find_violation

MAX_DEFAULT_BYTES: Final = 500


def with_default(schema: Schema, node: ast.expr) -> Schema:
    """The schema of something that may be left out, with its default where that can be shown.

    None is not shown, and "or null" neither: leaving it out says the same.
    """
    try:
        value = literal(node)
    except ValueError:
        return schema
    if value is None:
        return _without_null(schema)
    plain = _plain(value)
    if plain is None or find_violation(plain, schema) is not None:
        return schema
    return {**schema, "default": plain}


def short_text(text: str, place: Place) -> str:
    """A text that is said of an argument or a field.

    Raises:
        UnreadableTool: it is too long.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise place.refused(
            f"its description has {len(text)} characters; the limit is {MAX_TEXT_CHARS}: shorten it"
        )
    return text


def _plain(value: object) -> Any:
    """A value as JSON has it; None for one that it cannot have, or that is long."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        short = len(text.encode()) <= MAX_DEFAULT_BYTES
        return json.loads(text) if short else None
    except (TypeError, ValueError, RecursionError):
        return None


def _without_null(schema: Schema) -> Schema:
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if "anyOf" not in schema or not options:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else {"anyOf": options, **rest}
