"""Why a setting cannot be what it was given, in a person's words instead of pydantic's."""

from collections.abc import Sequence
from typing import Final, get_args

from pydantic_core import ErrorDetails

from agent.rule_kinds import AnyRule

_WORDS: Final = {
    "Input should be a valid tuple": "it should be a list",
    "Input should be a valid string": "it should be a text",
    "Input should": "it should",
    "Value error, ": "",
}
_KINDS: Final = {kind.model_fields["type"].default: kind for kind in get_args(AnyRule)}


def refusal(detail: ErrorDetails) -> str:
    """What a value cannot be, and what it should be."""
    said = detail["msg"]
    for theirs, ours in _WORDS.items():
        said = said.replace(theirs, ours)
    return f"cannot be {str(detail['input'])[:80]!r}: {said}"


def rule_problem(number: int, inside: Sequence[str], detail: ErrorDetails) -> str:
    """What is wrong with a tool rule.

    Args:
        number: of the rule, from 0.
        inside: where in it: its type, then names of fields.
    """
    rule, known = f"setting 'tool_rules.{number}'", f"known: {', '.join(_KINDS)}"
    if detail["type"] == "union_tag_not_found":
        return f"{rule}: a rule needs a type; {known}"
    if detail["type"] == "union_tag_invalid":
        return f"{rule}: a rule's type cannot be {str(detail['input']['type'])[:80]!r}; {known}"
    if not inside:
        return f"{rule} {refusal(detail)}"
    kind, *fields = inside
    field = ".".join(fields)
    if detail["type"] == "extra_forbidden" and len(fields) == 1:
        known = f"known: {', '.join(_KINDS[kind].model_fields)}"
        article = "an" if kind[0] in "aeiou" else "a"
        return f"{rule}: {article} {kind} rule has no field {field[:80]!r}; {known}"
    return f"setting 'tool_rules.{number}.{field[:80]}' {refusal(detail)}"
