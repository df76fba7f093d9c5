import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import Malformed, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.parse import read_output
from agent.models.transcript import CallStyle, call_text

TOOL = ToolSpec(
    "note",
    "Note it.",
    {
        "type": "object",
        "properties": {"content": {"type": "string"}, "tags": {"type": "array"}},
        "required": ["content"],
    },
)
ASKED = Prompt((), (TOOL,))
arguments = st.fixed_dictionaries(
    {"content": st.text(st.characters(codec="utf-8"))},
    optional={"tags": st.lists(st.integers() | st.text(st.characters(codec="utf-8")))},
)
plain_texts = st.text(st.characters(codec="utf-8", exclude_characters="<")).map(str.strip)


def written(calls: list[dict[str, Any]], gap: str = "\n") -> str:
    bodies = (call_text("note", call) for call in calls)
    return gap.join(f"<tool_call>{gap}{body}{gap}</tool_call>" for body in bodies)


@settings(deadline=None)  # the machine may be busy
@given(plain_texts, st.lists(arguments, min_size=1, max_size=3), st.sampled_from(["", "\n"]))
def test_calls_come_back_as_they_were_written(
    said: str, calls: list[dict[str, Any]], gap: str
) -> None:
    parsed = read_output(said + written(calls, gap), False, ASKED, "hermes")
    assert isinstance(parsed, ToolCalls)
    assert [dict(call.arguments) for call in parsed.calls] == calls
    assert parsed.text == said
    assert len({call.id for call in parsed.calls}) == len(calls)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(arguments, min_size=1, max_size=2), st.data())
def test_a_call_that_is_cut_is_never_half_a_call(
    calls: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = written(calls)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    parsed = read_output(cut, True, ASKED, "hermes")
    match parsed:
        case Malformed(text, problem):
            assert (text, problem) == (cut, "cut off by the token limit")
        case ToolCalls(kept):
            assert [dict(call.arguments) for call in kept] == calls[: len(kept)]
        case Reply():
            pytest.fail("a cut call was read as a reply")


@settings(deadline=None)  # the machine may be busy
@given(st.text(), st.booleans(), st.sampled_from(["hermes", "json"]))
def test_any_text_is_read_without_an_error(text: str, cut: bool, style: CallStyle) -> None:
    for prefix in ("", "<tool_call>", '{"name": "note", "arguments": '):
        assert read_output(prefix + text, cut, ASKED, style)


@settings(deadline=None)  # the machine may be busy
@given(arguments)
def test_in_json_style_a_call_is_the_whole_output(call: dict[str, Any]) -> None:
    parsed = read_output(call_text("note", call), False, ASKED, "json")
    assert isinstance(parsed, ToolCalls)
    assert dict(parsed.calls[0].arguments) == call


def test_in_json_style_send_message_is_a_reply() -> None:
    output = call_text("send_message", {"message": "Hi Ada."})
    assert read_output(output, False, ASKED, "json") == Reply("Hi Ada.")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"name": "forget", "arguments": {}}', "there is no tool 'forget'; the tools are note"),
        ('{"name": "note", "arguments": {}}', "arguments lacks content"),
        ('{"name": "note", "arguments": {"content": 1}}', "is integer, not string"),
        ('{"name": "note"}', "exactly the members"),
        ('["note"]', "exactly the members"),
        ('{"name": "note", "arguments": {"content": "x", "tags": [NaN]}}', "finite"),
        ('{"name": "note", "arguments": {"content": "x", "tags": [1e999]}}', "finite"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_call_that_is_not_valid_is_malformed_and_says_why(body: str, problem: str) -> None:
    parsed = read_output(f"<tool_call>{body}</tool_call>", False, ASKED, "hermes")
    assert isinstance(parsed, Malformed)
    assert problem in parsed.problem


def test_text_behind_a_call_is_malformed() -> None:
    parsed = read_output(written([{"content": "x"}]) + " and so on", False, ASKED, "hermes")
    assert isinstance(parsed, Malformed)


def test_an_escaped_lone_surrogate_becomes_text_that_can_be_stored() -> None:
    output = '{"name": "note", "arguments": {"content": "a\\ud800b"}}'
    parsed = read_output(output, False, ASKED, "json")
    assert isinstance(parsed, ToolCalls)
    assert parsed.calls[0].arguments == {"content": "a?b"}


@pytest.mark.parametrize("text", ["", "  \n", "<think>hm</think>  "])
def test_saying_nothing_is_malformed(text: str) -> None:
    assert read_output(text, False, ASKED, "hermes") == Malformed(text, "it says nothing")


def test_a_cut_reply_is_malformed_and_keeps_its_text() -> None:
    expected = Malformed("so and so", "cut off by the token limit", "cut")
    assert read_output("so and so", True, Prompt(()), "hermes") == expected


def test_reasoning_is_left_out() -> None:
    assert read_output("<think>\nhm\n</think>\n\nHi.", False, Prompt(()), "hermes") == Reply("Hi.")
    assert read_output("hm\n</think>\n\nHi.", False, Prompt(()), "hermes") == Reply("Hi.")


def test_markers_inside_an_argument_are_text() -> None:
    content = "</tool_call><tool_call></think>"
    parsed = read_output(
        f"<tool_call>{json.dumps({'name': 'note', 'arguments': {'content': content}})}</tool_call>",
        False,
        ASKED,
        "hermes",
    )
    assert isinstance(parsed, ToolCalls)
    assert parsed.calls[0].arguments == {"content": content}
