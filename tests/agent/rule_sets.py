"""Sets of tool rules and calls, drawn at random and small, so that all kinds meet each other."""

from collections.abc import Sequence
from itertools import combinations

from hypothesis import strategies as st

from agent.rule_kinds import (
    ChildArguments,
    Conditional,
    ConstrainChildTools,
    ContinueLoop,
    ExitLoop,
    MaxCountPerStep,
    ParentLastTool,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
    ToolRule,
)
from agent.tool_rules import Made

TOOLS = ("a", "b", "c")
MAPPED = {"yes": True, "1": True, "true": True, "other": False}
"""Results, and whether the mapping of a drawn conditional rule may have them as a key."""

names = st.sampled_from(TOOLS)
some = st.lists(names, min_size=1, max_size=3, unique=True).map(tuple)
arguments = st.none() | st.dictionaries(st.sampled_from("xy"), st.integers(0, 3), max_size=2)
kinds: tuple[st.SearchStrategy[ToolRule], ...] = (
    st.builds(RunFirst, tool_name=names, args=arguments),
    st.builds(
        ConstrainChildTools,
        tool_name=names,
        children=some,
        child_arg_nodes=st.none()
        | st.lists(st.builds(ChildArguments, name=names, args=arguments), max_size=2).map(tuple),
    ),
    st.builds(ParentLastTool, tool_name=names, children=some),
    st.builds(
        Conditional,
        tool_name=names,
        child_output_mapping=st.dictionaries(
            st.sampled_from([key for key, mapped in MAPPED.items() if mapped]),
            names,
            min_size=1,
            max_size=2,
        ),
        default_child=st.none() | names,
        require_output_mapping=st.booleans(),
    ),
    st.builds(MaxCountPerStep, tool_name=names, max_count_limit=st.integers(1, 3)),
    st.builds(ExitLoop, tool_name=names),
    st.builds(ContinueLoop, tool_name=names),
    st.builds(RequiredBeforeExit, tool_name=names),
    st.builds(RequiresApproval, tool_name=names),
)
outcomes = st.sampled_from(["worked"] * 6 + ["failed", "denied"])


# Three kinds at a time bear on each other more than nine do.
mixtures = [st.one_of(*three) for three in combinations(kinds, 3)]
rule_sets: st.SearchStrategy[Sequence[ToolRule]] = st.one_of(
    st.sampled_from(mixtures).flatmap(lambda some_kinds: st.lists(some_kinds, max_size=7)),
    st.lists(st.one_of(*kinds), max_size=9),
)


@st.composite
def calls(draw: st.DrawFn) -> Made:
    outcome = draw(outcomes)
    return Made(
        draw(names),
        draw(st.sampled_from(list(MAPPED))),
        failed=outcome == "failed",
        denied=outcome == "denied",
    )


made = st.lists(calls(), max_size=5)
