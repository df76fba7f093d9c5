"""A tool out of its source: name, description and JSON Schema, derived without running any of it.

source.py parses, annotations.py and structures.py read type hints, docstrings.py docstrings,
given_schema.py checks a schema that is given instead. Letta's conventions, where they hold: the
last function is the tool, and its docstring is in Google's style.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.custom.annotations import Hints, Place, Schema
from agent.custom.docstrings import Docstring, read_docstring
from agent.custom.given_schema import checked_schema
from agent.custom.source import Function, UnreadableTool, find_function, read_source
from agent.custom.structures import class_schema
from agent.custom.values import short_text, with_default
from memory.limits import MAX_DESCRIPTION_CHARS, check_filled, check_object, check_tool_name

RESERVED: Final = {
    "self": "a tool is a function of its own; take it out of its class",
    "cls": "a tool is a function of its own; take it out of its class",
    "agent_state": "a tool sees of its agent what it is granted; call memory.read_block inside, and"
    " allow the method memory.read_block",
    "memory": "it would hide the object `memory`, through which a tool reads and edits memory;"
    " choose another name",
}
"""Names of parameters that a model cannot give, or that hide what a tool has; and what to do."""

MAX_PARAMETERS: Final = 50


@dataclass(frozen=True, slots=True)
class DerivedTool:
    """What a model is told of a tool, and which function of the source it is.

    schema: of the arguments, an object that allows no others.
    """

    name: str
    description: str
    schema: Schema
    function: str


def derive_tool(
    source: str,
    name: str | None = None,
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
) -> DerivedTool:
    """Derive what is not given. Nothing of the source is run.

    Args:
        name: the tool's; it is the function of this name, or the last public one under it.
        schema: JSON Schema of the arguments, in place of the one of type hints.

    Raises:
        UnreadableTool: naming the line and what would work.
        InvalidValue: something that is given, or that was derived, cannot be stored.
    """
    read = read_source(source)
    function = find_function(read, name)
    doc = read_docstring(ast.get_docstring(function) or "")
    told = _description(function, doc) if description is None else description
    if schema is None:
        parameters = _schema(Hints(read, class_schema), function, doc)
        check_object(parameters, "the schema of the arguments", "shorten the descriptions")
    else:
        parameters = checked_schema(name or function.name, schema, function)
    return DerivedTool(
        name=check_tool_name(function.name if name is None else name),
        description=check_filled(told, "description", MAX_DESCRIPTION_CHARS).strip(),
        schema=parameters,
        function=function.name,
    )


def tool_function(source: str, name: str) -> str:
    """The name of the function in its source that a stored tool is.

    Raises:
        InvalidValue: there is none, as in a source that was stored by other means.
    """
    return find_function(read_source(source), name).name


def _description(function: Function, doc: Docstring) -> str:
    if not doc.description:
        raise UnreadableTool(
            f"{function.name} has no docstring that says what it does; a model chooses tools by"
            ' that: write one, """…""", as its first line, or give a description',
            function.lineno,
        )
    text = f"{doc.description}\n\nReturns: {doc.returns}" if doc.returns else doc.description
    if len(text) > MAX_DESCRIPTION_CHARS:
        raise UnreadableTool(
            f"the docstring of {function.name} has {len(text)} characters beside its arguments; the"
            f" limit is {MAX_DESCRIPTION_CHARS}: shorten it, or give a description",
            function.lineno,
        )
    return text


def _schema(hints: Hints, function: Function, doc: Docstring) -> Schema:
    """The schema of a function's parameters."""
    properties, required = dict[str, Schema](), list[str]()
    for parameter, default in _parameters(function):
        place = Place(f"argument {parameter.arg!r} of {function.name}", parameter.lineno)
        if parameter.arg in RESERVED:
            raise place.refused(RESERVED[parameter.arg])
        if parameter.annotation is None:
            raise place.refused(
                f"it has no type hint, so nobody knows what to give; write {parameter.arg}: str, or"
                " int, float, bool, list[str] …"
            )
        schema = hints.read(parameter.annotation, place)
        if default is not None:
            schema = with_default(schema, default)
        own = schema.pop("description", "")
        if said := doc.arguments.get(parameter.arg) or own:
            schema["description"] = short_text(said, place)
        properties[parameter.arg] = schema
        if default is None:
            required.append(parameter.arg)
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return {**schema, "additionalProperties": False}


def _parameters(function: Function) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Each parameter with its default, if it has one."""
    given = function.args
    name = function.name
    if given.posonlyargs:
        raise UnreadableTool(
            f"{name} has arguments before '/', and a model gives all by name; take the '/' out",
            function.lineno,
        )
    if given.vararg is not None:
        raise UnreadableTool(
            f"{name} takes *{given.vararg.arg}, and a model gives all by name; use"
            f" {given.vararg.arg}: list[str]",
            given.vararg.lineno,
        )
    if given.kwarg is not None:
        raise UnreadableTool(
            f"{name} takes **{given.kwarg.arg}, so nobody knows what to give; name the arguments,"
            f" use {given.kwarg.arg}: dict[str, str], or give a schema",
            given.kwarg.lineno,
        )
    if len(given.args) + len(given.kwonlyargs) > MAX_PARAMETERS:
        raise UnreadableTool(
            f"{name} takes {len(given.args) + len(given.kwonlyargs)} arguments; the limit is"
            f" {MAX_PARAMETERS}: put some into a dataclass",
            function.lineno,
        )
    first = len(given.args) - len(given.defaults)
    for at, parameter in enumerate(given.args):
        yield parameter, given.defaults[at - first] if at >= first else None
    yield from zip(given.kwonlyargs, given.kw_defaults, strict=True)
