"""The nine kinds of tool rules, as they are written in an agent's settings.

Type strings and field names are Letta's. What they mean together is decided in tool_rules.py;
whether a set of them makes sense, in rule_checks.py.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from memory.errors import InvalidValue

ToolName = Annotated[str, Field(min_length=1, max_length=64)]
Children = Annotated[tuple[ToolName, ...], Field(min_length=1)]


class _Written(BaseModel):
    """Base of all that is written; built when first used, as tool arguments are."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Rule(_Written):
    """Base of the rules."""

    tool_name: ToolName

    @property
    def named(self) -> tuple[str, ...]:
        """The tools that the rule names, without repeats."""
        return (self.tool_name,)

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        raise NotImplementedError


class RunFirst(_Rule):
    """A run begins with a call of this tool, or of another one with such a rule.

    args: given to that first call whatever the model writes for them.
    """

    type: Literal["run_first"] = "run_first"
    args: Mapping[str, Any] | None = None

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"Begin with {self.tool_name}."


class ChildArguments(_Written):
    """Arguments that a child is called with, whatever the model writes for them."""

    name: ToolName
    args: Mapping[str, Any] | None = None


class ConstrainChildTools(_Rule):
    """Directly after this tool one of its children is called."""

    type: Literal["constrain_child_tools"] = "constrain_child_tools"
    children: Children
    child_arg_nodes: tuple[ChildArguments, ...] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The tools that the rule names, without repeats."""
        given = (node.name for node in self.child_arg_nodes or ())
        return tuple(dict.fromkeys((self.tool_name, *self.children, *given)))

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"After {self.tool_name} call {' or '.join(self.children)}."


class ParentLastTool(_Rule):
    """The children are called directly after this tool and at no other time."""

    type: Literal["parent_last_tool"] = "parent_last_tool"
    children: Children

    @property
    def named(self) -> tuple[str, ...]:
        """The tools that the rule names, without repeats."""
        return tuple(dict.fromkeys((self.tool_name, *self.children)))

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"Call {' or '.join(self.children)} only directly after {self.tool_name}."


class Conditional(_Rule):
    """The result of this tool says which one is called next.

    Keys are texts; one that reads as a truth value or a number is compared as such, so that a rule
    means the same before and after a trip through JSON, whose keys are always texts.
    """

    type: Literal["conditional"] = "conditional"
    child_output_mapping: Annotated[Mapping[str, ToolName], Field(min_length=1)]
    default_child: ToolName | None = None
    require_output_mapping: bool = False

    @field_validator("child_output_mapping", mode="before")
    @classmethod
    def _keys_as_json_has_them(cls, mapping: object) -> object:
        if not isinstance(mapping, Mapping):
            return mapping
        return {
            str(key).lower() if isinstance(key, bool) else str(key): child
            for key, child in mapping.items()
        }

    def next_tools(self, result: str) -> frozenset[str] | None:
        """Return the tools one of which comes next after this result; None: any may."""
        for key, child in self.child_output_mapping.items():
            if _same(result, key):
                return frozenset({child})
        if self.require_output_mapping:
            return frozenset()
        return None if self.default_child is None else frozenset({self.default_child})

    def possible_tools(self) -> frozenset[str] | None:
        """Return the tools that may come next for some result; None: any may."""
        mapped = frozenset(self.child_output_mapping.values())
        if self.require_output_mapping:
            return mapped
        return None if self.default_child is None else mapped | {self.default_child}

    @property
    def named(self) -> tuple[str, ...]:
        """The tools that the rule names, without repeats."""
        children = (*self.child_output_mapping.values(), self.default_child or self.tool_name)
        return tuple(dict.fromkeys((self.tool_name, *children)))

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"What you call after {self.tool_name} depends on its result."


class MaxCountPerStep(_Rule):
    """This tool is called so many times in a run (Letta's "step" is our run), failures included."""

    type: Literal["max_count_per_step"] = "max_count_per_step"
    max_count_limit: Annotated[int, Field(ge=1, le=1_000_000)]

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        limit = self.max_count_limit
        often = "once" if limit == 1 else f"{limit} times"
        return f"Call {self.tool_name} at most {often} before you answer."


class ExitLoop(_Rule):
    """The run ends with this tool."""

    type: Literal["exit_loop"] = "exit_loop"

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"{self.tool_name} ends your turn."


class ContinueLoop(_Rule):
    """The run does not end with this tool: the model is asked again."""

    type: Literal["continue_loop"] = "continue_loop"

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"After {self.tool_name} you go on."


class RequiredBeforeExit(_Rule):
    """The run does not end before this tool was called with success."""

    type: Literal["required_before_exit"] = "required_before_exit"

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"Call {self.tool_name} before you end your turn."


class RequiresApproval(_Rule):
    """A person is asked before this tool runs."""

    type: Literal["requires_approval"] = "requires_approval"

    @property
    def sentence(self) -> str:
        """The rule as a model is told of it."""
        return f"A person is asked before {self.tool_name} runs."


AnyRule = (
    RunFirst
    | ConstrainChildTools
    | ParentLastTool
    | Conditional
    | MaxCountPerStep
    | ExitLoop
    | ContinueLoop
    | RequiredBeforeExit
    | RequiresApproval
)
ToolRule = Annotated[AnyRule, Field(discriminator="type")]


def read_rules(value: object) -> tuple[ToolRule, ...]:
    """Read rules as they stand in JSON.

    Raises:
        InvalidValue: naming the rule, by its place from 1, and what is wrong with it.
    """
    try:
        return _adapter().validate_python(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{_place(problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)[:5]
        )
        raise InvalidValue(f"tool_rules cannot be read: {problems}") from None


def write_rules(rules: tuple[ToolRule, ...]) -> list[dict[str, Any]]:
    """The rules as JSON: what read_rules reads; what is not given is left out."""
    return [{"type": r.type, **r.model_dump(mode="json", exclude_unset=True)} for r in rules]


@cache
def _adapter() -> TypeAdapter[tuple[ToolRule, ...]]:
    return TypeAdapter(tuple[ToolRule, ...])


def _place(loc: tuple[int | str, ...]) -> str:
    if not loc:
        return "tool_rules"
    first, *rest = loc
    return ".".join([f"rule {int(first) + 1}", *map(str, rest)])


def _same(result: str, key: str) -> bool:
    """Tell whether a result is what a key says: the same text, truth value or number."""
    result, key = result.strip(), key.strip()
    if result == key:
        return True
    if key in ("true", "false"):
        return result.lower() == key
    for kind in (int, float):
        value = _number(kind, key)
        if value is not None:
            return _number(kind, result) == value
    return False


def _number(kind: type[int] | type[float], text: str) -> float | None:
    try:
        value = kind(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
