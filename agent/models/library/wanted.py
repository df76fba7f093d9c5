"""What a person asks to pull, read: a repository of a hub, a file in it, or a URL. Pure."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from agent.models.library.errors import SourceUnclear
from agent.models.library.facts import quantisation_in
from agent.models.library.recommended import BY_NAME

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_REVISION: Final = re.compile(r"[A-Za-z0-9][\w./-]{0,199}", re.ASCII)
_FILE_NAME: Final = re.compile(r"[\w(][\w .()+,=@-]{0,200}\.gguf", re.IGNORECASE)
_HUBS: Final = ("https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/", "hf:")

FORMS: Final = (
    "a short name of `mnemon models list --recommended`, ORG/REPO, ORG/REPO:QUANTISATION,"
    " ORG/REPO:FILE.gguf, or an https:// URL of a GGUF file"
)


@dataclass(frozen=True, slots=True)
class FromHub:
    """A repository; of its files, the one named, or the one of a quantisation, or the usual one."""

    repository: str
    file: str = ""
    quantisation: str = ""
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class FromUrl:
    """One file anywhere."""

    url: str
    host: str
    file_name: str


def read_wanted(text: str) -> FromHub | FromUrl:
    """Read what was typed.

    Raises:
        SourceUnclear: says what can be typed.
    """
    text = text.strip()
    if short := BY_NAME.get(text.casefold()):
        return FromHub(short.repository, quantisation=short.quantisation)
    for prefix in _HUBS:
        if text.lower().startswith(prefix):
            return _from_hub(text[len(prefix) :].split("?")[0].strip("/"), text)
    if "://" in text:
        return _from_url(text)
    return _from_hub(text, text)


def check_file_name(name: str) -> str:
    """A name for a file here, out of a URL or a hub's answer.

    Raises:
        SourceUnclear: it is no plain name of a GGUF file.
    """
    if not _FILE_NAME.fullmatch(name):
        raise SourceUnclear(f"{name[:200]!r} is no name of a GGUF file")
    return name


def _from_hub(rest: str, text: str) -> FromHub:
    repository, _, inside = rest.partition(":")
    revision = "main"
    org, name, *deeper = repository.split("/") if "/" in repository else (repository, "")
    if len(deeper) > 2 and deeper[0] in ("resolve", "blob", "tree"):  # a link out of a browser
        revision, deeper = deeper[1], deeper[2:]
    if deeper:
        inside = unquote("/".join(deeper))
    if not _REPOSITORY.fullmatch(f"{org}/{name}") or not _REVISION.fullmatch(revision):
        raise SourceUnclear(f"{text[:200]!r} is nothing that can be pulled; it can be {FORMS}")
    if not inside:
        return FromHub(f"{org}/{name}", revision=revision)
    if inside.lower().endswith(".gguf"):
        check_file_name(PurePosixPath(inside).name)
        return FromHub(f"{org}/{name}", file=inside, revision=revision)
    if quantisation_in(inside) != inside.upper():
        raise SourceUnclear(
            f"{inside[:80]!r} is neither a quantisation, such as Q4_K_M, nor a GGUF file's name"
        )
    return FromHub(f"{org}/{name}", quantisation=inside.upper(), revision=revision)


def _from_url(text: str) -> FromUrl:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise SourceUnclear(f"{text[:200]!r} is no URL: {error}") from None
    if parts.scheme not in ("https", "http") or not host:
        raise SourceUnclear(f"{text[:200]!r} is no https:// URL")
    name = check_file_name(unquote(PurePosixPath(parts.path).name))
    return FromUrl(text, f"{host}-{port}" if port else host, name)


def is_private(url: str) -> bool:
    """Whether nobody between here and there can change what comes: TLS, or this machine itself."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")
