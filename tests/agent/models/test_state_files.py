import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.state_files import StateFiles, forget_agent, model_fingerprint, model_parts

LIMIT = 1_000_000
TOKENS = tuple(range(100))
STATE = bytes(range(256)) * 4


def files_in(directory: Path, limit: int = LIMIT, model: str = "m") -> StateFiles:
    return StateFiles(directory, limit, model)


def write(files: StateFiles, agent: str, state: bytes = STATE) -> bool:
    return files.write(agent, TOKENS, memoryview(state), lambda: True)


def read(files: StateFiles, agent: str) -> bytes | None:
    found = files.find(agent, window=1000)
    if found is None:
        return None
    room = bytearray(found.state_bytes)
    return bytes(room) if files.load(found, memoryview(room), lambda: True) else None


def kept(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.exists() else []


@given(
    agent=st.text(max_size=30),
    tokens=st.lists(st.integers(0, 2**31 - 1), max_size=50),
    state=st.binary(min_size=1, max_size=3000),
)
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, agent: str, tokens: list[int], state: bytes
) -> None:
    directory = tmp_path_factory.mktemp("kv")
    assert files_in(directory).write(agent, tokens, memoryview(state), lambda: True)

    files = files_in(directory)
    found = files.find(agent, window=1000)
    assert found is not None
    assert found.tokens == tuple(tokens)
    assert read(files, agent) == state


def test_files_are_for_their_owner_only_and_named_after_no_agent(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "kv-cache"
    assert write(files_in(directory), "ada")
    (path,) = kept(directory)
    assert path.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert "ada" not in path.name


@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_file_with_any_byte_changed_is_ignored_and_removed(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    directory = tmp_path_factory.mktemp("kv")
    files = files_in(directory)
    write(files, "ada")
    (path,) = kept(directory)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= flip
    path.write_bytes(data)

    assert read(files, "ada") is None
    assert kept(directory) == []


@given(length=st.integers(0, 1500))
def test_a_file_of_any_other_length_is_ignored_and_removed(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    directory = tmp_path_factory.mktemp("kv")
    files = files_in(directory)
    write(files, "ada")
    (path,) = kept(directory)
    data = path.read_bytes()
    path.write_bytes((data + data)[: length if length < len(data) else length + 1])

    assert read(files, "ada") is None
    assert kept(directory) == []


def test_a_file_that_the_engine_does_not_take_is_removed(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    write(files, "ada")
    found = files.find("ada", window=1000)
    assert found is not None
    assert not files.load(found, memoryview(bytearray(len(STATE))), lambda: False)
    assert kept(tmp_path) == []


def test_a_file_over_which_the_process_died_is_not_tried_again(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    write(files, "ada")
    found = files.find("ada", window=1000)
    assert found is not None

    def die() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.load(found, memoryview(bytearray(len(STATE))), die)
    assert read(files_in(tmp_path), "ada") is None
    assert kept(tmp_path) == []


def test_a_file_of_another_model_is_not_taken_for_this_one(tmp_path: Path) -> None:
    write(files_in(tmp_path, model="m"), "ada")
    other = files_in(tmp_path, model="n")
    assert read(other, "ada") is None
    assert read(files_in(tmp_path, model="m"), "ada") == STATE

    (path,) = kept(tmp_path)
    write(other, "ada")
    (name,) = set(kept(tmp_path)) - {path}
    path.replace(name)
    assert read(other, "ada") is None


def test_a_state_longer_than_the_window_is_left_for_a_larger_one(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    write(files, "ada")
    assert files.find("ada", window=len(TOKENS) - 1) is None
    assert files.find("ada", window=len(TOKENS)) is not None


def test_the_files_longest_unused_make_room_for_new_ones(tmp_path: Path) -> None:
    write(files_in(tmp_path), "size")
    (path,) = kept(tmp_path)
    size = path.stat().st_size
    path.unlink()

    files = files_in(tmp_path, limit=3 * size + 10)
    for place, agent in enumerate(("a", "b", "c")):
        write(files, agent)
        (newest,) = (p for p in kept(tmp_path) if p.stat().st_mtime > 1000)
        os.utime(newest, (place + 1, place + 1))
    assert read(files, "a") == STATE  # used now
    write(files, "d")

    assert [read(files, agent) is not None for agent in "abcd"] == [True, False, True, True]
    assert sum(p.stat().st_size for p in kept(tmp_path)) <= 3 * size + 10


def test_a_state_larger_than_all_the_room_is_not_written(tmp_path: Path) -> None:
    assert not write(files_in(tmp_path, limit=100), "ada")
    assert kept(tmp_path) == []


def test_a_smaller_limit_than_last_time_is_kept_at_once(tmp_path: Path) -> None:
    write(files_in(tmp_path), "ada")
    files_in(tmp_path, limit=10)
    assert kept(tmp_path) == []


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_write_told_not_to_go_on_leaves_the_last_file_and_nothing_else(
    tmp_path: Path, pieces: int
) -> None:
    files = files_in(tmp_path, limit=100_000_000)
    write(files, "ada")
    answers = iter([True] * pieces + [False])
    large = memoryview(bytes(20_000_000))
    assert not files.write("ada", TOKENS, large, lambda: next(answers))
    assert read(files, "ada") == STATE
    assert len(kept(tmp_path)) == 1


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_bytes(b"half")
    files_in(tmp_path)
    assert kept(tmp_path) == []


def test_a_directory_that_cannot_be_written_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kv-cache").write_text("a file")
    assert not write(files_in(tmp_path / "kv-cache"), "ada")
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "forget",
    [
        lambda directory: forget_agent(directory, "ada"),
        lambda directory: files_in(directory).forget("ada"),
    ],
)
def test_an_agent_that_is_forgotten_leaves_no_file(
    tmp_path: Path, forget: Callable[[Path], None]
) -> None:
    files = files_in(tmp_path)
    write(files, "ada")
    write(files, "bob")
    forget(tmp_path)
    assert read(files, "ada") is None
    assert read(files, "bob") == STATE


def test_a_model_is_known_by_its_sizes_times_and_first_bytes(tmp_path: Path) -> None:
    first = tmp_path / "m-00001-of-00002.gguf"
    second = tmp_path / "m-00002-of-00002.gguf"
    first.write_bytes(b"GGUF one")
    second.write_bytes(b"GGUF two")
    assert model_parts(first) == [first, second]
    before = model_fingerprint(first, "v1")
    assert model_fingerprint(first, "v1") == before
    assert model_fingerprint(first, "v2") != before

    second.write_bytes(b"GGUF two and more")
    assert model_fingerprint(first, "v1") != before
