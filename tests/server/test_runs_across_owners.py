"""Runs when their process is killed: gone on with, asked about again, decided in the next."""

from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tests.agent.models.chat_server import says
from tests.server.conftest import Models
from tests.server.processes import INITIALIZED, RawServer, front_process, kill_owner
from tests.server.test_questions_across_owners import CAN_ASK, YES, question
from tests.server.test_run_tools import ASKS, Held, remembers


class Host:
    """A host on raw pipes, which blocks a thread and not the model server."""

    def __init__(self, raw: RawServer) -> None:
        self._raw, self._last = raw, 0

    async def begin(self, can_ask: bool = False) -> None:
        if can_ask:
            self._raw.send(CAN_ASK, INITIALIZED)
            await anyio.to_thread.run_sync(self._raw.receive_answer, 0)
        else:
            await anyio.to_thread.run_sync(self._raw.shake_hands)

    def send(self, tool: str, **arguments: Any) -> int:
        self._last += 1
        self._raw.call(self._last, tool, arguments)
        return self._last

    async def answer(self, id_: int) -> dict[str, Any]:
        result = (await anyio.to_thread.run_sync(self._raw.receive_answer, id_))["result"]
        assert not result["isError"], result["content"]
        return dict(result["structuredContent"])

    async def answers(self, *ids: int) -> dict[int, dict[str, Any]]:
        found = dict[int, dict[str, Any]]()
        while found.keys() != set(ids):
            message = await anyio.to_thread.run_sync(self._raw.receive)
            if message.get("id") in ids:
                found[message["id"]] = dict(message["result"]["structuredContent"])
        return found

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return await self.answer(self.send(tool, **arguments))

    async def question(self) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(question, self._raw)

    def agree(self, asked: dict[str, Any]) -> None:
        self._raw.send({"jsonrpc": "2.0", "id": asked["id"], "result": YES})


async def human(host: Host) -> str:
    shown = await host.call("agent_get", agent_id="Sam")
    return next(str(b["value"]) for b in shown["blocks"] if b["label"] == "human")


async def test_a_run_whose_process_dies_in_the_middle_goes_on_after_its_last_step(
    mnemon: str, tmp_path: Path, models: Models
) -> None:
    held = Held("Hm")
    server = models(remembers("Tea."), held, says("Noted."))
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin()
        await host.call("agent_create", name="Sam")
        sent = host.send("agent_message", agent_id="Sam", message="I like tea.")
        await held.begun.wait()
        kill_owner(tmp_path)
        done = await host.answer(sent)
        assert (done["reply"], done["steps"], done["status"]) == ("Noted.", 2, "completed")
        assert await human(host) == "Tea."
        (run,) = (await host.call("run_list", agent_id="Sam"))["runs"]
        assert run["run_id"] == done["run_id"]
    assert len(server.completions) == 3


async def test_what_an_owner_that_is_stopped_did_not_answer_the_next_one_does(
    mnemon: str, tmp_path: Path, models: Models
) -> None:
    held = Held("Hm")
    server = models(held, says("One."), says("Two."))
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin()
        await host.call("agent_create", name="Sam")
        first = host.send("agent_message", agent_id="Sam", message="a")
        await held.begun.wait()
        second = host.send("agent_message", agent_id="Sam", message="b")
        while len((await host.call("run_list", open=True))["runs"]) < 2:
            pass
        await anyio.run_process([mnemon, "stop", "--data", str(tmp_path)])
        replies = await host.answers(first, second)  # whichever the next owner takes up first
        assert sorted(reply["reply"] for reply in replies.values()) == ["One.", "Two."]
        runs = (await host.call("run_list", agent_id="Sam"))["runs"]
        assert {(run["message"], run["status"]) for run in runs} == {
            ("a", "completed"),
            ("b", "completed"),
        }
    assert len(server.completions) == 3


