"""Classes of a source as schemas of nested objects: TypedDict, dataclass, pydantic's BaseModel.

Simple ones: fields with type hints, defaults, texts, and bases of the same source.
"""

import ast
from typing import Any, Final

from agent.custom.annotations import Hints, Place, Schema, noted
from agent.custom.docstrings import read_docstring
from agent.custom.values import short_text, with_default

_MARKS: Final = {"dataclass", "TypedDict", "BaseModel"}
_FIELD_CALLS: Final = {"field", "Field"}


def class_schema(hints: Hints, node: ast.ClassDef, place: Place) -> Schema:
    """The schema of an object with the fields of a class.

    Raises:
        UnreadableTool: it is no such class, or a model could not write one of its fields.
    """
    if not _is_structure(hints, node):
        raise place.refused(
            f"the class {node.name} is neither a TypedDict nor a dataclass nor a BaseModel, so a"
            " model cannot write it; make it one, or use dict"
        )
    properties, required = _fields(hints, node, place)
    text = read_docstring(ast.get_docstring(node) or "").description.partition("\n\n")[0]
    schema: Schema = {"type": "object"}
    if text:
        schema["description"] = short_text(" ".join(text.split()), place)
    schema["properties"] = properties
    if required:
        schema["required"] = required
    return {**schema, "additionalProperties": False}


def _is_structure(hints: Hints, node: ast.ClassDef) -> bool:
    """Whether it says so itself, or its first base of the source does, or that one's."""
    seen = set[str]()
    while node.name not in seen:
        seen.add(node.name)
        marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
        names = [_name(hints, mark) for mark in (*marks, *node.bases)]
        if not _MARKS.isdisjoint(names):
            return True
        bases = (hints.source.classes[name] for name in names if name in hints.source.classes)
        node = next(bases, node)
    return False


def _fields(
    hints: Hints, node: ast.ClassDef, place: Place, seen: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The properties of a class and which of them are required, those of its bases first."""
    # Without fields as well: bases that share bases are read as often as there are ways to them.
    hints.count(place)
    properties, required = dict[str, Any](), list[str]()
    for base in node.bases[:5]:
        of = hints.source.classes.get(_name(hints, base))
        if of is not None and of.name not in (*seen, node.name):
            more, needed = _fields(hints, of, place, (*seen, node.name))
            properties |= more
            required += [name for name in needed if name not in required]
    documented = read_docstring(ast.get_docstring(node) or "").arguments
    for part in node.body:
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        if _wrapper(hints, part.annotation) == "ClassVar":
            continue
        name = part.target.id
        at = place.field(name, part.lineno)
        schema, optional = _field(hints, part, _is_total(node), at)
        if text := documented.get(name) or schema.get("description"):
            schema["description"] = short_text(text, at)
        properties[name] = schema
        required = [*(other for other in required if other != name), *([] if optional else [name])]
    return properties, required


def _is_total(node: ast.ClassDef) -> bool:
    """Whether the fields of a TypedDict are required unless they say otherwise."""
    return not any(
        keyword.arg == "total"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is False
        for keyword in node.keywords
    )


def _field(hints: Hints, part: ast.AnnAssign, total: bool, place: Place) -> tuple[Schema, bool]:
    """The schema of a field, and whether it may be left out."""
    wrapper = _wrapper(hints, part.annotation)
    optional = wrapper == "NotRequired" or (not total and wrapper != "Required")
    schema = hints.read(part.annotation, place)
    if part.value is None:
        return schema, optional
    schema, has_default = _assigned(schema, part.value)
    return schema, optional or has_default


def _assigned(schema: Schema, value: ast.expr) -> tuple[Schema, bool]:
    """The schema with what is assigned to a field, and whether that is a default."""
    if not (isinstance(value, ast.Call) and _call_name(value) in _FIELD_CALLS):
        return with_default(schema, value), True
    schema = {**schema, **noted(value)}
    default = next((k.value for k in value.keywords if k.arg == "default"), None)
    if default is None and value.args:
        default = value.args[0]
    if isinstance(default, ast.Constant) and default.value is ...:
        default = None
    if default is not None:
        return with_default(schema, default), True
    return schema, any(keyword.arg == "default_factory" for keyword in value.keywords)


def _call_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _wrapper(hints: Hints, node: ast.expr) -> str:
    """The outermost name of a hint, e.g. NotRequired."""
    return _name(hints, node.value if isinstance(node, ast.Subscript) else node)


def _name(hints: Hints, node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return hints.source.imported.get(name, name)
        case ast.Attribute(attr=name):
            return name
    return ""
