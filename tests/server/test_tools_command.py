"""`mnemon tools` and `mnemon secrets` as people use them: real processes."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import Run, front_process
from tests.server.test_custom_tools import ROLL
from tests.server.test_runs_command import Terminal


@pytest.fixture(params=["alone", "served"])
def mnemon_on(
    request: pytest.FixtureRequest, run: Run, mnemon: str, tmp_path: Path
) -> Iterator[Run]:
    """`mnemon ...` on a memory that a host has open, or that nobody has."""
    if request.param == "alone":
        yield run
        return
    with front_process(mnemon, tmp_path / "data") as front:
        front.shake_hands()
        yield run


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "roll.py"
    path.write_text(ROLL)
    return str(path)


def done(run: Run, *arguments: str, **options: Any) -> str:
    result: subprocess.CompletedProcess[str] = run(*arguments, **options)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def shown(run: Run, *arguments: str) -> Any:
    return json.loads(done(run, *arguments, "--json"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("tools", "run", "roll", "--agent", "Sam", "--args", '{"sides": NaN}'),
            "NaN is no number",
        ),
        (("tools", "run", "roll", "--agent", "Sam", "--args", '{"sides": 1e400}'), "1e400"),
        (("tools", "packages", "--upgrade"), "--upgrade is for one tool"),
    ],
)
def test_what_would_be_taken_for_something_else_is_refused(
    run: Run, arguments: tuple[str, ...], told: str
) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert told in result.stderr


def test_tags_and_requirements_are_taken_away(run: Run, file: str) -> None:
    done(run, "tools", "add", file, "--tag", "dice")
    done(run, "tools", "update", "roll", "--no-tags", "--no-requirements")
    tool = shown(run, "tools", "show", "roll")
    assert (tool["tags"], tool["requirements"], tool["version"]) == ([], [], 2)


def test_a_tool_is_added_changed_given_to_an_agent_and_deleted(
    mnemon_on: Run, file: str, tmp_path: Path
) -> None:
    run = mnemon_on
    done(run, "agents", "create", "Sam")
    policy = ["--wall-s", "3", "--memory-mb", "64", "--network", "example.com:443", "--secret"]
    policy += ["API_KEY", "--method", "memory.search", "--method", "memory.append"]
    more = ["--allow-subprocesses", "--tag", "dice", "--approve"]
    done(run, "tools", "add", file, *policy, *more)
    tool = shown(run, "tools", "show", "roll")
    assert tool["policy"] == {
        "wall_s": 3,
        "memory_mb": 64,
        "subprocesses": True,
        "network": ["example.com:443"],
        "secrets": ["API_KEY"],
        "methods": ["memory.search", "memory.append"],
    }
    assert tool["tags"] == ["dice"]
    assert (tool["requires_approval"], tool["text"]) == (True, ROLL)

    assert shown(run, "tools", "add", file)["version"] == 1  # again, and nothing changes
    Path(file).write_text(ROLL.replace("Roll a die", "Roll it"))
    again = run("tools", "add", file)
    assert again.returncode == 2
    assert f"with another source; to change it: mnemon tools update roll --file {file}" in (
        again.stderr
    )
    flags = ["--no-approve", "--policy", '{"network": null}', "--expected-version", "1"]
    changed = shown(run, "tools", "update", "roll", "--file", file, *flags)
    assert (changed["version"], changed["description"]) == (2, "Roll it.")
    assert (changed["requires_approval"], "network" in changed["policy"]) == (False, False)
    assert done(run, "tools", "show", "roll", "--source", "--version", "1") == f"{ROLL}\n"

    assert "Agent Sam has tool roll." in done(run, "tools", "attach", "Sam", "roll")
    assert "as before" in done(run, "tools", "attach", "Sam", "roll")
    assert [t["name"] for t in shown(run, "tools", "list", "--agent", "Sam")] == ["roll"]
    assert "roll  version 2" in done(run, "tools", "list", "--tag", "dice")
    assert "no tool is like that" in done(run, "tools", "list", "--tag", "x")
    assert "Agent Sam has no tool roll." in done(run, "tools", "detach", "Sam", "roll")
    assert "Deleted tool roll." in done(run, "tools", "rm", "roll")
    assert "no tools yet" in done(run, "tools", "list")


def test_a_tool_that_is_long_is_shown_whole(run: Run, tmp_path: Path) -> None:
    path, schema = tmp_path / "long.py", tmp_path / "schema.json"
    source = ROLL + "".join(f"# {number} é\n" for number in range(5_000))
    path.write_text(source)
    choices = {"properties": {"sides": {"enum": list(range(3_000))}}}
    schema.write_text(json.dumps(choices))
    done(run, "tools", "add", str(path), "--schema", str(schema))
    tool = shown(run, "tools", "show", "roll")
    assert tool["text"] == source
    assert tool["json_schema"]["properties"] == choices["properties"]
    assert not tool["cut"]


def test_a_source_may_come_from_stdin(run: Run) -> None:
    assert "Tool roll" in done(run, "tools", "add", "-", input=ROLL)


def test_a_run_that_needs_a_yes_is_not_done_without_and_else_done_or_told_why_not(
    run: Run, file: str
) -> None:
    done(run, "agents", "create", "Sam")
    done(run, "tools", "add", file, "--approve")
    asked = run("tools", "run", "roll", "--agent", "Sam", "--args", '{"sides": 4}')
    assert asked.returncode == 2
    assert 'May tool roll run for Sam with {"sides": 4}? To do it, add --yes' in asked.stderr
    ran = run("tools", "run", "roll", "--agent", "Sam", "--yes")
    if ran.returncode == 2:
        assert "no tool code is run" in ran.stderr
    else:
        assert (ran.returncode, ran.stdout) == (0, "4\n")
    run("stop")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tools", "add", "/nowhere.py"], "/nowhere.py cannot be read: No such file"),
        (["tools", "add", "-", "--policy", "[1]"], "--policy takes a JSON object, not '[1]'"),
        (["tools", "add", "-"], "the source has no public function"),
        (["tools", "update", "roll"], "nothing to change"),
        (["tools", "show", "roll"], "no tool 'roll'; tools: none yet"),
        (["tools", "rm", "roll"], "no tool 'roll'"),
        (["tools", "run", "roll", "--agent", "Sam", "--args", "{"], "--args takes a JSON object"),
        (["secrets", "rm", "KEY"], "there is no secret 'KEY'; there are: none"),
        (["secrets", "set", "LD_PRELOAD"], "would change how programs are loaded"),
        (["secrets", "set", "KEY"], "has 0 characters"),
        (["secrets", "list", "--data", ":memory:"], "keeps no secrets"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_explained_in_a_line(run: Run, arguments: list[str], told: str) -> None:
    given = "x = 1\n" if arguments[0] == "tools" else ""
    result = run(*arguments, input=given if "LD_PRELOAD" not in arguments else "x")
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_secret_is_set_listed_by_name_with_its_tools_and_removed(
    mnemon_on: Run, file: str, tmp_path: Path
) -> None:
    run = mnemon_on
    assert "no secrets" in done(run, "secrets", "list")
    assert "set API_KEY" in done(run, "secrets", "set", "API_KEY", input="the-value\n")
    assert "replaced API_KEY" in done(run, "secrets", "set", "API_KEY", input="another-value\n")
    done(run, "secrets", "set", "UNUSED", input="x")
    done(run, "tools", "add", file, "--secret", "API_KEY", "--secret", "MISSING")
    text = done(run, "secrets", "list")
    assert text.splitlines() == [
        "API_KEY  roll",
        "UNUSED  no tool",
        "MISSING  (not set)  roll",
    ]
    assert "value" not in text + done(run, "tools", "show", "roll", "--json")
    kept = json.loads((tmp_path / "data" / "secrets.json").read_text())
    assert kept == {"API_KEY": "another-value", "UNUSED": "x"}
    done(run, "secrets", "rm", "UNUSED")
    assert [found["name"] for found in shown(run, "secrets", "list")] == ["API_KEY", "MISSING"]


async def test_a_value_that_is_typed_is_not_shown(mnemon: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    terminal = Terminal(mnemon, "secrets", "set", "API_KEY", "--data", str(data))
    try:
        await terminal.until("value of API_KEY: ")
        terminal.type("typed-value")
        assert "typed" not in await terminal.until("set API_KEY")
        assert await terminal.ended() == 0
    finally:
        terminal.close()
    assert json.loads((data / "secrets.json").read_text()) == {"API_KEY": "typed-value"}


def test_a_grant_at_the_terminal_says_for_which_source_it_is(run: Run, file: str) -> None:
    added = run("tools", "add", file, "--network", "example.com:443")
    told = done(run, "tools", "show", "roll")
    (source,) = [line for line in told.splitlines() if line.startswith("Source: 7 lines, sha256")]
    assert f"(version 1, {source.removeprefix('Source: ')}):\n| def roll" in added.stderr
    assert "Return limit: 50000 characters" in told
