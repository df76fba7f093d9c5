"""Storing a tool from its source, and changing one: what is given stays, the rest is derived."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.custom.derive import DerivedTool, derive_tool, tool_function
from agent.custom.given_schema import checked_schema
from agent.custom.names import refuse_our_names
from agent.custom.source import UnreadableTool, find_function, read_source
from agent.custom.tool_policy import checked_policy
from memory.errors import InvalidValue
from memory.tools import NewTool, StoredTool


@dataclass(frozen=True, slots=True)
class ToolDraft:
    """A tool as somebody wrote it; None: to be derived from the source, or left as it is.

    json_schema: of its arguments. others: further fields of NewTool.
    """

    source: str | None = None
    name: str | None = None
    description: str | None = None
    json_schema: Mapping[str, Any] | None = None
    others: Mapping[str, Any] = field(default_factory=dict)


def new_tool(draft: ToolDraft) -> NewTool:
    """What is to be stored of a new tool.

    Raises:
        InvalidValue: no tool can be made of it, or a tool of ours has its name.
    """
    derived = derive_tool(
        draft.source or "", draft.name, draft.description or None, draft.json_schema
    )
    refuse_our_names(derived.name)
    return NewTool(
        name=derived.name,
        description=derived.description,
        source=draft.source or "",
        schema=derived.schema,
        **_checked(draft.others),
    )


def revised(tool: StoredTool, draft: ToolDraft) -> dict[str, Any]:
    """What is to change of a tool, as memory.tools.update_tool takes it.

    With another source, description and schema are derived anew, but for those that were given when
    the old one was stored; a given schema must fit the new source.

    Raises:
        InvalidValue: no tool can be made of it; a tool of ours has the name; or under another name
            another function of the source would be the tool.
    """
    changes = _checked(draft.others)
    name = tool.name if draft.name is None else draft.name
    if name != tool.name:
        _check_name(tool, name, draft.source)
        changes["name"] = refuse_our_names(name)
    if draft.source is None:
        if draft.description:
            changes["description"] = draft.description
        if draft.json_schema is not None:
            function = find_function(read_source(tool.source), tool.name)
            changes["schema"] = checked_schema(name, draft.json_schema, function)
        return changes
    old = _derived_before(tool)
    description, schema = draft.description or None, draft.json_schema
    if description is None and (old is None or old.description != tool.description):
        description = tool.description
    if schema is None and (old is None or old.schema != tool.schema):
        schema = tool.schema
    derived = derive_tool(draft.source, name, description, schema)
    changes |= {"source": draft.source, "description": derived.description}
    return {**changes, "schema": derived.schema}


def _derived_before(tool: StoredTool) -> DerivedTool | None:
    """What is derived from the source that a tool has; None: nothing can be."""
    try:
        return derive_tool(tool.source, tool.name)
    except InvalidValue:
        return None


def _check_name(tool: StoredTool, name: str, source: str | None) -> None:
    if source is not None:
        return
    before, after = tool_function(tool.source, tool.name), tool_function(tool.source, name)
    if before != after:
        raise UnreadableTool(
            f"under the name {name!r} the tool would be the function {after!r} of its source, no"
            f" longer {before!r}; put that one last, or send a source with a function {name!r}"
        )


def _checked(others: Mapping[str, Any]) -> dict[str, Any]:
    """Further fields, with the policy as it is to be stored."""
    if "policy" not in others:
        return dict(others)
    return {**others, "policy": checked_policy(others["policy"])}
