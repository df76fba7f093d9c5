"""Runs at the command line: listed, shown, stopped, approved, and asked about in a conversation."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import anyio.to_thread
import pytest

from tests.agent.models.chat_server import says
from tests.server.conftest import Models
from tests.server.processes import DEADLINE_S, Run
from tests.server.test_run_tools import ASKS, Held, remembers

ASKING = f"tool_rules={json.dumps(ASKS['tool_rules'])}"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *command: str) -> None:
        self._fd, child = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=child, stdout=child, stderr=child, start_new_session=True
        )
        os.close(child)
        self._timer = Timer(DEADLINE_S, self.process.kill)
        self._timer.start()
        self.shown = b""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode() + b"\n")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    async def until(self, text: str) -> str:
        """What is shown up to a text, from the end of the last one on."""
        return await anyio.to_thread.run_sync(self._until, text.encode())

    def _until(self, text: bytes) -> str:
        while text not in self.shown:
            self.shown += os.read(self._fd, 1_000)
        before, _, self.shown = self.shown.partition(text)
        return before.decode()

    async def ended(self) -> int:
        return await anyio.to_thread.run_sync(self.process.wait)

    def close(self) -> None:
        self._timer.cancel()
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            os.close(self._fd)


@pytest.fixture
def terminals(mnemon: str, tmp_path: Path) -> Iterator[Any]:
    opened = list[Terminal]()

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal(mnemon, *arguments, "--data", str(tmp_path / "data")))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


class Commands:
    """Commands beside the model server of the test, which needs this thread."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        run = partial(self._run, *arguments, stdin=subprocess.DEVNULL)
        return await anyio.to_thread.run_sync(run)

    async def json(self, *arguments: str) -> Any:
        done = await self(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def command(run: Run) -> Commands:
    return Commands(run)


async def test_runs_are_listed_shown_and_stopped_with_and_without_an_owner(
    command: Commands, models: Models
) -> None:
    models(remembers("Tea."), says("Noted."))
    await command("agents", "create", "Sam")
    assert (await command("runs", "list", "Sam")).stdout == "no runs yet\n"
    assert (await command("chat", "Sam", "-m", "I like\ntea.")).stdout == "Noted.\n"
    shown = list[str]()
    for _ in range(2):
        (line,) = await command.json("runs", "list", "Sam")
        listed = (await command("runs", "list", "Sam")).stdout
        assert listed.startswith(line["run_id"])
        assert listed.endswith("completed, 2 steps: I like tea.\n")
        plain = (await command("runs", "show", line["run_id"])).stdout
        assert plain.startswith("Noted.\n2 steps, ")
        steps = (await command("runs", "show", line["run_id"], "--steps")).stdout
        assert "\nStep 1: core_memory_append (" in steps
        sent = (await command("runs", "show", line["run_id"], "--prompt", "1")).stdout
        assert json.loads(sent)["messages"][-1]["content"] == "I like\ntea."
        stopped = (await command("runs", "cancel", line["run_id"])).stdout
        assert stopped == f"{line['run_id']} is completed\n"
        shown.append(listed + plain + steps + sent)
        await command("stop")
    assert shown[0] == shown[1]
    failed = await command("runs", "show", "run-none")
    assert (failed.returncode, "run-none" in failed.stderr) == (2, True)


async def test_a_call_is_approved_or_denied_from_the_command_line(
    command: Commands, models: Models
) -> None:
    server = models(remembers("Tea."), says("Noted."))
    await command("agents", "create", "Sam", "--set", ASKING)
    assert (await command("approve")).stdout == "no run waits for a person\n"
    asked = await command("chat", "Sam", "-m", "I like tea.")
    assert asked.returncode == 2
    (line,) = await command.json("approve")
    run_id = line["run_id"]
    assert asked.stderr.endswith(
        f"mnemon: the agent waits for approval of core_memory_append: mnemon approve {run_id}\n"
    )
    status = await command("status")
    assert "; 1 run waits for a person: mnemon approve" in status.stdout
    assert (await command.json("status"))["owner"]["runs"] == {"in_work": 0, "waiting": 1}
    assert "waiting for approval of core_memory_append" in (await command("approve")).stdout

    undecided = await command("approve", run_id)
    assert undecided.returncode == 2
    assert f"not decided: {run_id} waits until {line['pending_until']} for a yes:" in (
        undecided.stderr
    )
    blind = await command("approve", "--yes")
    assert "--yes needs a run" in blind.stderr

    assert (await command("approve", run_id, "--yes")).stdout == "Noted.\n"
    shown = await command.json("agents", "show", "Sam")
    assert "Tea." in [block["value"] for block in shown["blocks"]]

    server.replies[:] = [remembers("Mate."), says("I see.")]
    await command("chat", "Sam", "-m", "And mate.")
    await command("stop")  # the next process decides as well
    (line,) = await command.json("approve")
    denied = await command.json("approve", line["run_id"], "--deny", "--reason", "not now")
    assert denied["reply"] == "I see."
    assert "not now" in server.completions[-1].json["messages"][-1]["content"]
    again = await command("approve", line["run_id"], "--yes")
    assert (again.returncode, "it is completed" in again.stderr) == (2, True)


async def test_a_run_that_waits_is_shown_whole_to_a_program(
    command: Commands, models: Models
) -> None:
    models(remembers("Tea."))
    await command("agents", "create", "Sam", "--set", ASKING)
    asked = await command("chat", "Sam", "-m", "I like tea.", "--json")
    waiting = json.loads(asked.stdout)
    assert (asked.returncode, waiting["status"]) == (2, "waiting")
    assert [call["tool"] for call in waiting["pending"]] == ["core_memory_append"]
    shown = (await command("runs", "show", waiting["run_id"])).stdout
    assert f"\ndecide it with: mnemon approve {waiting['run_id']}\n" in shown
    assert "run_approve" not in shown + (await command("agents", "show", "Sam")).stdout


async def test_a_message_without_an_answer_ends_what_is_piped_and_says_so(run: Run) -> None:
    run("agents", "create", "Sam")
    piped = run("chat", "Sam", input="hi\nthere\n", stdin=None)
    assert piped.returncode == 2
    assert "no language model is configured" in piped.stderr
    assert piped.stderr.endswith("the conversation ended there; no later line was sent\n")


async def test_a_person_at_a_terminal_is_asked_about_what_waits(
    command: Commands, models: Models, terminals: Any
) -> None:
    models(remembers("Tea."), remembers("Mate."), says("Noted."))
    await command("agents", "create", "Sam", "--set", ASKING)
    await command("chat", "Sam", "-m", "Hi")
    later = terminals("approve")
    assert "Tea." in await later.until("approve? [y/n, Enter: later] ")
    later.type("")
    assert await later.ended() == 1
    now = terminals("approve")
    await now.until("later] ")
    now.type("y")
    assert "Mate." in await now.until("later] ")
    now.type("n")
    await now.until("Noted.")
    assert await now.ended() == 0


async def test_in_a_conversation_a_call_is_asked_about_and_a_reply_seen_as_it_is_written(
    command: Commands, models: Models, terminals: Any
) -> None:
    held = Held("Noted:", " tea.")
    models(remembers("Tea."), held)
    await command("agents", "create", "Sam", "--set", ASKING)
    chat = terminals("chat", "Sam")
    await chat.until("> ")
    chat.type("I like tea.")
    assert "May agent Sam do this?" in await chat.until("[y/N] ")
    chat.type("y")
    await chat.until("\rNoted: tea.")
    held.free.set()
    await chat.until("Noted: tea. Bye.\r\n")
    await chat.until("> ")
    chat.type("/quit")
    assert await chat.ended() == 0
    shown = await command.json("agents", "show", "Sam")
    assert "Tea." in [block["value"] for block in shown["blocks"]]


async def test_ctrl_c_stops_an_answer_and_at_the_prompt_the_conversation(
    command: Commands, models: Models, terminals: Any
) -> None:
    held = Held("Hm")
    models(held, remembers("Tea."), says("There."))
    await command("agents", "create", "Sam")
    chat = terminals("chat", "Sam")
    await chat.until("> ")
    chat.type("Hi")
    await held.begun.wait()
    chat.interrupt()
    await chat.until("stopped\r\n> ")
    chat.type("There?")
    await chat.until("There.\r\n")
    await chat.until("> ")
    chat.interrupt()
    assert await chat.ended() == 130
    runs = await command.json("runs", "list", "Sam")
    assert [run["status"] for run in runs] == ["completed", "cancelled"]


async def test_ctrl_c_stops_nothing_that_another_host_asked_for(
    command: Commands, models: Models, terminals: Any
) -> None:
    models(remembers("Tea."))
    await command("agents", "create", "Sam", "--set", ASKING)
    await command("chat", "Sam", "-m", "I like tea.")
    chat = terminals("chat", "Sam")
    await chat.until("> ")
    chat.type("Hi")
    await chat.until("approve`")
    await chat.until("> ")
    chat.interrupt()
    assert await chat.ended() == 130
    (run,) = await command.json("runs", "list", "Sam")
    assert run["status"] == "waiting"


async def test_a_person_sees_all_of_a_long_call_before_they_approve_it(
    command: Commands, models: Models
) -> None:
    models(remembers("word " * 2_000 + "End."))
    await command("agents", "create", "Sam", "--set", ASKING)
    await command("chat", "Sam", "-m", "Hi")
    (line,) = await command.json("approve")
    assert 'End."}' in (await command("approve", line["run_id"])).stderr


async def test_a_list_of_runs_goes_over_all_pages(command: Commands, models: Models) -> None:
    models(*(says("Hm.") for _ in range(3)))
    await command("agents", "create", "Sam")
    for text in ("a", "b", "c"):
        await command("chat", "Sam", "-m", text)
    two = await command("runs", "list", "Sam", "--limit", "2")
    assert len(two.stdout.splitlines()) == 3
    assert two.stdout.endswith("… and earlier ones: --limit N\n")
    assert len(await command.json("runs", "list", "Sam", "--limit", "150")) == 3
    none = await command("runs", "list", "Sam", "--limit", "0")
    assert (none.returncode, "must be at least 1" in none.stderr) == (2, True)


async def test_ctrl_c_at_a_question_stops_the_run_and_eats_no_line(
    command: Commands, models: Models, terminals: Any
) -> None:
    models(remembers("Tea."), says("There."))
    await command("agents", "create", "Sam", "--set", ASKING)
    chat = terminals("chat", "Sam")
    await chat.until("> ")
    chat.type("Hi")
    await chat.until("[y/N] ")
    chat.interrupt()
    await chat.until("stopped\r\n> ")
    chat.type("There?")
    await chat.until("There.\r\n")
    await chat.until("> ")
    chat.type("/quit")
    assert await chat.ended() == 0
    runs = await command.json("runs", "list", "Sam")
    assert [run["status"] for run in runs] == ["completed", "cancelled"]
