"""The documentation says what the program does, and its code runs."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import get_args

import pytest
from mcp import Client
from packaging.requirements import Requirement

from agent.custom.tool_policy import MethodName, ToolPolicy
from agent.rule_kinds import ToolRule
from agent.tools import DEFAULT_TOOLS, OPTIONAL_TOOLS, OUTSIDE_BY_NAME
from memory.limits import MAX_RETURN_CHARS
from memory.tools import DEFAULT_RETURN_CHARS
from server.app import open_server
from server.config import Settings
from server.hosts.hosts import HOSTS
from server.parser import build_parser
from tests.server.code_host import code_host

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a new user with mnemon on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "MNEMON_"))}
    return {**kept, "HOME": str(tmp_path), "PATH": path}


def test_the_ten_lines_of_the_readme_find_what_they_stored(home: dict[str, str]) -> None:
    (code,) = blocks("python")
    run = subprocess.run(
        [sys.executable, "-c", code], env=home, capture_output=True, text=True, timeout=60
    )
    assert "Ada is allergic to peanuts." in run.stdout, run.stderr


def test_the_commands_of_the_readme_run(home: dict[str, str]) -> None:
    shell = "\n".join(blocks("sh"))
    commands = [line for line in shell.splitlines() if re.match(r"mnemon (agents|doctor)", line)]
    assert len(commands) == 3
    for command in commands:
        run = subprocess.run(
            ["bash", "-ec", command], env=home, capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, run.stderr
    assert (Path(home["HOME"]) / ".local/share/mnemon/mnemon.duckdb").exists()


def test_the_readme_s_setup_of_a_host_works_and_names_them_all(home: dict[str, str]) -> None:
    (command,) = [line for line in blocks("sh") if line.startswith("mnemon setup")]
    assert set(HOSTS) <= set(re.findall(r"[\w-]+", command))
    (Path(home["HOME"]) / ".config" / "Claude").mkdir(parents=True)
    run = subprocess.run(
        ["bash", "-ec", command], env=home, capture_output=True, text=True, timeout=60
    )
    assert "added mnemon to" in run.stdout, run.stderr


def play(script: str, home: dict[str, str], folder: Path) -> list[str]:
    """Lines that a script of the README prints, after an agent Eva was made; skips without one."""
    run = subprocess.run(
        ["bash", "-ec", "mnemon agents create Eva >made\n" + script],
        env={**home, "MNEMON_IDLE_MINUTES": "0.1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "no tool code is run" in run.stdout + run.stderr:
        pytest.skip(run.stdout + run.stderr)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_the_readme_s_tool_is_kept_given_to_an_agent_and_run(
    home: dict[str, str], tmp_path: Path
) -> None:
    (script,) = [block for block in blocks("sh") if "mnemon tools add greet" in block]
    assert play(script, home, tmp_path)[-2:] == ["Hello Ada", "45"]


def test_the_readme_s_tool_that_uses_memory_does(home: dict[str, str], tmp_path: Path) -> None:
    (script,) = [block for block in blocks("sh") if "mnemon tools add visit" in block]
    told = play(script + "mnemon agents show Eva\n", home, tmp_path)
    assert [line for line in told if "Rome" in line] == [
        "Noted Rome.", "Rome is known already.", "Was in Rome.",
    ]  # fmt: skip


def test_the_readme_s_server_in_python_runs_in_the_sandbox(home: dict[str, str]) -> None:
    (script,) = [block for block in blocks("sh") if "mnemon mcp-servers add clock" in block]
    (install,) = [block for block in blocks("sh") if "venv clock" in block]
    # Readable for the user of the sandbox, as a folder of pytest's is not.
    folder = Path(tempfile.mkdtemp(prefix="mnemon-test-"))
    folder.chmod(0o755)
    try:
        environment_with("mcp", folder / re.findall(r"venv (\w+)", install)[0])
        told = play(script, home, folder)
    finally:
        shutil.rmtree(folder)
    assert told == [
        "clock has 1 tool. new: time_now.", "Agent Eva has of clock: clock__time_now.",
    ]  # fmt: skip


def environment_with(package: str, folder: Path) -> None:
    """A virtual environment of the system's Python with a package, as pip would make it."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("the system has no Python")
    version = "import sys; print(sys.version_info[:2])"
    told = subprocess.run([python, "-c", version], capture_output=True, text=True, check=True)
    if told.stdout.strip() != str(sys.version_info[:2]):
        pytest.skip(f"the packages of these tests are not for {python}")
    venv = [python, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(venv, check=True, timeout=60)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for each in needed(Requirement(package), {}).values():
        for file in each.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(each.locate_file(file)), packages / file)


def needed(wanted: Requirement, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """An installed package with all that it needs, by name and extras."""
    if str(wanted) not in found:
        found[str(wanted)] = distribution(wanted.name)
        for line in found[str(wanted)].requires or ():
            more = Requirement(line)
            applies = [True] if more.marker is None else [
                more.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)
            ]  # fmt: skip
            if any(applies):
                needed(more, found)
    return found


async def test_the_reference_s_tool_that_uses_memory_does() -> None:
    (source,) = [block for block in blocks("python", REFERENCE) if "memory.append" in block]
    granted = re.findall(r"--method (\S+?)[\s`]", REFERENCE)
    async with code_host() as host:
        await host.call("tool_create", source=source, policy={"methods": granted})
        asked = {"agent_id": "Ada", "tool_id": "remember_visit", "arguments": {"place": "Rome"}}
        assert (await host.call("tool_run", **asked))["text"] == "Noted Rome."
        assert (await host.call("tool_run", **asked))["text"] == "Rome is known already."
        assert await host.block() == "Of Ada.\nWas in Rome."


