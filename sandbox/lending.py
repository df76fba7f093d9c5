"""What an installer needs of the operator's, for a user who may not read it.

A server that is root installs packages as the user of tools (unprivileged.py). Programs that lie in
root's home, and the settings of uv and pip there, are copied into a folder that is this user's and
gone with the installer. Folders of wheels are not copied: they may be of any size.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sandbox.errors import PackagesUnavailable
from sandbox.unprivileged import Child
from sandbox.watch import walk

_SETTINGS: Final = {
    "HOME": (
        ".netrc", ".pip/pip.conf", ".config/pip/pip.conf", ".config/uv/uv.toml",
        ".local/share/uv/credentials/credentials.toml",
    ),
    "XDG_CONFIG_HOME": ("pip/pip.conf", "uv/uv.toml"),
}  # fmt: skip
_FILES: Final = (
    "PIP_CONFIG_FILE", "PIP_CERT", "PIP_CLIENT_CERT", "UV_CONFIG_FILE", "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE", "NETRC",
)  # fmt: skip
_FOLDERS: Final = ("PIP_FIND_LINKS", "UV_FIND_LINKS", "SSL_CERT_DIR")


class Lending:
    """Files for a user. folder: empty, this user's, and deleted by whoever made it."""

    def __init__(self, child: Child, folder: Path) -> None:
        self._child, self._folder, self._lent = child, folder, 0

    def lend(self, path: Path) -> Path:
        """Where the user can read a file or folder: where it is, else a copy.

        Raises:
            OSError: it cannot be copied.
        """
        if self._child.can_read(path) or not path.exists():
            return path
        copy = self._new_folder() / path.name
        if path.is_dir():
            shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__"))
            copy.chmod(0o755)
            for entry in walk(copy):
                Path(entry.path).chmod(0o755 if entry.is_dir() else 0o644)
        else:
            shutil.copy(path, copy)
            copy.chmod(0o755 if copy.stat().st_mode & 0o100 else 0o644)
        return copy

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The variables of an installer, with copies of the files that they lead to.

        Raises:
            PackagesUnavailable: one names a folder that the user cannot read.
            OSError: a file cannot be copied.
        """
        if not self._child.changes:
            return dict(given)
        changed = {n: str(self.lend(Path(given[n]))) for n in _FILES if given.get(n)}
        for name, settings in _SETTINGS.items():
            if given.get(name):
                changed[name] = str(self._home(Path(given[name]), settings))
        for name in _FOLDERS:
            for word in given.get(name, "").replace(",", " ").split():
                self._must_read(name, Path(word.removeprefix("file://")))
        return {**given, **changed}

    def _home(self, home: Path, settings: tuple[str, ...]) -> Path:
        copy = self._new_folder()
        self._child.give(copy)
        for name in settings:
            if (home / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(home / name, copy / name)
                (copy / name).chmod(0o644)
        return copy

    def _must_read(self, name: str, folder: Path) -> None:
        if folder.is_absolute() and folder.is_dir() and not self._child.can_read(folder):
            raise PackagesUnavailable(
                f"where mnemon is root, packages are installed as user {self._child.uid}, who "
                f"cannot read {folder} ({name}): make it, and the folders above it, readable for "
                "others"
            )

    def _new_folder(self) -> Path:
        self._lent += 1
        folder = self._folder / str(self._lent)
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)  # whatever the umask; the folder above is closed to others
        return folder
