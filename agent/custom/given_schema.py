"""A JSON Schema that was given with a tool: whether a model can be held to it, and the function."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent.custom.source import Function, UnreadableTool
from agent.errors import ToolSchemaInvalid
from agent.models.tool_schema import sanitise_schema
from memory.errors import InvalidValue
from memory.limits import check_object

_KNOWN: Final = frozenset(
    "type description title default enum const examples deprecated properties required"
    " additionalProperties minProperties maxProperties items prefixItems minItems maxItems"
    " uniqueItems minLength maxLength pattern format minimum maximum exclusiveMinimum"
    " exclusiveMaximum multipleOf anyOf oneOf allOf $ref $defs definitions $schema $comment".split()
)
_OF_NAMES: Final = ("properties", "$defs", "definitions")
_ONE: Final = ("items", "additionalProperties")
_SEVERAL: Final = ("anyOf", "oneOf", "allOf", "prefixItems")


def checked_schema(
    tool: str, given: Mapping[str, Any], function: Function | None = None
) -> dict[str, Any]:
    """The schema as it is to be stored: of an object that allows no arguments but those it names.

    Args:
        function: the one that is called with the arguments; None: it is not known.

    Raises:
        InvalidValue: it is no such schema, too large, or not one of this function.
    """
    check_object(given, "the schema", "let it say less")
    for node in _nodes(given):
        if unknown := sorted(str(key) for key in node if key not in _KNOWN):
            raise InvalidValue(
                f"the schema has the keyword {unknown[0][:80]!a}, which is not known; take it out"
            )
        if not isinstance(node.get("description", ""), str):
            raise InvalidValue("a description in the schema is no text; make it one")
    schema = {"type": "object", "properties": {}, **given}
    if schema["type"] != "object":
        raise InvalidValue(
            f"the schema is of type {str(schema['type'])[:80]!r}; arguments are an object"
        )
    schema.setdefault("additionalProperties", False)
    try:
        sanitise_schema(tool, schema)
    except ToolSchemaInvalid as error:
        raise InvalidValue(f"the schema cannot be used: {error.problem}") from None
    if function is not None:
        _check_function(schema, function)
    return schema


def _nodes(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every schema in a schema, without recursion."""
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        yield node
        for key in _OF_NAMES:
            named = node.get(key)
            waiting += named.values() if isinstance(named, Mapping) else []
        waiting += [node[key] for key in _ONE if key in node]
        for key in _SEVERAL:
            waiting += node[key] if isinstance(node.get(key), list) else []


def _check_function(schema: Mapping[str, Any], function: Function) -> None:
    """Refuse arguments that the function does not take, and lacks of what it needs."""
    given, name = function.args, function.name
    if given.posonlyargs:
        raise UnreadableTool(
            f"{name} has arguments before '/', and a model gives all by name; take the '/' out",
            function.lineno,
        )
    takes = [parameter.arg for parameter in (*given.args, *given.kwonlyargs)]
    needs = takes[: len(given.args) - len(given.defaults)]
    needs += [
        parameter.arg
        for parameter, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if default is None
    ]
    offered = schema["properties"]
    unknown = [argument for argument in offered if argument not in takes]
    if unknown and given.kwarg is None:
        raise UnreadableTool(
            f"the schema has {unknown[0][:80]!a}, which {name} does not take; it takes"
            f" {', '.join(takes) or 'nothing'}",
            function.lineno,
        )
    if missing := [argument for argument in needs if argument not in offered]:
        raise UnreadableTool(
            f"{name} needs {missing[0]!r}, which the schema lacks; add it there, or give it a"
            " default in the source",
            function.lineno,
        )
