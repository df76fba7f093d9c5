"""Sets of tool rules that make no sense are refused when they are set, with the reason."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import ToolSpec
from agent.rule_checks import check_arguments, check_rules
from agent.rule_kinds import RequiredBeforeExit, ToolRule, read_rules
from agent.tool_rules import Made, RuleSet
from memory.errors import InvalidValue
from tests.agent.rule_sets import MAPPED, TOOLS, rule_sets

Written = dict[str, Any]


def parent(tool: str, *children: str) -> Written:
    return {"type": "parent_last_tool", "tool_name": tool, "children": children}


def child(tool: str, *children: str, **fields: Any) -> Written:
    return {"type": "constrain_child_tools", "tool_name": tool, "children": children, **fields}


def plain(type: str, tool: str) -> Written:
    return {"type": type, "tool_name": tool}


def check(*written: Written) -> None:
    check_rules(read_rules(written), TOOLS)


def conditional(tool: str, then: str) -> Written:
    return {
        "type": "conditional",
        "tool_name": tool,
        "child_output_mapping": {"yes": then},
        "require_output_mapping": True,
    }


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            [plain("exit_loop", "send_message")],
            "exit_loop of 'send_message' names 'send_message', which the agent does not have; its"
            " tools are a, b, c",
        ),
        ([child("a", "z")], "constrain_child_tools of 'a' names 'z'"),
        ([parent("a", "z")], "parent_last_tool of 'a' names 'z'"),
        ([conditional("a", "z")], "conditional of 'a' names 'z'"),
        ([child("a", "b", child_arg_nodes=[{"name": "c"}])], "'c', which is not among its"),
        ([plain("exit_loop", "a"), plain("continue_loop", "a")], "'a' has the rules exit_loop and"),
        ([parent("a", "c"), parent("b", "c")], "'c' may only be called directly after 'a' and"),
        ([parent("a", "b"), parent("b", "a")], "'b' can never be called"),
        ([plain("run_first", "b"), parent("a", "b")], "'b' should begin a run and may only be"),
        ([child("a", "b"), child("a", "c")], "after 'a' no tool may be called"),
        ([child("a", "b"), conditional("a", "c")], "after 'a' no tool may be called"),
        ([child("a", "b"), parent("c", "b")], "after 'a' no tool may be called"),
        (
            [plain("run_first", "a"), child("a", "a"), plain("required_before_exit", "b")],
            "'b' can never be called",
        ),
        (
            [parent("a", "b"), child("a", "c"), plain("required_before_exit", "b")],
            "'b' can never be called",
        ),
    ],
)
def test_a_contradiction_is_named(rules: list[Written], told: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check(*rules)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [plain("run_first", "a"), child("a", "b"), child("b", "c"), plain("exit_loop", "c")],
        [parent("a", "b"), parent("a", "c"), plain("required_before_exit", "b")],
        [plain("run_first", "a"), conditional("a", "b"), plain("required_before_exit", "b")],
        [parent("a", "b"), parent("b", "c"), plain("required_before_exit", "c")],
        [plain(kind, "a") for kind in ("exit_loop", "required_before_exit", "requires_approval")],
    ],
)
def test_rules_that_can_be_kept_together_pass(rules: list[Written]) -> None:
    check(*rules)


@settings(max_examples=200)
@given(rule_sets, st.sampled_from(TOOLS))
def test_whatever_passes_lets_each_required_tool_be_called_from_the_start(
    rules: Sequence[ToolRule], wanted: str
) -> None:
    rules = [*rules, RequiredBeforeExit(tool_name=wanted)]
    try:
        check_rules(rules, TOOLS)
    except InvalidValue:
        return
    rule_set = RuleSet(rules)
    waiting, seen = [list[Made]()], set[object]()
    while waiting:
        made = waiting.pop(0)
        allowed = rule_set.permission(TOOLS, made).allowed
        if wanted in allowed:
            return
        state = tuple((call.name, call.result) for call in made[-1:]), len(made)
        if state not in seen and len(made) <= len(TOOLS):
            seen.add(state)
            waiting += [[*made, Made(name, result)] for name in allowed for result in MAPPED]
    pytest.fail(f"{wanted} is never allowed")


SPEC = ToolSpec(
    "a",
    "",
    {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "label": {"enum": ["human", "persona"]}},
        "required": ["n", "label"],
    },
)


def test_prescribed_arguments_that_the_tool_takes_pass_also_when_they_are_not_all() -> None:
    check_arguments(read_rules([{**plain("run_first", "a"), "args": {"label": "human"}}]), [SPEC])
    check_arguments(read_rules([child("a", "a", child_arg_nodes=[{"name": "a"}])]), [SPEC])


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"m": 1}, "gives 'm' to 'a', which takes n, label"),
        ({"n": "1"}, "gives 'n' to 'a', which does not take it: n is string, not integer"),
        ({"label": "plan"}, "gives 'label' to 'a', which does not take it"),
    ],
)
def test_a_prescribed_argument_that_the_tool_does_not_take_is_named(
    args: dict[str, object], told: str
) -> None:
    for written in (
        {**plain("run_first", "a"), "args": args},
        child("a", "a", child_arg_nodes=[{"name": "a", "args": args}]),
    ):
        with pytest.raises(InvalidValue) as caught:
            check_arguments(read_rules([written]), [SPEC])
        assert told in str(caught.value)
