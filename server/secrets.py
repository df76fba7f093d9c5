"""Secrets of custom tools: values in a file that only its user can read, beside the database.

Never in the database, never listed, told to nobody but a tool that is granted them by name.
`redaction` takes them out of what a tool printed or returned.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from memory.errors import InvalidValue
from sandbox.errors import InvalidRun
from sandbox.policy import checked_environment
from server.errors import OperatorError
from server.token_file import UnsafeTokenFile, refuse_shared

SECRETS_FILE: Final = "secrets.json"
MAX_VALUE_CHARS: Final = 32_000
MAX_SECRETS: Final = 200
MIN_REDACTED_CHARS: Final = 4
"""A shorter value would be found everywhere, and hide what it stands beside."""

_MAX_FILE_BYTES: Final = 8_000_000


class BadSecret(OperatorError):
    """A secret cannot be set or removed as asked."""


class UnusableSecrets(InvalidValue):
    """The values that a tool is granted cannot be had; the message says what to do."""


class SecretsFile:
    """The secrets of one data directory, as the file is now.

    Args:
        directory: None: there is none, as for ':memory:', and so no secrets.
    """

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / SECRETS_FILE

    def __call__(self, names: Sequence[str]) -> Mapping[str, str]:
        """The values of these secrets.

        Raises:
            UnusableSecrets: naming one that is missing, or why the file cannot be trusted.
        """
        if not names:
            return {}
        known = self._known()
        missing = [name for name in names if name not in known]
        if missing:
            raise UnusableSecrets(
                f"there is no secret {missing[0]!r}, which is to be given away; the person can set"
                f" it with: mnemon secrets set {missing[0]}"
            )
        return {name: known[name] for name in names}

    def names(self) -> list[str]:
        """The names of those that are set.

        Raises:
            UnusableSecrets: the file cannot be read, or not be trusted.
        """
        return sorted(self._known())

    def set(self, name: str, value: str) -> bool:
        """Keep a value under a name; returns whether there was another one.

        Raises:
            BadSecret: one of the two cannot be, or the file cannot be written.
            UnusableSecrets: as in names.
        """
        _check(name, value)
        known = self._known()
        if name not in known and len(known) >= MAX_SECRETS:
            raise BadSecret(f"there are {MAX_SECRETS} secrets, which is the limit; remove one")
        before = known.get(name)
        self._write({**known, name: value})
        return before is not None

    def remove(self, name: str) -> None:
        """Forget a value.

        Raises:
            BadSecret: there is none of this name, or the file cannot be written.
            UnusableSecrets: as in names.
        """
        known = dict(self._known())
        if known.pop(name, None) is None:
            raise BadSecret(
                f"there is no secret {name[:80]!a}; there are: {', '.join(sorted(known)) or 'none'}"
            )
        self._write(known)

    def _known(self) -> Mapping[str, str]:
        if self._path is None:
            return {}
        try:
            with self._path.open(encoding="utf-8") as file:
                if self._path.is_symlink():
                    raise UnsafeTokenFile(self._path, "not a plain file; delete it")
                refuse_shared(self._path, os.fstat(file.fileno()))
                found = json.loads(file.read(_MAX_FILE_BYTES))
        except FileNotFoundError:
            return {}
        except UnsafeTokenFile as error:
            raise UnusableSecrets(str(error).replace(" for a new token", "")) from None
        except OSError as error:
            raise UnusableSecrets(f"{self._path} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            raise UnusableSecrets(
                f"{self._path} holds no secrets as `mnemon secrets` writes them; move it away"
            )
        return found

    def _write(self, secrets: Mapping[str, str]) -> None:
        """Write all of it beside and put it in place: nobody ever reads half of it."""
        if self._path is None:
            raise BadSecret("':memory:' keeps nothing, so no secrets; give a directory with --data")
        # One name for all: two commands at once would undo what the other does.
        draft = self._path.with_name(f".{SECRETS_FILE}.new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise BadSecret(
                f"another command is changing the secrets; if none is, delete {draft}"
            ) from None
        except OSError as error:
            raise BadSecret(f"{draft} cannot be written: {error.strerror}") from None
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(dict(secrets), file)
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise BadSecret(f"{self._path} cannot be written: {error.strerror}") from None


def redaction(secrets: Mapping[str, str]) -> Callable[[str], str]:
    """What puts `[secret NAME]` in place of values, also of ones that are escaped as in JSON.

    Of a value that is cut off at the end of a text, what is there is taken out. Values of fewer
    than MIN_REDACTED_CHARS characters stay. Made once for many texts: an answer may hold a million.
    """
    names = {
        form: name
        for name, value in secrets.items()
        if len(value) >= MIN_REDACTED_CHARS
        for form in _forms(value)
    }
    if not names:
        return str
    forms = sorted(names, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, forms)))

    def redact(text: str) -> str:
        found = pattern.sub(lambda match: _mark(names[match[0]]), text)
        for form in forms:
            if length := _cut_off(found, form):
                return f"{found[:-length]}{_mark(names[form])}"
        return found

    return redact


def _forms(value: str) -> Iterable[str]:
    """A value as it may stand in a text: as it is, and inside of JSON, twice at most."""
    forms = {value}
    for _ in range(2):
        forms |= {json.dumps(f, ensure_ascii=a)[1:-1] for f in forms for a in (True, False)}
    return forms


def _cut_off(text: str, form: str) -> int:
    """How many characters at the end of a text are the beginning of a form; 0: too few to say."""
    beginning = form[:MIN_REDACTED_CHARS]
    at = text.find(beginning, max(0, len(text) - len(form) + 1))
    while at >= 0:
        if form.startswith(text[at:]):
            return len(text) - at
        at = text.find(beginning, at + 1)
    return 0


def _mark(name: str) -> str:
    return f"[secret {name}]"


def _check(name: str, value: str) -> None:
    """Refuse what cannot be in the environment of a program."""
    try:
        checked_environment({name: value})
        value.encode()
    except InvalidRun as error:
        raise BadSecret(str(error)) from None
    except UnicodeEncodeError:
        raise BadSecret(f"the value of {name} is no valid Unicode") from None
    if not 0 < len(value) <= MAX_VALUE_CHARS:
        raise BadSecret(
            f"the value of {name} has {len(value)} characters; it must have 1 to {MAX_VALUE_CHARS}"
        )
