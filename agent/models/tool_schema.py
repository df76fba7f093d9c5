"""Tool schemas: reduced to what the grammar engine takes, and checked again after decoding.

A schema that reaches the engine consists of the keywords below and nothing else. What is dropped
(`pattern`, `format`, huge bounds, recursion) makes the schema wider, never narrower; the tool
itself still validates its arguments. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.errors import ToolSchemaInvalid

TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")
MAX_DEPTH, MAX_NODES = 24, 5000
# Above these the grammar gets big for no use: nothing bounds a model's output but max_tokens.
MAX_LENGTH_CHARS, MAX_ITEMS = 1000, 100
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SIZES = {
    "minLength": MAX_LENGTH_CHARS,
    "maxLength": MAX_LENGTH_CHARS,
    "minItems": MAX_ITEMS,
    "maxItems": MAX_ITEMS,
}


def sanitise_schema(tool: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce the parameters of `tool`, a schema of type object, to the keywords we support.

    Objects that list properties allow no others unless the schema says so.

    Raises:
        ToolSchemaInvalid: the schema is malformed: an unknown type, a reference to nothing, larger
            than MAX_DEPTH or MAX_NODES, or not of type object.
    """
    reduced = _Sanitiser(tool, schema).reduce(schema, ())
    if reduced.setdefault("type", "object") != "object":
        raise ToolSchemaInvalid(tool, f"its parameters are of type {reduced['type']!r}, not object")
    reduced.setdefault("properties", {})
    if not reduced.keys() & {"anyOf", "allOf"}:
        reduced.setdefault("additionalProperties", False)
    return reduced


def _open_objects(declared: Sequence[Any], reduced: Sequence[dict[str, Any]]) -> None:
    """Let objects that are combined have members which only their neighbours list."""
    for before, after in zip(declared, reduced, strict=True):
        if isinstance(before, Mapping) and "additionalProperties" not in before:
            after.pop("additionalProperties", None)


