"""The bearer token of the HTTP server, kept in a file that only its owner can read."""

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from server.errors import OperatorError

TOKEN_FILE: Final = "http-token"  # noqa: S105 - the name of the file, not a token
_TOKEN_BYTES: Final = 32
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")  # RFC 6750's alphabet, too long to guess


class UnsafeTokenFile(OperatorError):
    """The token file is not fit to be trusted; the message says what to do about it."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}")


def read_or_create_token(directory: Path) -> str:
    """Return the token in a directory; the first call makes one, however many run at once.

    The directory is made with mode 0700 and the file with 0600.

    Raises:
        UnsafeTokenFile: others can read the token or put their own in its place, or it is no token.
    """
    path = directory / TOKEN_FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            with suppress(
                FileExistsError
            ):  # of two that start at once, the second takes the first's
                write_new(path, new_token() + "\n")
        return _read(path)
    except OSError as error:
        raise UnsafeTokenFile(path, f"cannot be used: {error.strerror}") from error


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def write_new(path: Path, text: str) -> None:
    """Write a file that only its user can read, whole or not at all.

    Raises:
        FileExistsError: there is one already, which stays as it is.
    """
    # Written beside and then linked: nobody ever reads half of it.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        path.hardlink_to(draft)
    finally:
        draft.unlink()


def _read(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        raise UnsafeTokenFile(path, "not a plain file; delete it and start again")
    with path.open(encoding="ascii", errors="replace") as file:
        refuse_shared(path, os.fstat(file.fileno()))
        token = file.read(1024).strip()
    if not _TOKEN.fullmatch(token):
        raise UnsafeTokenFile(path, "holds no token of 32 characters or more; delete it")
    return token


def refuse_shared(path: Path, file: os.stat_result) -> None:
    """Refuse a file that is not its user's alone.

    Raises:
        UnsafeTokenFile: others can read it or put their own in its place.
    """
    if os.name == "nt":
        return  # a user's profile is private there by its access list; mode bits say nothing
    if file.st_uid != os.getuid():
        raise UnsafeTokenFile(path, "belongs to another user; delete it and start again")
    if file.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnsafeTokenFile(
            path, f"others may read it; run: chmod 600 '{path}', or delete it for a new token"
        )
    if path.parent.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeTokenFile(path, f"others may replace it; run: chmod 700 '{path.parent}'")
