"""The attack corpus over the product's own API, run once as an ordinary user."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.interpreter import find_interpreter
from sandbox.unprivileged import Child, find_child

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fixtures" / "sandbox_corpus"
LIBRARIES = ("anyio", "idna", "sniffio", "typing_extensions", "exceptiongroup")
# Processes are compared by user, so that of the harness is nobody else's.
HARNESS_USER = 60_600 + os.getpid() % 500


@pytest.fixture
def readable() -> Iterator[Path]:
    """What the harness imports, where any user may read it: a checkout may be root's own."""
    with tempfile.TemporaryDirectory(prefix="mnemon-corpus-") as name:
        folder = Path(name)
        ignored = shutil.ignore_patterns("__pycache__")
        for library in LIBRARIES:
            spec = importlib.util.find_spec(library)
            if spec is None or spec.origin is None:
                continue
            if spec.submodule_search_locations:
                shutil.copytree(Path(spec.origin).parent, folder / library, ignore=ignored)
            else:
                shutil.copy(spec.origin, folder)
        shutil.copytree(ROOT / "sandbox", folder / "sandbox", ignore=ignored)
        shutil.copytree(CORPUS, folder / "corpus", ignore=ignored)
        shutil.copy(Path(__file__).with_name("corpus_adapter.py"), folder)
        (folder / "base").mkdir()
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        (folder / "base").chmod(0o777)
        yield folder


def harness_user() -> tuple[Child, Path]:
    """Whoever runs the tests, with this Python; for root another user, with one it can read."""
    if os.geteuid() != 0:
        return find_child(), Path(sys.executable)
    child = Child(HARNESS_USER, HARNESS_USER, changes=True)
    return child, find_interpreter(child).path


def test_no_attack_of_the_corpus_gets_through_and_honest_tools_work(readable: Path) -> None:
    try:
        child, python = harness_user()
    except SandboxUnavailable as refused:
        pytest.skip(str(refused))
    written = readable / "base" / "report.json"
    harness = subprocess.run(
        [python, readable / "corpus" / "harness.py",
         "--adapter", f"{readable}/corpus_adapter.py:make", "--base", readable / "base",
         "--json", written],
        env={"PATH": "/usr/bin:/bin", "USER": "harness", "PYTHONPATH": str(readable)},
        cwd=readable, capture_output=True, text=True, timeout=280, check=False,
        **child.spawn_arguments(),
    )  # fmt: skip
    if "nothing can be run" in harness.stderr:
        pytest.skip(harness.stderr.strip().splitlines()[-1])

    assert written.exists(), harness.stdout + harness.stderr
    rows = json.loads(written.read_text())["rows"]
    through = [f"{row['id']}: {row['fails']}" for row in rows if row["verdict"] == "FAIL"]
    assert len(rows) >= 35
    assert through == []
