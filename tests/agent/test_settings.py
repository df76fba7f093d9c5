"""Settings of agents: what can be set, how it is changed, and what happens to the unreadable."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.settings import (
    AgentSettings,
    CompactionSettings,
    checked_settings,
    merged,
    problems_of,
    settings_of,
)
from memory.errors import InvalidValue
from memory.records import Agent


def agent_with(settings: dict[str, Any]) -> Agent:
    now = datetime.now(UTC)
    return Agent(1, "agent-1", "Sam", "", "", "UTC", None, (), 2, 0, now, now, {}, settings)


def test_what_is_not_set_has_its_default() -> None:
    settings = settings_of(agent_with({"max_steps": 3, "compaction": {"mode": "all"}}))
    assert (settings.max_steps, settings.tools, settings.autoclear) == (3, None, False)
    assert settings.compaction == CompactionSettings(mode="all", keep_share=0.5)
    assert settings_of(agent_with({})) == AgentSettings()


def test_only_what_was_given_is_stored() -> None:
    given = {"tools": ["memory_replace"], "temperature": 0, "compaction": {"keep_share": 0.5}}
    assert checked_settings(given) == given


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        AgentSettings().max_steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_step": 3}, "there is no setting 'max_step'; known: tools, tool_rules"),
        ({"compaction": {"kind": 1}}, "no setting 'compaction.kind'; known: mode, keep_share"),
        ({"max_steps": 0}, "'max_steps' cannot be '0': it should be greater than or equal to 1"),
        ({"compaction": {"mode": "some"}}, "'compaction.mode' cannot be 'some'"),
        ({"tools": "all"}, "'tools' cannot be 'all'"),
        ({"temperature": 3}, "less than or equal to 2"),
        ({"tool_rules": 5}, "setting 'tool_rules' cannot be '5': it should be a list"),
        (
            {"tool_rules": [{"type": "exit_loop", "tool_name": "a", "foo": 1}]},
            "'tool_rules.0': an exit_loop rule has no field 'foo'; known: tool_name, type",
        ),
        (
            {"tool_rules": [{"type": "requires"}]},
            "'tool_rules.0': a rule's type cannot be 'requires'; known: run_first, ",
        ),
        ({"tool_rules": [{"tool_name": "a"}]}, "'tool_rules.0': a rule needs a type; known: run_"),
        (
            {"tool_rules": [{"type": "exit_loop", "tool_name": 5}]},
            "setting 'tool_rules.0.tool_name' cannot be '5': it should be a text",
        ),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        checked_settings(given)
    assert message in str(caught.value)


def test_what_cannot_be_read_is_named_and_has_its_default() -> None:
    sam = agent_with({"max_steps": "many", "from_the_future": 1, "temperature": 0.5})
    assert settings_of(sam) == AgentSettings(temperature=0.5)
    said = problems_of(sam)
    assert len(said) == 2
    assert said[0].startswith("agent 'Sam': setting 'max_steps' cannot be 'many'")
    assert "there is no setting 'from_the_future'" in said[1]
    assert problems_of(agent_with({})) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


@given(objects)
def test_whatever_is_stored_an_agent_has_settings(stored: dict[str, Any]) -> None:
    known = dict(zip(AgentSettings.model_fields, stored.values(), strict=False))
    settings_of(agent_with({**stored, **known}))


@given(objects, objects)
def test_a_patch_sets_what_it_names_removes_nulls_and_leaves_the_rest(
    stored: dict[str, Any], patch: dict[str, Any]
) -> None:
    result = merged(stored, patch)
    assert merged(result, patch) == result
    for key in "abc":
        if key not in patch:
            assert result.get(key) == stored.get(key)
        elif patch[key] is None:
            assert key not in result
        elif not isinstance(patch[key], dict):
            assert result[key] == patch[key]


@pytest.mark.parametrize(
    ("stored", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_of_the_appendix_of_rfc_7396(
    stored: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    assert merged(stored, patch) == result
