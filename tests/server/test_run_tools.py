"""Runs as hosts see them: listed, shown, stopped, decided, asked about, told of as they go on."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from mcp import Client

from server.app import open_app
from server.config import Settings
from tests.agent.models.chat_server import (
    STREAM_HEAD,
    ChatServer,
    Reply,
    call_delta,
    chat_server,
    chunked,
    delta,
    json_reply,
    says,
    sse,
    sse_reply,
)
from tests.server.test_approvals import Person, text_of
from tests.server.test_lifecycle import Host

ABOUT = {"/v1/models": {"data": [{"id": "m", "context_length": 32_000}]}}
ASKS: dict[str, Any] = {
    "tool_rules": [{"type": "requires_approval", "tool_name": "core_memory_append"}]
}


def remembers(*texts: str) -> Reply:
    """An answer with a call for each text."""
    deltas = [
        call_delta(n, "core_memory_append", f'{{"label": "human", "content": "{text}"}}', f"c{n}")
        for n, text in enumerate(texts)
    ]
    return sse_reply(*deltas, delta(finish="tool_calls"), "[DONE]")


class Held:
    """An answer that stops in the middle until it is let go."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces
        self.begun, self.free = anyio.Event(), anyio.Event()

    async def __call__(self, stream: SocketStream) -> None:
        await stream.send(STREAM_HEAD)
        for piece in self._pieces:
            await stream.send(chunked(sse(delta(piece))))
        self.begun.set()
        await self.free.wait()
        await stream.send(chunked(sse(delta(" Bye."), delta(finish="stop"), "[DONE]")))
        await stream.send(b"0\r\n\r\n")


@asynccontextmanager
async def thinking(
    *replies: Reply, era: Any = "auto", person: Person | None = None, **settings: Any
) -> AsyncIterator[tuple[Host, ChatServer]]:
    """A host whose agent Sam thinks with a server that says these things."""
    with anyio.fail_after(60):
        async with chat_server(*replies, **ABOUT) as models:
            model = f"openai:m@{models.url}"
            given = Settings(data=":memory:", embedder="none", toolset="full", model=model)
            async with (
                open_app(given) as app,
                Client(app.server(), mode=era, elicitation_callback=person) as client,
            ):
                host = Host(client, app)
                await host.call("agent_create", name="Sam", settings=settings)
                yield host, models


async def human(host: Host) -> str:
    shown = await host.call("agent_get", agent_id="Sam")
    return next(str(b["value"]) for b in shown["blocks"] if b["label"] == "human")


async def wait_for(host: Host, run: dict[str, Any]) -> dict[str, Any]:
    found = await host.call("run_get", run_id=run["run_id"], wait_s=30)
    return dict(found["run"])


# Found


async def test_a_message_returns_its_run_which_is_found_again_with_its_steps() -> None:
    async with thinking(remembers("Tea."), says("Noted.")) as (host, models):
        sent = await host.call("agent_message", agent_id="Sam", message="I like tea.")
        assert (sent["reply"], sent["status"], sent["steps"]) == ("Noted.", "completed", 2)
        found = await host.call("run_get", run_id=sent["run_id"], prompt_of_step=2)
        assert found["run"] == sent
        assert [step["outcome"] for step in found["steps"]] == ["core_memory_append", "reply"]
        assert "I like tea." in found["prompt"]
        said = text_of(await host.client.call_tool("run_get", {"run_id": sent["run_id"]}))
        assert said.startswith("Noted.\nStep 1: core_memory_append (")
        told = await host.refused("run_get", run_id=sent["run_id"], prompt_of_step=3)
        assert told == "the prompt of step 3 is not kept; prompts are for 7 days"
        assert "run-none" in await host.refused("run_get", run_id="run-none")
        assert len(models.completions) == 2


