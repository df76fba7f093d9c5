"""Whether a set of tool rules makes sense for an agent's tools; asked when the rules are set.

Pure. Whatever passes here, solving (tool_rules.py) lets every run go on or end.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.model import ToolSpec
from agent.models.tool_schema import find_violation, sanitise_schema
from agent.rule_kinds import (
    Conditional,
    ConstrainChildTools,
    ContinueLoop,
    ExitLoop,
    ParentLastTool,
    RequiredBeforeExit,
    RunFirst,
    ToolRule,
)
from agent.tool_rules import RuleSet
from memory.errors import InvalidValue


def check_rules(rules: Sequence[ToolRule], tools: Sequence[str]) -> None:
    """Refuse rules that name a tool which is not there, or that cannot be kept together.

    Raises:
        InvalidValue: naming the tool and the contradiction.
    """
    for rule in rules:
        for name in rule.named:
            if name not in tools:
                raise InvalidValue(
                    f"the tool rule {rule.type} of {rule.tool_name!r} names {name!r}, which the"
                    f" agent does not have; its tools are {', '.join(tools) or 'none'}"
                )
        if isinstance(rule, ConstrainChildTools):
            for node in rule.child_arg_nodes or ():
                if node.name not in rule.children:
                    raise InvalidValue(
                        f"the tool rule {rule.type} of {rule.tool_name!r} gives arguments to"
                        f" {node.name!r}, which is not among its children"
                    )
    _check_ends(rules)
    _check_ways(rules, tools)


def check_arguments(rules: Sequence[ToolRule], tools: Sequence[ToolSpec]) -> None:
    """Refuse prescribed arguments that the tool does not take: no model could mend such a call.

    Raises:
        InvalidValue: naming the tool, the argument and what is wrong with it.
        ToolSchemaInvalid: a tool's own schema is none.
    """
    schemas = {tool.name: sanitise_schema(tool.name, tool.parameters) for tool in tools}
    for rule, name, given in _prescribed(rules):
        takes: Mapping[str, Any] = schemas[name]["properties"]
        for argument, value in given.items():
            if argument not in takes:
                problem = f"which takes {', '.join(takes) or 'none'}"
            elif violation := find_violation(value, takes[argument], argument):
                problem = f"which does not take it: {violation}"
            else:
                continue
            raise InvalidValue(
                f"the tool rule {rule.type} of {rule.tool_name!r} gives {argument!r} to {name!r},"
                f" {problem}"
            )


def _prescribed(
    rules: Sequence[ToolRule],
) -> Iterable[tuple[ToolRule, str, Mapping[str, Any]]]:
    for rule in rules:
        if isinstance(rule, RunFirst):
            yield rule, rule.tool_name, rule.args or {}
        if isinstance(rule, ConstrainChildTools):
            for node in rule.child_arg_nodes or ():
                yield rule, node.name, node.args or {}


def _check_ends(rules: Sequence[ToolRule]) -> None:
    exits = {rule.tool_name for rule in rules if isinstance(rule, ExitLoop)}
    for rule in rules:
        if isinstance(rule, ContinueLoop) and rule.tool_name in exits:
            raise InvalidValue(
                f"{rule.tool_name!r} has the rules exit_loop and continue_loop, which contradict"
                " each other; keep one"
            )


def _check_ways(rules: Sequence[ToolRule], tools: Sequence[str]) -> None:
    """Refuse dead ends, and tools that must or should be called and never can be."""
    rule_set, parents = RuleSet(rules), _parents(rules)
    begin = rule_set.possible_after(None, tools)
    reachable = rule_set.reachable(begin, tools)
    for rule in rules:
        name = rule.tool_name
        if isinstance(rule, RunFirst) and name not in begin:
            raise InvalidValue(
                f"{name!r} should begin a run and may only be called directly after"
                f" {parents[name]!r}; take one of the two rules out"
            )
        if isinstance(rule, RequiredBeforeExit) and name not in reachable:
            raise _never(name)
        narrows = isinstance(rule, Conditional | ConstrainChildTools) and name in reachable
        if narrows and not rule_set.possible_after(name, tools):
            raise InvalidValue(
                f"after {name!r} no tool may be called: those that its rules let follow it have"
                " none in common, or may only follow another tool"
            )
    for child in parents:
        if child not in reachable:
            raise _never(child)


def _parents(rules: Sequence[ToolRule]) -> dict[str, str]:
    """The tool that each child of a parent_last_tool rule must directly follow."""
    parents = dict[str, str]()
    for rule in rules:
        for child in rule.children if isinstance(rule, ParentLastTool) else ():
            first = parents.setdefault(child, rule.tool_name)
            if first != rule.tool_name:
                raise InvalidValue(
                    f"{child!r} may only be called directly after {first!r} and only directly after"
                    f" {rule.tool_name!r}, so never; keep one rule parent_last_tool with it"
                )
    return parents


def _never(name: str) -> InvalidValue:
    return InvalidValue(
        f"{name!r} can never be called: no order of calls that the rules allow leads to it"
    )
