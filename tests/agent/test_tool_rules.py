"""What tool rules let an agent do next: each kind by itself, by example."""

from itertools import pairwise

import pytest

from agent.rule_kinds import ToolRule, read_rules
from agent.tool_rules import Made, Permission, RuleSet

TOOLS = ("look", "note", "send", "done")


def rule(type: str, tool_name: str, /, **fields: object) -> ToolRule:
    (read,) = read_rules([{"type": type, "tool_name": tool_name, **fields}])
    return read


def worked(*names: str, result: str = "fine") -> list[Made]:
    return [Made(name, result) for name in names]


def permitted(rules: list[ToolRule], made: list[Made] | None = None) -> Permission:
    return RuleSet(rules).permission(TOOLS, made or [])


def allowed(rules: list[ToolRule], made: list[Made] | None = None) -> str:
    names = permitted(rules, made).allowed
    return " ".join(name for name in TOOLS if name in names)


def test_without_rules_everything_may_come_next() -> None:
    assert permitted([], worked("look")) == Permission(frozenset(TOOLS), may_reply=True)


def test_a_run_begins_with_a_tool_that_runs_first() -> None:
    rules = [rule("run_first", "look"), rule("run_first", "note")]
    assert permitted(rules) == Permission(frozenset({"look", "note"}), may_reply=False)
    assert permitted(rules, worked("look")) == Permission(frozenset(TOOLS), may_reply=True)


def test_children_come_directly_after_their_tool() -> None:
    rules = [rule("constrain_child_tools", "look", children=["note", "send"])]
    assert permitted(rules, worked("look")) == Permission(frozenset({"note", "send"}), False)
    assert allowed(rules, worked("look", "note")) == "look note send done"
    assert allowed(rules) == "look note send done"


def test_a_child_of_a_parent_comes_directly_after_it_only_and_need_not() -> None:
    rules = [rule("parent_last_tool", "look", children=["send"])]
    assert allowed(rules) == "look note done"
    assert permitted(rules, worked("look")) == Permission(frozenset(TOOLS), may_reply=True)
    assert allowed(rules, worked("look", "note")) == "look note done"


