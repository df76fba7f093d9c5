"""Laws of tool rules over random sets and calls, each against a plain reading of its rule."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.rule_kinds import (
    Conditional,
    ConstrainChildTools,
    ContinueLoop,
    ExitLoop,
    MaxCountPerStep,
    ParentLastTool,
    RequiredBeforeExit,
    RunFirst,
    ToolRule,
)
from agent.tool_rules import Made, RuleSet
from tests.agent.rule_sets import MAPPED, TOOLS, calls, made, rule_sets

Rules = Sequence[ToolRule]
Calls = Sequence[Made]


def of_success(made: Calls) -> list[Made]:
    return [call for call in made if not call.failed and not call.denied]


def forbids_first(rules: Rules, name: str, made: Calls) -> bool:
    first = {rule.tool_name for rule in rules if isinstance(rule, RunFirst)}
    return bool(first) and not of_success(made) and name not in first


def forbids_by_child(rules: Rules, name: str, made: Calls) -> bool:
    last = of_success(made)[-1:]
    return any(
        isinstance(rule, ConstrainChildTools)
        and [rule.tool_name] == [call.name for call in last]
        and name not in rule.children
        for rule in rules
    )


def forbids_by_parent(rules: Rules, name: str, made: Calls) -> bool:
    last = [call.name for call in of_success(made)[-1:]]
    return any(
        isinstance(rule, ParentLastTool) and name in rule.children and last != [rule.tool_name]
        for rule in rules
    )


def forbids_by_result(rules: Rules, name: str, made: Calls) -> bool:
    for last in of_success(made)[-1:]:
        for rule in rules:
            if isinstance(rule, Conditional) and rule.tool_name == last.name:
                if last.result in rule.child_output_mapping:
                    if name != rule.child_output_mapping[last.result]:
                        return True
                elif rule.require_output_mapping or rule.default_child not in (None, name):
                    return True
    return False


def forbids_by_count(rules: Rules, name: str, made: Calls) -> bool:
    count = [call.name for call in made].count(name)
    return any(
        isinstance(rule, MaxCountPerStep)
        and rule.tool_name == name
        and count >= rule.max_count_limit
        for rule in rules
    )


LAWS = (forbids_first, forbids_by_child, forbids_by_parent, forbids_by_result, forbids_by_count)


def may_call(rules: Rules, made: Calls) -> list[str]:
    return [name for name in TOOLS if not any(law(rules, name, made) for law in LAWS)]


def missing(rules: Rules, made: Calls) -> set[str]:
    required = {rule.tool_name for rule in rules if isinstance(rule, RequiredBeforeExit)}
    return required - {call.name for call in of_success(made)}


def can_still_be_called(rules: Rules, made: Calls) -> set[str]:
    """Every tool that some way to go on calls, by trying all ways and all results."""
    denied = {call.name for call in made if call.denied}
    limited = {rule.tool_name for rule in rules if isinstance(rule, MaxCountPerStep)}
    found, seen = set[str](), set[object]()
    waiting = [list(made)]
    while waiting:
        so_far = waiting.pop()
        last = of_success(so_far)[-1:]
        counts = tuple([call.name for call in so_far].count(name) for name in sorted(limited))
        state = tuple((call.name, call.result) for call in last), counts
        if state in seen or len(so_far) > len(made) + len(TOOLS):
            continue
        seen.add(state)
        for name in set(may_call(rules, so_far)) - denied:
            found.add(name)
            waiting += [[*so_far, Made(name, result)] for result in MAPPED]
    return found


def forced(rules: Rules, made: Calls) -> bool:
    """Whether a rule says what comes next, and something of it can be called."""
    denied = {call.name for call in made if call.denied}
    last = of_success(made)[-1:]
    says = not last and any(isinstance(rule, RunFirst) for rule in rules)
    for call in last:
        for rule in rules:
            if isinstance(rule, ConstrainChildTools) and rule.tool_name == call.name:
                says = True
            if isinstance(rule, Conditional) and rule.tool_name == call.name:
                known = call.result in rule.child_output_mapping
                says = says or known or rule.require_output_mapping or bool(rule.default_child)
    return says and bool(set(may_call(rules, made)) - denied)


@settings(max_examples=300)
@given(rule_sets, made)
def test_what_a_rule_forbids_is_never_allowed(rules: Rules, made: Calls) -> None:
    allowed = RuleSet(rules).permission(TOOLS, made).allowed
    assert allowed <= set(TOOLS)
    for law in LAWS:
        assert not [name for name in allowed if law(rules, name, made)], law.__name__


@settings(max_examples=300)
@given(rule_sets, made)
def test_what_no_rule_forbids_is_allowed(rules: Rules, made: Calls) -> None:
    assert sorted(RuleSet(rules).permission(TOOLS, made).allowed) == may_call(rules, made)


@settings(max_examples=300)
@given(rule_sets, made, st.sets(st.sampled_from(TOOLS)))
def test_a_run_can_always_go_on_or_end_whatever_tools_there_are(
    rules: Rules, made: Calls, tools: set[str]
) -> None:
    permission = RuleSet(rules).permission(sorted(tools), made)
    assert permission.allowed <= tools
    assert permission.allowed or permission.may_reply


@settings(max_examples=300)
@given(rule_sets, made)
def test_a_reply_waits_for_what_is_required_or_comes_next_and_for_nothing_else(
    rules: Rules, made: Calls
) -> None:
    due = missing(rules, made) & can_still_be_called(rules, made)
    expected = not due and not forced(rules, made)
    assert RuleSet(rules).permission(TOOLS, made).may_reply is expected


@settings(max_examples=300)
@given(rule_sets, made)
def test_a_required_tool_that_may_be_called_and_was_not_keeps_the_run_going(
    rules: Rules, made: Calls
) -> None:
    permission = RuleSet(rules).permission(TOOLS, made)
    denied = {call.name for call in made if call.denied}
    if missing(rules, made) & permission.allowed - denied:
        assert not permission.may_reply


@settings(max_examples=300)
@given(rule_sets, made, st.lists(calls(), min_size=1, max_size=3))
def test_a_run_ends_with_an_exit_tool_that_worked_when_nothing_is_due(
    rules: Rules, before: Calls, step: Calls
) -> None:
    exits = {rule.tool_name for rule in rules if isinstance(rule, ExitLoop)}
    goes_on = {rule.tool_name for rule in rules if isinstance(rule, ContinueLoop)}
    made = [*before, *step]
    ruled = [call.name for call in of_success(step) if call.name in exits | goes_on]
    due = missing(rules, made) & can_still_be_called(rules, made)
    expected = bool(ruled) and ruled[-1] in exits and not due
    assert RuleSet(rules).ends(step, made, TOOLS) is expected


@settings(max_examples=200)
@given(rule_sets, made)
def test_the_tools_that_rules_name_tell_as_much_of_the_end_as_all_tools(
    rules: Rules, made: Calls
) -> None:
    rule_set = RuleSet(rules)
    for step in ([], made[-1:], made[-2:]):
        assert rule_set.ends(step, made) is rule_set.ends(step, made, TOOLS)


@settings(max_examples=200)
@given(rule_sets, st.data())
def test_a_run_that_obeys_makes_no_call_too_many_and_leaves_nothing_due(
    rules: Rules, data: st.DataObject
) -> None:
    """Whole runs: at each point something drawn from what is permitted is done."""
    rule_set, made = RuleSet(rules), list[Made]()
    for _ in range(12):
        permission = rule_set.permission(TOOLS, made)
        options: list[str | None] = [*sorted(permission.allowed)]
        name = data.draw(st.sampled_from(options + [None] * permission.may_reply))
        if name is None:
            assert not missing(rules, made) & can_still_be_called(rules, made)
            break
        call = data.draw(calls())
        made.append(Made(name, call.result, call.failed, call.step, call.denied))
    for rule in rules:
        count = [call.name for call in made].count(rule.tool_name)
        match rule:
            case MaxCountPerStep(max_count_limit=limit):
                assert count <= limit
            case ConstrainChildTools(tool_name=tool, children=children):
                pairs = pairwise(call.name for call in of_success(made))
                assert all(two in children for one, two in pairs if one == tool)


@given(rule_sets)
def test_what_a_model_is_told_is_the_same_every_time(rules: Rules) -> None:
    assert RuleSet(rules).describe() == RuleSet(list(rules)).describe()
    assert len(RuleSet(rules).describe().split("\n")) <= len(rules) + 2


@settings(max_examples=200)
@given(rule_sets, made, st.sampled_from(TOOLS))
def test_a_refusal_is_said_exactly_of_what_is_not_allowed(
    rules: Rules, made: Calls, name: str
) -> None:
    rule_set = RuleSet(rules)
    refused = rule_set.refusal(name, TOOLS, made)
    assert (refused is None) is (name in rule_set.permission(TOOLS, made).allowed)
