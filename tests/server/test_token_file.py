"""The file that keeps the bearer token."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.token_file import TOKEN_FILE, UnsafeTokenFile, read_or_create_token


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "mnemon"
    token = read_or_create_token(directory)
    assert re.fullmatch(r"[\w-]{43}", token)
    assert read_or_create_token(directory) == token
    assert (directory / TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in directory.iterdir()] == [TOKEN_FILE]


def test_processes_that_start_at_once_agree_on_one_token(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(read_or_create_token, [tmp_path / "new"] * 32))
    assert len(tokens) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o602])
def test_a_token_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    read_or_create_token(tmp_path)
    path = tmp_path / TOKEN_FILE
    path.chmod(mode)
    with pytest.raises(UnsafeTokenFile, match=re.escape(f"run: chmod 600 '{path}'")):
        read_or_create_token(tmp_path)


def test_a_directory_in_which_others_can_replace_the_token_is_refused(tmp_path: Path) -> None:
    read_or_create_token(tmp_path)
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeTokenFile, match=r"run: chmod 700"):
        read_or_create_token(tmp_path)


@pytest.mark.parametrize("content", ["", "short", "a" * 40 + "\n" + "b" * 40, "ä" * 40])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: str) -> None:
    read_or_create_token(tmp_path)
    (tmp_path / TOKEN_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(UnsafeTokenFile, match="holds no token"):
        read_or_create_token(tmp_path)


def test_a_link_in_place_of_the_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("a" * 43)
    (tmp_path / TOKEN_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeTokenFile, match="not a plain file"):
        read_or_create_token(tmp_path)
