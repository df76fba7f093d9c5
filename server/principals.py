"""Whom bearer tokens stand for: the token file's for the person, further ones for some agents only.

Each further token is a file `http-tokens/NAME.json` in the data directory, with a digest of the
token and what it may see; making and revoking one is making and removing a file, and a running
server follows. A file that cannot be trusted stands for nobody.
"""

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from server.callers import Principal
from server.errors import OperatorError
from server.registry import Toolset
from server.token_file import UnsafeTokenFile, new_token, refuse_shared, write_new

logger = logging.getLogger(__name__)

FOLDER: Final = "http-tokens"
PERSON: Final = "person"
"""The principal of the token file, for whom everything exists."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MAX_FILE_BYTES: Final = 1_000_000


class BadToken(OperatorError):
    """A token cannot be made or revoked as asked."""


class TokenGrant(BaseModel):
    """What is kept of a token. agents: ids of those that exist for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str
    agents: tuple[str, ...]
    toolset: Toolset | None = None
    created_at: str


def create_token(
    directory: Path, name: str, agents: Sequence[str], toolset: Toolset | None
) -> tuple[str, TokenGrant]:
    """Make a token for some agents, and return it; it is kept nowhere.

    Raises:
        BadToken: the name is taken or no name, or no agent is given.
    """
    if not _NAME.fullmatch(name) or name == PERSON:
        raise BadToken(
            f"{name[:80]!r} cannot be a token's name; use up to 63 letters, digits, '.', '_' or"
            f" '-', beginning with a letter or digit, and not {PERSON!r}"
        )
    if not agents:
        raise BadToken("a token is for some agents; name at least one with --agent")
    token = new_token()
    grant = TokenGrant(
        name=name,
        sha256=_digest(token),
        agents=tuple(dict.fromkeys(agents)),
        toolset=toolset,
        created_at=datetime.now(UTC).isoformat("T", "seconds"),
    )
    folder = directory / FOLDER
    path = folder / f"{name}.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadToken(f"{folder} cannot be made: {error.strerror}") from error
    try:
        write_new(path, grant.model_dump_json() + "\n")
    except FileExistsError:
        raise BadToken(
            f"there is a token {name!r} already; revoke it first, or choose another name"
        ) from None
    except OSError as error:
        raise BadToken(f"{path} cannot be written: {error.strerror}") from error
    return token, grant


def revoke_token(directory: Path, name: str) -> None:
    """Forget a token; who bears it is refused from the next request on.

    Raises:
        BadToken: there is none of this name.
    """
    known = [grant.name for grant in list_tokens(directory)]
    path = directory / FOLDER / f"{name}.json"
    if not _NAME.fullmatch(name) or not path.exists():
        raise BadToken(f"there is no token {name[:80]!r}; there are: {', '.join(known) or 'none'}")
    path.unlink(missing_ok=True)


def list_tokens(directory: Path) -> list[TokenGrant]:
    """The tokens that can be trusted, by name; others are named in the log."""
    try:
        paths = sorted(path for path in (directory / FOLDER).iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []
    except OSError as error:
        logger.error("no token for some agents can be read: %s", error)
        return []
    grants = []
    for path in paths:
        try:
            grants.append(_read(path))
        except (UnsafeTokenFile, OSError, ValidationError) as error:
            logger.error("a token stands for nobody: %s", error)
    return grants


class Principals:
    """Whom tokens stand for, as the files are now.

    Args:
        person_token: the token file's.
        directory: where the others' folder is; None: there are no others.
    """

    def __init__(self, person_token: str, directory: Path | None) -> None:
        if not person_token:
            raise ValueError("a server without a token would be open to every local program")
        self._person_token = person_token
        self._folder = None if directory is None else directory / FOLDER
        self._directory = directory
        self._seen: object = None
        self._by_digest: dict[str, Principal] = {}

    def of(self, token: str) -> Principal | None:
        """The principal that a token stands for, or None."""
        # Takes as long for an almost right token; digests of others tell nothing by their timing.
        if hmac.compare_digest(token.encode("utf-8", "replace"), self._person_token.encode()):
            return Principal(PERSON, PERSON)
        self._follow()
        return self._by_digest.get(_digest(token))

    def exists(self, principal: Principal) -> bool:
        """Whether a principal still is what it was."""
        if principal.agents is None:
            return True
        self._follow()
        return principal in self._by_digest.values()

    def _follow(self) -> None:
        """Read the files again when one has come or gone."""
        if self._folder is None or self._directory is None:
            return
        seen: object
        try:
            # Names too: two changes may be too close for the clock of the file system.
            names = os.listdir(self._folder)  # noqa: PTH208 - at every request
            seen = (self._folder.stat().st_mtime_ns, *names)
        except OSError as error:  # there is none, or it cannot be read: those tokens are nobody's
            seen = error.errno
        if seen == self._seen:
            return
        self._seen = seen
        self._by_digest = {
            grant.sha256: Principal(
                grant.name,
                f"{grant.name}:{grant.sha256[:16]}",
                frozenset(grant.agents),
                grant.toolset,
            )
            for grant in list_tokens(self._directory)
        }


def _digest(token: str) -> str:
    # The tokens are 256 random bits, so a plain digest cannot be guessed back.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _read(path: Path) -> TokenGrant:
    if path.is_symlink() or not path.is_file():
        raise UnsafeTokenFile(path, "not a plain file; delete it")
    with path.open(encoding="utf-8", errors="replace") as file:
        refuse_shared(path, os.fstat(file.fileno()))
        grant = TokenGrant.model_validate_json(file.read(_MAX_FILE_BYTES))
    if grant.name != path.stem:
        raise UnsafeTokenFile(path, f"holds the token {grant.name!r}; rename or delete it")
    return grant
