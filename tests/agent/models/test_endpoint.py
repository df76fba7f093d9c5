"""Thinking with a model server, over real sockets."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.errors import PromptTooLong, ToolSchemaInvalid
from agent.live_run import Said
from agent.model import ChatMessage, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.chat_api.http import EndpointOptions
from agent.models.endpoint import EndpointModel
from agent.models.spec import Endpoint, parse_spec
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent.harness import block_value, runs_on, turn
from tests.agent.models.chat_server import (
    ChatServer,
    call_delta,
    chat_server,
    delta,
    json_reply,
    says,
    sse_reply,
    texts_of,
    usage,
)

QUICK = EndpointOptions(backoff_s=0)
HELLO = Prompt((ChatMessage("system", "Be kind."), ChatMessage("user", "Hi")))
TEXT: dict[str, Any] = {"type": "string"}
APPEND = ToolSpec(
    "append", "Append.", {"type": "object", "properties": {"text": TEXT}, "required": ["text"]}
)
SHOW = {"parameters": 'stop "x"\nnum_ctx    6000'}


def model_of(
    server: ChatServer, kind: str = "openai", name: str = "m", **more: Any
) -> EndpointModel:
    endpoint = parse_spec(f"{kind}:{name}@{server.url}")
    assert isinstance(endpoint, Endpoint)
    return EndpointModel(endpoint, **{"options": QUICK, **more})


async def test_a_reply_is_streamed_and_its_tokens_are_the_server_s() -> None:
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    reply = sse_reply(
        delta("Hel"),
        delta("lo, ä🙂"),
        delta(finish="stop"),
        usage(40, 5, 30),
        "[DONE]",
        cut_bytes=3,
    )
    async with chat_server(reply) as server, model_of(server) as model:
        completion = await model.complete(HELLO, 100, hear)
    assert completion.parsed == Reply("Hello, ä🙂")
    assert (completion.prompt_tokens, completion.completion_tokens) == (40, 5)
    assert completion.cached_tokens == 30
    assert heard == ["Hel", "Hello, ä🙂"]
    (asked,) = server.completions
    assert asked.json["model"] == "m" and asked.json["stream"] is True


async def test_without_counts_of_the_server_there_are_estimates() -> None:
    async with chat_server(texts_of(["Hello"])) as server, model_of(server) as model:
        completion = await model.complete(HELLO, 100)
    assert completion.prompt_tokens > 0 and completion.completion_tokens > 0


async def test_an_answer_that_is_no_stream_is_taken_too() -> None:
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    async with chat_server(json_reply(whole)) as server, model_of(server) as model:
        assert (await model.complete(HELLO, 100)).parsed == Reply("Hello")


async def test_calls_in_pieces_and_interleaved_are_put_together() -> None:
    reply = sse_reply(
        call_delta(0, "append", '{"te', "a"),
        call_delta(1, "append", '{"text": "tw', "b"),
        call_delta(0, None, 'xt": "on'),
        call_delta(1, None, 'o"}'),
        call_delta(0, None, 'e"}'),
        delta(finish="tool_calls"),
        "[DONE]",
    )
    async with chat_server(reply) as server, model_of(server) as model:
        parsed = (await model.complete(Prompt(HELLO.messages, (APPEND,)), 100)).parsed
    assert isinstance(parsed, ToolCalls)
    assert [call.arguments for call in parsed.calls] == [{"text": "one"}, {"text": "two"}]
    assert len({call.id for call in parsed.calls}) == 2


async def test_a_turn_of_an_agent_changes_its_memory(store: MemoryStore, agent: Agent) -> None:
    arguments = '{"label": "human", "content": "Likes tea."}'
    remembers = sse_reply(
        call_delta(0, "core_memory_append", arguments, "x"), delta(finish="tool_calls"), "[DONE]"
    )
    async with chat_server(remembers, says("Noted.")) as server, model_of(server) as model:
        done = await turn(store, model, "I like tea.")
    assert (done.reply, done.tools_used) == ("Noted.", ("core_memory_append",))
    assert "Likes tea." in block_value(store, agent)
    roles = [message["role"] for message in server.completions[1].json["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize(
    ("kind", "about", "tokens"),
    [
        ("vllm", {"/v1/models": {"data": [{"id": "x", "max_model_len": 1},
                                          {"id": "m", "max_model_len": 5000}]}}, 5000),
        ("llama-server", {"/props": {"default_generation_settings": {"n_ctx": 3000}}}, 3000),
        ("lmstudio", {"/api/v0/models": {"data": [{"id": "m", "loaded_context_length": 7000}]}},
         7000),
        ("ollama", {"/api/ps": {"models": [{"model": "m:latest", "context_length": 4096}]}}, 4096),
        ("ollama", {"/api/ps": {"models": []}, "/api/show": SHOW}, 6000),
        ("openai", {"/v1/models": {"data": [{"id": "m", "context_length": 200_000}]}}, 200_000),
        ("openai", {"/v1/models": {"data": [{"id": "m", "context_length": "many"}]}}, 8192),
        ("openai", {"/v1/models": [7]}, 8192),
        ("vllm", {}, 8192),
    ],
)  # fmt: skip
async def test_the_window_is_what_the_server_says_or_a_small_one(
    kind: str, about: dict[str, Any], tokens: int
) -> None:
    async with chat_server(says("Hi"), **about) as server, model_of(server, kind) as model:
        info = await model.describe()
        asked = len(server.requests)
        assert (await model.describe()).context_tokens == info.context_tokens == tokens
        assert len(server.requests) == asked
    assert info.name == f"{kind}:m@{server.url}"


async def test_ollama_loads_the_model_to_tell_the_window_it_runs_with() -> None:
    loaded: list[dict[str, Any]] = []

    async def load(stream: Any) -> None:
        loaded.append({"model": "m:latest", "context_length": 16_384})
        await json_reply({"done": True})(stream)

    def ps() -> Callable[[Any], Awaitable[None]]:
        async def answer(stream: Any) -> None:
            await json_reply({"models": loaded})(stream)

        return answer

    about: dict[str, Any] = {
        "/api/ps": ps(),
        "/api/show": {"parameters": ""},
        "/api/generate": load,
    }
    async with chat_server(says("Hi"), **about) as server, model_of(server, "ollama") as model:
        looked = await model.look()
        assert looked.tokens == 4096 and "before the model is loaded" in looked.note
        assert loaded == []
        assert (await model.describe()).context_tokens == 16_384


async def test_a_setting_makes_the_window_smaller_never_larger_than_the_server_s() -> None:
    about = {"/v1/models": {"data": [{"id": "m", "max_model_len": 5000}]}}
    async with chat_server(says("Hi"), **about) as server:
        for wanted, tokens in ((2000, 2000), (9000, 5000)):
            async with model_of(server, "vllm", context_tokens=wanted) as model:
                assert (await model.describe()).context_tokens == tokens
    async with chat_server(says("Hi")) as server, model_of(server, context_tokens=9000) as model:
        assert (await model.describe()).context_tokens == 9000


async def test_a_prompt_too_long_is_refused_before_it_is_sent() -> None:
    long = Prompt((ChatMessage("user", "word " * 10_000),))
    async with chat_server(says("Hi")) as server, model_of(server) as model:
        with pytest.raises(PromptTooLong) as caught:
            await model.complete(long, 100)
        assert caught.value.limit_tokens == 8192 - 100 < caught.value.prompt_tokens
        assert server.completions == []


async def test_a_prompt_that_the_server_finds_too_long_is_told_with_its_numbers() -> None:
    refusal = {"error": {"type": "exceed_context_size_error", "message": "the request exceeds the"
               " available context size", "n_prompt_tokens": 5000, "n_ctx": 4096}}  # fmt: skip
    reply = json_reply(refusal, 400)
    async with chat_server(reply, says("Hi")) as server, model_of(server) as model:
        with pytest.raises(PromptTooLong) as caught:
            await model.complete(HELLO, 96)
        assert (caught.value.prompt_tokens, caught.value.limit_tokens) == (5000, 4000)
        assert (await model.describe()).context_tokens == 4096
        assert (await model.complete(HELLO, 96)).parsed == Reply("Hi")


async def test_a_turn_goes_on_with_fewer_messages_when_the_server_counts_more(
    store: MemoryStore, agent: Agent
) -> None:
    refusal = json_reply({"error": "the context length is exceeded"}, 400)
    summary = says("We counted.")
    replies = (says("One."), says("Two."), says("Three."), refusal, summary, says("Four."))
    async with chat_server(*replies) as server, model_of(server) as model:
        runs = runs_on(store, model)
        for text in ("first", "second", "third", "fourth"):
            done = await runs.message(Said("ada", text, "person:test"))
    assert done.reply == "Four."
    refused, _, answered = (request.json["messages"] for request in server.completions[-3:])
    assert len(answered) < len(refused) and answered[-1] == refused[-1]
    assert "We counted." in answered[0]["content"]


async def test_what_the_server_counts_makes_later_estimates_larger() -> None:
    long = Prompt((ChatMessage("user", "word " * 1000),))
    reply = sse_reply(delta("Hi", "stop"), usage(4000, 1), "[DONE]")
    async with chat_server(reply) as server, model_of(server) as model:
        before = await model.measure("", (), ["some text " * 20])
        await model.complete(long, 100)
        after = await model.measure("", (), ["some text " * 20])
    assert after.text_tokens[0] > before.text_tokens[0]


async def test_a_llama_server_s_own_tokenizer_is_used() -> None:
    async def tokenize(stream: Any) -> None:
        content = server.requests[-1].json["content"]
        await json_reply({"tokens": list(range(len(content)))})(stream)

    async def template(stream: Any) -> None:
        messages = server.requests[-1].json["messages"]
        text = "".join(f"<{message['content']}>" for message in messages)
        await json_reply({"prompt": text})(stream)

    about: dict[str, Any] = {"/tokenize": tokenize, "/apply-template": template}
    async with (
        chat_server(says("Hi"), **about) as server,
        model_of(server, "llama-server") as model,
    ):
        counted = await model.measure("abc", (), ["12345", ""])
        assert (counted.head_tokens, counted.text_tokens) == (len("<abc><>"), (5, 0))
        assert counted.message_tokens >= 2
        assert (await model.complete(HELLO, 10)).parsed == Reply("Hi")


async def test_a_llama_server_that_does_not_count_is_estimated() -> None:
    async with chat_server(says("Hi")) as server, model_of(server, "llama-server", "") as model:
        assert (await model.measure("abc", (APPEND,), ["12345"])).text_tokens[0] > 0
        assert (await model.complete(HELLO, 10)).parsed == Reply("Hi")
    assert sum(request.path == "/apply-template" for request in server.requests) == 1


async def test_a_tool_whose_schema_is_wrong_is_named_and_nothing_is_sent() -> None:
    odd = ToolSpec("odd", "Odd.", {"type": "object", "properties": {"a": {"type": "strng"}}})
    async with chat_server(says("Hi")) as server, model_of(server) as model:
        with pytest.raises(ToolSchemaInvalid, match="strng"):
            await model.complete(Prompt(HELLO.messages, (odd,)), 20)
    assert server.requests == []
