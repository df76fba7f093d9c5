"""Real MCP servers of others, over stdio: what is made of what they say, and of their silence."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from memory.tool_server_records import Launch, ToolServer
from server.external.errors import (
    CallRefused,
    CallTimedOut,
    ConnectionLost,
    ExternalServerError,
    ServerUnreachable,
)
from server.external.servers import Answer, ExternalServers
from tests.server.external.conftest import wait_until_ended
from tests.server.processes import wait_for_line

Toy = Callable[..., Launch]


def stored(launch: Launch) -> ToolServer:
    now = datetime.now(UTC)
    return ToolServer(1, "server-1", "toy", launch, True, (), None, now, now)


async def act(servers: ExternalServers, launch: Launch) -> Answer:
    return await servers.call(stored(launch), "act", {})


async def test_tools_are_listed_as_models_can_call_them(servers: ExternalServers, toy: Toy) -> None:
    tools = {tool.name: tool for tool in await servers.list_tools("toy", "1", toy())}
    add = tools["add"]
    assert (add.offered, add.description) == ("toy__add", "[MCP server toy] Add two numbers.")
    assert add.schema["properties"] == {"left": {"type": "integer"}, "right": {"type": "integer"}}
    assert add.schema["required"] == ["left", "right"]


async def test_a_call_gives_text_structure_or_what_else_there_is(
    servers: ExternalServers, toy: Toy
) -> None:
    server = stored(toy())
    assert await servers.call(server, "say", {"text": "hé"}) == Answer("hé", False)
    assert (await servers.call(server, "add", {"left": 1, "right": 2})).text.count('"sum": 3') == 1
    assert await servers.call(server, "fail", {}) == Answer("the disk is full", True)
    shown = await servers.call(server, "show", {})
    assert shown.text == (
        "a picture:\n[image, image/png, about 3 bytes]\n[audio, audio/wav, about 3 bytes]"
    )
    refused = await servers.call(server, "add", {"left": "x"})
    assert refused.failed


async def test_secrets_are_given_and_never_come_back(servers: ExternalServers, toy: Toy) -> None:
    server = stored(toy(environment={"MY_TOKEN": "Bearer $secret:files"}))
    found = await servers.call(server, "environment", {"name": "MY_TOKEN"})
    assert found.text == "Bearer [secret files]"
    missing = await servers.call(server, "environment", {"name": "PYTEST_CURRENT_TEST"})
    assert missing.text == "[not set]"


async def test_a_call_that_is_cancelled_is_cancelled_there(
    servers: ExternalServers, toy: Toy, tmp_path: Path
) -> None:
    server, journal = stored(toy()), tmp_path / "journal"
    await servers.call(server, "say", {"text": "up"})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(servers.call, server, "wait", {"path": str(journal)})
        await anyio.to_thread.run_sync(wait_for_line, journal, "began".__eq__)
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(wait_for_line, journal, "cancelled".__eq__)
    assert (await servers.call(server, "say", {"text": "still there"})).text == "still there"


async def test_a_call_has_its_time(servers: ExternalServers, toy: Toy, tmp_path: Path) -> None:
    server = stored(toy(call_timeout_s=0.3))
    with pytest.raises(CallTimedOut, match=r"within 0\.3 s"):
        await servers.call(server, "wait", {"path": str(tmp_path / "journal")})


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("talks", "without being asked"),
        ("asks", "without being asked"),
        ("prints", "lines that are no messages"),
        ("line", "a line of over"),
        ("dies", "its last words: out of cheese"),
    ],
)
async def test_a_server_that_does_what_it_must_not_is_cut_off(
    servers: ExternalServers, toy: Toy, mode: str, said: str
) -> None:
    with anyio.fail_after(20), pytest.raises(ConnectionLost, match=said):
        await act(servers, toy(mode))


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        ("never", CallTimedOut, "told to stop"),
        ("error", CallRefused, "refused: no way"),
        ("nothing", CallRefused, "an answer that is none"),
        ("wrong", CallRefused, "an answer that is none"),
        ("hidden", None, "a[31mb"),
        ("structure", None, '{"a": 1}'),
        ("changed", None, "changed"),
        ("twice", None, "first"),
        ("others", None, "mine"),
    ],
)
async def test_odd_answers_are_taken_for_what_they_are(
    servers: ExternalServers,
    toy: Toy,
    mode: str,
    kind: type[ExternalServerError] | None,
    said: str,
) -> None:
    launch = toy(mode, call_timeout_s=3.0)
    if kind is None:
        assert await act(servers, launch) == Answer(said, False)
        return
    with pytest.raises(kind, match=said):
        await act(servers, launch)


async def test_long_answers_are_cut(servers: ExternalServers, toy: Toy) -> None:
    huge = await act(servers, toy("huge"))
    assert len(huge.text) < 60_000
    assert huge.text.endswith("more characters]")


async def test_many_parts_are_cut(servers: ExternalServers, toy: Toy) -> None:
    assert (await act(servers, toy("many"))).text.endswith("[800 more parts]")


async def test_an_output_schema_of_the_server_costs_us_nothing(
    servers: ExternalServers, toy: Toy
) -> None:
    server = stored(toy("bad_schema"))
    await servers.list_tools("toy", server.id, server.launch)
    with anyio.fail_after(10):
        assert (await servers.call(server, "regex", {})).text == "x"


async def test_odd_tools_get_names_or_a_reason(servers: ExternalServers, toy: Toy) -> None:
    tools = await servers.list_tools("toy", "1", toy("changed"))
    offered = {tool.name: tool.offered for tool in tools}
    assert offered["act"] == "toy__act"
    assert "a b/c" in offered or "a_b_c" in offered
    assert len(set(offered.values())) == len(offered)
    assert all(len(name) <= 64 for name in offered.values())
    assert [(t.name, "'any'" in t.unusable) for t in tools if t.unusable] == [("broken", True)]


async def test_all_pages_are_listed_and_not_without_end(servers: ExternalServers, toy: Toy) -> None:
    tools = await servers.list_tools("toy", "1", toy("pages"))
    assert [tool.name for tool in tools] == ["tool0", "tool1", "tool2"]
    with anyio.fail_after(20):
        assert len(await servers.list_tools("toy", "1", toy("endless_pages"))) == 1


@pytest.mark.parametrize(
    ("mode", "said"),
    [("says_nothing", "no hello within 1 s"), ("dies_at_start", "out of cheese")],
)
async def test_a_server_that_does_not_begin_is_named_with_the_reason(
    servers: ExternalServers, toy: Toy, mode: str, said: str
) -> None:
    launch = toy(mode, connect_timeout_s=1.0 if mode == "says_nothing" else 20.0)
    with anyio.fail_after(20), pytest.raises(ServerUnreachable, match=said):
        await act(servers, launch)
    with pytest.raises(ServerUnreachable, match="tried again in"):
        await act(servers, launch)


async def test_a_server_that_does_not_list_is_not_waited_for(
    servers: ExternalServers, toy: Toy
) -> None:
    with anyio.fail_after(20), pytest.raises(CallTimedOut, match="did not list"):
        await servers.list_tools("toy", "1", toy("never_lists", connect_timeout_s=2.0))


async def test_a_program_that_is_not_there_is_named(servers: ExternalServers, toy: Toy) -> None:
    launch = Launch("stdio", command=("no-such-program",), grants=toy().grants)
    with pytest.raises(ServerUnreachable, match="no-such-program"):
        await act(servers, launch)


async def test_a_connection_that_broke_is_made_anew(servers: ExternalServers, toy: Toy) -> None:
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            await act(servers, toy("dies"))


async def test_without_a_sandbox_a_program_runs_only_where_that_was_said(
    servers: ExternalServers, toy: Toy
) -> None:
    launch = Launch("stdio", command=toy().command)
    with pytest.raises(ServerUnreachable, match="unsandboxed"):
        await act(servers, launch)


async def test_a_deaf_program_is_ended_with_its_connection(toy: Toy) -> None:
    async with anyio.create_task_group() as tasks:
        servers = ExternalServers()
        servers.begin(tasks)
        pid = int((await act(servers, toy("deaf"))).text)
        with anyio.fail_after(20):
            await servers.forget("server-1")
        await anyio.to_thread.run_sync(wait_until_ended, pid)
        tasks.cancel_scope.cancel()


async def test_a_connection_nobody_uses_is_closed(toy: Toy) -> None:
    async with anyio.create_task_group() as tasks:
        servers = ExternalServers(idle_s=0.1)
        servers.begin(tasks)
        pid = int((await act(servers, toy("deaf"))).text)
        await anyio.to_thread.run_sync(wait_until_ended, pid)
        tasks.cancel_scope.cancel()


async def test_what_a_server_says_when_it_ends_reaches_no_log(
    servers: ExternalServers, toy: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "server.external")
    launch = toy("says_its_secret", environment={"MY_TOKEN": "$secret:files"})
    with pytest.raises(ServerUnreachable) as caught:
        await servers.list_tools("toy", "1", launch)
    assert "[secret files]" in str(caught.value)
    assert "connection ended" in caplog.text
    assert "s3cr3t-value" not in caplog.text
