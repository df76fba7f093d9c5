import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import ChatMessage, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.parse import read_output
from agent.models.partial import partial_reply

TOOL = ToolSpec("f", "d", {"type": "object", "properties": {"a": {"type": "string"}}})
PROMPT = Prompt((ChatMessage("user", "hi"),), (TOOL,))
CALL = '<tool_call>{"name": "f", "arguments": {"a": "b"}}</tool_call>'


def shown(text: str, prompt: Prompt = PROMPT) -> list[str]:
    """What is shown of each beginning of an output in native style."""
    return [partial_reply(text[:length], prompt, "hermes") for length in range(len(text) + 1)]


def test_a_reply_grows_to_the_whole_text() -> None:
    said = shown("Hello Ada.")
    assert said[0] == ""
    assert said[5] == "Hello"
    assert said[-1] == "Hello Ada."


def test_of_a_call_only_what_stands_before_it_is_shown() -> None:
    assert set(shown(CALL)) == {""}
    said = shown("Let me look. " + CALL)
    assert said[-1] == "Let me look."
    assert not any("<" in text for text in said)


def test_reasoning_is_not_shown() -> None:
    said = shown("<think>Ada? No.</think>\nHello.")
    assert not any("Ada" in text or "<" in text for text in said)
    assert said[-1] == "Hello."


def test_a_sign_that_begins_no_marker_is_shown_when_that_is_clear() -> None:
    assert shown("a < b")[-2:] == ["a <", "a < b"]
    assert partial_reply("a <tool", PROMPT, "hermes") == "a"
    assert partial_reply("a <tools", PROMPT, "hermes") == "a <tools"


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.booleans())
def test_a_message_in_json_style_is_decoded_as_far_as_it_goes(said: str, ascii_only: bool) -> None:
    call = {"name": "send_message", "arguments": {"message": said}}
    output = json.dumps(call, ensure_ascii=ascii_only)
    before = ""
    for length in range(len(output) + 1):
        partial = partial_reply(output[:length], PROMPT, "json")
        assert partial.startswith(before)
        assert said.startswith(partial)
        before = partial
    assert before == said


def test_of_a_call_in_json_style_nothing_is_shown() -> None:
    output = '{"name": "f", "arguments": {"a": "send_message"}}'
    assert {partial_reply(output[:n], PROMPT, "json") for n in range(len(output) + 1)} == {""}


def test_without_tools_json_style_is_plain_text() -> None:
    assert partial_reply("Hello", Prompt(PROMPT.messages), "json") == "Hello"


pieces = st.sampled_from(
    ["Hello", " ", "<", "<tool", "</think>", "<think>", "_call>", "\n", "ok", CALL, "{"]
)


@given(st.lists(pieces, max_size=8).map("".join))
def test_of_a_whole_output_the_reply_that_is_read_from_it_is_shown(text: str) -> None:
    parsed = read_output(text, False, PROMPT, "hermes")
    last = partial_reply(text + "\0", PROMPT, "hermes").replace("\0", "").strip()
    if isinstance(parsed, Reply):
        assert last == parsed.text
    if isinstance(parsed, ToolCalls):
        assert last == parsed.text


@pytest.mark.parametrize("style", ["hermes", "json"])
@given(text=st.text(max_size=60))
def test_nothing_a_model_writes_is_an_error(style: str, text: str) -> None:
    partial_reply(text, PROMPT, "hermes" if style == "hermes" else "json")
    partial_reply('{"name": "send_message", "arguments": {"message": "' + text, PROMPT, "json")
