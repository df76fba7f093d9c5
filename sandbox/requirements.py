"""Packages that a tool asks for: a list of names and versions, and the lock that comes of it.

A list says `numpy>=2`; its lock says which version exactly and what the file's hash is. A person
is asked about locks, since they say all that will be there. Pure; package_folders.py resolves,
installs and throws away.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from sandbox.errors import InvalidRequirements

MAX_REQUIREMENTS: Final = 50
MAX_PACKAGES: Final = 200
MAX_CHARS: Final = 200

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION: Final = r"[A-Za-z0-9][A-Za-z0-9.!+_-]*(?:\.\*)?"
_CLAUSE: Final = rf"(?:==|~=|!=|<=|>=|<|>)\s*{_VERSION}"
_REQUIREMENT: Final = re.compile(
    rf"\s*({_NAME})\s*(?:\[\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\])?"
    rf"\s*({_CLAUSE}(?:\s*,\s*{_CLAUSE})*)?\s*",
    re.ASCII,
)
_PINNED: Final = re.compile(rf"({_NAME})==({_VERSION})", re.ASCII)
_FROM: Final = re.compile(r"# from (\S+)")
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
# Installers take such a name for a file of the current directory.
_ARCHIVES: Final = (".whl", ".zip", ".tar", ".gz", ".bz2", ".xz", ".tgz", ".egg", ".txt", ".toml")


@dataclass(frozen=True, slots=True)
class Lock:
    """Exactly these packages, for one interpreter.

    pins: `name==version` and the hashes that its file may have, sorted. python: the interpreter
    that they are for, e.g. "cpython-312-x86_64-linux-gnu 3.12.3 linux-x86_64". sources: where the
    installer found them, by the names of hosts, to show to a person; no part of what they are.
    """

    pins: tuple[tuple[str, tuple[str, ...]], ...]
    python: str
    sources: tuple[str, ...] = field(default=(), compare=False)

    @property
    def packages(self) -> tuple[str, ...]:
        """`name==version` of each, to show to a person."""
        return tuple(pin for pin, _ in self.pins)

    @property
    def text(self) -> str:
        """The lock as a requirements file with hashes."""
        lines = (" ".join([pin, *(f"--hash={h}" for h in hashes)]) for pin, hashes in self.pins)
        return "".join(f"{line}\n" for line in lines)

    @property
    def key(self) -> str:
        """What tells it from any other lock, and is the name of its folder: 64 hex digits."""
        return hashlib.sha256(f"{self.python}\n{self.text}".encode()).hexdigest()


def parse_requirements(given: Sequence[str]) -> tuple[str, ...]:
    """Check a list and bring it to one spelling, sorted, without repeats.

    Raises:
        InvalidRequirements: an entry is not a name with versions, or there are too many.
    """
    if len(given) > MAX_REQUIREMENTS:
        raise InvalidRequirements(f"{len(given)} requirements are more than {MAX_REQUIREMENTS}")
    return tuple(sorted({_parse_one(text) for text in given}))


def _parse_one(text: str) -> str:
    found = _REQUIREMENT.fullmatch(text) if len(text) <= MAX_CHARS else None
    if found is None or found[1].lower().endswith(_ARCHIVES):
        raise InvalidRequirements(
            f"{text[:80]!a} is no requirement: write a name, with versions where they matter, e.g. "
            "requests>=2.31,<3. Addresses, paths, options and conditions are not taken"
        )
    name, extras, clauses = (re.sub(r"\s", "", part or "") for part in found.groups())
    listed = ",".join(sorted(set(map(canonical_name, extras.split(","))))) if extras else ""
    versions = ",".join(sorted(set(clauses.split(",")))) if clauses else ""
    return f"{canonical_name(name)}{f'[{listed}]' if listed else ''}{versions}"


def canonical_name(name: str) -> str:
    """A package's name in its one spelling. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def make_lock(
    found: Iterable[tuple[str, str, Iterable[str]]], python: str, urls: Iterable[str] = ()
) -> Lock:
    """The lock of what an installer resolved: name, version, hashes (`sha256:…`).

    urls: where it found them.

    Raises:
        InvalidRequirements: one is without a hash, or there are too many.
    """
    pins: dict[str, tuple[str, ...]] = {}
    for name, version, hashes in found:
        pin = f"{canonical_name(name)}=={version}"
        listed = tuple(sorted(set(hashes)))
        if _PINNED.fullmatch(pin) is None or not listed or not all(map(_HASH.fullmatch, listed)):
            raise InvalidRequirements(f"the index has no sha256 of {pin[:80]!a}, so it is not used")
        pins[pin] = listed
    if len(pins) > MAX_PACKAGES:
        raise InvalidRequirements(f"{len(pins)} packages are more than {MAX_PACKAGES}")
    return Lock(tuple(sorted(pins.items())), python, tuple(sorted(set(map(_source, urls)))))


def _source(url: str) -> str:
    """The host of a URL, without what it may hold of names and keys."""
    try:
        return urlsplit(url).hostname or "this machine"
    except ValueError:
        return "an unreadable address"


def parse_lock(text: str, python: str) -> Lock:
    """Read a requirements file with hashes, one package a line or continued by a backslash.

    Raises:
        InvalidRequirements: it is none.
    """
    found, urls = [], []
    for line in text.replace("\\\n", " ").splitlines():
        if from_ := _FROM.search(line):
            urls.append(from_[1])
        pin, *options = line.split("#")[0].split() or [""]
        if not pin:
            continue
        pinned = _PINNED.fullmatch(pin)
        if pinned is None or not all(option.startswith("--hash=") for option in options):
            raise InvalidRequirements(f"{line[:80]!a} is no line of a lock")
        found.append((pinned[1], pinned[2], [o.removeprefix("--hash=") for o in options]))
    return make_lock(found, python, urls)


def parse_report(report: Mapping[str, object], python: str) -> Lock:
    """The lock of a report of `pip install --dry-run --report`.

    Raises:
        InvalidRequirements: it holds what is no wheel of an index, or it is none.
    """
    found, urls = [], []
    try:
        for item in _list(report["install"]):
            name, version = str(item["metadata"]["name"]), str(item["metadata"]["version"])
            info = item["download_info"]
            if item["is_direct"] or not str(info["url"]).endswith(".whl"):
                raise InvalidRequirements(f"{name} {version} is not a wheel of the index")
            digest = info["archive_info"]["hashes"]["sha256"]
            found.append((name, version, [f"sha256:{digest}"]))
            urls.append(str(info["url"]))
    except (KeyError, TypeError) as error:
        raise InvalidRequirements(f"pip's report is not as expected: {error}") from error
    return make_lock(found, python, urls)


def _list(value: object) -> list[dict[str, dict[str, dict[str, dict[str, str]]]]]:
    if not isinstance(value, list):
        raise TypeError("its install is no list")
    return value
