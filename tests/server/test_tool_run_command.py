"""`mnemon tools run` and `mnemon run-code` in the real sandbox: what a person reads of them."""

import subprocess
from pathlib import Path

import pytest

from tests.server.processes import Run
from tests.server.test_tools_command import done, shown

TOOLS = {
    "reach": ("import urllib.request", "urllib.request.urlopen('https://example.com', timeout=5)"),
    "start": ("import subprocess", "subprocess.run(['ls'])"),
    "remember": ("", "memory.search(query='x')"),
    "speak": ("", "return 'policy.network of tool_update ' + 'x' * 60_000"),
}


def add(run: Run, folder: Path, name: str) -> None:
    first, second = TOOLS[name]
    path = folder / f"{name}.py"
    path.write_text(f"def {name}() -> str:\n    'D.'\n    {first}\n    {second}\n")
    done(run, "tools", "add", str(path))


def use(run: Run, name: str, *more: str) -> "subprocess.CompletedProcess[str]":
    result = run("tools", "run", name, "--agent", "Sam", *more)
    if "no tool code is run" in result.stderr:
        pytest.skip(result.stderr)
    return result


@pytest.fixture
def sam(run: Run) -> Run:
    done(run, "agents", "create", "Sam")
    return run


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("reach", "reach no hosts (`mnemon tools update reach --network HOST:PORT`)"),
        ("start", "start no programs (`mnemon tools update start --allow-subprocesses`)"),
        ("remember", "(`mnemon tools update remember --method NAME`)"),
    ],
)
def test_a_tool_that_lacks_a_grant_fails_with_the_command_that_gives_it(
    sam: Run, tmp_path: Path, name: str, cure: str
) -> None:
    add(sam, tmp_path, name)
    ran = use(sam, name)
    assert ran.returncode == 1
    assert cure in ran.stdout.splitlines()[1]


def test_a_long_result_is_printed_whole_up_to_the_return_limit_which_is_named(
    sam: Run, tmp_path: Path
) -> None:
    add(sam, tmp_path, "speak")
    ran = use(sam, "speak")
    assert len(ran.stdout) > 50_000
    assert "`mnemon tools update speak --return-limit N` shows more than 50000]" in ran.stdout
    done(sam, "tools", "update", "speak", "--return-limit", "100000")
    result = shown(sam, "tools", "run", "speak", "--agent", "Sam")
    assert result["text"].endswith("x" * 60_000)
    assert (result["cut"], result["next_cursor"]) == (False, None)


def test_code_whose_output_is_cut_is_told_the_command_that_reads_a_file(sam: Run) -> None:
    ran = sam("run-code", "Sam", input="print('x' * 20_000)")
    if "no tool code is run" in ran.stderr:
        pytest.skip(ran.stderr)
    assert "write it to a file and read that with `mnemon workspace read Sam PATH`]" in ran.stdout