def test_the_table_of_a_tool_s_policy_is_that_of_the_code() -> None:
    section = REFERENCE.partition("### Custom tools")[2].partition("### Packages")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.count("|") == 6 and "`--" in line
    ]
    assert [row[0].strip("`") for row in rows] == list(ToolPolicy.model_fields)
    shown = {"()": "none", "False": "no"}
    flags = {a.dest: a.option_strings for a in actions_of("tools", "add")}
    for key, flag, default, limits, _ in rows:
        name = key.strip("`")
        field = ToolPolicy.model_fields[name]
        assert flag.strip("`") in flags[name]
        assert default == shown.get(str(field.default), str(field.default).removesuffix(".0"))
        bounds = [int(n) for n in re.findall(r"\d+", limits)]
        assert bounds == [
            int(getattr(bound, side))
            for bound in field.metadata
            for side in ("gt", "ge", "le", "max_length")
            if name != "methods" and hasattr(bound, side)
        ]
    assert set(get_args(MethodName)) == set(re.findall(r"^\| `(memory\.\w+)\(", section, re.M))
    assert f"{MAX_RETURN_CHARS:,}" in section and f"{DEFAULT_RETURN_CHARS:,}" in section


def actions_of(*path: str) -> list[argparse.Action]:
    """The flags and arguments of a command."""
    parser: argparse.ArgumentParser = build_parser()
    for name in path:
        # argparse has no public list of commands
        (choices,) = (a.choices for a in parser._actions if isinstance(a.choices, dict))
        parser = choices[name]
    return parser._actions


def test_every_host_is_in_the_pages_on_hosts() -> None:
    page = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
    for host in HOSTS.values():
        assert re.search(rf"^\| `{host.id}` .* `{host.section}`", page, re.MULTILINE)


def test_every_configuration_in_the_readme_is_json_that_names_the_command() -> None:
    shown = [json.loads(block) for block in blocks("json")]
    assert [next(iter(config)) for config in shown] == ["mcpServers", "servers"]
    shown.append(json.loads((ROOT / "mcp.json").read_text(encoding="utf-8")))
    for config in shown:
        (servers,) = config.values()
        assert Path(servers["mnemon"]["command"]).name == "mnemon"
        assert servers["mnemon"]["args"] == ["mcp"]


async def test_every_tool_and_argument_is_in_the_reference() -> None:
    settings = Settings(data=":memory:", toolset="full")
    async with open_server(settings) as server, Client(server) as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts
        templates = (await client.list_resource_templates()).resource_templates
    for prompt in prompts:
        arguments = ", ".join(f"`{argument.name}`" for argument in prompt.arguments or [])
        assert f"| `{prompt.name}` | {arguments} |" in REFERENCE
    for template in templates:
        assert f"| `{template.uri_template}` |" in REFERENCE
    section = REFERENCE.partition("### Runs")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert listed == {tool.name for tool in tools}
    for tool in tools:
        (row,) = re.findall(rf"^\| `{tool.name}` .*$", section, re.MULTILINE)
        for argument in tool.input_schema.get("properties", {}):
            everywhere = argument == "idempotency_key"
            assert f"`{argument}`" in row or everywhere, f"{tool.name}: {argument}"


def test_every_further_tool_and_kind_of_rule_is_in_the_reference() -> None:
    section = REFERENCE.partition("## Tools of agents")[2].partition("## Commands")[0]
    for tool in OPTIONAL_TOOLS.values():
        (row,) = re.findall(rf"^\| `{tool.name}` .*$", section, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) >= set(tool.arguments.model_fields)
    assert all(f"`{name}`" in section for name in (*DEFAULT_TOOLS, *OUTSIDE_BY_NAME))
    for kind in get_args(get_args(ToolRule)[0]):
        name = kind.model_fields["type"].default
        (row,) = re.findall(rf"^\| `{name}` .*$", section, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) >= set(kind.model_fields) - {"type"}


def test_every_setting_is_in_the_reference() -> None:
    settings = REFERENCE.partition("## Settings")[2]
    named = set(re.findall(r"`(\w+)`", settings))
    assert set(Settings.model_fields) <= named


def test_every_command_is_in_the_reference() -> None:
    (commands,) = (a.choices for a in actions_of() if isinstance(a.choices, dict))
    for command in commands:
        assert f"`mnemon {command}" in REFERENCE


PAGES = [
    path for path in ROOT.glob("**/*.md") if {".venv", ".node", ".bench"}.isdisjoint(path.parts)
]


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda p: str(p.name))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


async def test_the_instructions_fit_into_what_hosts_read() -> None:
    async with open_server(Settings(data=":memory:")) as server, Client(server) as client:
        instructions = client.instructions
    assert instructions is not None
    assert len(instructions.encode()) < 2048
    for tool in re.findall(r"\b(?:core_|archival_)?memory_\w+|agent_\w+", instructions):
        assert tool == "agent_id" or f"`{tool}`" in REFERENCE, tool


def test_every_test_that_the_docs_name_is_there() -> None:
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text("utf-8")):
            source = (ROOT / path).read_text("utf-8")
            assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), (
                f"{page.name}: {name}"
            )
