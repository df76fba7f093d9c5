"""Secrets in the settings of a server: `$secret:NAME` stands for one, and none is stored."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from memory.errors import InvalidValue
from server.secrets import redaction

Secrets = Callable[[Sequence[str]], Mapping[str, str]]
"""Gives the values of secrets by name; reads a file. Raises InvalidValue, naming one it lacks."""

_REFERENCE: Final = re.compile(r"\$secret:([A-Za-z_][A-Za-z0-9_]{0,63})")
_SENSITIVE: Final = re.compile(
    r"auth|token|secret|passw|cookie|credential|session|api[-_]?key|(^|[-_])key($|[-_])", re.I
)


def no_secrets(names: Sequence[str]) -> Mapping[str, str]:
    """The secrets of who keeps none.

    Raises:
        InvalidValue: one was asked for.
    """
    if names:
        raise InvalidValue(f"there is no secret {names[0]!r}; no secrets are kept here")
    return {}


def check_values(values: Mapping[str, str], what: str) -> None:
    """Refuse what looks like a secret itself.

    Raises:
        InvalidValue: a value whose name says that it is secret refers to none.
    """
    for name, value in values.items():
        if _SENSITIVE.search(name) and not _REFERENCE.search(value):
            raise InvalidValue(
                f"{what} {name[:80]!a} looks like a secret, and secrets are not stored here; keep"
                " it with `mnemon secrets set NAME` and write $secret:NAME in its place"
            )


def names_in(values: Mapping[str, str]) -> list[str]:
    """The names of the secrets that values refer to, without repeats."""
    found = (name for value in values.values() for name in _REFERENCE.findall(value))
    return list(dict.fromkeys(found))


def filled(values: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The values with the secrets in place."""
    return {
        name: _REFERENCE.sub(lambda found: secrets[found[1]], value)
        for name, value in values.items()
    }


def without(value: Any, secrets: Mapping[str, str]) -> Any:
    """JSON without the values of secrets, which a server may send back in any text."""
    return _redacted(value, redaction(secrets))


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(item, redact) for item in value]
    if isinstance(value, dict):
        return {redact(key): _redacted(member, redact) for key, member in value.items()}
    return value
