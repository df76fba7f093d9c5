"""run_code for hosts: what comes back, how much of it, and what ends it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from sandbox.protocol import Outcome
from server.code_tools import ran_text, shares, shown
from server.reply_size import PAGE_BYTES, json_bytes
from tests.server.code_host import Alive, CodeHost, code_host


@pytest.fixture
async def host() -> AsyncIterator[CodeHost]:
    async with code_host() as found:
        yield found


async def test_the_last_value_comes_as_data_beside_what_was_printed(host: CodeHost) -> None:
    code = "import sys\nprint('hi')\nprint('oh', file=sys.stderr)\n{'sum': 2 + 3, 'of': [2, 3]}"
    ran = await host.code(code)
    assert (ran["status"], ran["tier"], ran["cut"]) == ("ok", "namespaces", False)
    assert (ran["result"], ran["stdout"], ran["stderr"]) == (
        {"sum": 5, "of": [2, 3]}, "hi\n", "oh\n",
    )  # fmt: skip


async def test_files_of_the_workspace_stay_and_variables_do_not(host: CodeHost) -> None:
    await host.code("x = 1\nopen('a.txt', 'w').write('kept')")
    assert (await host.code("open('a.txt').read()"))["result"] == "kept"
    assert "NameError" in (await host.code("x"))["error"]
    assert "FileNotFoundError" in (await host.code("open('a.txt')", "Eve"))["error"]
    read = await host.call("workspace_read", agent_id="Ada", path="a.txt")
    assert read["content"] == "kept"


async def test_code_that_fails_or_takes_too_long_is_a_result_and_says_why(host: CodeHost) -> None:
    ran = await host.code("1 / 0")
    assert (ran["status"], ran["result"]) == ("error", None)
    assert ran["error"] == "ZeroDivisionError: division by zero (line 1)"
    late = await host.code("while True: pass", wall_s=0.3)
    assert (late["status"], late["error"]) == ("timeout", "it did not end within 0.3 s")
    assert "at most 300" in await host.refused("run_code", agent_id="Ada", code="1", wall_s=301)


async def test_the_same_request_runs_once(host: CodeHost) -> None:
    code = "open('n', 'a').write('x')\nlen(open('n').read())"
    first = await host.code(code, idempotency_key="k")
    assert await host.code(code, idempotency_key="k") == first
    assert (await host.code(code))["result"] == 2


@pytest.mark.parametrize(
    "value",
    ["['\\u65e5' * 9] * 5_000", "'\"\\\\\\n' * 50_000", "[[]] * 90_000", "list(range(9_000))"],
)
async def test_what_is_too_long_is_cut_and_says_where_to_put_it(host: CodeHost, value: str) -> None:
    ran = await host.code(f"import sys\nprint('\\u65e5' * 30_000)\n{value}")
    assert (ran["result"], ran["cut"]) == (None, True)
    for text in (ran["result_text"], ran["stdout"]):
        assert "read that with workspace_read]" in text


async def test_a_client_that_cancels_in_the_middle_of_a_call_leaves_no_process(
    host: CodeHost,
) -> None:
    alive = Alive(await host.folder())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.code, Alive.OPEN + "import time\ntime.sleep(100)")
        await alive.begun()
        tasks.cancel_scope.cancel()
    await alive.ended()
    assert (await host.code("1 + 1"))["result"] == 2


async def test_an_agent_that_is_deleted_while_its_code_runs_leaves_no_files(host: CodeHost) -> None:
    folder = await host.folder()
    alive = Alive(folder)
    code = (
        "n = 0\nwhile True:\n    n += 1\n    try:\n"
        "        open(f'{n % 50}', 'w').write('x')\n    except OSError: pass\n"
    )
    told: list[str] = []

    async def run() -> None:
        told.append(
            await host.refused("run_code", agent_id="Ada", code=Alive.OPEN + code, wall_s=2)
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await alive.begun()
        asked = await host.call("agent_delete", agent_id="Ada")
        await host.call("approval_decide", approval_id=asked["approval_id"], approve=True)
    assert told[0].startswith("no agent ")
    assert not folder.exists()


async def test_fifty_calls_at_once_do_not_mix_and_leave_nothing(host: CodeHost) -> None:
    results: dict[int, Any] = {}

    async def one(number: int) -> None:
        ran = await host.code(f"print({number})\n{number} * 2", "Ada" if number % 2 else "Eve")
        results[number] = (ran["stdout"].strip(), ran["result"])

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)
    assert results == {number: (str(number), number * 2) for number in range(50)}
    status = await host.call("sandbox_status")
    assert status["waiting"] <= 8


async def test_two_servers_keep_their_places_apart(tmp_path: Path) -> None:
    async with code_host(str(tmp_path / "one")) as one, code_host(str(tmp_path / "two")) as two:
        for host, word in ((one, "first"), (two, "second")):
            await host.code(f"open('whose', 'w').write('{word}')")
        seen = [(await host.code("open('whose').read()"))["result"] for host in (one, two)]
        folders = [await host.folder() for host in (one, two)]
        look = f"import os\n[os.path.exists(p) for p in {[str(f) for f in folders]!r}]"
        assert (await one.code(look))["result"] == [False, False]
    assert seen == ["first", "second"]
    assert folders[0].parents[1] != folders[1].parents[1]


# What fits, and how it reads: pure


@pytest.mark.parametrize(
    ("sizes", "room", "given"),
    [
        ([1, 2, 3], 10, [1, 2, 3]),
        ([100, 1, 100], 11, [5, 1, 5]),
        ([0, 90, 9, 30], 60, [0, 26, 9, 25]),
        ([5, 5, 5, 5], 0, [0, 0, 0, 0]),
    ],
)
def test_room_is_shared_by_those_that_need_more(
    sizes: list[int], room: int, given: list[int]
) -> None:
    found = shares(sizes, room)
    assert sum(found) <= room
    assert sorted(found) == sorted(given)


def test_a_value_that_is_no_json_is_shown_as_python_does() -> None:
    ran = shown("agent-1", Outcome("ok", "namespaces", {"repr": "<object>"}))
    assert (ran.result, ran.cut, ran_text(ran)) == ({"repr": "<object>"}, False, "<object>")


@pytest.mark.parametrize("tier", ["landlock", "seatbelt", "none"])
def test_a_weaker_tier_is_named_before_all_else(tier: Any) -> None:
    ran = shown("agent-1", Outcome("ok", tier, "x" * 100_000, stdout="y" * 100_000))
    assert ran.tier == tier
    assert ran_text(ran).startswith(f"[sandbox: {tier}]\ny")
    assert json_bytes(ran_text(ran)) <= PAGE_BYTES + 100
