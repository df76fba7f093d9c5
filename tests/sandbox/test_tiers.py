"""Weaker isolation is had only by name, and the probes can tell it from the strong one."""

import re
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from sandbox.choose import StrongestSandbox, open_sandbox
from sandbox.errors import SandboxUnavailable
from sandbox.places import temporary_places
from sandbox.plain import PlainSandbox
from sandbox.policy import MIB, Policy
from sandbox.protocol import RefusingSandbox, ToolRun
from sandbox.self_attack import PROBES, attack, got_through
from sandbox.settings import SandboxSettings
from sandbox.unprivileged import find_child
from tests.sandbox.sandboxes import isolated, skip_where_impossible

HELLO = ToolRun("def f(name):\n    return 'hello ' + name\n", "f", {"name": "Ada"})
NO_NAMESPACES = RefusingSandbox("no namespaces", "get some")


@pytest.fixture(scope="module")
async def landlock() -> AsyncIterator[PlainSandbox]:
    sandbox = PlainSandbox("landlock", SandboxSettings())
    found = await sandbox.availability()
    skip_where_impossible(found)
    yield sandbox


async def test_behind_namespaces_every_attempt_to_get_out_is_held() -> None:
    async with isolated(SandboxSettings(warm_workers=0)) as sandbox:
        found = await sandbox.availability()
    assert found.tier == "namespaces"
    assert found.tried == dict.fromkeys(PROBES, True)


async def test_where_nothing_isolates_the_attempts_get_through() -> None:
    """The counter-proof: a probe that nothing could fail would prove nothing."""
    sandbox = PlainSandbox("none", SandboxSettings())
    tried = await attack(sandbox.run, find_child())
    held = {name for name, held in tried.items() if held}
    # A user namespace may be forbidden by the machine, and a proxy refuses by itself.
    assert held <= {"make_namespace", "connect_by_grant", "leave_daemon"}
    assert "read a file outside of its workspace" in got_through(tried)


async def test_without_isolation_the_outcome_says_so() -> None:
    outcome = await PlainSandbox("none", SandboxSettings()).run(HELLO)
    assert (outcome.result, outcome.tier) == ("hello Ada", "none")


async def test_landlock_holds_every_attempt_it_can_be_asked_for(landlock: PlainSandbox) -> None:
    found = await landlock.availability()
    assert found.tier == "landlock"
    assert set(found.tried.values()) == {True}
    outcome = await landlock.run(HELLO)
    assert (outcome.result, outcome.tier) == ("hello Ada", "landlock")


@pytest.mark.parametrize(
    "policy", [Policy(subprocesses=True), Policy(network=("example.com:443",))]
)
async def test_landlock_refuses_what_only_namespaces_could_hold(
    landlock: PlainSandbox, policy: Policy
) -> None:
    with pytest.raises(SandboxUnavailable, match="without namespaces"):
        await landlock.run(ToolRun("1", None, policy=policy))


LARGE = (
    "n = 0\nwhile True:\n    open(f'{folder}/{n % 40}', 'w').write('x' * 1_000_000)\n    n += 1\n"
)
MANY = "n = 0\nwhile True:\n    open(f'{folder}/{n}', 'w').close()\n    n += 1\n"


@pytest.mark.parametrize("tier", ["landlock", "none"])
@pytest.mark.parametrize("writable", [True, False])
async def test_temporary_files_count_as_those_of_a_workspace_do(
    tier: Literal["landlock", "none"], writable: bool
) -> None:
    sandbox = PlainSandbox(tier, SandboxSettings())
    skip_where_impossible(await sandbox.availability())
    policy = Policy(workspace_bytes=4 * MIB, workspace_entries=1_000, workspace_writable=writable)
    for source, words in ((LARGE, r"\d+ MiB, of at most 4 MiB"), (MANY, "more than 1,000 files")):
        start = "import tempfile\nfolder = tempfile.gettempdir()\n"
        outcome = await sandbox.run(ToolRun(start + source, None, policy=policy))
        assert outcome.status == "limit", outcome
        assert re.fullmatch(f"its TMPDIR holds {words}", outcome.error or "")


async def test_the_first_sandbox_that_holds_is_used() -> None:
    chosen = StrongestSandbox([NO_NAMESPACES, PlainSandbox("none", SandboxSettings())])
    assert (await chosen.availability()).tier == "none"
    assert (await chosen.run(HELLO)).tier == "none"


async def test_nothing_weaker_is_used_unasked() -> None:
    chosen = StrongestSandbox([NO_NAMESPACES])
    assert (await chosen.availability()).tier is None
    with pytest.raises(SandboxUnavailable, match="no namespaces"):
        await chosen.run(HELLO)


async def test_opening_a_sandbox_starts_nothing_until_it_is_used() -> None:
    with temporary_places() as places:
        async with open_sandbox(places) as sandbox:
            found = await sandbox.availability()
            skip_where_impossible(found)
            assert (await sandbox.run(HELLO)).tier == "namespaces"
            await sandbox.aclose()


async def test_where_nothing_can_be_started_the_attempts_say_why() -> None:
    with pytest.raises(SandboxUnavailable, match="no namespaces"):
        await attack(NO_NAMESPACES.run, find_child())