@pytest.mark.parametrize(
    ("result", "then"),
    [
        ("true", "note"), ("True", "note"), ("TRUE\n", "note"), ("truth", "look"), ("1", "send"),
        (" 01 ", "send"), ("1.0", "look"), ("2.50", "done"), ("2.5", "done"), ("yes", "note"),
        ("Yes", "look"), ("nan", "look"), ("9" * 5000, "look"), ("", "look"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "mapping",
    [
        {"true": "note", "1": "send", "2.5": "done", "yes": "note"},
        {True: "note", "1": "send", 2.5: "done", "yes": "note"},
        {"true": "note", 1: "send", 2.5: "done", "yes": "note"},
    ],
)
def test_a_result_is_compared_as_what_its_key_is(
    result: str, then: str, mapping: dict[object, str]
) -> None:
    rules = [rule("conditional", "look", child_output_mapping=mapping, default_child="look")]
    assert allowed(rules, worked("look", result=result)) == then


def test_an_unforeseen_result_leaves_all_tools_or_none() -> None:
    fields = {"child_output_mapping": {"yes": "note"}}
    lenient, strict = (
        [rule("conditional", "look", **fields, require_output_mapping=required)]
        for required in (False, True)
    )
    assert permitted(lenient, worked("look")) == Permission(frozenset(TOOLS), may_reply=True)
    assert permitted(strict, worked("look")) == Permission(frozenset(), may_reply=True)
    assert permitted(strict, worked("look", result="yes")) == Permission(frozenset({"note"}), False)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_tool_is_called_as_often_as_its_limit_says_neither_more_nor_less(limit: int) -> None:
    """Letta counts each call twice: of two calls that its rule grants, one can be made."""
    rules, made = [rule("max_count_per_step", "note", max_count_limit=limit)], list[Made]()
    while "note" in permitted(rules, made).allowed:
        made.append(Made("note", "fine"))
    assert len(made) == limit
    assert allowed(rules, made) == "look send done"


def test_failed_and_denied_calls_count_against_the_limit_and_nowhere_else() -> None:
    failed = [Made("look", "Error", failed=True), Made("look", "No", denied=True)]
    assert allowed([rule("max_count_per_step", "look", max_count_limit=2)], failed) == (
        "note send done"
    )
    assert allowed([rule("constrain_child_tools", "look", children=["note"])], failed) == (
        "look note send done"
    )
    assert allowed([rule("parent_last_tool", "look", children=["note"])], failed) == (
        "look send done"
    )
    assert allowed([rule("run_first", "look")], failed) == "look"
    assert RuleSet([rule("required_before_exit", "look")]).missing(failed) == ("look",)


def test_a_failed_child_does_not_set_the_model_free() -> None:
    rules = [rule("constrain_child_tools", "look", children=["note"])]
    made = [*worked("look"), Made("note", "Error: no such label", failed=True)]
    assert permitted(rules, made) == Permission(frozenset({"note"}), may_reply=False)


@pytest.mark.parametrize(
    "rules",
    [
        [rule("run_first", "send")],
        [rule("required_before_exit", "send")],
    ],
)
def test_what_a_person_denied_may_be_tried_again_but_need_not(rules: list[ToolRule]) -> None:
    rules = [*rules, rule("requires_approval", "send")]
    assert not permitted(rules).may_reply
    denied = permitted(rules, [Made("send", "denied", denied=True)])
    assert "send" in denied.allowed
    assert denied.may_reply


def test_a_run_does_not_end_before_a_required_tool_has_worked() -> None:
    rules = [rule("required_before_exit", "send"), rule("exit_loop", "done")]
    rule_set = RuleSet(rules)
    assert not permitted(rules, worked("look")).may_reply
    assert rule_set.missing(worked("look")) == ("send",)
    assert not rule_set.ends(worked("done"), worked("done"))
    made = worked("done", "send")
    assert permitted(rules, made).may_reply
    assert rule_set.ends(worked("done"), [*made, *worked("done")])


def test_a_required_tool_is_due_while_other_calls_can_lead_to_it() -> None:
    rules = [
        rule("required_before_exit", "send"),
        rule("parent_last_tool", "look", children=["send"]),
        rule("max_count_per_step", "look", max_count_limit=1),
        rule("exit_loop", "done"),
    ]
    assert not permitted(rules).may_reply
    assert permitted(rules).allowed == {"look", "note", "done"}
    assert not permitted(rules, worked("look")).may_reply
    gone = worked("look", "note")  # look is spent, so send cannot come any more
    assert permitted(rules, gone) == Permission(frozenset({"note", "done"}), may_reply=True)
    assert RuleSet(rules).ends(worked("done"), [*gone, *worked("done")], TOOLS)


def test_what_no_way_leads_to_is_not_due() -> None:
    of_two = [
        rule("parent_last_tool", "look", children=["send"]),
        rule("parent_last_tool", "note", children=["send"]),
        rule("required_before_exit", "send"),
    ]
    assert permitted(of_two, worked("look")).may_reply
    caught = [
        rule("constrain_child_tools", "done", children=["done"]),
        rule("exit_loop", "done"),
        rule("required_before_exit", "send"),
    ]
    assert RuleSet(caught).ends(worked("done"), worked("done"))
    led_on = [rule("constrain_child_tools", "done", children=["look"]), *caught[1:]]
    assert not RuleSet(led_on).ends(worked("done"), worked("done"))


def test_an_exit_tool_ends_the_run_when_it_worked() -> None:
    rule_set = RuleSet([rule("exit_loop", "done")])
    assert rule_set.ends(worked("look", "done", "note"), worked("look", "done", "note"))
    failed = [Made("done", "Error", failed=True)]
    assert not rule_set.ends(failed, failed)
    assert not rule_set.ends(worked("look"), worked("done", "look"))


def test_of_exit_and_continue_in_one_step_the_last_decides() -> None:
    rule_set = RuleSet([rule("exit_loop", "done"), rule("continue_loop", "note")])
    for names, ends in (("note done", True), ("done note", False), ("done note look", False)):
        step = worked(*names.split())
        assert rule_set.ends(step, step) is ends


def test_continue_does_not_forbid_a_reply() -> None:
    assert permitted([rule("continue_loop", "note")], worked("note")).may_reply


def test_approval_is_asked_for_by_name() -> None:
    rule_set = RuleSet([rule("requires_approval", "send")])
    assert rule_set.needs_approval("send")
    assert not rule_set.needs_approval("note")


def test_prescribed_arguments_win_over_those_of_the_model_where_their_rule_holds() -> None:
    nodes = [{"name": "send", "args": {"to": "Ada"}}, {"name": "note"}]
    rule_set = RuleSet(
        [
            rule("run_first", "look", args={"where": "here"}),
            rule("constrain_child_tools", "look", children=["send"], child_arg_nodes=nodes),
        ]
    )
    given = {"where": "there", "deep": True}
    assert rule_set.arguments("look", given, []) == {"where": "here", "deep": True}
    failed = [Made("look", "Error", failed=True)]
    assert rule_set.arguments("look", given, failed) == {"where": "here", "deep": True}
    assert rule_set.arguments("look", given, worked("note")) == given
    sent = {"to": "Eve", "text": "Hi"}
    assert rule_set.arguments("send", sent, worked("look")) == {"to": "Ada", "text": "Hi"}
    assert rule_set.arguments("note", sent, worked("look")) == sent
    assert rule_set.arguments("send", sent, worked("look", "note")) == sent
    assert given == {"where": "there", "deep": True}


def test_calls_of_one_step_are_judged_with_the_earlier_ones() -> None:
    rule_set = RuleSet([rule("max_count_per_step", "send", max_count_limit=1)])
    assert rule_set.refusal("send", TOOLS, worked("look")) is None
    assert rule_set.refusal("send", TOOLS, worked("look", "send")) == (
        "send cannot be called now (Call send at most once before you answer.);"
        " call done, look, note or answer without a call"
    )


def test_a_refusal_says_which_rule_and_what_may_be_called() -> None:
    rule_set = RuleSet([rule("constrain_child_tools", "look", children=["note"])])
    assert rule_set.refusal("send", TOOLS, worked("look")) == (
        "send cannot be called now (After look call note.); call note"
    )
    assert rule_set.refusal("x" * 10_000, TOOLS, []) == (
        f"{'x' * 80} cannot be called now; call done, look, note, send or answer without a call"
    )


def test_a_model_is_told_the_rules_it_must_know() -> None:
    rules = [
        rule("run_first", "look"),
        rule("constrain_child_tools", "look", children=["note", "send"]),
        rule("parent_last_tool", "look", children=["note"]),
        rule("conditional", "note", child_output_mapping={"yes": "send"}),
        rule("max_count_per_step", "note", max_count_limit=2),
        rule("exit_loop", "done"),
        rule("exit_loop", "done"),
        rule("continue_loop", "note"),
        rule("required_before_exit", "send"),
        rule("requires_approval", "send"),
    ]
    assert RuleSet(rules).describe() == (
        "<tool_usage_rules>\n"
        "- After look call note or send.\n"
        "- Call note only directly after look.\n"
        "- What you call after note depends on its result.\n"
        "- Call note at most 2 times before you answer.\n"
        "- done ends your turn.\n"
        "- After note you go on.\n"
        "- Call send before you end your turn.\n"
        "</tool_usage_rules>"
    )
    assert RuleSet().describe() == RuleSet([rule("run_first", "look")]).describe() == ""


def test_thousands_of_rules_tools_and_calls_are_solved() -> None:
    names = [f"t{n}" for n in range(3_000)]
    chain = [rule("parent_last_tool", one, children=[two]) for one, two in pairwise(names)]
    rule_set = RuleSet([*chain, rule("required_before_exit", names[-1])])
    made = [Made(names[n % 100], "fine") for n in range(10_000)]
    permission = rule_set.permission(names, made)
    assert permission == Permission(frozenset({"t0", "t100"}), may_reply=False)
