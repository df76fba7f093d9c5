"""What a look from outside finds."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sandbox.policy import MIB
from sandbox.watch import (
    Bounds,
    Usage,
    descendants,
    look,
    measure,
    over_quota,
    resident_by_ps,
    resident_bytes,
)


def bounds(folder: Path | None, size: int = MIB, entries: int = 100) -> Bounds:
    return Bounds({} if folder is None else {"workspace": folder}, size, entries, 512 * MIB)


def test_everything_below_a_folder_counts_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "large").write_bytes(b"x" * 500_000)
    work = tmp_path / "work"
    (work / "a" / "b").mkdir(parents=True)
    (work / "a" / "b" / "file").write_bytes(b"x" * 10_000)
    (work / "link").symlink_to(tmp_path / "outside")
    found = measure(work, bounds(work))
    assert found.entries == 4
    assert 10_000 <= found.bytes < 100_000


def test_a_sparse_file_counts_by_what_it_takes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**9)
    assert measure(tmp_path, bounds(tmp_path)).bytes < MIB


def test_counting_stops_where_it_is_too_much(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert measure(tmp_path, bounds(tmp_path, entries=10)).entries == 11
    with subprocess.Popen(["sleep", "60"]) as small:
        assert "more than 10 files" in look(bounds(tmp_path, entries=10), small.pid, 0)
        assert look(bounds(tmp_path), small.pid, 0) == ""
        small.kill()


@given(st.integers(0, 2 * MIB), st.integers(0, 200))
def test_a_folder_is_too_large_by_bytes_or_by_entries(size: int, entries: int) -> None:
    passed = over_quota("workspace", bounds(None), Usage(size, entries))
    assert bool(passed) == (size > MIB or entries > 100)


def test_memory_of_all_that_a_process_started_is_counted() -> None:
    source = "x = bytearray(50_000_000); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in descendants(os.getpid())
        assert resident_bytes(child.pid, enough=0) > 50_000_000
        assert resident_bytes(child.pid, enough=10**12) > 50_000_000
        child.kill()


def test_ps_tells_the_memory_of_a_process_where_there_is_no_proc() -> None:
    by_ps, by_proc = resident_by_ps(os.getpid()), resident_bytes(os.getpid(), 2**62)
    assert 0.8 < by_ps / by_proc < 1.25
    assert resident_by_ps(2**22 + 1) == 0
