"""JSON given as a flag: strict, so that nothing is taken for something else."""

import json
import math
from typing import Any

from server.config import ConfigError


def object_of(text: str, flag: str) -> dict[str, Any]:
    """A JSON object that was given as a flag.

    Raises:
        ConfigError: it is none.
    """
    try:
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except OverflowError as error:
        raise ConfigError(f"{flag}: {error}") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{flag} takes a JSON object, not {text[:80]!r}")
    return found


def _no_number(text: str) -> float:
    raise OverflowError(f"{text} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)
