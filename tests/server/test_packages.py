"""Packages of custom tools: asked for once, installed from a local index, used in the sandbox."""

import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.live_run import Said
from agent.loop import AgentLoop
from agent.model import Reply
from agent.models.scripted import ScriptedModel
from agent.runs import Runs
from memory import events
from memory.locks import agree
from memory.records import Origin
from memory.tools import NewTool, create_tool, find_tool, update_tool
from sandbox.places import remove_tree
from tests.agent.harness import call, calls, stored_messages
from tests.sandbox.wheels import source_distribution, wheel
from tests.server.package_index import (
    BREWED,
    OTHER,
    USE,
    hosting,
    installed,
    kept_data,
    only_index,
    packages_of,
)
from tests.server.test_approvals import Person, text_of
from tests.server.test_custom_tools import Host

OLD = Origin("host:old", "kept by a version that asked nobody")
TEA: dict[str, Any] = {"source": USE, "requirements": ["tea<2"]}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    with only_index(monkeypatch, tmp_path) as folder:
        wheel(folder, "tea", requires=("cup",))
        wheel(folder, "cup")
        yield folder


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield from kept_data(tmp_path)


async def brew(host: Host, tool: str = "brew") -> str:
    if not (await host.call("agent_list"))["agents"]:
        await host.call("agent_create", name="Sam")
    text: str = (await host.call("tool_run", agent_id="Sam", tool_id=tool))["text"]
    return text


async def test_a_person_agrees_to_all_that_is_installed_and_the_tool_finds_it_in_the_sandbox(
    index: Path, data: Path
) -> None:
    person = Person("accept")
    async with hosting(data, person) as host:
        made = await host.call("tool_create", **TEA)
        assert (made["status"], made["packages"]) == ("done", ["cup==1.0", "tea==1.0"])
        (question,) = person.asked
        assert question.startswith("Install cup==1.0, tea==1.0 for tool brew from this machine? ")
        assert "2 packages, held to 2 hashes" in question
        assert await brew(host) == BREWED
        assert len(installed(data)) == 1
        with (await host.app.runtime()).store.read() as reader:
            agreed = [e for e in events.list_events(reader) if e.action == "packages.agree"]
        (event,) = agreed
        assert event.after is not None
        assert event.after["packages"] == ["cup==1.0", "tea==1.0"]
        assert (event.subject, event.actor) == (installed(data)[0], made["author"])
    assert len(person.asked) == 1


async def test_a_host_is_told_what_the_installer_does(index: Path, data: Path) -> None:
    said: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append(message or "")

    async with hosting(data, Person("accept")) as host:
        await host.client.call_tool("tool_create", TEA, progress_callback=hear)
    assert any("tea" in line for line in said)


async def test_what_could_not_be_stored_is_refused_before_anybody_is_asked(
    index: Path, data: Path
) -> None:
    person = Person("accept")
    async with hosting(data, person) as host:
        await host.call("tool_create", source=USE)
        for given, why in (
            ({"source": USE}, "the name 'brew' is that of another tool"),
            ({"source": "def f(x): pass"}, "f has no docstring"),
            ({"source": OTHER, "description": "x" * 9_999}, "description"),
        ):
            told = await host.refused("tool_create", **{**TEA, **given})
            assert why in told
        change = {"tool_id": "brew", "requirements": ["tea"], "expected_version": 7}
        assert "is at version 1, not 7" in await host.refused("tool_update", **change)
    assert (person.asked, installed(data)) == ([], [])


