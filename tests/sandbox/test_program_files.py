"""What a program must see of itself, and what is refused before it is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.errors import InvalidRun
from sandbox.program_files import own_files, reads_to_start
from sandbox.unprivileged import Child

ME = Child(os.geteuid(), os.getegid(), changes=False)


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def python_installation(prefix: Path) -> Path:
    (prefix / "lib" / "python3.12").mkdir(parents=True)
    (prefix / "lib" / "python3.12" / "os.py").touch()
    (prefix / "lib" / "libpython3.12.so.1.0").touch()
    (prefix / "share").mkdir()
    return program(prefix / "bin" / "python3", "\x7fELF")


def environment(folder: Path, python: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {python.parent}\nversion = 3.12.0\n")
    (folder / "bin" / "python").symlink_to(python)
    return folder / "bin" / "python"


def test_a_program_of_the_system_needs_nothing() -> None:
    assert own_files(Path("/usr/bin/env"), ["python3", "-m", "server"]) == []


def test_a_program_elsewhere_is_its_file_and_what_it_is_linked_to(tmp_path: Path) -> None:
    real = program(tmp_path / "opt" / "server")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "server"
    link.symlink_to("../opt/server")
    assert own_files(link, []) == [link, real]


def test_a_python_is_its_file_and_its_library_and_not_what_lies_beside(tmp_path: Path) -> None:
    python = python_installation(tmp_path)
    lib = tmp_path / "lib"
    assert own_files(python, []) == [python, lib / "python3.12", lib / "libpython3.12.so.1.0"]


def test_an_environment_is_seen_as_a_whole_with_the_python_that_it_is_of(tmp_path: Path) -> None:
    python = python_installation(tmp_path / "python")
    own = environment(tmp_path / "venv", python)
    found = own_files(own, ["-m", "server"])
    assert found[0] == tmp_path / "venv"
    assert tmp_path / "python" / "lib" / "python3.12" in found
    script = program(tmp_path / "venv" / "bin" / "my-server", f"#!{own}\n")
    link = tmp_path / "my-server"
    link.symlink_to(script)
    assert set(own_files(link, [])) == {link, *found}


def test_an_environment_of_the_system_s_python_is_all_that_it_needs(tmp_path: Path) -> None:
    own = environment(tmp_path / "venv", Path("/usr/bin/python3"))
    assert own_files(own, []) == [tmp_path / "venv"]


def test_the_script_of_an_interpreter_is_a_part_of_the_program(tmp_path: Path) -> None:
    script, other = program(tmp_path / "server.js"), program(tmp_path / "notes")
    assert own_files(Path("/usr/bin/node"), ["--quiet", str(script), str(other)]) == [script]
    assert own_files(Path("/usr/bin/python3.11"), ["-u", str(script)]) == [script]
    assert own_files(Path("/usr/bin/sqlite3"), [str(other)]) == []


def test_what_is_granted_already_is_not_granted_twice(tmp_path: Path) -> None:
    script = program(tmp_path / "server.py")
    reads = reads_to_start(["sh", str(script)], [str(tmp_path)], [], ME)
    assert reads == (tmp_path,)


def test_a_program_may_lie_in_a_folder_that_is_granted(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "server")
    assert reads_to_start(["server"], [str(tmp_path)], [], ME) == (tmp_path,)


def test_what_mnemon_keeps_is_not_shown_to_its_program_either(tmp_path: Path) -> None:
    own = program(tmp_path / "data" / "server")
    with pytest.raises(InvalidRun, match="mnemon itself keeps"):
        reads_to_start([str(own)], [], [tmp_path / "data"], ME)


def test_a_program_on_the_path_of_the_person_only_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = program(tmp_path / "only-mine")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidRun, match=f"give the whole path of yours, {own}"):
        reads_to_start(["only-mine"], [], [], ME)


def test_what_the_user_of_the_sandbox_cannot_read_is_named(tmp_path: Path) -> None:
    own = program(tmp_path / "server")
    tmp_path.chmod(0o700)
    with pytest.raises(InvalidRun, match="open to others"):
        reads_to_start([str(own)], [], [], Child(61_170, 61_170, changes=True))


def test_a_real_environment_names_what_it_needs(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    found = own_files(tmp_path / "v" / "bin" / "python", [])
    assert found[0] == tmp_path / "v"
    library = Path(os.__file__).parent
    assert library.is_relative_to("/usr") or any(library.is_relative_to(p) for p in found)
