"""`mnemon workspace` as people use it: real processes."""

import json
from pathlib import Path

from tests.server.processes import Run
from tests.server.test_tools_command import done, mnemon_on, shown

__all__ = ["mnemon_on"]  # a fixture


def test_files_are_written_listed_read_and_deleted(mnemon_on: Run, tmp_path: Path) -> None:
    run = mnemon_on
    done(run, "agents", "create", "Sam")
    data = bytes(range(256)) * 2_000  # more than one call takes, and no text
    (tmp_path / "data.bin").write_bytes(data)
    done(run, "workspace", "write", "Sam", "notes/today.txt", input="Tea at five.\n")
    done(run, "workspace", "write", "Sam", "data.bin", str(tmp_path / "data.bin"))
    assert done(run, "workspace", "read", "Sam", "notes/today.txt") == "Tea at five.\n"
    done(run, "workspace", "read", "Sam", "data.bin", "--output", str(tmp_path / "copy.bin"))
    assert (tmp_path / "copy.bin").read_bytes() == data
    files = shown(run, "workspace", "list", "Sam")["files"]
    assert [(file["name"], file["kind"]) for file in files] == [
        ("data.bin", "file"), ("notes", "folder"),
    ]  # fmt: skip
    assert "today.txt" in done(run, "workspace", "list", "Sam", "notes")
    assert "deleted 1 file or folder" in done(run, "workspace", "delete", "Sam", "data.bin")
    done(run, "workspace", "delete", "Sam", ".")
    assert "no files" in done(run, "workspace", "list", "Sam")


def test_what_is_not_there_is_told_without_a_traceback(run: Run, tmp_path: Path) -> None:
    done(run, "agents", "create", "Sam")
    for arguments, told in (
        (("read", "Sam", "nothing.txt"), "nothing.txt"),
        (("list", "Bob"), "Bob"),
        (("write", "Sam", "x", str(tmp_path / "none")), "cannot be read"),
        (("read", "Sam", "../../etc/passwd"), "etc/passwd"),
    ):
        result = run("workspace", *arguments)
        assert result.returncode == 2
        assert told in result.stderr and "Traceback" not in result.stderr
    assert json.loads(run("workspace", "list", "Sam", "--json").stdout)["files"] == []
