"""Servers that break, refuse, fall silent or lie: an error in words, and nothing leaks."""

from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from agent.errors import EndpointFailed, EndpointUnreachable, ModelError
from agent.model import Reply
from agent.models.chat_api.http import MAX_BODY_BYTES, EndpointOptions
from agent.models.chat_api.sse import MAX_LINE_BYTES
from agent.models.endpoint import EndpointModel
from agent.models.spec import Endpoint
from tests.agent.models.chat_server import (
    STREAM_HEAD,
    ChatServer,
    body_reply,
    chat_server,
    chunked,
    delta,
    head,
    json_reply,
    says,
    sse,
    sse_reply,
)
from tests.agent.models.test_endpoint import HELLO, QUICK, model_of

KEY = "sk-secret-0123456789"


async def failure(server: ChatServer, model: EndpointModel) -> str:
    with pytest.raises(ModelError) as caught:
        await model.complete(HELLO, 100)
    assert KEY not in str(caught.value)
    return str(caught.value)


async def test_a_server_that_fails_for_a_moment_is_asked_again() -> None:
    busy = json_reply({"error": {"message": "slow down"}}, 429, "Retry-After: 0")
    past = "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"
    broken = json_reply({"error": {"message": "oops"}}, 500, past)

    async def hangs_up(stream: SocketStream) -> None:
        await stream.aclose()

    async with chat_server(busy, broken, hangs_up, says("Hi")) as server, model_of(server) as model:
        assert (await model.complete(HELLO, 100)).parsed == Reply("Hi")
    assert len(server.completions) == 4


async def test_a_server_that_fails_on_and_on_is_given_up_with_its_message() -> None:
    async with (
        chat_server(json_reply({"error": {"message": "no memory"}}, 503)) as server,
        model_of(server) as model,
    ):
        message = await failure(server, model)
    assert "answered 503: no memory; nothing of this step was stored" in message
    assert len(server.completions) == QUICK.tries


async def test_a_server_that_wants_more_patience_than_we_have_is_given_up_at_once() -> None:
    async with (
        chat_server(json_reply({}, 429, "Retry-After: 86400")) as server,
        model_of(server) as model,
    ):
        assert "answered 429" in await failure(server, model)
    assert len(server.completions) == 1


@pytest.mark.parametrize(
    ("status", "told"), [(400, "bad"), (404, "bad"), (401, "MNEMON_MODEL_KEY")]
)
async def test_a_refusal_is_final_and_told(status: int, told: str) -> None:
    async with (
        chat_server(json_reply({"error": {"message": "bad"}}, status)) as server,
        model_of(server) as model,
    ):
        assert told in await failure(server, model)
    assert len(server.completions) == 1


async def test_an_answer_that_breaks_off_is_an_error_and_not_asked_for_again() -> None:
    cut = sse_reply(delta("Hel"), end=b"")
    ended = sse_reply(delta("Hel"))
    for reply, told in ((cut, "broke the connection"), (ended, "in the middle of an answer")):
        async with chat_server(reply) as server, model_of(server) as model:
            assert told in await failure(server, model)
        assert len(server.completions) == 1


async def test_a_connection_that_breaks_after_the_answer_does_no_harm() -> None:
    async with (
        chat_server(sse_reply(delta("Hi", "stop"), end=b"")) as server,
        model_of(server) as model,
    ):
        assert (await model.complete(HELLO, 100)).parsed == Reply("Hi")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (sse_reply("{broken"), "not JSON"),
        (sse_reply({"choices": 7}), "another form"),
        (sse_reply({"error": {"message": "out of memory"}}), "broke off: out of memory"),
        (body_reply(b"<html>hello</html>"), "not JSON"),
        (body_reply(b"zip", 200, "text/event-stream", "Content-Encoding: gzip"), "compresses"),
        (body_reply(b"<html>secret of another server</html>", 404), "answered 404; nothing"),
    ],
)
async def test_what_is_no_answer_is_an_error_in_words(reply: Any, told: str) -> None:
    async with chat_server(reply) as server, model_of(server) as model:
        message = await failure(server, model)
    assert told in message and "secret" not in message


