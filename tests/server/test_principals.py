"""Tokens that are for some agents only: made, found, followed, revoked."""

from pathlib import Path

import pytest

from server.callers import Principal
from server.principals import FOLDER, BadToken, Principals, create_token, list_tokens, revoke_token


def test_a_token_stands_for_its_agents_until_it_is_revoked(tmp_path: Path) -> None:
    principals = Principals("person", tmp_path)
    token, grant = create_token(tmp_path, "laptop", ["agent-1", "agent-2"], "agents")
    id_ = f"laptop:{grant.sha256[:16]}"
    laptop = Principal("laptop", id_, frozenset({"agent-1", "agent-2"}), "agents")
    assert principals.of(token) == laptop
    assert principals.of(token[:-1]) is None
    assert principals.of("person") == Principal("person", "person")
    assert principals.exists(laptop)
    assert list_tokens(tmp_path) == [grant]

    revoke_token(tmp_path, "laptop")
    assert principals.of(token) is None
    assert not principals.exists(laptop)
    assert list_tokens(tmp_path) == []


def test_a_token_made_anew_under_its_old_name_is_another(tmp_path: Path) -> None:
    principals = Principals("person", tmp_path)
    old, _ = create_token(tmp_path, "laptop", ["agent-1"], None)
    before = principals.of(old)
    revoke_token(tmp_path, "laptop")
    new, _ = create_token(tmp_path, "laptop", ["agent-1"], None)
    after = principals.of(new)
    assert before is not None and after is not None
    assert principals.of(old) is None
    assert not principals.exists(before)
    assert principals.exists(after)
    assert before.id != after.id


def test_a_folder_that_cannot_be_read_stands_for_nobody_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FOLDER).write_text("no folder")
    principals = Principals("person", tmp_path)
    assert principals.of("x" * 43) is None
    assert principals.of("person") is not None
    assert "no token for some agents can be read" in caplog.text
    with pytest.raises(BadToken, match="cannot be made"):
        create_token(tmp_path, "laptop", ["agent-1"], None)


def test_the_token_itself_is_kept_nowhere_and_its_file_is_private(tmp_path: Path) -> None:
    token, _ = create_token(tmp_path, "laptop", ["agent-1"], None)
    (path,) = (tmp_path / FOLDER).iterdir()
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "person", "x" * 64, "a b"])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadToken, match="cannot be a token's name"):
        create_token(tmp_path, name, ["agent-1"], None)
    with pytest.raises(BadToken, match="there is no token"):
        revoke_token(tmp_path, name)


def test_a_name_is_taken_once_and_a_token_is_for_somebody(tmp_path: Path) -> None:
    token, _ = create_token(tmp_path, "laptop", ["agent-1"], None)
    with pytest.raises(BadToken, match="there is a token 'laptop' already"):
        create_token(tmp_path, "laptop", ["agent-2"], None)
    with pytest.raises(BadToken, match="at least one with --agent"):
        create_token(tmp_path, "phone", [], None)
    with pytest.raises(BadToken, match="there is no token 'phone'; there are: laptop"):
        revoke_token(tmp_path, "phone")
    assert Principals("person", tmp_path).of(token) is not None
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["laptop.json"]


@pytest.mark.parametrize("damage", ["others may write", "half a file", "another's name", "a link"])
def test_a_file_that_cannot_be_trusted_stands_for_nobody(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    token, _ = create_token(tmp_path, "laptop", ["agent-1"], None)
    path = tmp_path / FOLDER / "laptop.json"
    match damage:
        case "others may write":
            path.chmod(0o666)
        case "half a file":
            path.write_text(path.read_text()[:40])
        case "another's name":
            path.rename(path.with_name("phone.json"))
        case _:
            path.rename(tmp_path / "elsewhere.json")
            path.symlink_to(tmp_path / "elsewhere.json")
    assert Principals("person", tmp_path).of(token) is None
    assert "stands for nobody" in caplog.text
