"""Tool rules as they are written: Letta's names, read from JSON and written back."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given

from agent.rule_kinds import ToolRule, read_rules, write_rules
from memory.errors import InvalidValue
from tests.agent.rule_sets import rule_sets

AS_LETTA_WRITES_THEM = [
    {"type": "run_first", "tool_name": "a", "args": {"x": 1}},
    {
        "type": "constrain_child_tools",
        "tool_name": "a",
        "children": ["b"],
        "child_arg_nodes": [{"name": "b", "args": {"y": 2}}],
    },
    {"type": "parent_last_tool", "tool_name": "a", "children": ["b"]},
    {
        "type": "conditional",
        "tool_name": "a",
        "default_child": "b",
        "child_output_mapping": {"true": "c"},
        "require_output_mapping": False,
    },
    {"type": "max_count_per_step", "tool_name": "a", "max_count_limit": 2},
    {"type": "exit_loop", "tool_name": "a"},
    {"type": "continue_loop", "tool_name": "a"},
    {"type": "required_before_exit", "tool_name": "a"},
    {"type": "requires_approval", "tool_name": "a"},
]


def test_all_nine_kinds_are_read_and_written_as_they_were() -> None:
    rules = read_rules(AS_LETTA_WRITES_THEM)
    assert len({type(rule) for rule in rules}) == 9
    assert write_rules(rules) == AS_LETTA_WRITES_THEM


@given(rule_sets)
def test_rules_come_back_from_json_as_they_were(rules: Sequence[ToolRule]) -> None:
    assert read_rules(json.loads(json.dumps(write_rules(tuple(rules))))) == tuple(rules)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("exit_loop", "tool_rules: Input should be a valid tuple"),
        ([{"tool_name": "a"}], "rule 1: Unable to extract tag"),
        ([{"type": "exit", "tool_name": "a"}], "rule 1: Input tag 'exit' found"),
        (
            [AS_LETTA_WRITES_THEM[5], {"type": "exit_loop"}],
            "rule 2.exit_loop.tool_name: Field required",
        ),
        (
            [{"type": "exit_loop", "tool_name": "a", "tools": []}],
            "rule 1.exit_loop.tools: Extra inputs are not permitted",
        ),
        ([{"type": "exit_loop", "tool_name": ""}], "at least 1 character"),
        ([{"type": "max_count_per_step", "tool_name": "a", "max_count_limit": 0}], "greater than"),
        ([{"type": "parent_last_tool", "tool_name": "a", "children": []}], "at least 1 item"),
        ([{"type": "conditional", "tool_name": "a", "child_output_mapping": {}}], "at least 1"),
        ([{"type": "conditional", "tool_name": "a", "child_output_mapping": 5}], "mapping"),
    ],
)
def test_what_is_no_rule_is_refused_by_its_place(written: object, told: str) -> None:
    with pytest.raises(InvalidValue, match="tool_rules cannot be read: ") as caught:
        read_rules(written)
    assert told in str(caught.value)


def test_a_rule_cannot_be_changed() -> None:
    (rule,) = read_rules(AS_LETTA_WRITES_THEM[:1])
    with pytest.raises(ValueError, match="frozen"):
        rule.tool_name = "b"  # type: ignore[misc]
