"""Secrets: kept in a file of its user's alone, handed out by name, taken out of texts."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.secrets import SECRETS_FILE, BadSecret, SecretsFile, UnusableSecrets, redaction
from tests.memory.given import texts

VALUE = 'k"ey\n\\é-0123456789'


def test_a_value_is_kept_for_its_user_alone_and_handed_out_by_name(tmp_path: Path) -> None:
    secrets = SecretsFile(tmp_path / "data")
    assert (secrets.names(), secrets([])) == ([], {})
    assert not secrets.set("API_KEY", VALUE)
    assert secrets.set("API_KEY", f"{VALUE}!")
    secrets.set("OTHER", "x")
    path = tmp_path / "data" / SECRETS_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == [SECRETS_FILE]
    assert SecretsFile(tmp_path / "data")(["API_KEY"]) == {"API_KEY": f"{VALUE}!"}
    assert secrets.names() == ["API_KEY", "OTHER"]
    secrets.remove("OTHER")
    assert secrets.names() == ["API_KEY"]


def test_one_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    secrets = SecretsFile(tmp_path)
    secrets.set("OTHER", "x")
    with pytest.raises(UnusableSecrets, match=r"no secret 'API_KEY'.*: mnemon secrets set API_KEY"):
        secrets(["OTHER", "API_KEY"])
    with pytest.raises(BadSecret, match="no secret 'API_KEY'; there are: OTHER"):
        secrets.remove("API_KEY")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("A B", "x", "no name of an environment variable"),
        ("LD_PRELOAD", "x", "would change how programs are loaded"),
        ("PATH", "x", "would change how programs are loaded"),
        ("KEY", "", "has 0 characters; it must have 1 to 32000"),
        ("KEY", "x" * 32_001, "has 32001 characters"),
        ("KEY", "a\0b", "holds a NUL"),
        ("KEY", "\ud800", "no valid Unicode"),
    ],
)
def test_what_cannot_be_in_an_environment_is_refused(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    with pytest.raises(BadSecret, match=told):
        SecretsFile(tmp_path).set(name, value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_used_for_nothing(tmp_path: Path, mode: int) -> None:
    secrets = SecretsFile(tmp_path)
    secrets.set("KEY", "value")
    (tmp_path / SECRETS_FILE).chmod(mode)
    for use in (secrets.names, lambda: secrets(["KEY"]), lambda: secrets.set("KEY", "other")):
        with pytest.raises(UnusableSecrets, match=re.escape("run: chmod 600")) as caught:
            use()
        assert "token" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"KEY": 1}', "{", "[" * 100_000, "\xff"])
def test_a_file_that_holds_something_else_is_used_for_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / SECRETS_FILE
    path.write_text(text, "latin-1")
    path.chmod(0o600)
    with pytest.raises(UnusableSecrets, match="holds no secrets"):
        SecretsFile(tmp_path).names()


def test_a_link_is_used_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("{}")
    (tmp_path / SECRETS_FILE).symlink_to("real")
    with pytest.raises(UnusableSecrets, match="not a plain file"):
        SecretsFile(tmp_path).names()


def test_while_another_command_changes_them_nothing_is_lost(tmp_path: Path) -> None:
    secrets = SecretsFile(tmp_path)
    (tmp_path / f".{SECRETS_FILE}.new").touch()
    with pytest.raises(BadSecret, match="another command is changing the secrets"):
        secrets.set("KEY", "value")


def test_nothing_is_kept_without_a_directory() -> None:
    secrets = SecretsFile(None)
    assert secrets.names() == []
    with pytest.raises(BadSecret, match="':memory:' keeps nothing"):
        secrets.set("KEY", "value")
    with pytest.raises(UnusableSecrets):
        secrets(["KEY"])


def test_values_are_taken_out_of_texts_also_where_they_are_escaped() -> None:
    secrets = {"API_KEY": VALUE, "SHORT": "abc", "LONGER": f"{VALUE}-more"}
    once = json.dumps({"a": VALUE})
    twice = json.dumps(json.dumps([VALUE], ensure_ascii=False))
    assert redaction(secrets)(f"it is {VALUE}.") == "it is [secret API_KEY]."
    assert redaction(secrets)(f"{VALUE}-more") == "[secret LONGER]"
    assert redaction(secrets)(once) == '{"a": "[secret API_KEY]"}'
    assert "0123456789" not in redaction(secrets)(twice)
    assert redaction(secrets)("abc") == "abc"
    assert redaction(secrets)(f"cut off: {VALUE[:12]}") in (
        "cut off: [secret API_KEY]",
        "cut off: [secret LONGER]",
    )
    assert redaction({})("nothing") == "nothing"


@given(texts(0, 30), texts(4, 12), texts(0, 30))
def test_no_value_of_four_characters_is_left(before: str, value: str, after: str) -> None:
    for text in (before + value + after, json.dumps(before + value + after)):
        left = redaction({"Ω": value})(text)
        assert value not in left.replace("[secret Ω]", "\0")


@given(st.text("abc", max_size=60))
def test_a_text_without_a_value_stays_as_it_is(text: str) -> None:
    assert redaction({"KEY": "xyz-0", "OTHER": "0abcabc"})(text) == text


def test_many_short_texts_take_no_longer_with_a_long_value() -> None:
    redact = redaction({"KEY": "".join(chr(33 + at * 7 % 90) for at in range(32_000))})
    texts_of_an_answer = ["!(/6"] * 20_000
    began = time.monotonic()
    assert {redact(text) for text in texts_of_an_answer} == {"[secret KEY]"}
    assert time.monotonic() - began < 5
