"""Damage and hostile surroundings: said in words, nothing lost in silence, nothing written."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory.database import Database
from memory.database_file import log_of
from memory.errors import (
    CommitFailed,
    DatabaseCorrupt,
    DatabaseError,
    DatabaseLocked,
    DatabaseUnusable,
)
from memory.inspection import inspect_file
from memory.store import MemoryStore
from tests.memory.given import MemoryOf

STORE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from memory.store import MemoryStore
from tests.memory.given import MemoryOf
ada = MemoryOf.new_agent(MemoryStore(Path(sys.argv[1]), None), "Ada")
for n in range(20):
    ada.archive(f"passage {n}")
os.kill(os.getpid(), signal.SIGKILL)
"""

STORE_AND_WAIT = STORE_AND_DIE.replace(
    "os.kill(os.getpid(), signal.SIGKILL)", "print('open', flush=True); sys.stdin.read()"
)


@pytest.fixture
def stored(path: Path) -> Path:
    """A closed file with an agent and passages."""
    with MemoryStore(path, None) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        for n in range(5):
            ada.archive(*(f"passage {n}-{m} with some words in it" for m in range(200)))
    return path


@pytest.fixture
def killed(path: Path) -> Path:
    """A file whose owner was killed, so that everything is in the write-ahead log."""
    died = subprocess.run([sys.executable, "-c", STORE_AND_DIE, path])
    assert died.returncode == -signal.SIGKILL
    return path


def passages(path: Path) -> int:
    """How many there are; reads everything."""
    with MemoryStore(path, None) as store:
        ada = MemoryOf(store, store.agent_state("Ada").agent)
        with ada.read() as reader:
            rows = reader.rows("texts_to_embed", after=0, limit=100_000)
        assert ada.found("passage")
        return len(rows)


def test_a_log_left_by_a_kill_is_replayed(killed: Path) -> None:
    assert passages(killed) == 20


def test_a_flipped_byte_anywhere_in_the_file_is_noticed_or_harmless(stored: Path) -> None:
    whole = stored.read_bytes()
    for position in range(20, len(whole), len(whole) // 15):
        stored.write_bytes(
            whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        )
        try:
            assert passages(stored) == 1_000
        except DatabaseError as error:
            assert "cannot be read" in str(error) or "upgrade mnemon" in str(error)
        for left in stored.parent.iterdir():
            left.unlink()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_short_is_refused(stored: Path, share: float) -> None:
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DatabaseCorrupt, match="restore a backup"):
        passages(stored)


def test_a_log_whose_last_entry_is_cut_short_loses_that_entry_only_and_is_kept(
    killed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = log_of(killed).read_bytes()
    log_of(killed).write_bytes(log[:-5])
    assert passages(killed) == 19
    kept = log_of(killed).with_name(log_of(killed).name + ".incomplete")
    assert kept.read_bytes() == log[:-5] and str(kept) in caplog.text
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_flipped_byte_in_the_log_is_refused_or_the_log_is_kept(killed: Path) -> None:
    file, log = killed.read_bytes(), log_of(killed).read_bytes()
    for position in [*range(0, 64, 5), *range(64, len(log), len(log) // 15)]:
        for left in killed.parent.iterdir():
            left.unlink()
        damaged = log[:position] + bytes([log[position] ^ 0xFF]) + log[position + 1 :]
        killed.write_bytes(file)
        log_of(killed).write_bytes(damaged)
        try:
            Database(killed).close()
            assert list(killed.parent.glob("*.incomplete")), position
        except DatabaseCorrupt as error:
            assert ".wal" in str(error)
            assert (killed.read_bytes(), log_of(killed).read_bytes()) == (file, damaged)


@pytest.fixture
def in_use(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the file open, with everything in the log."""
    command = [sys.executable, "-c", STORE_AND_WAIT, str(path)]
    pipes = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipes, stdout=pipes, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "open\n"
        yield holder
        holder.kill()


@pytest.mark.parametrize("torn", ["header", "end"])
@pytest.mark.parametrize("open_it", [Database, inspect_file])
def test_a_log_that_another_process_is_writing_is_not_judged(
    path: Path,
    in_use: "subprocess.Popen[str]",
    torn: str,
    open_it: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = log_of(path).read_bytes()
    log_of(path).write_bytes(b"?" + whole[1:] if torn == "header" else whole[:-5])
    with pytest.raises(DatabaseLocked) as caught:
        open_it(path)
    assert caught.value.holder_pid == in_use.pid
    assert sorted(path.parent.iterdir()) == [path, log_of(path)] and not caplog.records


def test_looking_at_a_file_leaves_it_and_its_log_as_they_are(killed: Path) -> None:
    before = killed.read_bytes(), log_of(killed).read_bytes()
    found = inspect_file(killed)
    assert (found.agents, found.embedder) == (1, None)
    assert (found.file_bytes, found.log_bytes) == (len(before[0]), len(before[1]))
    assert (killed.read_bytes(), log_of(killed).read_bytes()) == before
    assert passages(killed) == 20


def test_looking_at_a_log_that_is_cut_short_makes_no_copy_of_it(killed: Path) -> None:
    log_of(killed).write_bytes(log_of(killed).read_bytes()[:-5])
    assert inspect_file(killed).agents == 1
    assert sorted(killed.parent.iterdir()) == [killed, log_of(killed)]


def test_a_folder_cannot_be_the_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="choose another directory"):
        Database(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DatabaseUnusable, match="choose another directory"):
        Database(tmp_path / "data" / "mnemon.duckdb")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DatabaseUnusable, match="choose another directory"):
        Database(tmp_path / "mnemon.duckdb")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_refuses_the_change_and_keeps_what_was_acknowledged(small_disk: Path) -> None:
    path, acknowledged = small_disk / "mnemon.duckdb", 0
    with MemoryStore(path, None) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        with pytest.raises(CommitFailed, match="make room on the disk"):
            while acknowledged < 1_000:
                ada.archive(f"passage {acknowledged} {os.urandom(40_000).hex()}")
                acknowledged += 1
        assert ada.found("passage", limit=1)
    assert passages(path) == acknowledged > 0
