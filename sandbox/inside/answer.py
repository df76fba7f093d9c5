"""Whether a value is strict JSON; if not, where and what to return instead.

Exact types only: a subclass of dict or str can say one thing to a check and another to an encoder.
A tuple is taken for a list, as every JSON encoder does.
"""

from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 64
MAX_DIGITS = 4_300
"""Of an integer; Python refuses to read longer ones."""

_TOO_LONG = 10**MAX_DIGITS
_SHOWN_KEY_CHARS = 40

_AS_LIST = "return a list"
_AS_TEXT = "return str(value)"
_CURES = {
    "set": _AS_LIST, "frozenset": _AS_LIST, "range": _AS_LIST, "map": _AS_LIST, "zip": _AS_LIST,
    "filter": _AS_LIST, "dict_keys": _AS_LIST, "dict_values": _AS_LIST, "dict_items": _AS_LIST,
    "generator": _AS_LIST, "deque": _AS_LIST, "array": "return value.tolist()",
    "bytes": "return text, e.g. base64.b64encode(value).decode()",
    "bytearray": "return text, e.g. base64.b64encode(value).decode()",
    "memoryview": "return text, e.g. base64.b64encode(value).decode()",
    "date": "return value.isoformat()", "time": "return value.isoformat()",
    "timedelta": "return value.total_seconds()", "Decimal": "return float(value) or str(value)",
    "Fraction": "return float(value) or str(value)", "complex": "return [value.real, value.imag]",
    "PurePath": _AS_TEXT, "UUID": _AS_TEXT, "BaseException": _AS_TEXT, "Enum": "return value.value",
    "ndarray": "return value.tolist()", "generic": "return value.item()",
    "DataFrame": 'return value.to_dict("records")', "Series": "return value.tolist()",
    "BaseModel": 'return value.model_dump(mode="json")', "function": "return what it returns",
    "str": _AS_TEXT, "int": "return int(value)", "float": "return float(value)",
    "list": "return list(value)", "tuple": "return list(value)", "dict": "return dict(value)",
}  # fmt: skip


def complaint(value: Any, path: str = "result") -> str | None:
    """The first thing in it that is no strict JSON, by its path and with a cure; None: it is JSON.

    E.g. `result.items[3] is a set; return a list`.
    """
    trail: list[Any] = []
    said = _first(value, trail, set())
    return None if said is None else f"{path}{''.join(map(_step, trail))} {said}"


def _first(value: Any, trail: list[Any], above: set[int]) -> str | None:
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        return _first_within(value, trail, above)
    if value is None or kind is bool:
        return None
    if kind is str:
        return _about_text(value)
    if kind is int:
        return _about_integer(value)
    if kind is float:
        return _about_float(value)
    return f"is {_named(kind)}; {_cure(kind)}"


def _first_within(value: Any, trail: list[Any], above: set[int]) -> str | None:
    """Look into a dict, list or tuple. Leaves the way to what it found in the trail."""
    if id(value) in above:
        return "contains itself; return a copy without it"
    if len(above) == MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels; return something flatter"
    above.add(id(value))
    is_dict = type(value) is dict
    pairs: Iterable[tuple[Any, Any]] = value.items() if is_dict else enumerate(value)
    for key, item in pairs:
        if is_dict and type(key) is not str:
            return f"has a key that is {_named(type(key))}; use text as the key"
        if is_dict and _about_text(key):
            return f"has a key that {_about_text(key)}"
        trail.append(key)
        said = _first(item, trail, above)
        if said is not None:
            return said
        trail.pop()
    above.discard(id(value))
    return None


def _about_text(value: str) -> str | None:
    if value.isascii():
        return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return (
            f"holds half a surrogate pair at character {error.start}; "
            "return value.encode('utf-8', 'replace').decode()"
        )
    return None


def _about_integer(value: int) -> str | None:
    if -_TOO_LONG < value < _TOO_LONG:
        return None
    return f"is an integer of more than {MAX_DIGITS} digits; return it as hex(value)"


def _about_float(value: float) -> str | None:
    if value - value == 0:
        return None
    return f"is {'NaN' if value != value else 'Infinity'}, which JSON has not; return None"


def _named(kind: type) -> str:
    name = "None" if kind is type(None) else kind.__name__[:_SHOWN_KEY_CHARS]
    return f"{'an' if name[:1] in 'aeiouAEIO' else 'a'} {name}"


def _cure(kind: type) -> str:
    if hasattr(kind, "__dataclass_fields__"):
        return "return dataclasses.asdict(value)"
    for ancestor in kind.__mro__:
        if ancestor.__name__ in _CURES:
            return _CURES[ancestor.__name__]
    return "return text, a number, True, False, None, a list or a dict"


def _step(key: Any) -> str:
    if type(key) is int:
        return f"[{key}]"
    if key.isidentifier() and len(key) <= _SHOWN_KEY_CHARS:
        return f".{key}"
    return f"[{key[:_SHOWN_KEY_CHARS]!a}{'…' if len(key) > _SHOWN_KEY_CHARS else ''}]"
