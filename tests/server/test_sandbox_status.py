"""What isolates tools is shown: to hosts, by the doctor, and by status where tools are off."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.protocol import Availability
from sandbox.self_attack import PROBES
from server.config import ConfigError, Settings, load_settings
from server.owner_questions import describe_sandbox
from server.sandbox_views import show, shown_text, state_of, summary
from server.sandboxes import SandboxState, chosen
from tests.server.code_host import code_host
from tests.server.processes import Run


async def test_a_host_sees_what_isolates_and_what_was_tried() -> None:
    async with code_host() as host:
        await host.code("1")
        shown = await host.call("sandbox_status")
        text = (await host.client.call_tool("sandbox_status", {})).content[0].model_dump()["text"]
    assert (shown["tier"], shown["cause"]) == ("namespaces", "")
    assert [a["name"] for a in shown["attempts"] if a["held"]] == list(PROBES)
    assert Path(shown["python"]).is_absolute()
    assert shown["python_version"].startswith("3.")
    assert shown["bubblewrap"].endswith("/bwrap")
    assert shown["bubblewrap_version"][0].isdigit()
    assert shown["user"] != 0
    assert shown["folder"] is None
    assert shown["limits"]["wall_s"] == 30
    assert "- held: to read a file outside of its workspace" in text


async def test_looking_for_a_sandbox_begins_when_it_is_first_needed() -> None:
    async with code_host() as host:
        assert (host.app.sandbox_found() or {})["tier"] == "namespaces"
    assert host.app.sandbox_found() is None


NO_PYTHON = "no code of tools is run: no Python of at least 3.9 was found that tools can run"


def test_doctor_and_status_say_that_tools_are_off_and_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNEMON_SANDBOX_PYTHON", "/nowhere/python3")
    alone = run("doctor", "--json")
    (found,) = [f for f in json.loads(alone.stdout) if f["what"] == "sandbox"]
    assert (alone.returncode, found["state"], found["data"]["tier"]) == (0, "note", None)
    assert "name one with the setting sandbox_python" in found["detail"]
    run("agents", "create", "Ada")
    refused = run("run-code", "Ada", "-", input="1 + 1")
    assert refused.returncode == 2
    assert "no Python of at least 3.9" in refused.stderr
    assert NO_PYTHON in run("status").stdout
    assert f"note    sandbox: {NO_PYTHON}" in run("doctor").stdout


def test_code_is_run_from_the_command_line(run: Run, tmp_path: Path) -> None:
    run("agents", "create", "Ada")
    file = tmp_path / "code.py"
    file.write_text("print('hi')\n6 * 7")
    done = run("run-code", "Ada", str(file))
    if "cannot isolate" in done.stderr or "bubblewrap" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.stdout, done.returncode) == ("hi\n42\n", 0)
    failed = run("run-code", "Ada", "--json", input="1 / 0")
    assert (json.loads(failed.stdout)["status"], failed.returncode) == ("error", 1)
    assert "cannot be read" in run("run-code", "Ada", "/nowhere.py").stderr
    doctor = run("doctor").stdout
    assert "ok      sandbox: namespaces; " in doctor
    assert "no code of tools" not in run("status").stdout


# Settings


def test_settings_reach_the_sandbox() -> None:
    environment = {
        "MNEMON_DATA": ":memory:",
        "MNEMON_SANDBOX_MINIMUM": "landlock",
        "MNEMON_SANDBOX_PYTHON": "/opt/python3",
        "MNEMON_ALLOW_UNSANDBOXED_TOOLS": "1",
    }
    found = chosen(load_settings({}, environment))
    assert (found.minimum, found.python) == ("landlock", Path("/opt/python3"))
    assert found.allow_unsandboxed
    usual = chosen(Settings(data=":memory:"))
    assert (usual.minimum, usual.python, usual.allow_unsandboxed) == ("namespaces", None, False)


def test_a_file_cannot_allow_tools_without_isolation(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("allow_unsandboxed_tools = true\n")
    with pytest.raises(ConfigError, match="set MNEMON_ALLOW_UNSANDBOXED_TOOLS=1 in its environ"):
        load_settings({}, {"MNEMON_DATA": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "value"), [("SANDBOX_MINIMUM", "none"), ("SANDBOX_PYTHON", "python3")]
)
def test_no_setting_but_that_one_goes_below_landlock(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name.lower()):
        load_settings({}, {"MNEMON_DATA": ":memory:", f"MNEMON_{name}": value})


# How it reads: pure

HELD = dict.fromkeys(PROBES, True)


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (Availability("namespaces", tried=HELD), "ok", "10 of 10 attempts to get out were held"),
        (Availability("landlock", tried=HELD), "note", "tools can see which files exist"),
        (Availability("none", "x"), "problem", "NOTHING ISOLATES TOOLS"),
        (Availability(None, "it is so", "Do this"), "note", "it is so. Do this"),
        (Availability(None, "x", "y", HELD | {"signal": False}), "problem", "x. y"),
    ],
)
def test_the_doctor_calls_a_problem_what_needs_doing_something(
    found: Availability, state: str, words: str
) -> None:
    shown = show(SandboxState(found, None, 0, None))
    assert (state_of(shown), words in summary(shown)) == (state, True)


def test_an_attempt_that_got_through_is_named() -> None:
    tried = HELD | {"signal": False}
    shown = show(SandboxState(Availability(None, "why", "cure", tried), None, 0, None))
    assert "- NOT HELD: to send a signal to another process" in shown_text(shown)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({}, ""),
        ({"sandbox": None}, ""),
        ({"sandbox": {"tier": "namespaces", "cause": "", "cure": ""}}, ""),
        ({"sandbox": {"tier": None, "cause": "a", "cure": "B"}}, "no code of tools is run: a. B"),
        ({"sandbox": {"tier": "none", "cause": "a", "cure": ""}}, "tools run with sandbox none: a"),
    ],
)
def test_status_has_a_line_only_where_something_is_wrong(status: dict[str, Any], line: str) -> None:
    assert describe_sandbox(status) == line
