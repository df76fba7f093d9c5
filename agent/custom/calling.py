"""What is run of a stored tool: its source and a function of it that takes arguments as JSON.

Where the source defines classes, a few lines are added below it, so that its function gets
instances of dataclasses and pydantic models, as its hints say, in place of plain objects. They run
in the sandbox like the rest of it, and are no protection.
"""

from dataclasses import dataclass
from typing import Final

from agent.custom.source import find_function, read_source


@dataclass(frozen=True, slots=True)
class CallTarget:
    """The source that is run, and the function in it that is called with the arguments by name."""

    source: str
    function: str


def call_target(source: str, name: str) -> CallTarget:
    """What is run of the tool of this name.

    Raises:
        InvalidValue: the source has no function, as one that was stored by other means.
    """
    read = read_source(source)
    function = find_function(read, name).name
    if not read.classes:
        return CallTarget(source, function)
    return CallTarget(f"{source}\n{_BUILDER.replace('_mnemon_function', function)}", _CALL)


_CALL: Final = "_mnemon_call"
_BUILDER: Final = """

def _mnemon_call(**arguments):
    import typing

    try:
        hints = typing.get_type_hints(_mnemon_function)
    except Exception:  # a name that is nowhere: then nothing can be built of it
        hints = {}
    return _mnemon_function(**{k: _mnemon_build(hints.get(k), v) for k, v in arguments.items()})


def _mnemon_build(hint, value):
    import dataclasses
    import types
    import typing

    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for option in inner:
            try:
                built = _mnemon_build(option, value)
            except (TypeError, ValueError):
                continue
            if built is not value:
                return built
        return value
    if isinstance(value, list) and origin is not None:
        if origin is not tuple:
            return [_mnemon_build(inner[0], item) for item in value]
        of = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return tuple(_mnemon_build(part, item) for part, item in zip(of, value))
    if not isinstance(value, dict):
        return value
    if origin is not None and len(inner) == 2:
        return {key: _mnemon_build(inner[1], item) for key, item in value.items()}
    if hasattr(hint, "model_validate"):
        return hint.model_validate(value)
    if dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
        fields = typing.get_type_hints(hint)
        return hint(**{k: _mnemon_build(fields.get(k), v) for k, v in value.items()})
    return value
"""
