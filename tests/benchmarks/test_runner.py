"""`python -m benchmarks` with benchmarks that are tiny programs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RUNNER = """
import sys
from pathlib import Path
from benchmarks.__main__ import Places, main
from benchmarks.catalogue import Benchmark

folder = Path(sys.argv[1])
table = [
    Benchmark(path.stem, [str(path)], ["--small"], ["--full"], [], path.stem == "locomo")
    for path in sorted(folder.glob("*.py"))
]
sys.exit(main(sys.argv[2:], table, Places(folder / "kept", folder / "page.md")))
"""
GOOD = """
import sys
from pathlib import Path
from benchmarks.report import Report, print_line
print_line(Report(Path(sys.argv[0]).stem, {"given": sys.argv[1:]}, {}))
"""
BROKEN = "raise SystemExit('the disk is on fire')"
STRANGE = GOOD.replace("Path(sys.argv[0]).stem", "'gamma'")
LOOSE = "print('measured: 3 ms')"
ENDLESS = """
import os, signal, subprocess, sys
from pathlib import Path
code = "import signal; print(flush=True); signal.pause()"
child = subprocess.Popen(
    [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE
)
child.stdout.readline()
Path(__file__).with_name("child").write_text(str(child.pid))
if "stubborn" in __file__:
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))
print("started", file=sys.stderr, flush=True)
signal.pause()
"""


def make(folder: Path, **programs: str) -> None:
    for name, program in programs.items():
        (folder / f"{name}.py").write_text(program)
    marks = (f"<!-- bench:{name} -->\n<!-- /bench:{name} -->\n" for name in programs)
    (folder / "page.md").write_text("# Page\n\n" + "\n".join(marks))


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def kept(folder: Path) -> list[str]:
    """The names of the lines that were kept."""
    (file,) = (folder / "kept").glob("*.jsonl")
    return [json.loads(line)["benchmark"] for line in file.read_text().splitlines()]


def test_each_prints_one_line_with_the_small_sizes_and_the_page_is_written(tmp_path: Path) -> None:
    make(tmp_path, alpha=GOOD, beta=GOOD)
    done = run(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["benchmark"] for line in lines] == ["alpha", "beta"]
    assert lines[0]["figures"] == {"given": ["--small"]}
    assert "[2 of 2] beta, " in done.stderr
    assert (tmp_path / "page.md").read_text().count("| given | --small |") == 2


def test_only_the_named_ones_run_in_full_and_the_page_can_be_left_alone(tmp_path: Path) -> None:
    make(tmp_path, alpha=GOOD, beta=GOOD)
    before = (tmp_path / "page.md").read_text()
    done = run(tmp_path, "--only", "beta", "--full", "--no-write", "--json")
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["benchmark"], line["figures"]["given"]) == ("beta", ["--full"])
    assert (tmp_path / "page.md").read_text() == before


def test_one_that_fails_is_shown_with_its_last_words_and_the_others_go_on(tmp_path: Path) -> None:
    make(tmp_path, alpha=BROKEN, beta=LOOSE, delta=STRANGE, gamma=GOOD)
    done = run(tmp_path)
    assert done.returncode == 1
    assert "failed: alpha: exit code 1\n    the disk is on fire" in done.stdout
    assert "failed: beta: what it printed is no JSON" in done.stdout
    assert "failed: delta: its line is that of 'gamma'" in done.stdout
    assert kept(tmp_path) == ["gamma"]
    assert "| given | --small |" in (tmp_path / "page.md").read_text()


def test_what_needs_outside_data_is_named_and_gets_its_path(tmp_path: Path) -> None:
    make(tmp_path, alpha=GOOD, locomo=GOOD)
    assert "not run: locomo: it needs the data that --locomo PATH names" in run(tmp_path).stdout
    data = tmp_path / "data"
    data.mkdir()
    refused = run(tmp_path, "--locomo", str(data))
    assert refused.returncode == 2
    assert "does not hold eval_retrieval.py" in refused.stderr
    (data / "eval_retrieval.py").touch()
    done = run(tmp_path, "--locomo", str(data), "--only", "locomo", "--json")
    assert json.loads(done.stdout)["figures"]["given"] == ["--small", str(data)]


def test_a_mistyped_name_is_an_error_with_the_nearest_one(tmp_path: Path) -> None:
    make(tmp_path, startup=GOOD, hosts=GOOD)
    done = run(tmp_path, "--only", "strtup")
    assert done.returncode == 2
    assert "there is no benchmark 'strtup'; did you mean startup?" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["patient", "stubborn"])
def test_ctrl_c_ends_what_runs_and_its_children_and_keeps_the_lines(
    tmp_path: Path, name: str
) -> None:
    make(tmp_path, alpha=GOOD, **{name: ENDLESS}, zeta=GOOD)
    process = start(tmp_path)
    assert process.stderr is not None
    for line in process.stderr:
        if "started" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"not run: {name}: interrupted\nnot run: zeta: interrupted" in out
    assert kept(tmp_path) == ["alpha"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 0)


def test_kept_lines_can_be_put_into_the_page_later(tmp_path: Path) -> None:
    make(tmp_path, alpha=GOOD)
    run(tmp_path, "--no-write")
    (file,) = (tmp_path / "kept").glob("*.jsonl")
    assert run(tmp_path, "--lines", str(file)).returncode == 0
    assert "| given | --small |" in (tmp_path / "page.md").read_text()


def test_the_list_says_how_each_is_run(tmp_path: Path) -> None:
    make(tmp_path, alpha=GOOD, locomo=GOOD)
    first, second = run(tmp_path, "--list").stdout.splitlines()
    assert first.split() == ["alpha", str(tmp_path / "alpha.py"), "--small"]
    assert second.endswith("(only with --locomo PATH)")