async def test_an_index_that_is_not_reached_is_said_to_be(
    index: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    async with hosting(data) as host:
        told = await host.refused("tool_create", source=USE, requirements=["coffee"])
        assert "The package index was not reached; is there a network?" in told
        assert (await host.call("tool_list"))["tools"] == []


async def test_another_tool_with_the_same_lock_and_a_restart_ask_nobody_again(
    index: Path, data: Path
) -> None:
    person = Person("accept")
    async with hosting(data, person) as host:
        await host.call("tool_create", **TEA)
        await host.call("tool_create", source=OTHER, requirements=["tea==1.0"])
        assert len(person.asked) == 1
    (index / "tea-1.0-py3-none-any.whl").unlink()
    async with hosting(data) as host:  # nobody to ask, and nowhere to get it from
        assert await brew(host) == BREWED
        assert await brew(host, "steep") == BREWED
        (lock,) = (await host.call("tool_packages"))["locks"]
    assert lock["tools"] == ["brew", "steep"]
    assert lock["size_bytes"] > 0


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_with_a_no_nothing_is_stored_or_installed(
    index: Path, data: Path, action: Any
) -> None:
    async with hosting(data, Person(action)) as host:
        assert "declined by the person" in await host.refused("tool_create", **TEA)
        await host.call("tool_create", source=USE)
        assert "declined" in await host.refused(
            "tool_update", tool_id="brew", requirements=["tea<2"]
        )
        assert (await host.call("tool_get", tool_id="brew"))["requirements"] == []
        assert (await host.call("tool_packages"))["locks"] == []
    assert installed(data) == []


async def test_where_nobody_can_be_asked_the_yes_comes_through_a_tool(
    index: Path, data: Path
) -> None:
    async with hosting(data) as host:
        asked = await host.client.call_tool("tool_create", TEA)
        assert "Nothing is changed yet: Install cup==1.0, tea==1.0 for tool" in text_of(asked)
        waiting = asked.structured_content
        assert waiting is not None
        assert (waiting["status"], waiting["id"]) == ("waiting", "")
        assert (await host.call("tool_list"))["tools"] == []
        assert installed(data) == []
        yes = {"approval_id": waiting["approval_id"], "approve": True}
        assert "is kept, version 1." in (await host.call("approval_decide", **yes))["text"]
        assert len(installed(data)) == 1
        assert await brew(host) == BREWED
        again = await host.call("tool_update", tool_id="brew", requirements=["tea"])
        assert (again["status"], again["version"]) == ("done", 2)


async def test_a_person_is_asked_in_the_newest_protocol_with_one_answer_for_one_lock(
    index: Path, data: Path
) -> None:
    person = Person("accept")
    async with hosting(data, person) as host:
        await host.call("tool_create", source=USE)
        await host.call("tool_update", tool_id="brew", requirements=["tea"])
        wheel(index, "tea", "1.1")
        await host.call("tool_update", tool_id="brew", requirements=["tea>1"])
        assert (await host.call("tool_get", tool_id="brew"))["packages"] == ["tea==1.1"]
    assert ["tea==1.0" in question for question in person.asked] == [True, False]


async def test_a_yes_to_packages_is_none_for_what_the_tool_has_become_meanwhile(
    index: Path, data: Path
) -> None:
    async with hosting(data) as host:
        store = (await host.app.runtime()).store
        schema = {"type": "object", "properties": {}}
        with store.write(OLD) as transaction:
            create_tool(transaction, NewTool("brew", "d", USE, schema, requirements=("tea",)))
        asked = (await host.client.call_tool("tool_packages", {"tool_id": "brew"})).model_dump()
        waiting = asked["structured_content"]
        assert "tea==1.0" in waiting["asks"]
        with store.write(OLD) as transaction:
            tool = find_tool(transaction, "brew")
            update_tool(transaction, tool, {"source": OTHER, "requirements": ()})
        yes = {"approval_id": waiting["approval_id"], "approve": True}
        assert "is at version 2, not 1" in await host.refused("approval_decide", **yes)
        with store.read() as reader:
            assert find_tool(reader, "brew").package_lock is None
    assert installed(data) == []


async def test_newer_versions_are_looked_for_when_asked_to_and_agreed_to_anew(
    index: Path, data: Path
) -> None:
    person = Person("accept")
    async with hosting(data, person) as host:
        await host.call("tool_create", **TEA)
        wheel(index, "tea", "1.5")
        (same,) = (await host.call("tool_packages", tool_id="brew"))["locks"]
        assert same["packages"] == ["cup==1.0", "tea==1.0"]
        (newer,) = (await host.call("tool_packages", tool_id="brew", upgrade=True))["locks"]
        assert newer["packages"] == ["tea==1.5"]
        assert '"version":"1.5"' in await brew(host)
        assert len(person.asked) == 2
        assert [lock["tools"] for lock in (await host.call("tool_packages"))["locks"]] == [
            [],
            ["brew"],
        ]


async def test_a_folder_that_was_deleted_by_hand_is_installed_again_and_nobody_asked(
    index: Path, data: Path
) -> None:
    person = Person("accept")
    async with hosting(data, person) as host:
        await host.call("tool_create", **TEA)
        (lock,) = installed(data)
        remove_tree(packages_of(data) / lock)
        assert (await host.call("tool_packages"))["locks"][0]["size_bytes"] is None
        assert await brew(host) == BREWED
        assert installed(data) == [lock]
    assert len(person.asked) == 1


async def test_a_file_that_changed_at_the_index_since_is_not_installed(
    index: Path, data: Path
) -> None:
    async with hosting(data, Person("accept")) as host:
        await host.call("tool_create", **TEA)
        remove_tree(packages_of(data) / installed(data)[0])
        wheel(index, "tea", files={"tea.py": "VERSION = 'evil'\n"}, requires=("cup",))
        await host.call("agent_create", name="Sam")
        told = await host.refused("tool_run", agent_id="Sam", tool_id="brew")
        assert "installing packages failed" in told
        assert "hash" in told.lower()
    assert installed(data) == []


async def test_what_cannot_be_installed_at_once_is_agreed_to_and_tried_again_at_its_use(
    index: Path, data: Path
) -> None:
    class Removing(Person):
        async def __call__(self, *given: Any) -> Any:
            (index / "tea-1.0-py3-none-any.whl").rename(index / "away")
            return await super().__call__(*given)

    async with hosting(data, Removing("accept")) as host:
        made = await host.call("tool_create", **TEA)
        assert "installing packages failed" in made["problem"]
        (index / "away").rename(index / "tea-1.0-py3-none-any.whl")
        assert await brew(host) == BREWED


async def test_lists_that_would_run_code_to_be_built_are_refused_and_no_code_runs(
    index: Path, data: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    path = source_distribution(index, "evil", touches=ran)
    away = source_distribution(tmp_path, "evil", touches=ran, version="2.0")
    wheel(index, "sly", requires=(f"evil @ {away.as_uri()}",))
    person = Person("accept")
    async with hosting(data, person) as host:
        for wanted in ("evil", "sly"):
            told = await host.refused("tool_create", source=USE, requirements=[wanted])
            assert "wheel" in told.lower()
        for wanted in (f"evil @ {path.as_uri()}", str(path), "-r evil", f"git+{path.as_uri()}"):
            told = await host.refused("tool_create", source=USE, requirements=[wanted])
            assert "is no requirement" in told
        assert (await host.call("tool_list"))["tools"] == []
    assert not ran.exists()
    assert (person.asked, installed(data)) == ([], [])


async def test_versions_that_exclude_each_other_and_names_that_do_not_exist_are_told(
    index: Path, data: Path
) -> None:
    async with hosting(data) as host:
        told = await host.refused("tool_create", source=USE, requirements=["tea<1", "tea>=1"])
        assert "resolving tea<1, tea>=1 failed; " in told
        told = await host.refused("tool_create", source=USE, requirements=["nothing-there"])
        assert "nothing-there" in told


async def test_an_agent_is_never_given_packages_that_nobody_agreed_to(
    index: Path, data: Path
) -> None:
    async with hosting(data, Person("decline")) as host:
        await host.call("agent_create", name="Sam")
        runtime = await host.app.runtime()
        store = runtime.store
        schema = {"type": "object", "properties": {}}
        new = NewTool("brew", "d", USE, schema, requirements=("tea",))
        with store.write(OLD) as transaction:
            create_tool(transaction, new)
        await host.call("tool_attach", agent_id="Sam", tool_id="brew")
        model = ScriptedModel([calls(call("brew")), Reply("Hm.")])
        loop = AgentLoop(store, model, runtime.outside.source)
        runs = Runs(store, lambda _: nullcontext(loop))
        await runs.message(Said("Sam", "Tea!", "person:me"))
        agent = store.agent_state("Sam").agent
        (result,) = [m.content for m in stored_messages(store, agent) if m.role == "tool"]
        assert "no person has agreed to them yet" in result
        assert "`mnemon tools packages brew`" in result
        assert "declined" in await host.refused("tool_run", agent_id="Sam", tool_id="brew")
    assert installed(data) == []


async def test_a_host_that_runs_such_a_tool_is_asked_first(index: Path, data: Path) -> None:
    person = Person("accept")
    async with hosting(data, person) as host:
        await host.call("tool_create", source=USE)
        store = (await host.app.runtime()).store
        with store.write(OLD) as transaction:
            tool = find_tool(transaction, "brew")
            update_tool(transaction, tool, {"requirements": ("tea",)})
        assert await brew(host) == BREWED
        assert await brew(host) == BREWED
    assert len(person.asked) == 1


async def test_a_lock_for_another_python_is_not_used_and_asked_about_anew(
    index: Path, data: Path
) -> None:
    async with hosting(data) as host:
        store = (await host.app.runtime()).store
        await host.call("tool_create", source=USE)
        from_old = {"requirements": ("tea",), "package_lock": "0" * 64}
        with store.write(OLD) as transaction:
            agree(transaction, "0" * 64, f"tea==1.0 --hash=sha256:{'0' * 64}\n", "cpython-27 2.7 x")
            update_tool(transaction, find_tool(transaction, "brew"), from_old)
        await host.call("agent_create", name="Sam")
        told = await host.refused("tool_run", agent_id="Sam", tool_id="brew")
        assert "`mnemon tools packages brew`" in told
        asked = await host.call("tool_packages", tool_id="brew")
        assert (asked["status"], "tea==1.0" in asked["asks"]) == ("waiting", True)


async def test_packages_that_no_tool_has_are_deleted_an_hour_after_their_last_use(
    index: Path, data: Path
) -> None:
    long_ago = time.time() - 3 * 3600
    async with hosting(data, Person("accept")) as host:
        await host.call("tool_create", **TEA)
        await host.call("tool_create", source=OTHER, requirements=["cup"])
        for note in packages_of(data).glob("*.lock"):
            os.utime(note, (long_ago, long_ago))
        await host.call("tool_delete", tool_id="brew")
        kept = (await host.call("tool_get", tool_id="steep"))["packages"]
        assert kept == ["cup==1.0"]
    async with hosting(data):  # what was not done before the end is done at the start
        pass
    assert len(installed(data)) == 1


async def test_tools_that_need_the_same_packages_at_once_have_them_installed_once(
    index: Path, data: Path
) -> None:
    told: list[list[str]] = [[], [], []]
    async with hosting(data) as host:
        packages = (await host.app.runtime()).outside.packages
        lock = await packages.resolve(["tea"], lambda _: None)
        async with anyio.create_task_group() as builds:
            for lines in told:
                builds.start_soon(packages.build, lock, lines.append)
        await packages.build(lock, told[0].append)
    assert sum(map(bool, told)) == 1