@pytest.mark.parametrize("text", ["word " * 4_000, "\u65e5\u672c" * 5_000])
async def test_a_long_run_is_shown_within_the_bound_of_replies(text: str) -> None:
    asked = [remembers(text) for _ in range(30)]
    async with thinking(*asked, says(text), max_steps=40) as (host, _):
        sent = await host.call("agent_message", agent_id="Sam", message=text)
        for of_step in (None, 1):
            given = {"run_id": sent["run_id"], "prompt_of_step": of_step}
            result = await host.client.call_tool("run_get", given)
            dumped = result.model_dump(mode="json", by_alias=True, exclude_none=True)
            assert len(json.dumps(dumped, ensure_ascii=False).encode()) <= 16_000
            found = result.structured_content
            assert found is not None
            assert found["steps"][-1]["number"] == sent["steps"]


async def test_runs_are_listed_newest_first_with_what_is_in_work() -> None:
    held = Held("Hm")
    async with thinking(says("1"), held) as (host, _):
        await host.call("agent_message", agent_id="Sam", message="a")
        for text in ("b", "c"):
            await host.call("agent_message", agent_id="Sam", message=text, background=True)
        await held.begun.wait()
        found = (await host.call("run_list", agent_id="Sam"))["runs"]
        assert [run["message"] for run in found] == ["c", "b", "a"]
        assert [run["status"] for run in found] == ["queued", "running", "completed"]
        page = await host.call("run_list", agent_id="Sam", limit=2)
        rest = await host.call("run_list", agent_id="Sam", cursor=page["next_cursor"])
        assert [*page["runs"], *rest["runs"]] == found
        assert (await host.call("run_list", open=True))["runs"] == found[:2]
        assert (await host.call("agent_get", agent_id="Sam"))["runs_in_work"] == 2
        assert host.app.count_runs() == {"in_work": 2, "waiting": 0}
        assert await host.refused("run_list") == (
            "name an agent_id, or say open for those of all agents"
        )
        assert "is no cursor" in await host.refused("run_list", agent_id="Sam", cursor="x")
        held.free.set()


async def test_in_the_background_a_message_returns_at_once_with_its_place() -> None:
    held = Held("Hm")
    async with thinking(held, says("2")) as (host, _):
        runs = [
            await host.call("agent_message", agent_id="Sam", message=text, background=True)
            for text in ("a", "b")
        ]
        await held.begun.wait()
        assert [run["status"] for run in runs] == ["queued", "queued"]
        said = await host.client.call_tool("run_get", {"run_id": runs[1]["run_id"]})
        assert text_of(said).startswith(
            f"Run {runs[1]['run_id']} is queued; 1 of the agent's runs come before it."
        )
        first = (await host.call("run_get", run_id=runs[0]["run_id"]))["run"]
        assert (first["status"], first["text"]) == ("running", "Hm")
        held.free.set()
        assert (await wait_for(host, runs[0]))["reply"] == "Hm Bye."
        assert (await wait_for(host, runs[1]))["reply"] == "2"


async def test_the_same_key_is_the_same_run() -> None:
    held = Held("Hm")
    message = {"agent_id": "Sam", "message": "Hi", "idempotency_key": "k"}
    async with thinking(held, says("2")) as (host, models):
        first = await host.call("agent_message", **message, background=True)
        await held.begun.wait()
        again = await host.call("agent_message", **message, background=True)
        assert again["run_id"] == first["run_id"]
        held.free.set()
        joined = await host.call("agent_message", **message)
        assert (joined["run_id"], joined["reply"]) == (first["run_id"], "Hm Bye.")
        assert "belongs to an earlier call" in await host.refused(
            "agent_message", **{**message, "message": "Ho"}
        )
        assert len(models.completions) == 1


# Stopped


