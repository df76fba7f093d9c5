"""Every format: whatever its grammar allows is read as an answer that the prompt allows."""

import pytest

from agent.model import Malformed, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.formats.rules import MOST_CALLS
from agent.models.formats.table import FORMATS
from agent.models.parse import read_output
from agent.models.partial import partial_reply
from agent.models.tool_grammar import output_grammar
from agent.models.transcript import CallStyle
from tests.agent.models.grammar_walk import Vocabulary

NOTE = ToolSpec(
    "note",
    "Note it.",
    {
        "type": "object",
        "properties": {
            "content": {"type": "string"},
            "kind": {"enum": ["fact", "wish", 3, None]},
            "title": {"type": "string", "minLength": 1, "maxLength": 4},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
            "weight": {"type": ["integer", "null"], "minimum": 1, "maximum": 20},
            "place": {
                "type": "object",
                "properties": {"x": {"type": "number"}, "named": {"type": "boolean"}},
                "required": ["x"],
            },
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "required": ["content", "weight"],
    },
)
FORGET = ToolSpec("forget", "Forget all.", {"type": "object", "properties": {}})
BARRED = ToolSpec("barred", "Not now.", {"type": "object", "properties": {}})
TOOLS = (NOTE, FORGET, BARRED)
ALLOWED = frozenset({"note", "forget"})
STYLES = list(FORMATS)
VOCABULARIES = {special: Vocabulary.make(special=special) for special in (True, False)}


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "text"])
@pytest.mark.parametrize("style", STYLES)
def test_whatever_a_grammar_allows_is_a_valid_answer(style: CallStyle, special: bool) -> None:
    vocabulary = VOCABULARIES[special]
    prompt = Prompt((), TOOLS, ALLOWED)
    grammar = output_grammar(prompt, style, vocabulary.markers)
    kinds = set()
    for seed in range(25):
        text = vocabulary.walk(grammar, seed)
        if text is None:
            continue
        parsed = read_output(text, False, prompt, style)
        kinds.add(type(parsed))
        if isinstance(parsed, Malformed):
            assert parsed.problem.startswith("it says nothing"), (parsed.problem, text)
        if isinstance(parsed, ToolCalls):
            assert {call.name for call in parsed.calls} <= ALLOWED
            assert len(parsed.calls) <= MOST_CALLS
    assert ToolCalls in kinds
    assert Reply in kinds


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "text"])
@pytest.mark.parametrize("style", STYLES)
def test_where_a_tool_must_be_called_nothing_else_can_be_written(
    style: CallStyle, special: bool
) -> None:
    vocabulary = VOCABULARIES[special]
    prompt = Prompt((), TOOLS, frozenset({"forget"}), may_reply=False)
    grammar = output_grammar(prompt, style, vocabulary.markers)
    parsed = []
    for seed in range(20):
        text = vocabulary.walk(grammar, seed)
        if text is not None:
            parsed.append(read_output(text, False, prompt, style))
    assert parsed
    assert all(isinstance(p, ToolCalls) and p.calls[0].name == "forget" for p in parsed), parsed


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "text"])
@pytest.mark.parametrize("style", STYLES)
def test_where_no_tool_can_be_called_only_text_can_be_written(
    style: CallStyle, special: bool
) -> None:
    vocabulary = VOCABULARIES[special]
    prompt = Prompt((), TOOLS, frozenset())
    grammar = output_grammar(prompt, style, vocabulary.markers)
    for seed in range(20):
        text = vocabulary.walk(grammar, seed)
        if text is not None:
            parsed = read_output(text, False, prompt, style)
            assert isinstance(parsed, Reply) or parsed == Malformed(text, "it says nothing"), text


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "text"])
@pytest.mark.parametrize("style", STYLES)
def test_what_is_shown_of_a_reply_in_the_making_is_in_the_reply(
    style: CallStyle, special: bool
) -> None:
    vocabulary = VOCABULARIES[special]
    prompt = Prompt((), TOOLS, ALLOWED)
    grammar = output_grammar(prompt, style, vocabulary.markers)
    for seed in range(12):
        text = vocabulary.walk(grammar, seed)
        # Reasoning that does not say so at its beginning is shown until it ends.
        if text is None or any(end in text for end in ("</think>", "[/THINK]", "<channel|>")):
            continue
        parsed = read_output(text, False, prompt, style)
        said = "" if isinstance(parsed, Malformed) else parsed.text.strip()
        for length in range(0, len(text), 3):
            shown = partial_reply(text[:length], prompt, style)
            assert said.startswith(shown), (text, shown)
