"""JSON Schemas of tool arguments and results, as small as they can be without losing meaning.

Every schema is sent with every prompt, to our models and by hosts to theirs, so what pydantic adds
for documentation is taken out: titles, one-use definitions, "or null" on optional arguments. What
is left is flat JSON Schema 2020-12. Nothing here is computed at import time.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


def input_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of a tool's arguments; unknown arguments are refused when the model does.

    An optional argument is shown by its type alone: leaving it out says the same as null, and
    some hosts cannot read the union. The model's docstring is left out: the tool has a description.
    """
    schema = _compact(model.model_json_schema(mode="validation"), hide_null=True)
    return {key: value for key, value in schema.items() if key != "description"}


def output_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of a tool's structured result. Nulls stay: they appear in results.

    Names and types only: every field is always there, and what it means is seen in the text.
    """
    return _bare(_compact(model.model_json_schema(mode="serialization"), hide_null=False))


def _bare(node: Schema) -> Schema:
    """The schema without what is said of fields. "Or null" stays a union of two schemas.

    A list of types would be shorter, but some hosts can read one type only.
    """
    left_out = ("description", "default", "required")
    kept = {key: value for key, value in node.items() if key not in left_out}
    for key in ("properties", "$defs"):
        if key in kept:
            kept[key] = {name: _bare(sub) for name, sub in kept[key].items()}
    if "anyOf" in kept:
        kept["anyOf"] = [_bare(option) for option in kept["anyOf"]]
    if isinstance(kept.get("items"), dict):
        kept["items"] = _bare(kept["items"])
    return kept


def _compact(schema: Schema, hide_null: bool) -> Schema:
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    recursive = {name for name in definitions if _reaches(name, definitions)}
    rewriting = _Rewriting(definitions, recursive, hide_null)
    root = _reference(schema)
    # A recursive model is a mere reference at the root; MCP wants an object there.
    flat = rewriting.schema(schema if root is None else definitions[root])
    # What is recursive cannot be inlined and stays behind a reference.
    kept = {name: rewriting.schema(definitions[name]) for name in sorted(recursive)}
    return {**flat, "$defs": kept} if kept else flat


@dataclass(frozen=True, slots=True)
class _Rewriting:
    """Copies schemas without titles, with references replaced by what they refer to."""

    definitions: dict[str, Schema]
    recursive: set[str]
    hide_null: bool

    def schema(self, node: Schema) -> Schema:
        target = _reference(node)
        if target is not None and target not in self.recursive:
            # Siblings of a reference (a description of the field) win over the definition's own.
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            return self.schema({**self.definitions[target], **siblings})
        copied = {key: self._value(key, value) for key, value in node.items() if key != "title"}
        return _without_null(copied) if self.hide_null else copied

    def _value(self, key: str, value: object) -> object:
        if key in ("default", "const", "enum", "examples"):
            return value
        if isinstance(value, list):
            return [self._value("", item) for item in value]
        if not isinstance(value, dict):
            return value
        if key in ("properties", "patternProperties"):
            # Keys are names of properties here, and a property may be called "title".
            return {name: self.schema(sub) for name, sub in value.items()}
        return self.schema(value)


def _without_null(node: Schema) -> Schema:
    """Turn `{"anyOf": [X, null], "default": null}` into X."""
    options = node.get("anyOf")
    if not options or "default" not in node or node["default"] is not None:
        return node
    rest = [option for option in options if option != {"type": "null"}]
    siblings = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
    return {**rest[0], **siblings} if len(rest) == 1 else {"anyOf": rest, **siblings}


def _reference(node: Schema) -> str | None:
    reference = node.get("$ref")
    return reference.rpartition("/")[2] if isinstance(reference, str) else None


def _references(node: object) -> set[str]:
    """Return the names of all definitions that a schema refers to directly."""
    if isinstance(node, list):
        return {name for item in node for name in _references(item)}
    if not isinstance(node, dict):
        return set()
    own = _reference(node)
    nested = {name for value in node.values() for name in _references(value)}
    return nested if own is None else nested | {own}


def _reaches(start: str, definitions: dict[str, Schema]) -> bool:
    """Tell whether a definition contains itself, directly or through others."""
    seen: set[str] = set()
    waiting = _references(definitions[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting |= _references(definitions[name])
    return start in seen
