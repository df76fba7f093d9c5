"""Type hints as JSON Schemas that a model can be held to. Pure; nothing is evaluated.

Classes of the source are in structures.py. Every schema here consists of keywords that
agent/models/tool_schema.py knows.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent.custom.source import Source, UnreadableTool, literal, parse

Schema = dict[str, Any]

MAX_DEPTH: Final = 8
"""Of a type inside of a type; the schema as a whole may have 20 levels of JSON."""
MAX_NODES: Final = 400
"""Types in a signature: classes that name one another twice would double at every level."""
MAX_TEXT_CHARS: Final = 500
"""Of what is said of one argument."""
_TOO_LARGE: Final[int] = 10**MAX_TEXT_CHARS

_PLAIN: Final[dict[str, Schema]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "NoneType": {"type": "null"},
    "Any": {},
    "object": {},
    "list": {"type": "array", "items": {}},
    "tuple": {"type": "array", "items": {}},
    "dict": {"type": "object"},
}
_SAME: Final = {
    **dict.fromkeys(("List", "Sequence", "MutableSequence", "Iterable", "Collection"), "list"),
    **dict.fromkeys(("Dict", "Mapping", "MutableMapping"), "dict"),
    **{"Tuple": "tuple", "AnyStr": "str", "LiteralString": "str", "Text": "str"},
}
_INSTEAD: Final = {
    **dict.fromkeys(("datetime", "date", "time", "timedelta"), "str, in a form that you describe"),
    **dict.fromkeys(
        ("bytes", "bytearray", "Path", "PurePath", "UUID", "Decimal", "complex"), "str"
    ),
    **dict.fromkeys(("set", "frozenset", "Set", "FrozenSet", "AbstractSet"), "list"),
    **dict.fromkeys(("Callable", "Iterator", "Generator", "Type", "type"), "str"),
    **dict.fromkeys(("Enum", "StrEnum", "IntEnum"), 'Literal["a", "b"]'),
}
_WRAPPERS: Final = frozenset({"Required", "NotRequired", "ReadOnly", "Final"})
_BOUNDS: Final = {
    **{"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"},
    **{"min_length": "minLength", "max_length": "maxLength"},
}


@dataclass(slots=True)
class Hints:
    """Reads the type hints of one source.

    read_class: the schema of a class of the source. open: names that are being read, so that one
    inside of itself is noticed.
    """

    source: Source
    read_class: "Callable[[Hints, ast.ClassDef, Place], Schema]"
    nodes: int = 0
    open: list[str] = field(default_factory=list)

    def read(self, node: ast.expr, place: "Place") -> Schema:
        """The schema of what a hint allows.

        Raises:
            UnreadableTool: a model could not write it; the message says what to use instead.
        """
        self.count(place)
        match node:
            case ast.Constant(value=None):
                return {"type": "null"}
            case ast.Constant(value=str(text)):
                return self.read(_quoted(text, place), place.inside())
            case ast.BinOp(op=ast.BitOr()):
                return self._union(_alternatives(node), place)
            case ast.Subscript(value=value, slice=inner):
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return self._generic(self.name_of(value, place), parts, place)
            case _:
                return self._named(self.name_of(node, place), place)

    def count(self, place: "Place") -> None:
        """Count a part of a type, a class or a base of one.

        Raises:
            UnreadableTool: there are too many.
        """
        self.nodes += 1
        if place.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise place.refused(
                f"its type has over {MAX_DEPTH} levels, or all types together over {MAX_NODES}"
                " parts; use simpler ones, or dict"
            )

    def name_of(self, node: ast.expr, place: "Place") -> str:
        """What a name or `module.name` stands for.

        Raises:
            UnreadableTool: it is neither.
        """
        match node:
            case ast.Name(id=name):
                return self.source.imported.get(name, name)
            case ast.Attribute(attr=name):
                return name
        raise place.refused("its type hint is no type; use str, int, float, bool, list[str] …")

    def _named(self, name: str, place: "Place") -> Schema:
        source = self.source
        if name in source.classes:
            with_class = source.classes[name]
            return self._inside(name, place, lambda: self.read_class(self, with_class, place))
        if name in source.aliases:
            meant = source.aliases[name]
            return self._inside(name, place, lambda: self.read(meant, place.inside()))
        plain = _PLAIN.get(_SAME.get(name, name))
        if plain is not None:
            return dict(plain)
        instead = _INSTEAD.get(name)
        if instead is not None:
            raise place.refused(
                f"a model cannot write {name}; use {instead}, and convert it inside"
            )
        raise place.refused(
            f"{name[:80]!r} is no type that a model can write; use str, int, float, bool, list[…],"
            " dict[str, …], Literal[…], or a TypedDict, dataclass or BaseModel of this source"
        )

    def _inside(self, name: str, place: "Place", read: Callable[[], Schema]) -> Schema:
        if name in self.open:
            raise place.refused(f"{name} holds itself, which has no end; use dict there")
        self.open.append(name)
        try:
            return read()
        finally:
            self.open.pop()

    def _generic(self, name: str, parts: Sequence[ast.expr], place: "Place") -> Schema:
        kind = _SAME.get(name, name)
        match kind:
            case "Optional":
                return self._union([*parts, ast.Constant(None)], place)
            case "Union":
                return self._union(parts, place)
            case "Literal":
                return _choice(parts, place)
            case "Annotated":
                return self._annotated(parts, place)
        return self._container(kind, parts, place)

    def _container(self, name: str, parts: Sequence[ast.expr], place: "Place") -> Schema:
        inside = place.inside()
        match (name, len(parts)):
            case ("list", 1):
                return {"type": "array", "items": self.read(parts[0], inside)}
            case ("tuple", _):
                return self._tuple(parts, place)
            case ("dict", 2):
                if self.read(parts[0], inside).get("type") != "string":
                    raise place.refused("the keys of JSON are texts; use dict[str, …]")
                more = self.read(parts[1], inside)
                return {"type": "object", "additionalProperties": more or True}
            case (wrapper, 1) if wrapper in _WRAPPERS:
                return self.read(parts[0], inside)
        if name in _INSTEAD:
            return self._named(name, place)
        raise place.refused(
            f"{name[:80]}[…] is no type that a model can write; use list[…], dict[str, …],"
            " tuple[…], Optional[…], Literal[…]"
        )

    def _union(self, parts: Sequence[ast.expr], place: "Place") -> Schema:
        options = list[Schema]()
        for part in parts:
            read = self.read(part, place.inside())
            # A union inside of a union is one; nested ones some hosts cannot read.
            nested = read["anyOf"] if read.keys() == {"anyOf"} else [read]
            options += [option for option in nested if option not in options]
        if {} in options:
            return {}
        return options[0] if len(options) == 1 else {"anyOf": options}

    def _tuple(self, parts: Sequence[ast.expr], place: "Place") -> Schema:
        match parts:
            case [part, ast.Constant(value=value)] if value is ...:
                return {"type": "array", "items": self.read(part, place.inside())}
            case [] | [ast.Tuple(elts=[])]:
                raise place.refused("an empty tuple says nothing; leave the argument out")
        items = self._union(parts, place)
        return {"type": "array", "items": items, "minItems": len(parts), "maxItems": len(parts)}

    def _annotated(self, parts: Sequence[ast.expr], place: "Place") -> Schema:
        schema = self.read(parts[0], place.inside())
        for note in parts[1:]:
            schema |= noted(note)
        return schema


@dataclass(frozen=True, slots=True)
class Place:
    """Where a hint stands: which argument or field, at which line, how deep."""

    what: str
    line: int
    depth: int = 0

    def inside(self) -> "Place":
        """One level deeper."""
        return Place(self.what, self.line, self.depth + 1)

    def field(self, name: str, line: int) -> "Place":
        """A field of what stands here."""
        return Place(f"field {name!r} of {self.what}", line, self.depth + 1)

    def refused(self, problem: str) -> UnreadableTool:
        """The error that says what is wrong here."""
        return UnreadableTool(f"{self.what}: {problem}", self.line)


def noted(note: ast.expr) -> Schema:
    """What a note of Annotated, or a `Field(…)`, says: a text, or bounds; {} for anything else."""
    match note:
        case ast.Constant(value=str(text)):
            return {"description": text}
        case ast.Call(args=args, keywords=keywords):
            found: Schema = {}
            if len(args) == 1 and isinstance(note.func, ast.Name) and note.func.id == "Doc":
                found |= noted(args[0])
            for keyword in keywords:
                found |= _keyword(keyword)
            return found
    return {}


def _keyword(keyword: ast.keyword) -> Schema:
    try:
        value = literal(keyword.value)
    except ValueError:
        return {}
    if keyword.arg == "description" and isinstance(value, str):
        return {"description": value}
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if keyword.arg in _BOUNDS and number and abs(value) < 1e300:  # type: ignore[arg-type]
        return {_BOUNDS[keyword.arg]: value}
    return {}


def _quoted(text: str, place: Place) -> ast.expr:
    """The hint in a text, as before Python 3.14 for names that come later."""
    if len(text) > 2_000 or "\n" in text:
        raise place.refused("its type hint is no type; use str, int, float, bool, list[str] …")
    match parse(text.strip(), place.line).body:
        case [ast.Expr(value=value)]:
            return value
    raise place.refused(f"the type hint {text[:80]!r} is no type; use str, int, float, bool …")


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """What stands between the bars, without recursion: there may be thousands."""
    found = list[ast.expr]()
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _choice(parts: Sequence[ast.expr], place: Place) -> Schema:
    # 1 and True are equal, and two values; a source has room for ten thousand.
    found = dict[tuple[type, Any], Any]()
    for part in parts:
        try:
            value = literal(part)
        except ValueError:
            value = ...
        if not isinstance(value, str | int | None) or _is_long(value):
            raise place.refused("Literal[…] takes texts, whole numbers, True, False and None")
        found[type(value), value] = value
    values = list(found.values())
    kinds = {type(value): _PLAIN[type(value).__name__]["type"] for value in values}
    alike = {"type": next(iter(kinds.values()))} if len(kinds) == 1 else {}
    return {**alike, "enum": values}


def _is_long(value: str | int | None) -> bool:
    if isinstance(value, int):  # Python writes no integer of more than 4,300 digits as text
        return not -_TOO_LARGE < value < _TOO_LARGE
    return value is not None and len(value) > MAX_TEXT_CHARS