async def test_a_run_is_stopped_while_its_model_writes() -> None:
    held = Held("Hm")
    async with thinking(held, says("There.")) as (host, _):
        run = await host.call("agent_message", agent_id="Sam", message="a", background=True)
        await held.begun.wait()
        stopped = await host.call("run_cancel", run_id=run["run_id"])
        assert (stopped["status"], stopped["stop_reason"]) == ("cancelled", "cancelled")
        assert await host.call("run_cancel", run_id=run["run_id"]) == stopped
        assert (await host.call("agent_get", agent_id="Sam"))["messages"] == 0
        again = await host.call("agent_message", agent_id="Sam", message="b")
        assert again["reply"] == "There."


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_host_that_gives_up_stops_its_run(era: str) -> None:
    held = Held("Hm")
    async with thinking(held, says("There."), era=era) as (host, _):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                message = {"agent_id": "Sam", "message": "a"}
                tasks.start_soon(host.client.call_tool, "agent_message", message)
                await held.begun.wait()
                scope.cancel()
        again = await host.call("agent_message", agent_id="Sam", message="b")
        assert again["reply"] == "There."
        assert [r["status"] for r in (await host.call("run_list", agent_id="Sam"))["runs"]] == [
            "completed",
            "cancelled",
        ]


async def test_messages_are_not_forgotten_while_the_agent_thinks() -> None:
    held = Held("Hm")
    async with thinking(held) as (host, _):
        run = await host.call("agent_message", agent_id="Sam", message="a", background=True)
        await held.begun.wait()
        told = await host.refused("agent_reset_messages", agent_id="Sam")
        assert told == (
            f"agent 'Sam' has a run in progress ({run['run_id']}); let it end, or cancel it with"
            " run_cancel, then reset the messages"
        )
        await host.agreed("agent_delete", agent_id="Sam")
        held.free.set()


# Told of


async def test_a_host_is_told_what_is_written_and_not_of_every_letter() -> None:
    held = Held(*("word " for _ in range(400)))
    told = list[tuple[float, str | None]]()
    async with thinking(held) as (host, _):

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, message))
            if message is not None and message.startswith("writing: "):
                held.free.set()

        message = {"agent_id": "Sam", "message": "Hi"}
        await host.client.call_tool("agent_message", message, progress_callback=hear)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[0][1] == "step 1"
    writing = [text for _, text in told if text is not None and text.startswith("writing: ")]
    assert writing and len(told) < 100
    assert all(len(text) <= len("writing: …") + 200 for text in writing)


# What goes wrong


async def test_a_model_that_fails_leaves_a_run_that_says_why() -> None:
    broke = json_reply({"error": {"message": "no funds"}}, 402)
    async with thinking(broke) as (host, _):
        told = await host.refused("agent_message", agent_id="Sam", message="Hi")
        (run,) = (await host.call("run_list", agent_id="Sam"))["runs"]
        found = (await host.call("run_get", run_id=run["run_id"]))["run"]
    assert (found["status"], found["stop_reason"]) == ("failed", "insufficient_credits")
    assert found["error"] == told


# Settings that runs follow


async def test_rules_and_tools_are_checked_when_they_are_set() -> None:
    async with thinking(says("Hi")) as (host, _):
        rule = {"type": "exit_loop", "tool_name": "memory_finish_edits"}
        change = {"agent_id": "Sam", "settings": {"tool_rules": [rule]}}
        told = await host.refused("agent_update", **change)
        assert told.startswith(
            "the tool rule exit_loop of 'memory_finish_edits' names 'memory_finish_edits', which"
            " the agent does not have; its tools are core_memory_append, "
        )
        told = await host.refused("agent_create", name="Tom", settings=change["settings"])
        assert "which the agent does not have" in told
        unknown = {"tools": ["memory_forget"]}
        told = await host.refused("agent_update", agent_id="Sam", settings=unknown)
        assert told.startswith("there is no tool 'memory_forget' for agents; there are core_")
        both = {"tools": ["memory_finish_edits"], "tool_rules": [rule]}
        await host.call("agent_update", agent_id="Sam", settings=both)
        told = await host.refused("agent_update", agent_id="Sam", settings={"tools": None})
        assert "which the agent does not have" in told
        first = {"type": "run_first", "tool_name": "core_memory_append", "args": {"mood": 1}}
        settings = {"tools": None, "tool_rules": [first]}
        told = await host.refused("agent_update", agent_id="Sam", settings=settings)
        assert "gives 'mood' to 'core_memory_append', which takes label, content" in told
        await host.call("agent_update", agent_id="Sam", settings={"tools": None, "tool_rules": []})
