"""Model specs: the strings by which people name the model of an agent. Pure.

/models/qwen3-4b.gguf                 a GGUF file
ollama:qwen3:4b                       a server of a kind we know, where it is by default
vllm:org/model@http://10.0.0.5:8000   the same somewhere else
openai:NAME@https://host/api/v1       any other server of the OpenAI-compatible API
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeGuard
from urllib.parse import SplitResult, urlsplit, urlunsplit

from agent.errors import ModelSpecInvalid
from agent.models.chat_api.quirks import QUIRKS, Kind, Quirks, quirks_of

KINDS: Final = tuple(QUIRKS)
MAX_SPEC_CHARS: Final = 1000

_PREFIX: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]+):(.*)", re.DOTALL)
"""Two letters at least: `C:` is a drive."""
_URL: Final = re.compile(r"@(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_HOST_AND_PORT: Final = re.compile(r".*@(\[[0-9A-Fa-f:]+\]|[\w.-]+):\d+(/.*)?", re.DOTALL)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A model file, as it was written: ~ and relative paths are the caller's to resolve."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model of a server. base_url has no slash at its end; name is empty: its only model."""

    kind: Kind
    name: str
    base_url: str

    def __str__(self) -> str:
        # A name with @ could be read as one with a URL, unless it has one.
        bare = self.base_url == QUIRKS[self.kind].url and "@" not in self.name
        return f"{self.kind}:{self.name}" + ("" if bare else f"@{self.base_url}")

    @property
    def quirks(self) -> Quirks:
        """What is particular to this server."""
        return quirks_of(self.kind, self.base_url)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: whom a key may be shown to."""
        return origin_of(self.base_url)

    def url(self, path: str) -> str:
        """Where a path of the quirks table leads."""
        root = self.base_url.removesuffix("/v1") if path.startswith("/") else f"{self.base_url}/"
        return root + path


ModelSpec = GgufFile | Endpoint


def parse_spec(text: str) -> ModelSpec:
    """Read a spec. The str of what it returns reads as the same again.

    Raises:
        ModelSpecInvalid: says what is wrong with it.
    """
    if not text or len(text) > MAX_SPEC_CHARS or not text.isprintable():
        raise ModelSpecInvalid(text, f"must have 1 to {MAX_SPEC_CHARS} printable characters")
    prefix = _PREFIX.fullmatch(text)
    if prefix is None:
        return GgufFile(Path(text))
    kind, rest = prefix[1].lower(), prefix[2]
    if _is_kind(kind):
        return _endpoint(text, kind, rest)
    if rest.startswith("//"):
        raise ModelSpecInvalid(text, f"is a URL; write KIND:NAME@URL, KIND being {_kinds()}")
    if text.lower().endswith(".gguf"):
        return GgufFile(Path(text))
    raise ModelSpecInvalid(text, f"names the unknown kind {prefix[1]!r}; there are {_kinds()}")


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL that normal_url has accepted."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]


def normal_url(text: str, url: str) -> str:
    """A base URL in its one form: no slash at the end, and /v1 where there was no path.

    Raises:
        ModelSpecInvalid: of the spec `text`, when this is no URL to talk to a model at.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ModelSpecInvalid(text, f"has a URL that is none: {error}") from None
    if problem := _url_problem(url, parts, host):
        raise ModelSpecInvalid(text, problem)
    path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/") or "/v1"
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), path, "", ""))


def _url_problem(url: str, parts: SplitResult, host: str | None) -> str | None:
    if parts.scheme.lower() not in _DEFAULT_PORTS:
        return f"has a URL of the scheme {parts.scheme!r}; it can be http or https"
    if "@" in parts.netloc:
        return "has a name or password in its URL; a key goes into MNEMON_MODEL_KEY"
    if not host:
        return "has a URL without a host"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "has a URL with a query; give the base URL alone"
    if not url.isascii() or " " in url or "\\" in url:
        return "has a URL with characters that must be encoded"
    return None


def _endpoint(text: str, kind: Kind, rest: str) -> Endpoint:
    name, url = rest, QUIRKS[kind].url
    if found := list(_URL.finditer(rest)):
        name, url = rest[: found[-1].start()], rest[found[-1].end() :]
    elif _HOST_AND_PORT.fullmatch(rest):
        raise ModelSpecInvalid(text, "has a host without http:// or https:// before it")
    if url is None:
        raise ModelSpecInvalid(text, f"needs a URL: {kind}:NAME@http://HOST:PORT/v1")
    if not name and QUIRKS[kind].needs_name:
        raise ModelSpecInvalid(text, f"names no model; write {kind}:NAME")
    if " " in name or "://" in name:
        raise ModelSpecInvalid(text, f"has a model's name that cannot be one: {name[:80]!r}")
    return Endpoint(kind, name, normal_url(text, url))


def _is_kind(kind: str) -> TypeGuard[Kind]:
    return kind in QUIRKS


def _kinds() -> str:
    return ", ".join(KINDS)
