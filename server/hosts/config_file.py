"""A host's configuration file on disk: read as it is, replaced whole or not at all."""

import os
import secrets
import stat
from pathlib import Path

from server.errors import OperatorError


class ConfigFileError(OperatorError):
    """A host's file cannot be read or written; it is as it was, and the message says why."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}; nothing was changed")


def read(path: Path) -> str | None:
    """The text, with its newlines and byte order mark; None: there is no file.

    Raises:
        ConfigFileError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigFileError(path, f"not UTF-8 text at byte {error.start}; save it so") from None
    except OSError as error:
        raise ConfigFileError(path, f"cannot be read: {error.strerror}") from error


def replace(path: Path, text: str | None, expected: str | None) -> None:
    """Put a text in the place of the expected one; None: no file.

    A link stays a link, and the file keeps its mode; a new one is its owner's alone. Directories
    that are missing are made.

    Raises:
        ConfigFileError: it cannot be written, or is not as expected.
    """
    target = path.resolve()
    try:
        if target.exists() and not os.access(target, os.W_OK):
            raise ConfigFileError(path, "is read-only")
        if text is None:
            _check(path, expected)
            target.unlink(missing_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_beside(path, target, text.encode("utf-8"), expected)
    except OSError as error:
        raise ConfigFileError(path, f"cannot be written: {error.strerror}") from error


def _write_beside(path: Path, target: Path, content: bytes, expected: str | None) -> None:
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            draft.chmod(stat.S_IMODE(target.stat().st_mode))
        _check(path, expected)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _check(path: Path, expected: str | None) -> None:
    # Hosts write these files too; what one wrote since we read must not be lost.
    if read(path) != expected:
        raise ConfigFileError(path, "was changed meanwhile; run the command again")
