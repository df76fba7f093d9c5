"""The first line of a connection to the owner: read, checked, answered. Pure functions.

A front says who it is and with which settings it was started; `mnemon status` and `mnemon stop`
ask a question instead. The front's half is owner_link.py's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mcp_types import CLIENT_INFO_META_KEY
from pydantic import BaseModel, ConfigDict, ValidationError

from server.callers import printable_name
from server.config import OWN_SETTINGS, SECRETS, ConfigError, Settings, load_settings
from server.owner_link import AGREED
from server.registry import DEFAULT_TOOLSET, Toolset

_LONGEST_SNIFFED = 64 * 1024


class GivenSettings(BaseModel):
    """Settings as a front got them: flags of its command line, MNEMON_* of its environment."""

    model_config = ConfigDict(extra="forbid")

    flags: dict[str, str] = {}
    environment: dict[str, str] = {}


class Greeting(BaseModel):
    """The first line: a front with its id, or a question. settings: None: any will do."""

    model_config = ConfigDict(extra="forbid")

    mnemon: Literal[1]
    front: str | None = None
    pid: int = 0
    settings: GivenSettings | None = GivenSettings()
    ask: Literal["status", "stop"] | None = None


@dataclass(frozen=True, slots=True)
class Welcome:
    """How a front is answered; it may stay unless it is refused. others: it has other settings."""

    line: bytes
    refused: bool = False
    others: bool = False
    toolset: Toolset = DEFAULT_TOOLSET
    agent: str | None = None


def read_greeting(line: bytes) -> Greeting | None:
    """The greeting in a line, or None: whoever connected is none of ours."""
    try:
        greeting = Greeting.model_validate_json(line)
    except ValidationError:
        return None
    return greeting if greeting.ask or greeting.front else None


def welcome(greeting: Greeting, own: Settings, pid: int) -> Welcome:
    """Answer a front: agreed; agreed, but the settings are others; or refused."""
    given = greeting.settings
    if given is None:
        return Welcome(AGREED)
    flags = {name.replace("-", "_"): value for name, value in given.flags.items()}
    try:
        wanted = load_settings({**flags, "data": own.data}, given.environment)
    except ConfigError as error:
        return Welcome(_line({"refused": str(error)}), refused=True)
    others = [
        f"{name} {getattr(own, name) or 'as usual'}, not {getattr(wanted, name) or 'as usual'}"
        for name in OWN_SETTINGS
        if getattr(own, name) != getattr(wanted, name)
    ]
    others += [f"another {name}" for name in SECRETS if getattr(own, name) != getattr(wanted, name)]
    if not others:
        return Welcome(AGREED, toolset=wanted.toolset, agent=wanted.agent or None)
    note = (
        f"this memory is served by process {pid} with other settings ({'; '.join(others)});"
        " `mnemon stop` ends it, the next host starts it with new ones"
    )
    line = _line({"note": note})
    return Welcome(line, others=True, toolset=wanted.toolset, agent=wanted.agent or None)


def client_name(line: bytes) -> str:
    """The name a client gives itself in its first message, in either protocol era."""
    if len(line) > _LONGEST_SNIFFED:
        return "unknown"
    try:
        found: Any = json.loads(line)
        params = found["params"]
        info = params.get("clientInfo") or params["_meta"][CLIENT_INFO_META_KEY]
        return printable_name(info["name"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "unknown"


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps({"mnemon": 1, **value}).encode()