async def test_huge_answers_are_refused_and_not_held() -> None:
    async def endless_line(stream: SocketStream) -> None:
        await stream.send(STREAM_HEAD)
        while True:
            await stream.send(chunked(b"x" * 65_536))

    async def huge_body(stream: SocketStream) -> None:
        size = MAX_BODY_BYTES * 10
        await stream.send(head(200, "application/json", f"Content-Length: {size}"))
        for _ in range(size // 65_536):
            await stream.send(b" " * 65_536)

    async def huge_refusal(stream: SocketStream) -> None:
        await stream.send(head(400, "application/json", "Content-Length: 1000000000"))
        while True:
            await stream.send(b" " * 65_536)

    for reply, told in ((endless_line, str(MAX_LINE_BYTES)), (huge_body, str(MAX_BODY_BYTES)),
                        (huge_refusal, "answered 400")):  # fmt: skip
        async with chat_server(reply) as server, model_of(server) as model:
            assert told in await failure(server, model)


async def silence(stream: SocketStream) -> None:
    await stream.receive()  # until the client hangs up


async def test_a_server_that_says_nothing_has_a_deadline() -> None:
    options = EndpointOptions(first_byte_s=0.05, backoff_s=0)
    async with chat_server(silence) as server, model_of(server, options=options) as model:
        with pytest.raises(EndpointUnreachable, match=r"did not answer within 0\.05 s"):
            await model.complete(HELLO, 100)
    assert len(server.completions) == 1


async def test_a_server_that_falls_silent_has_a_deadline_which_comments_do_not_move() -> None:
    async def murmurs(stream: SocketStream) -> None:
        await stream.send(STREAM_HEAD + chunked(sse(delta("Hel"))))
        while True:
            await stream.send(chunked(b": still here\n\n"))
            await anyio.sleep(0.001)

    options = EndpointOptions(silence_s=0.05)
    async with chat_server(murmurs) as server, model_of(server, options=options) as model:
        with pytest.raises(EndpointFailed, match="fell silent in the middle"):
            await model.complete(HELLO, 100)


@pytest.mark.parametrize("begun", [False, True])
async def test_cancelling_closes_the_connection_which_the_server_notices(begun: bool) -> None:
    writing, gone = anyio.Event(), anyio.Event()

    async def write_on(stream: SocketStream) -> None:
        if begun:
            await stream.send(STREAM_HEAD + chunked(sse(delta("Hel"))))
        writing.set()
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        gone.set()

    async with chat_server(write_on) as server, model_of(server) as model:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(model.complete, HELLO, 100)
                await writing.wait()
                tasks.cancel_scope.cancel()
            await gone.wait()
        server.replies = [says("Hi")]
        assert (await model.complete(HELLO, 100)).parsed == Reply("Hi")


async def test_a_connection_serves_one_request_after_another() -> None:
    async with chat_server(says("Hi")) as server, model_of(server) as model:
        for _ in range(3):
            await model.complete(HELLO, 100)
    assert len(server.completions) == 3
    assert server.connections == 1


async def test_the_key_goes_to_the_server_and_nowhere_else() -> None:
    async with chat_server(says("Stolen")) as other:
        away = body_reply(b"", 307, "text/html", f"Location: {other.url}/chat/completions?a=b")
        async with chat_server(away) as server, model_of(server, key=KEY) as model:
            message = await failure(server, model)
    assert f"redirects to {other.url}/chat/completions, which is not followed" in message
    assert other.requests == []
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("filler", ["", "x" * 290])
async def test_a_server_that_repeats_the_key_is_not_repeated(filler: str) -> None:
    said = {"error": {"message": f"{filler} wrong key {KEY}"}}
    for reply in (json_reply(said, 401), sse_reply(said)):
        async with chat_server(reply) as server, model_of(server, key=KEY) as model:
            message = await failure(server, model)
            assert "sk-" not in message


async def test_without_a_server_the_error_says_what_to_start() -> None:
    async with chat_server(says("Hi")) as server:
        url = server.url
    model = EndpointModel(Endpoint("ollama", "qwen3", url), options=QUICK)
    async with model:
        with pytest.raises(
            EndpointUnreachable, match="cannot be reached; start it with `ollama serve`"
        ):
            await model.describe()


async def test_looking_at_a_model_says_whether_it_is_there() -> None:
    about = {"/v1/models": {"data": [{"id": "m", "max_model_len": 5000}]}}
    async with chat_server(says("Hi"), **about) as server:
        async with model_of(server, "vllm") as model:
            assert (await model.look()).tokens == 5000
        async with model_of(server, "vllm", "other") as model:
            with pytest.raises(EndpointFailed, match="does not have it; it has m"):
                await model.look()
    async with (
        chat_server(**{"/v1/models": json_reply({}, 401)}) as server,
        model_of(server, "vllm") as model,
    ):
        with pytest.raises(EndpointFailed, match="401"):
            await model.look()
