"""What tool rules forbid, no output can be: the grammar, the parser and a real model."""

from collections.abc import Sequence
from pathlib import Path

import llguidance
import pytest
from hypothesis import given, settings

from agent.model import ChatMessage, Malformed, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.formats.call_format import Markers
from agent.models.llama import LlamaModel, LlamaOptions
from agent.models.parse import read_output
from agent.models.tool_grammar import output_grammar
from agent.models.transcript import CallStyle, call_text
from agent.rule_kinds import ToolRule, read_rules
from agent.tool_rules import Made, Permission, RuleSet
from memory.records import ToolCall
from tests.agent.models.test_llama_answers import PLAIN_CHATML, TOOLS, told
from tests.agent.rule_sets import TOOLS as NAMES
from tests.agent.rule_sets import made, rule_sets

SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
SPECS = tuple(ToolSpec(name, f"Tool {name}.", SCHEMA) for name in NAMES)
BYTES = llguidance.LLTokenizer("byte")


def prompt_of(permission: Permission, tools: tuple[ToolSpec, ...] = SPECS) -> Prompt:
    return Prompt((), tools, permission.allowed, permission.may_reply)


def accepts(prompt: Prompt, style: CallStyle, text: str) -> bool:
    """Whether the grammar lets a model write exactly this text."""
    grammar = llguidance.LLMatcher.grammar_from_lark(output_grammar(prompt, style, Markers()))
    matcher = llguidance.LLMatcher(BYTES, grammar, log_level=0)
    tokens = BYTES.tokenize_str(text)
    consumed: int = matcher.try_consume_tokens(tokens)
    return consumed == len(tokens) and bool(matcher.is_accepting())


def call_of(name: str, style: CallStyle) -> str:
    written = call_text(name, {"x": "1"})
    return written if style == "json" else f"<tool_call>\n{written}\n</tool_call>"


def reply(style: CallStyle) -> str:
    return call_text("send_message", {"message": "Hi."}) if style == "json" else "Hi."


@pytest.mark.parametrize("style", ["hermes", "json"])
@settings(max_examples=60)
@given(rules=rule_sets, made=made)
def test_a_model_can_write_what_is_permitted_and_nothing_else(
    style: CallStyle, rules: Sequence[ToolRule], made: Sequence[Made]
) -> None:
    permission = RuleSet(rules).permission(NAMES, made)
    prompt = prompt_of(permission)
    for name in NAMES:
        text = call_of(name, style)
        parsed = read_output(text, False, prompt, style)
        if name in permission.allowed:
            assert accepts(prompt, style, text)
            assert isinstance(parsed, ToolCalls)
        else:
            assert isinstance(parsed, Malformed)
            # Without any tool that may be called all output is text, which may look like a call.
            assert not accepts(prompt, style, text) or not permission.allowed
    assert accepts(prompt, style, reply(style)) is permission.may_reply
    parsed = read_output(reply(style), False, prompt, style)
    assert isinstance(parsed, Reply if permission.may_reply else Malformed)


@given(rules=rule_sets, made=made)
def test_a_forbidden_call_behind_a_permitted_one_is_malformed(
    rules: Sequence[ToolRule], made: Sequence[Made]
) -> None:
    permission = RuleSet(rules).permission(NAMES, made)
    for one in permission.allowed:
        for other in set(NAMES) - permission.allowed:
            text = f"{call_of(one, 'hermes')}\n{call_of(other, 'hermes')}"
            parsed = read_output(text, False, prompt_of(permission), "hermes")
            assert isinstance(parsed, Malformed)
            assert not accepts(prompt_of(permission), "hermes", text)


def rules_of(*rules: tuple[str, str, dict[str, object]]) -> RuleSet:
    written = [{"type": type, "tool_name": name, **fields} for type, name, fields in rules]
    return RuleSet(read_rules(written))


WORKFLOW = rules_of(
    ("run_first", "conversation_search", {}),
    (
        "constrain_child_tools",
        "conversation_search",
        {"children": ["archival_memory_search", "archival_memory_insert"]},
    ),
    ("max_count_per_step", "archival_memory_search", {"max_count_limit": 1}),
    ("required_before_exit", "archival_memory_insert", {}),
    ("parent_last_tool", "archival_memory_insert", {"children": ["core_memory_append"]}),
)
"""Nothing that the fixture model was trained to do: it wants to append and to answer at once."""


STAGES: tuple[list[str], ...] = (
    [],
    ["conversation_search"],
    ["conversation_search", "archival_memory_search"],
    ["conversation_search", "archival_memory_search", "archival_memory_insert"],
    ["conversation_search", "archival_memory_insert", "core_memory_append"],
)


def after(calls: Sequence[str], text: str) -> Prompt:
    """The prompt after some calls, all of which said "ok"."""
    permission = WORKFLOW.permission([tool.name for tool in TOOLS], [Made(c, "ok") for c in calls])
    messages = list(told(text).messages)
    for name in calls:
        messages.append(ChatMessage("assistant", "", (ToolCall(name, name, {"query": "dog"}),)))
        messages.append(ChatMessage("tool", "ok", tool_call_id=name))
    return Prompt(tuple(messages), TOOLS, permission.allowed, permission.may_reply)


@pytest.mark.parametrize("template", [None, PLAIN_CHATML], ids=["hermes", "json"])
@pytest.mark.parametrize("temperature", [0.0, 3.0])
async def test_a_real_model_keeps_rules_that_it_was_never_trained_for(
    model_path: Path, template: str | None, temperature: float
) -> None:
    options = LlamaOptions(temperature=temperature, seed=7, chat_template=template)
    called = list[str]()
    async with LlamaModel(model_path, threads=1, options=options) as model:
        for calls in STAGES:
            for text in ("My dog is named Quokka.", "What is my dog named?", "Hello"):
                prompt = after(calls, text)
                match (await model.complete(prompt, 150)).parsed:
                    case ToolCalls(made):
                        assert prompt.allowed is not None
                        assert {call.name for call in made} <= prompt.allowed
                        called += [call.name for call in made]
                    case Reply():
                        assert prompt.may_reply
                    case Malformed(problem=problem):
                        assert problem in ("cut off by the token limit", "it says nothing")
    assert called
