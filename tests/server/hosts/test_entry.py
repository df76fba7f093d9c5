"""The entry of a host: how it starts mnemon, from wherever it runs."""

from pathlib import Path
from typing import Any

import pytest

from server.front_flags import NAMES, read_flags
from server.hosts.entry import find_command, is_ours, is_temporary, new_entry
from server.hosts.hosts import HOSTS
from server.parser import build_parser


def script(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_script_beside_the_python_goes_first(tmp_path: Path) -> None:
    beside = script(tmp_path / "venv" / "bin" / "mnemon")
    other = script(tmp_path / "other" / "mnemon")
    python = beside.with_name("python")
    assert find_command(python, str(other.parent)) == (str(beside),)
    beside.unlink()
    assert find_command(python, str(other.parent)) == (str(other),)
    other.unlink()
    assert find_command(python, "") == (str(python), "-P", "-m", "server.cli")


def test_a_relative_search_path_gives_an_absolute_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = script(tmp_path / "bin" / "mnemon")
    assert find_command(Path("/nowhere/python"), "bin") == (str(found),)


@pytest.mark.parametrize("host", HOSTS.values(), ids=lambda host: host.id)
def test_an_entry_has_a_type_only_where_the_host_asks_for_one(host: Any) -> None:
    entry = new_entry(host, ("/bin/python", "-P", "-m", "server.cli"), {})
    assert entry["command"] == "/bin/python"
    assert entry["args"] == ["-P", "-m", "server.cli", "mcp"]
    assert entry.get("type") == ("stdio" if host.id in ("claude-code", "vscode") else None)
    assert is_ours(entry)


def arguments(**flags: Any) -> list[str]:
    entry = new_entry(HOSTS["cursor"], ("/bin/mnemon",), flags)
    assert entry["args"][0] == "mcp"
    return list(entry["args"][1:])


def test_paths_become_absolute_and_other_settings_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert arguments(data="memory") == ["--data", str(tmp_path / "memory")]
    assert arguments(data="~/memory") == ["--data", "/home/ada/memory"]
    assert arguments(data=":memory:") == ["--data", ":memory:"]
    assert arguments(model="qwen.gguf") == ["--model", str(tmp_path / "qwen.gguf")]
    assert arguments(model="ollama:qwen3") == ["--model", "ollama:qwen3"]
    assert arguments(idle_minutes=5.0) == ["--idle-minutes", "5"]
    assert arguments(embedder="none", log_level="info") == [
        "--embedder", "none", "--log-level", "info",
    ]  # fmt: skip


def test_an_embedder_is_made_absolute_where_it_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = "sentence-transformers:e5"
    assert arguments(embedder=spec) == ["--embedder", spec]
    (tmp_path / "e5").mkdir()
    assert arguments(embedder=spec) == [
        "--embedder",
        f"sentence-transformers:{tmp_path / 'e5'}",
    ]


def test_setup_takes_every_flag_of_a_host_s_server() -> None:
    (commands,) = (
        action.choices
        for action in build_parser()._actions  # argparse has no public list of commands
        if isinstance(action.choices, dict)
    )
    usage = commands["setup"].format_help()
    for name in NAMES:
        assert f"--{name} " in usage
        assert arguments(**{name.replace("-", "_"): "x"})[0] == f"--{name}"


def test_the_front_reads_what_setup_writes() -> None:
    written = arguments(data="/memory", model="/m.gguf", context_tokens=4096, idle_minutes=0.5)
    assert read_flags(written) == {
        "data": "/memory",
        "model": "/m.gguf",
        "context-tokens": "4096",
        "idle-minutes": "0.5",
    }


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        ({"command": "/opt/bin/mnemon", "args": ["mcp"]}, True),
        ({"command": "C:\\Tools\\Mnemon.exe"}, True),
        ({"command": "uvx", "args": ["mnemon", "mcp"]}, True),
        ({"command": "/opt/uv", "args": ["run", "mnemon", "mcp"]}, True),
        ({"command": "npx", "args": ["server-memory"]}, False),
        ({"command": "npx", "args": ["-y", "other-server", "mnemon"]}, False),
        ({"command": "/opt/mnemon/bin/python", "args": ["x.py"]}, False),
        ({"url": "http://127.0.0.1:7077/mcp"}, False),
        ({"command": 7, "args": 7}, False),
        ("mnemon", False),
        (None, False),
    ],
    ids=str,
)
def test_an_entry_is_mnemon_s_when_it_starts_mnemon(entry: Any, ours: bool) -> None:
    assert is_ours(entry) == ours


def test_a_command_in_a_cache_is_known_as_one_that_may_vanish() -> None:
    assert is_temporary("/home/ada/.cache/uv/archive-v0/abc/bin/mnemon")
    assert not is_temporary("/home/ada/.venv/bin/mnemon")
