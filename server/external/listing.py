"""The tools that a server lists, as models are offered them. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from memory.tool_server_records import SeenTool
from server.external.schemas import SchemaUnusable, fit_schema
from server.external.words import clean, shortened

MAX_TOOLS: Final = 256
MAX_OFFERED_CHARS: Final = 64
_MAX_NAME_CHARS: Final = 256
_DESCRIPTION_CHARS: Final = 1_000
_ODD = re.compile(r"[^a-zA-Z0-9_-]")


def seen_tools(server: str, listed: Sequence[Mapping[str, Any]]) -> list[SeenTool]:
    """What a server listed, made fit: names that models can call, bounded texts and schemas.

    listed: as the protocol has them, at most MAX_TOOLS are taken. A name that comes twice is taken
    once.
    """
    found: dict[str, SeenTool] = {}
    offered: set[str] = set()
    for tool in listed[:MAX_TOOLS]:
        name = tool.get("name")
        if not isinstance(name, str) or name in found or not 0 < len(name) <= _MAX_NAME_CHARS:
            continue
        if clean(name) != name:
            continue
        seen = _seen(server, name, tool, offered)
        offered.add(seen.offered.lower())
        found[name] = seen
    return list(found.values())


def changes(before: Sequence[SeenTool], after: Sequence[SeenTool]) -> dict[str, list[str]]:
    """The names of tools that are new, gone or changed."""
    old = {tool.name: tool.digest for tool in before}
    new = {tool.name: tool.digest for tool in after}
    return {
        "new": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and new[name] != old[name]],
    }


def _seen(server: str, name: str, tool: Mapping[str, Any], taken: set[str]) -> SeenTool:
    said = tool.get("description")
    text = clean(said).strip() if isinstance(said, str) else ""
    schema: dict[str, Any] = {}
    unusable = ""
    sent = tool.get("inputSchema")
    try:
        schema = fit_schema(name, sent if isinstance(sent, Mapping) else {})
    except SchemaUnusable as error:
        unusable = str(error)
    return SeenTool(
        name=name,
        offered=_offered(server, name, taken),
        description=f"[MCP server {server}] {shortened(text, _DESCRIPTION_CHARS)}".rstrip(),
        schema=schema,
        digest=_digest(json.dumps([name, said, sent], sort_keys=True)),
        unusable=unusable,
    )


def _offered(server: str, name: str, taken: set[str]) -> str:
    whole = f"{server}__{_ODD.sub('_', name)}"
    if len(whole) <= MAX_OFFERED_CHARS and whole.lower() not in taken:
        return whole
    end = f"_{_digest(name)[:6]}"
    return whole[: MAX_OFFERED_CHARS - len(end)] + end


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
