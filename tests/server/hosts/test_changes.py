"""Setting up and taking out again, on real files: nothing is lost, and nothing is half done."""

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.hosts.backup import backup_path
from server.hosts.changes import ForeignEntry, Kind, Place, apply, plan_setup, plan_unsetup
from server.hosts.config_file import ConfigFileError
from tests.server.hosts.given import configurations, jsonc_texts

OURS = {"command": "/opt/bin/mnemon", "args": ["mcp"]}
THEIRS = {"command": "/opt/bin/other", "timeout": 60}


def setup(place: Place, entry: dict[str, Any] = OURS, force: bool = False) -> Kind:
    change = plan_setup(place, entry, force)
    apply(change)
    return change.kind


def unsetup(place: Place, force: bool = False) -> Kind:
    change = plan_unsetup(place, force)
    apply(change)
    return change.kind


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "mcp.json", "mcpServers", "mnemon")


def files(place: Place) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in place.path.parent.iterdir()}


def servers(place: Place) -> Any:
    return json.loads(place.path.read_text(encoding="utf-8"))["mcpServers"]


@given(jsonc_texts(configurations()), st.booleans())
def test_setup_then_unsetup_gives_the_bytes_of_before(
    tmp_path_factory: pytest.TempPathFactory, given: tuple[str, Any, list[str]], mark: bool
) -> None:
    text = "\ufeff" * mark + given[0]
    place = Place(tmp_path_factory.mktemp("host") / "mcp.json", "mcpServers", "mnemon")
    place.path.write_bytes(text.encode("utf-8"))
    kind = setup(place, OURS, force=True)
    assert kind in ("added", "replaced")
    assert setup(place) == "nothing"
    unsetup(place)
    assert files(place) == {"mcp.json": text.encode("utf-8")}


def test_where_there_was_no_file_there_is_none_again(place: Place) -> None:
    assert setup(place) == "added"
    assert servers(place) == {"mnemon": OURS}
    assert unsetup(place) == "removed"
    assert files(place) == {}
    assert unsetup(place) == "nothing"


def test_what_was_written_meanwhile_stays(place: Place) -> None:
    place.path.write_text('{"theme": "dark"}')
    setup(place)
    edited = json.loads(place.path.read_text())
    edited["mcpServers"]["files"] = THEIRS
    place.path.write_text(json.dumps(edited, indent=4))  # as a host writes it anew

    assert unsetup(place) == "removed"

    left = {"theme": "dark", "mcpServers": {"files": THEIRS}}
    assert place.path.read_text() == json.dumps(left, indent=4)


def test_a_file_that_setup_made_stays_when_there_is_more_in_it(place: Place) -> None:
    setup(place)
    place.path.write_text(json.dumps({"theme": "dark", "mcpServers": {"mnemon": OURS}}))
    unsetup(place)
    assert json.loads(place.path.read_text()) == {"theme": "dark"}


def test_new_settings_take_the_place_of_old_ones_and_unsetup_goes_back_to_the_start(
    place: Place,
) -> None:
    place.path.write_text("{ }")
    setup(place)
    other = {**OURS, "args": ["mcp", "--data", "/other"]}
    assert setup(place, other) == "updated"
    assert servers(place) == {"mnemon": other}
    unsetup(place)
    assert files(place) == {"mcp.json": b"{ }"}


def test_what_a_host_added_to_the_entry_stays(place: Place) -> None:
    setup(place)
    added = {**OURS, "disabled": True, "env": {"A": "1"}}
    place.path.write_text(json.dumps({"mcpServers": {"mnemon": added}}))
    assert setup(place) == "nothing"
    other = {**OURS, "args": ["mcp", "--embedder", "none"]}
    assert setup(place, other) == "updated"
    assert servers(place) == {"mnemon": {**added, **other}}


def test_two_entries_come_and_go_in_any_order(place: Place) -> None:
    place.path.write_text('{\n  "mcpServers": {}\n}\n')
    before = files(place)
    second = Place(place.path, "mcpServers", "work")
    for first_out, last_out in ((place, second), (second, place)):
        setup(place)
        setup(second)
        unsetup(first_out)
        assert servers(place) == {last_out.name: OURS}
        unsetup(last_out)
        assert files(place) == before


def test_another_program_s_entry_is_replaced_only_by_force_and_comes_back(place: Place) -> None:
    text = json.dumps({"mcpServers": {"mnemon": THEIRS}})
    place.path.write_text(text)
    with pytest.raises(ForeignEntry, match=r"'/opt/bin/other'.*--name.*--force"):
        setup(place)
    assert files(place) == {"mcp.json": text.encode()}

    assert setup(place, force=True) == "replaced"
    assert servers(place) == {"mnemon": OURS}
    place.path.write_text(json.dumps({"mcpServers": {"mnemon": OURS}, "more": 1}))

    assert unsetup(place) == "restored"
    assert json.loads(place.path.read_text()) == {"mcpServers": {"mnemon": THEIRS}, "more": 1}