class _Sanitiser:
    def __init__(self, tool: str, root: Mapping[str, Any]) -> None:
        self.tool = tool
        self.root = root
        self.nodes = 0

    def reduce(self, schema: object, refs: tuple[str, ...], depth: int = 0) -> dict[str, Any]:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            # References inlined twice at every level would double the size at every level.
            raise ToolSchemaInvalid(
                self.tool, f"its schema has over {MAX_DEPTH} levels or {MAX_NODES} parts"
            )
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            raise ToolSchemaInvalid(self.tool, f"{schema!r} is not a schema")
        if "$ref" in schema:
            return self._follow(str(schema["$ref"]), refs, depth)
        return {**self._scalars(schema), **self._members(schema, refs, depth)}

    def _members(
        self, schema: Mapping[str, Any], refs: tuple[str, ...], depth: int
    ) -> dict[str, Any]:
        reduced: dict[str, Any] = {}
        for source, target in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
            if source in schema:
                members = self._list(schema, source)
                reduced[target] = [self.reduce(member, refs, depth + 1) for member in members]
                if source == "allOf" or "properties" in schema:
                    _open_objects(members, reduced[target])
        if "items" in schema:
            reduced["items"] = self.reduce(schema["items"], refs, depth + 1)
        if "properties" in schema:
            reduced.update(self._object(schema, refs, depth))
        elif isinstance(schema.get("additionalProperties"), Mapping):
            reduced["additionalProperties"] = self.reduce(
                schema["additionalProperties"], refs, depth + 1
            )
        return reduced

    def _follow(self, ref: str, refs: tuple[str, ...], depth: int) -> dict[str, Any]:
        if ref in refs:
            return {}  # recursion: any JSON from here on
        target: object = self.root
        for part in ref.removeprefix("#/").split("/"):
            target = target.get(part) if isinstance(target, Mapping) else None
        if not ref.startswith("#/") or target is None:
            raise ToolSchemaInvalid(self.tool, f"$ref {ref!r} leads nowhere")
        return self.reduce(target, (*refs, ref), depth + 1)

    def _scalars(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        reduced: dict[str, Any] = {}
        if "type" in schema:
            reduced["type"] = self._known_type(schema["type"])
        if "enum" in schema:
            reduced["enum"] = self._list(schema, "enum")
        if "const" in schema:
            reduced["const"] = schema["const"]
        for key in _BOUNDS:
            if _is_number(schema.get(key)):
                reduced[key] = schema[key]
        for key, most in _SIZES.items():
            if isinstance(schema.get(key), int) and schema[key] <= most:
                reduced[key] = schema[key]
        return reduced

    def _known_type(self, declared: object) -> object:
        names = declared if isinstance(declared, list) else [declared]
        unknown = [name for name in names if name not in TYPES]
        if unknown or not names:
            raise ToolSchemaInvalid(
                self.tool, f"its schema has the type {declared!r}; known are {', '.join(TYPES)}"
            )
        return declared

    def _object(
        self, schema: Mapping[str, Any], refs: tuple[str, ...], depth: int
    ) -> dict[str, Any]:
        declared = schema["properties"]
        if not isinstance(declared, Mapping):
            raise ToolSchemaInvalid(self.tool, f"properties in its schema is {declared!r}")
        members = {
            str(name): self.reduce(member, refs, depth + 1) for name, member in declared.items()
        }
        required = self._list(schema, "required") if "required" in schema else []
        for name in required:
            members.setdefault(name, {})
        more = schema.get("additionalProperties", "anyOf" in schema or "allOf" in schema)
        return {
            "type": "object",
            "properties": members,
            "required": list(required),
            "additionalProperties": more
            if isinstance(more, bool)
            else self.reduce(more, refs, depth + 1),
        }

    def _list(self, schema: Mapping[str, Any], key: str) -> list[Any]:
        if not isinstance(schema[key], list | tuple):
            raise ToolSchemaInvalid(self.tool, f"{key} in its schema is {schema[key]!r}, no list")
        return list(schema[key])


def find_violation(
    value: object, schema: Mapping[str, Any], where: str = "arguments"
) -> str | None:
    """Say how a decoded value breaks a sanitised schema; None when it does not."""
    checks = (_type_problem, _choice_problem, _bound_problem, _object_problem, _array_problem)
    for check in checks:
        if problem := check(value, schema, where):
            return problem
    for member in schema.get("allOf", ()):
        if problem := find_violation(value, member, where):
            return problem
    options = schema.get("anyOf", ())
    problems = [find_violation(value, option, where) for option in options]
    return problems[0] if problems and all(problems) else None


def _type_problem(value: object, schema: Mapping[str, Any], where: str) -> str | None:
    declared = schema.get("type")
    if declared is None:
        return None
    names: Sequence[str] = declared if isinstance(declared, list) else [declared]
    if any(_has_type(value, name) for name in names):
        return None
    return f"{where} is {_type_name(value)}, not {' or '.join(names)}"


def _has_type(value: object, name: str) -> bool:
    actual = _type_name(value)
    return actual == name or (name == "number" and actual == "integer")


def _type_name(value: object) -> str:
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    # bool first: in Python it is an int too.
    kinds = (bool, "boolean"), (int, "integer"), (str, "string"), (dict, "object"), (list, "array")
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _choice_problem(value: object, schema: Mapping[str, Any], where: str) -> str | None:
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is None or value in choices:
        return None
    return f"{where} is {value!r}, not one of {choices!r}"


def _bound_problem(value: object, schema: Mapping[str, Any], where: str) -> str | None:
    if isinstance(value, str | list):
        low, high = (
            ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
        )
        size: Any = len(value)
    elif _is_number(value):
        low, high, size = "minimum", "maximum", value
        if size <= schema.get("exclusiveMinimum", float("-inf")):
            return f"{where} is {size}, not above {schema['exclusiveMinimum']}"
        if size >= schema.get("exclusiveMaximum", float("inf")):
            return f"{where} is {size}, not below {schema['exclusiveMaximum']}"
    else:
        return None
    if size < schema.get(low, float("-inf")):
        return f"{where} has {size}, below {low} {schema[low]}"
    if size > schema.get(high, float("inf")):
        return f"{where} has {size}, above {high} {schema[high]}"
    return None


def _object_problem(value: object, schema: Mapping[str, Any], where: str) -> str | None:
    if not isinstance(value, dict):
        return None
    required = schema.get("required", ())
    missing = [name for name in required if name not in value]
    if missing:
        return f"{where} lacks {', '.join(missing)}"
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, member in value.items():
        if member is None and name in known and name not in required:
            continue  # no schema need list null for it: the same as leaving it out
        if name not in known and more is False:
            return f"{where} has the unknown member {name!r}"
        rule = known.get(name, more if isinstance(more, Mapping) else {})
        if problem := find_violation(member, rule, f"{where}.{name}"):
            return problem
    return None


def _array_problem(value: object, schema: Mapping[str, Any], where: str) -> str | None:
    if not isinstance(value, list) or "items" not in schema:
        return None
    problems = (
        find_violation(item, schema["items"], f"{where}[{index}]")
        for index, item in enumerate(value)
    )
    return next((problem for problem in problems if problem), None)
