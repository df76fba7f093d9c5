"""The command line of bubblewrap is the isolation: what it has, and what it never has."""

import os
from pathlib import Path

import pytest

from sandbox.bubblewrap import Descriptors, Mounts, System, arguments, checked, read_system
from sandbox.errors import SandboxUnavailable
from sandbox.interpreter import Interpreter

BWRAP = Path("/usr/bin/bwrap")
SYSTEM = System((("/lib", "usr/lib"),), ("/usr", "/etc/ld.so.cache"))
OF_SYSTEM = Interpreter(Path("/usr/bin/python3.11"), Path("/usr"), (3, 11, 2), b"")
OF_HOME = Interpreter(Path("/opt/py/bin/python3"), Path("/opt/py"), (3, 12, 0), b"")
FILES = Descriptors(boot=10, seccomp=11, info=12, channel=13)


def line(mounts: Mounts) -> list[str]:
    return arguments(BWRAP, mounts, FILES)


def follows(words: list[str], *wanted: str) -> bool:
    return any(tuple(words[at : at + len(wanted)]) == wanted for at in range(len(words)))


def test_every_namespace_is_new_and_nothing_is_left_to_gain() -> None:
    words = line(Mounts(SYSTEM, OF_SYSTEM))
    for flag in ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
                 "--new-session", "--clearenv"):  # fmt: skip
        assert flag in words
    assert follows(words, "--cap-drop", "ALL")
    assert follows(words, "--uid", "65534", "--gid", "65534")
    assert follows(words, "--seccomp", "11")
    assert "--share-net" not in words


def test_only_the_workspace_is_writable_and_memory_has_sizes() -> None:
    words = line(Mounts(SYSTEM, OF_SYSTEM, Path("/data/w"), packages=Path("/data/p")))
    assert follows(words, "--bind", "/data/w", "/workspace")
    assert words.count("--bind") == 1
    assert follows(words, "--ro-bind", "/data/p", "/venv")
    assert follows(words, "--ro-bind", "/usr", "/usr")
    assert words.count("--tmpfs") == words.count("--size") == 2
    for at in (at for at, word in enumerate(words) if word == "--tmpfs"):
        assert words[at - 2] == "--size"
    assert follows(words, "--remount-ro", "/dev")


def test_the_root_is_closed_after_everything_was_mounted_on_it() -> None:
    words = line(Mounts(SYSTEM, OF_SYSTEM, Path("/data/w")))
    closed = next(at for at in range(len(words)) if words[at : at + 2] == ["--remount-ro", "/"])
    later = words[closed + 2 :]
    assert not {"--bind", "--ro-bind", "--tmpfs", "--dir", "--symlink", "--proc"} & set(later)


def test_a_workspace_that_is_only_read_is_mounted_so() -> None:
    words = line(Mounts(SYSTEM, OF_SYSTEM, Path("/data/w"), writable=False))
    assert follows(words, "--ro-bind", "/data/w", "/workspace")
    assert "--bind" not in words


def test_without_a_workspace_there_is_one_in_memory() -> None:
    words = line(Mounts(SYSTEM, OF_SYSTEM, memory_bytes=1_000))
    assert follows(words, "--size", "1000", "--tmpfs", "/workspace")
    assert "--bind" not in words


def test_a_python_outside_of_the_system_is_mounted_with_its_folder_alone() -> None:
    words = line(Mounts(SYSTEM, OF_HOME))
    assert follows(words, "--ro-bind", "/opt/py", "/opt/py")
    assert words[-6:] == ["/opt/py/bin/python3", "-I", "-S", "-B", "/run/boot", "13"]


def test_nothing_of_etc_but_what_programs_need_is_seen() -> None:
    seen = {name for name in read_system().folders if name.startswith("/etc")}
    assert seen <= {"/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/certs", "/etc/alternatives"}


def test_a_program_that_others_could_have_changed_is_not_used(tmp_path: Path) -> None:
    own = tmp_path / "bwrap"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o777)
    with pytest.raises(SandboxUnavailable, match="can be changed by others than root"):
        checked(own)


def test_a_setuid_program_is_not_used(tmp_path: Path) -> None:
    own = tmp_path / "bwrap"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o4755)
    with pytest.raises(SandboxUnavailable, match="is setuid") as refused:
        checked(own)
    assert "chmod u-s" in refused.value.cure


def test_a_program_that_lacks_what_we_need_is_too_old() -> None:
    other = Path("/usr/bin/true")
    if other.stat().st_uid != 0 or os.path.realpath(other) != str(other):
        pytest.skip(f"{other} is not root's own file here")
    with pytest.raises(SandboxUnavailable, match="too old: it lacks --size --disable-userns"):
        checked(other)
