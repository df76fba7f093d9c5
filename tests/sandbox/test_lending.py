"""What an installer needs and its user may not read is lent to it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import PackagesUnavailable
from sandbox.lending import Lending
from sandbox.unprivileged import Child, find_child
from tests.sandbox.sandboxes import open_folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs as somebody else")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that is closed to others."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def lending() -> Iterator[Lending]:
    with open_folder() as folder:
        find_child().give(folder)
        folder.chmod(0o700)
        yield Lending(find_child(), folder)


def read(path: Path) -> str:
    """What the user of tools reads."""
    done = subprocess.run(
        ["cat", path], capture_output=True, text=True, check=True, **find_child().spawn_arguments()
    )
    text: str = done.stdout
    return text


def test_a_program_in_a_closed_folder_is_copied_and_runs(home: Path, lending: Lending) -> None:
    program = home / "hello"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o700)
    copy = lending.lend(program)
    done = subprocess.run(
        [copy], capture_output=True, text=True, check=True, **find_child().spawn_arguments()
    )
    assert done.stdout == "hello\n"


def test_a_folder_is_copied_with_what_is_in_it_and_readable(home: Path, lending: Lending) -> None:
    (home / "pip" / "inner").mkdir(parents=True, mode=0o700)
    (home / "pip" / "inner" / "module.py").write_text("x = 1")
    (home / "pip" / "inner" / "module.py").chmod(0o600)
    assert read(lending.lend(home / "pip") / "inner" / "module.py") == "x = 1"


def test_what_can_be_read_stays_where_it_is(home: Path, lending: Lending) -> None:
    assert lending.lend(Path("/bin/sh")) == Path("/bin/sh")
    assert lending.lend(home / "nothing") == home / "nothing"


def test_settings_in_a_home_and_named_files_are_lent_and_nothing_else_of_it(
    home: Path, lending: Lending
) -> None:
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text("[global]\nindex-url = https://index\n")
    (home / ".netrc").write_text("machine index")
    (home / ".netrc").chmod(0o600)
    (home / ".ssh").mkdir()
    (home / "authority.pem").write_text("pem")
    given = {"HOME": str(home), "PIP_CERT": str(home / "authority.pem"), "PATH": "/bin"}
    found = lending.environment(given)
    lent = Path(found["HOME"])
    assert "index-url" in read(lent / ".config" / "pip" / "pip.conf")
    assert read(lent / ".netrc") == "machine index"
    assert sorted(os.listdir(lent)) == [".config", ".netrc"]  # noqa: PTH208
    assert read(Path(found["PIP_CERT"])) == "pem"
    assert found["PATH"] == "/bin"


def test_a_folder_of_wheels_that_the_user_cannot_read_is_named(
    home: Path, lending: Lending
) -> None:
    for value in (f"https://index {home}", home.as_uri()):
        with pytest.raises(PackagesUnavailable, match=f"cannot read {home} .PIP_FIND_LINKS."):
            lending.environment({"PIP_FIND_LINKS": value})


def test_the_servers_own_user_gets_everything_as_it_is(home: Path, tmp_path: Path) -> None:
    itself = Lending(Child(os.geteuid(), os.getegid(), changes=False), tmp_path)
    given = {"HOME": str(home), "PIP_FIND_LINKS": str(home)}
    assert itself.environment(given) == given
    assert itself.lend(home) == home
