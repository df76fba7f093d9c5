"""What flags of `mnemon agents` mean, as arguments of the tools; agents_parser.py has the flags."""

import json
from collections import Counter
from typing import Any

from server.agent_creation import DEFAULT_BLOCKS
from server.agent_models import Create
from server.config import ConfigError


def given_of(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Those of the arguments of a tool that were given as flags."""
    return {name: options[name] for name in names if options.get(name) not in (None, [], False)}


def objects_of(options: dict[str, Any]) -> dict[str, Any]:
    """Metadata and settings from flags: one JSON object; KEY=VALUE with dots in KEY."""
    found: dict[str, Any] = {}
    if options["metadata"] is not None:
        found["metadata"] = _json(options["metadata"])
        if not isinstance(found["metadata"], dict):
            raise ConfigError(f"--metadata takes a JSON object, not {options['metadata'][:80]!r}")
    for key, value in map(_pair, options["settings"]):
        *path, last = key.split(".")
        inside = found.setdefault("settings", {})
        for name in path:
            inside = inside.setdefault(name, {})
            if not isinstance(inside, dict):
                raise ConfigError(f"--set {key}: {name} was set to a plain value before")
        inside[last] = _json(value)
    return found


def rewritten(given: list[str]) -> list[dict[str, str]]:
    """Blocks from LABEL=TEXT, each once."""
    blocks = list(map(_pair, given))
    twice = [label for label, count in Counter(label for label, _ in blocks).items() if count > 1]
    if twice:
        raise ConfigError(f"--block {twice[0]} is given twice; a block has one text")
    return [{"label": label, "value": value} for label, value in blocks]


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"{text[:80]!r} is not KEY=VALUE")
    return key, value


def _json(text: str) -> Any:
    """The JSON in a text; what is none is a text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def blocks_with(wanted: Create, values: dict[str, str]) -> list[dict[str, Any]]:
    """The blocks of a new agent, with the values given for some."""
    if wanted.blocks is None:
        blocks = [{"label": b.label, "description": b.description} for b in DEFAULT_BLOCKS]
    else:
        blocks = [block.model_dump() for block in wanted.blocks]
    labels = [block["label"] for block in blocks]
    blocks += [{"label": label} for label in values if label not in labels]
    return [
        {**block, "value": values.get(block["label"], block.get("value", ""))} for block in blocks
    ]