def test_unsetup_leaves_an_entry_that_has_become_another_program_s(place: Place) -> None:
    setup(place)
    place.path.write_text(json.dumps({"mcpServers": {"mnemon": THEIRS}}))
    with pytest.raises(ForeignEntry):
        unsetup(place)
    assert servers(place) == {"mnemon": THEIRS}


def test_an_entry_written_by_hand_is_known_and_can_be_removed(place: Place) -> None:
    place.path.write_text(json.dumps({"mcpServers": {"mnemon": OURS}}))
    assert setup(place) == "nothing"
    assert unsetup(place) == "removed"
    assert files(place) == {"mcp.json": b'{"mcpServers": {}}'}


@pytest.mark.parametrize("rubbish", ["", "{", '{"steps": [1]}', "[]"])
def test_a_damaged_backup_is_as_good_as_none(place: Place, rubbish: str) -> None:
    place.path.write_text('{"theme": "dark"}')
    setup(place)
    backup_path(place.path).write_text(rubbish)
    assert unsetup(place) == "removed"
    assert json.loads(place.path.read_text()) == {"theme": "dark", "mcpServers": {}}


def test_a_file_that_is_not_json_is_left_alone_and_named_with_the_place(place: Place) -> None:
    place.path.write_text('{\n  "mcpServers": {\n    "a": 1,,\n  }\n}\n')
    before = files(place)
    with pytest.raises(ConfigFileError, match=r"mcp\.json: .* line 3, column 12; nothing was"):
        setup(place)
    with pytest.raises(ConfigFileError, match="line 3, column 12"):
        unsetup(place)
    assert files(place) == before


def test_a_file_that_is_not_utf_8_is_left_alone(place: Place) -> None:
    place.path.write_bytes("{}".encode("utf-16"))
    with pytest.raises(ConfigFileError, match="not UTF-8 text at byte 0"):
        setup(place)
    assert files(place) == {"mcp.json": "{}".encode("utf-16")}


def test_what_a_host_writes_while_we_do_is_not_lost(place: Place) -> None:
    place.path.write_text("{}")
    change = plan_setup(place, OURS, force=False)
    place.path.write_text('{"theme": "dark"}')
    with pytest.raises(ConfigFileError, match="changed meanwhile; run the command again"):
        apply(change)
    assert files(place) == {"mcp.json": b'{"theme": "dark"}'}


def interrupted(action: Callable[[], object], lines: int) -> bool:
    """Whether Ctrl-C after so many lines of our own code came before the end of an action."""
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == "line" and "/server/hosts/" in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


# Between opening a file and noting it, an interruption leaves it to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("action", [setup, unsetup])
def test_ctrl_c_at_any_moment_leaves_the_file_whole_and_the_way_back_open(
    tmp_path: Path, action: Callable[[Place], Kind]
) -> None:
    before, after = '{"theme": "dark"}', ""
    for lines in range(1, 5000):
        place = Place(tmp_path / str(lines) / "mcp.json", "mcpServers", "mnemon")
        place.path.parent.mkdir()
        place.path.write_text(before)
        change = plan_setup(place, OURS, force=False)
        after = change.after or ""
        if action is unsetup:
            apply(change)
        if not interrupted(lambda place=place: action(place), lines):  # type: ignore[misc]
            break
        assert place.path.read_text() in (before, after)
        setup(place)
        assert place.path.read_text() == after
        unsetup(place)
        assert place.path.read_text() == before
    assert 100 < lines < 4999


@pytest.mark.skipif(os.name == "nt", reason="modes and links are of other systems")
def test_a_file_keeps_its_mode_and_what_holds_its_secrets_is_private(place: Place) -> None:
    place.path.write_text("{}")
    place.path.chmod(0o644)
    setup(place)
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o644
    assert stat.S_IMODE(backup_path(place.path).stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="modes and links are of other systems")
def test_a_link_stays_a_link_to_the_changed_file(place: Place, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles"
    kept.mkdir()
    (kept / "cursor.json").write_text("{}")
    place.path.symlink_to("dotfiles/cursor.json")
    setup(place)
    assert place.path.is_symlink()
    assert servers(place) == {"mnemon": OURS}
    assert [file.name for file in kept.iterdir()] == ["cursor.json"]
    unsetup(place)
    assert place.path.is_symlink()
    assert (kept / "cursor.json").read_text() == "{}"


def test_a_directory_in_the_place_of_the_file_is_an_error_with_its_name(place: Place) -> None:
    place.path.mkdir()
    with pytest.raises(ConfigFileError, match=r"mcp\.json: cannot be read"):
        setup(place)


def test_missing_directories_are_made(place: Place, tmp_path: Path) -> None:
    deep = Place(tmp_path / "a" / "b" / "mcp.json", "mcpServers", "mnemon")
    assert setup(deep) == "added"
    assert unsetup(deep) == "removed"


def test_where_nothing_can_be_written_nothing_is_left_behind(place: Place, tmp_path: Path) -> None:
    blocked = Place(tmp_path / "file" / "mcp.json", "mcpServers", "mnemon")
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(ConfigFileError, match="nothing was changed"):
        setup(blocked)
    assert files(place) == {"file": b"no directory"}
