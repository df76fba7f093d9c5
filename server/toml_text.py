"""Writing TOML, of which the standard library only reads: what JSON has, null excepted.

Long texts stand in several lines, so that people can edit them.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")  # all but tab and newline


def to_toml(values: Mapping[str, Any], never_at_line_start: str | None = None) -> str:
    """A document that tomllib reads as these values.

    Args:
        never_at_line_start: no line of a text begins with it, for who cuts the document there.

    Raises:
        TypeError: there is a null in it, or what JSON has not.
    """
    plain, sections = list[str](), list[str]()
    for key, value in values.items():
        name = _key(key)
        if isinstance(value, Mapping):
            sections.append(_section(f"[{name}]", value, never_at_line_start))
        elif value and isinstance(value, list) and all(isinstance(v, Mapping) for v in value):
            sections += [_section(f"[[{name}]]", item, never_at_line_start) for item in value]
        else:
            plain.append(f"{name} = {_value(value, never_at_line_start)}\n")
    return "\n".join(["".join(plain), *sections] if plain else sections)


def _section(header: str, values: Mapping[str, Any], never: str | None) -> str:
    lines = [f"{_key(key)} = {_value(value, never)}\n" for key, value in values.items()]
    return "".join([f"{header}\n", *lines])


def _value(value: Any, never: str | None) -> str:
    if not isinstance(value, str) or "\n" not in value:
        return _inline(value)
    cut = never is not None and re.search(rf"^{re.escape(never)}", value, re.MULTILINE)
    return _inline(value) if cut else _lines(value)


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(_inline, value))}]"
        case Mapping():
            pairs = (f"{_key(key)} = {_inline(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            raise TypeError(f"{value!r} cannot be written in TOML")


def _lines(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"""', '""\\"')
    if escaped.endswith('"'):
        escaped = f'{escaped[:-1]}\\"'
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
    return f'"""\n{escaped}"""'


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _inline(name)
