"""Schemas of other servers' tools, cut down to what models and their grammars take. Pure.

References are inlined, unknown keywords dropped, descriptions kept and bounded; so the schema gets
wider, never narrower, and the server still checks its arguments. What then does not pass as a
schema of ours is refused, with the reason.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from agent.errors import ToolSchemaInvalid
from agent.models.tool_schema import sanitise_schema
from server.external.words import clean, shortened

MAX_SENT_BYTES: Final = 100_000
MAX_KEPT_BYTES: Final = 16_000
_MAX_DEPTH: Final = 12
_MAX_NODES: Final = 1_000
_MAX_NAME_CHARS: Final = 100
_MAX_CHOICES: Final = 200
_DESCRIPTION_CHARS: Final = 300
_KEPT: Final = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)


class SchemaUnusable(Exception):
    """The schema cannot be offered to a model; the message says why."""


def fit_schema(tool: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """A schema as it is offered for a tool.

    Raises:
        SchemaUnusable: it is too large, or none.
    """
    try:
        if len(json.dumps(sent)) > MAX_SENT_BYTES:
            raise SchemaUnusable(f"its schema has over {MAX_SENT_BYTES} bytes")
        fitted = _Fitting(sent).schema(sent, (), 0)
        declared = fitted.setdefault("type", "object")
        if declared != "object" and not (isinstance(declared, list) and "object" in declared):
            raise SchemaUnusable(f"its arguments are of type {str(declared)[:40]!a}, not object")
        fitted["type"] = "object"
        fitted.setdefault("properties", {})
        sanitise_schema(tool, fitted)
    except ToolSchemaInvalid as error:
        raise SchemaUnusable(shortened(clean(str(error)), _DESCRIPTION_CHARS)) from None
    except (RecursionError, ValueError):
        raise SchemaUnusable("its schema is nested too deep") from None
    if len(json.dumps(fitted)) > MAX_KEPT_BYTES:
        raise SchemaUnusable(f"its schema has over {MAX_KEPT_BYTES} bytes")
    return fitted


class _Fitting:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root, self.nodes = root, 0

    def schema(self, node: object, refs: tuple[str, ...], depth: int) -> dict[str, Any]:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise SchemaUnusable(f"its schema has over {_MAX_NODES} parts")
        if node is True or depth > _MAX_DEPTH:
            return {}  # anything
        if not isinstance(node, Mapping):
            raise SchemaUnusable("a part of its schema is no schema")
        if "$ref" in node:
            return self._followed(node, refs, depth)
        return {
            **_plain(node),
            **self._parts(node, refs, depth),
            **self._object(node, refs, depth),
        }

    def _parts(self, node: Mapping[str, Any], refs: tuple[str, ...], depth: int) -> dict[str, Any]:
        fitted: dict[str, Any] = {}
        for source, target in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
            if isinstance(options := node.get(source), list) and options:
                fitted[target] = [self.schema(option, refs, depth + 1) for option in options]
        if isinstance(items := node.get("items"), Mapping):
            fitted["items"] = self.schema(items, refs, depth + 1)
        return fitted

    def _object(self, node: Mapping[str, Any], refs: tuple[str, ...], depth: int) -> dict[str, Any]:
        fitted: dict[str, Any] = {}
        more = node.get("additionalProperties")
        if isinstance(more, bool):
            fitted["additionalProperties"] = more
        elif isinstance(more, Mapping):
            fitted["additionalProperties"] = self.schema(more, refs, depth + 1)
        if isinstance(members := node.get("properties"), Mapping):
            for name in members:
                if len(name) > _MAX_NAME_CHARS or clean(name) != name:
                    raise SchemaUnusable("an argument has a name that cannot be shown")
            fitted["properties"] = {
                name: self.schema(member, refs, depth + 1) for name, member in members.items()
            }
            if isinstance(required := node.get("required"), list):
                fitted["required"] = [name for name in required if name in members]
        return fitted

    def _followed(
        self, node: Mapping[str, Any], refs: tuple[str, ...], depth: int
    ) -> dict[str, Any]:
        ref = node["$ref"]
        if not isinstance(ref, str) or not ref.startswith("#"):
            raise SchemaUnusable("its schema refers to another document")
        if ref in refs:
            return {}  # recursion: anything from here on
        target: object = self.root
        for part in ref.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        if target is None:
            raise SchemaUnusable("its schema refers to a part that it lacks")
        return self.schema(target, (*refs, ref), depth + 1)


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    """What holds no other schema."""
    plain = {key: node[key] for key in _KEPT if _is_number(node.get(key))}
    if "type" in node:
        plain["type"] = node["type"]
    if isinstance(said := node.get("description"), str) and said.strip():
        plain["description"] = shortened(clean(said).strip(), _DESCRIPTION_CHARS)
    return plain | _choices(node)


def _choices(node: Mapping[str, Any]) -> dict[str, Any]:
    choices = [node["const"]] if "const" in node else node.get("enum")
    if not isinstance(choices, list) or not 0 < len(choices) <= _MAX_CHOICES:
        return {}
    texts = (choice for choice in choices if isinstance(choice, str))
    if any(isinstance(choice, dict | list) for choice in choices) or any(
        clean(text) != text for text in texts
    ):
        return {}  # any value: the server knows which
    return {"enum": choices}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
