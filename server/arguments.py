"""From what a model sent to validated arguments, or to one line that says how to call the tool.

The line replaces pydantic's prose, which names internal classes and ends in a URL. Text with a NUL
passes as it is; text with an unpaired surrogate is not Unicode and is refused here, because neither
a reply nor the store could hold it.
"""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SHOWN_PROBLEMS: Final = 3  # more would not help a model that repairs one call
_SHOWN_CHARS: Final = 200  # of one problem; validators may quote what they were given


class InvalidArguments(Exception):
    """The arguments do not fit the tool; the message is one line and names what would."""

    def __init__(self, tool: str, problems: Sequence[str], signature: str) -> None:
        self.tool, self.problems = tool, tuple(problems)
        shown = "; ".join(problems[:_SHOWN_PROBLEMS])
        more = len(problems) - _SHOWN_PROBLEMS
        extra = f"; and {more} more" if more > 0 else ""
        super().__init__(f"{tool}: {shown}{extra}. {signature}")


def parse_arguments(tool: str, model: type[BaseModel], arguments: Mapping[str, Any]) -> BaseModel:
    """Validate arguments.

    A list or object that arrives as JSON inside a string is read when the string itself does not
    fit: models send that often, and a parameter that takes text never gets there.

    Raises:
        InvalidArguments: with one line for the model.
    """
    broken = [name for name, value in arguments.items() if not _is_unicode([name, value])]
    if broken:
        said = "must be valid Unicode, without unpaired surrogates"
        problems = [f"'{_printable(name)}' {said}" for name in broken]
        raise InvalidArguments(tool, problems, _signature(model))
    try:
        return model.model_validate(arguments)
    except ValidationError as first:
        unpacked = _unpack(arguments, first.errors(include_url=False, include_context=False))
        if unpacked is None:
            raise _describe(tool, model, first) from None
    try:
        return model.model_validate(unpacked)
    except ValidationError as second:
        raise _describe(tool, model, second) from None


def _unpack(arguments: Mapping[str, Any], errors: Sequence[ErrorDetails]) -> dict[str, Any] | None:
    """Return the arguments with refused JSON strings replaced by their content, or None."""
    replaced: dict[str, Any] = {}
    for error in errors:
        name = error["loc"][0] if error["loc"] else None
        text = arguments.get(name) if isinstance(name, str) else None
        if isinstance(name, str) and isinstance(text, str) and text.lstrip()[:1] in ("[", "{"):
            try:
                content = json.loads(text)
                if _is_unicode(content):
                    replaced[name] = content
            except (ValueError, RecursionError):
                continue
    return {**arguments, **replaced} if replaced else None


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _describe(tool: str, model: type[BaseModel], error: ValidationError) -> InvalidArguments:
    names = list(_names(model))
    problems = [
        _problem(detail, names)
        for detail in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    # A union reports one error for each of its members, often in the same words.
    return InvalidArguments(tool, list(dict.fromkeys(problems)), _signature(model))


def _problem(detail: ErrorDetails, names: Sequence[str]) -> str:
    path = ".".join(_printable(str(part)) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        top_level = len(detail["loc"]) == 1
        close = get_close_matches(str(detail["loc"][0]), names, n=1) if top_level else []
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"unknown argument {path!r}{hint}"
    if detail["type"] == "missing":
        return f"{path!r} is missing"
    said = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    said = said.replace("Input should be", "must be").replace("Input should", "must")
    said = said.replace("List should", "must").removesuffix(" after validation")
    return f"{path!r} {_printable(said)}" if path else _printable(said)


def _printable(text: str) -> str:
    """Return one line of bounded length that can be sent as UTF-8."""
    line = " ".join(text.split())
    if len(line) > _SHOWN_CHARS:
        line = line[:_SHOWN_CHARS] + "…"
    return line.encode("utf-8", "backslashreplace").decode("utf-8")


def _signature(model: type[BaseModel]) -> str:
    required = [name for name, needed in _names(model).items() if needed]
    optional = [name for name, needed in _names(model).items() if not needed]
    parts = [
        f"{label}: {', '.join(names)}"
        for label, names in (("Required", required), ("Optional", optional))
        if names
    ]
    return ". ".join(parts) + "." if parts else "It takes no arguments."


def _names(model: type[BaseModel]) -> dict[str, bool]:
    """Return argument name to whether it must be given, in the order of the schema."""
    return {field.alias or name: field.is_required() for name, field in model.model_fields.items()}
