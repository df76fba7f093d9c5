"""Reading what a model server sends, without a server."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import ChatMessage, Malformed, Parsed, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.chat_api.answer import Answer, AnswerInvalid, AnswerRefused
from agent.models.chat_api.estimate import MAX_UNSEEN_TOKENS, TokenEstimate
from agent.models.chat_api.quirks import OTHER, QUIRKS
from agent.models.chat_api.refusals import Refusal, read_refusal
from agent.models.chat_api.request import chat_request, encoded
from agent.models.chat_api.sse import MAX_LINE_BYTES, LineTooLong, SseDecoder
from agent.models.chat_api.text_calls import read_text, said_so_far
from agent.models.endpoint import read_answer
from memory.records import ToolCall
from tests.agent.models.chat_server import call_delta, delta, sse, usage

TEXT: dict[str, Any] = {"type": "string"}
APPEND = ToolSpec(
    "append",
    "Append.",
    {"type": "object", "properties": {"text": TEXT}, "required": ["text"]},
)
NOTHING = ToolSpec("finish", "Finish.", {"type": "object", "properties": {}})
PROMPT = Prompt((ChatMessage("system", "Be kind."), ChatMessage("user", "Hi")), (APPEND, NOTHING))


def made(parsed: Parsed) -> list[tuple[str, dict[str, Any]]]:
    assert isinstance(parsed, ToolCalls), parsed
    return [(call.name, dict(call.arguments)) for call in parsed.calls]


def assembled(*events: Any) -> Answer:
    answer = Answer()
    for event in events:
        answer.add(event if isinstance(event, str) else json.dumps(event))
    return answer


def decoded(chunks: list[bytes]) -> list[str]:
    decoder = SseDecoder()
    return [data for chunk in chunks for data in decoder.feed(chunk)] + decoder.end()


RECORDED = sse(
    delta("Ich mu"),
    delta("ß nachdenken 🙂\n"),
    call_delta(0, "append", '{"te', "a"),
    call_delta(1, "append", '{"text":', "b"),
    call_delta(0, None, 'xt": "日'),
    call_delta(1, None, ' "two"}'),
    call_delta(0, None, '本"}'),
    delta(finish="tool_calls"),
    usage(120, 30, 100),
    "[DONE]",
).replace(b"data: [DONE]", b": a comment\n\ndata: [DONE]")


@given(st.lists(st.integers(0, len(RECORDED)), max_size=40), st.booleans())
def test_a_stream_means_the_same_however_it_is_cut(cuts: list[int], crlf: bool) -> None:
    recorded = RECORDED.replace(b"\n", b"\r\n") if crlf else RECORDED
    edges = sorted({0, len(recorded), *cuts})
    chunks = [recorded[a:b] for a, b in itertools.pairwise(edges)]
    answer = assembled(*decoded(chunks))
    parsed = read_answer(answer, PROMPT)
    assert made(parsed) == [("append", {"text": "日本"}), ("append", {"text": "two"})]
    assert isinstance(parsed, ToolCalls) and parsed.text == "Ich muß nachdenken 🙂"
    assert answer.ended and answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.cached_tokens) == (120, 100)


def test_a_line_without_end_is_refused_before_it_is_held() -> None:
    decoder = SseDecoder()
    decoder.feed(b"data: " + b"x" * (MAX_LINE_BYTES - 6))
    with pytest.raises(LineTooLong):
        decoder.feed(b"x")
    with pytest.raises(LineTooLong):
        SseDecoder().feed(b"x" * (MAX_LINE_BYTES + 1) + b"\n")


@pytest.mark.parametrize(
    "deltas",
    [
        [call_delta(0, "append", '{"text": "a"}', "1"), call_delta(0, "finish", "", "2")],
        [call_delta(None, "append", '{"text":'), call_delta(None, None, ' "a"}'),
         call_delta(None, "finish", "{}")],
        [delta(tool_calls=[{"function": {"name": "append", "arguments": {"text": "a"}}},
                           {"function": {"name": "finish", "arguments": None}}])],
    ],
    ids=["all numbered 0", "not numbered", "arguments as objects"],
)  # fmt: skip
def test_calls_are_told_apart_however_a_server_numbers_them(deltas: list[Any]) -> None:
    answer = assembled(*deltas, delta(finish="stop"))
    assert made(read_answer(answer, PROMPT)) == [("append", {"text": "a"}), ("finish", {})]


@pytest.mark.parametrize(
    ("arguments", "finish", "problem"),
    [
        ('{"text": "a', "tool_calls", "not JSON"),
        ('{"text": "a', "length", "cut off by the token limit"),
        ('{"text": "a"} and more', "tool_calls", "text after the call"),
        ('{"text": 1}', "tool_calls", "not valid"),
        ('{"other": "a"}', "tool_calls", "not valid"),
        ('{"text": NaN}', "tool_calls", "not JSON"),
        ('"{}"', "tool_calls", "not valid"),
    ],
)
def test_arguments_are_held_to_the_schema(arguments: str, finish: str, problem: str) -> None:
    answer = assembled(call_delta(0, "append", arguments, "a"), delta(finish=finish))
    parsed = read_answer(answer, PROMPT)
    assert isinstance(parsed, Malformed) and problem in parsed.problem


def test_an_unknown_tool_is_malformed_and_the_tools_are_named() -> None:
    answer = assembled(call_delta(0, "rm_rf", "{}", "a"), delta(finish="stop"))
    parsed = read_answer(answer, PROMPT)
    assert isinstance(parsed, Malformed) and "the tools are append, finish" in parsed.problem


def test_a_prompt_s_rules_hold_for_an_endpoint_too() -> None:
    only = Prompt(PROMPT.messages, PROMPT.tools, frozenset({"finish"}), may_reply=False)
    barred = assembled(call_delta(0, "append", '{"text": "a"}'), delta(finish="stop"))
    assert isinstance(read_answer(barred, only), Malformed)
    assert isinstance(read_answer(assembled(delta("Hi", "stop")), only), Malformed)


def test_a_reply_cut_by_the_limit_or_a_filter_is_no_reply() -> None:
    for finish in ("length", "content_filter"):
        assert isinstance(read_answer(assembled(delta("Hi", finish)), PROMPT), Malformed)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "append", "arguments": {"text": "a"}}</tool_call>',
        '<think>hm</think>\n<tool_call>{"name": "append", "arguments": {"text": "a"}}</tool_call>',
        '{"name": "append", "arguments": {"text": "a"}}',
        '{"name": "append", "parameters": {"text": "a"}}',
        '[{"name": "append", "arguments": {"text": "a"}}]',
        '```json\n{"name": "append", "arguments": {"text": "a"}}\n```',
        '<think>hm</think>{"type": "function", "name": "append", "parameters": {"text": "a"}}',
    ],
)
def test_a_call_that_came_as_text_is_a_call(text: str) -> None:
    assert made(read_text(text, False, PROMPT)) == [("append", {"text": "a"})]


@pytest.mark.parametrize(
    "text", ['{"name": "Ada"}', "[1, 2]", "{ is a brace", '{"name": "x", "arguments": {}}']
)
def test_other_json_is_a_reply(text: str) -> None:
    assert read_text(text, False, PROMPT) == Reply(text)


def test_a_bare_call_with_wrong_arguments_is_malformed_and_no_reply() -> None:
    parsed = read_text('{"name": "append", "arguments": {"text": 1}}', False, PROMPT)
    assert isinstance(parsed, Malformed)


@given(st.text(alphabet="ab <>/{}[]think_tool_call`", max_size=60))
def test_what_is_shown_of_an_unfinished_reply_is_in_the_reply(text: str) -> None:
    for end in range(len(text)):
        assert said_so_far(text[:end], True) in text


def test_reasoning_calls_and_half_markers_are_not_shown() -> None:
    assert said_so_far("<think>secret", False) == ""
    assert said_so_far("<think>secret</think>Hello <tool", True) == "Hello"
    assert said_so_far('Hello <tool_call>{"name"', True) == "Hello"
    assert said_so_far('{"name": "app', True) == ""
    assert said_so_far('{"name": "app', False) == '{"name": "app'


@pytest.mark.parametrize("data", ["{", "[]", "7", '{"choices": 7}', "[" * 100_000,
                                  '{"choices": [{"delta": {"tool_calls": [7]}}]}'])  # fmt: skip
def test_an_event_of_another_form_is_refused_in_words(data: str) -> None:
    with pytest.raises(AnswerInvalid, match="sent an event"):
        Answer().add(data)


@pytest.mark.parametrize("counts", [7, {"prompt_tokens": -1}, {"prompt_tokens": "many"}, []])
def test_counts_that_cannot_be_are_left_out(counts: Any) -> None:
    assert assembled({"choices": [], "usage": counts}).usage is None


def test_parts_of_content_are_joined_and_other_choices_left_out() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "image"}, {"type": "text", "text": "lo"}]
    other = {"choices": [{"index": 1, "delta": {"content": "No"}}]}
    assert assembled({"choices": [{"message": {"content": parts}}]}, other).text == "Hello"


def test_an_error_in_a_stream_is_told() -> None:
    for event in ({"error": {"message": "out of memory"}}, {"error": "out of memory"}):
        with pytest.raises(AnswerRefused) as caught:
            assembled(event)
        assert caught.value.refusal.message == "out of memory"
    assert decoded([b'error: "no"\n\ndata: x\n\n']) == ['{"error": "no"}', "x"]


@pytest.mark.parametrize(
    ("body", "window", "prompt"),
    [
        ({"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 5000,
                    "message": "the request exceeds the available context size, try more",
                    "n_ctx": 4096}}, 4096, 5000),
        ({"object": "error", "message": "This model's maximum context length is 2000 tokens."
          " However, you requested 2662 tokens (1662 in the messages, 1000 in the completion)."},
         2000, 1662),
        ({"error": {"code": "context_length_exceeded", "message": "This model's maximum context"
          " length is 8192 tokens. However, your messages resulted in 10000 tokens."}}, 8192,
         10000),
        ({"error": "Trying to keep the first 5000 tokens when context the overflows. However, the"
          " model is loaded with context length of only 4096 tokens"}, 4096, 5000),
        ({"message": "The decoder prompt (length 3000) is longer than the maximum model length of"
          " 2000."}, 2000, 3000),
        ({"detail": "prompt is too long"}, None, None),
    ],
)  # fmt: skip
def test_a_prompt_that_is_too_long_is_understood_with_its_numbers(
    body: Any, window: int | None, prompt: int | None
) -> None:
    refusal = read_refusal(json.dumps(body))
    assert (refusal.too_long, refusal.window_tokens, refusal.prompt_tokens) == (
        True,
        window,
        prompt,
    )


def test_only_messages_of_this_api_are_taken_over_and_fit_a_line() -> None:
    assert read_refusal("<html>internal page</html>") == Refusal()
    assert read_refusal('{"role": "admin", "key": "secret"}') == Refusal()
    assert read_refusal('{"error": {"message": "a\\n\\u001b[1mb"}}').message == "a [1mb"
    assert len(read_refusal(json.dumps({"error": "x" * 10_000})).message) == 300


words = st.text(max_size=300)


@given(words, st.lists(words, max_size=5), st.integers(0, 10_000))
def test_an_estimate_is_never_below_what_was_counted(
    system: str, texts: list[str], counted: int
) -> None:
    messages = [ChatMessage("system", system), *(ChatMessage("user", text) for text in texts)]
    estimate = TokenEstimate()
    before = estimate.prompt(messages, PROMPT.tools)
    estimate.learn(messages, PROMPT.tools, counted)
    after = estimate.prompt(messages, PROMPT.tools)
    assert after >= before
    if counted <= MAX_UNSEEN_TOKENS:
        assert after >= counted


def test_an_estimate_learns_from_long_prompts_for_all_others() -> None:
    estimate = TokenEstimate()
    long = [ChatMessage("user", "word " * 2000)]
    before = estimate.text("hello " * 100)
    estimate.learn(long, (), 6000)
    assert estimate.text("hello " * 100) > before
    estimate.learn(long, (), 10**9)
    assert estimate.prompt(long, ()) < 7000


def test_a_request_says_what_the_server_understands() -> None:
    call = ToolCall("1", "append", {"text": "ä"})
    messages = (
        ChatMessage("system", "S"),
        ChatMessage("user", "one"),
        ChatMessage("system", "later"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "ok", tool_call_id="1"),
    )
    prompt = Prompt(messages, PROMPT.tools, frozenset({"append"}), False, temperature=0.5)
    body = chat_request("m", prompt, 99, QUIRKS["vllm"])
    assert [message["role"] for message in body["messages"]] == [
        "system", "user", "assistant", "tool",
    ]  # fmt: skip
    assert body["messages"][1]["content"] == "one\n\nlater"
    (written,) = body["messages"][2]["tool_calls"]
    assert (body["messages"][2]["content"], written["function"]["arguments"]) == (
        None, '{"text": "ä"}',
    )  # fmt: skip
    assert [tool["function"]["name"] for tool in body["tools"]] == ["append"]
    assert (body["tool_choice"], body["max_tokens"], body["temperature"]) == ("required", 99, 0.5)
    assert body["stream_options"] == {"include_usage": True}
    assert "tool_choice" not in chat_request("m", prompt, 99, QUIRKS["ollama"])
    assert chat_request("m", prompt, 99, QUIRKS["openai"])["max_completion_tokens"] == 99
    assert "model" not in chat_request("", prompt, 99, QUIRKS["llama-server"])
    assert "temperature" not in chat_request("m", PROMPT, 99, OTHER)


def test_lone_surrogates_do_not_stop_a_request() -> None:
    json.loads(encoded(chat_request("m", Prompt((ChatMessage("user", "\ud800"),)), 9, OTHER)))