async def test_a_run_in_the_background_goes_on_in_the_next_process(
    mnemon: str, tmp_path: Path, models: Models
) -> None:
    held = Held("Hm")
    models(held, says("Noted."))
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin()
        await host.call("agent_create", name="Sam")
        message = {"agent_id": "Sam", "message": "Hi", "idempotency_key": "k"}
        run = await host.call("agent_message", **message, background=True)
        await held.begun.wait()
        kill_owner(tmp_path)
        found = await host.call("run_get", run_id=run["run_id"], wait_s=60)
        assert found["run"]["reply"] == "Noted."
        again = await host.call("agent_message", **message, background=True)
        assert again["run_id"] == run["run_id"]
        assert again["status"] == "completed"


async def test_a_run_that_nobody_asks_for_again_is_told_as_interrupted(
    mnemon: str, tmp_path: Path, models: Models
) -> None:
    held = Held("Hm")
    models(remembers("Tea."), held)
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin()
        await host.call("agent_create", name="Sam")
        host.send("agent_message", agent_id="Sam", message="I like tea.")
        await held.begun.wait()
        raw.process.kill()  # the host's front and the owner at once, as when a machine stops
        kill_owner(tmp_path)
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin()
        (run,) = (await host.call("run_list", agent_id="Sam"))["runs"]
        found = (await host.call("run_get", run_id=run["run_id"]))["run"]
        assert (found["status"], found["stop_reason"], found["steps"]) == ("failed", "error", 1)
        assert "was interrupted: mnemon ended" in found["error"]


async def test_a_wait_outlives_its_process_and_is_decided_in_the_next(
    mnemon: str, tmp_path: Path, models: Models
) -> None:
    models(remembers("Tea."), says("Noted."))
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin()
        await host.call("agent_create", name="Sam", settings=ASKS)
        sent = await host.call("agent_message", agent_id="Sam", message="I like tea.")
        assert sent["status"] == "waiting"
        kill_owner(tmp_path)
        found = (await host.call("run_get", run_id=sent["run_id"]))["run"]
        assert found == sent
        shown = await host.call("agent_get", agent_id="Sam")
        assert shown["waiting"]["run_id"] == sent["run_id"]
        done = await host.call("run_approve", run_id=sent["run_id"], approve=True)
        assert done["reply"] == "Noted."
        assert await human(host) == "Tea."


async def test_a_decision_whose_process_dies_has_been_made(
    mnemon: str, tmp_path: Path, models: Models
) -> None:
    held = Held("Hm")
    server = models(remembers("Tea."), held, says("Noted."))
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin()
        await host.call("agent_create", name="Sam", settings=ASKS)
        run = await host.call("agent_message", agent_id="Sam", message="I like tea.")
        sent = host.send("run_approve", run_id=run["run_id"], approve=True)
        await held.begun.wait()
        kill_owner(tmp_path)
        assert (await host.answer(sent))["reply"] == "Noted."
        assert await human(host) == "Tea."
    assert len(server.completions) == 3


async def test_a_person_who_was_asked_is_asked_again_about_the_same_run(
    mnemon: str, tmp_path: Path, models: Models
) -> None:
    server = models(remembers("Tea."), says("Noted."))
    with front_process(mnemon, tmp_path, 90) as raw:
        host = Host(raw)
        await host.begin(can_ask=True)
        await host.call("agent_create", name="Sam", settings=ASKS)
        sent = host.send("agent_message", agent_id="Sam", message="I like tea.")
        first = await host.question()
        kill_owner(tmp_path)
        again = await host.question()
        assert again["params"]["message"] == first["params"]["message"]
        host.agree(first)  # too late: nobody waits for this one
        host.agree(again)
        assert (await host.answer(sent))["reply"] == "Noted."
        assert await human(host) == "Tea."
        assert len((await host.call("run_list", agent_id="Sam"))["runs"]) == 1
    assert len(server.completions) == 2
