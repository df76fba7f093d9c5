"""What a tool asks of the proxy: the head of a request, read strictly. Pure.

Two forms: `CONNECT host:port`, after which bytes go through untouched, and `GET http://host/…`,
one request that is passed on to the host it names. Whatever two programs could read in two ways
is refused, not repaired.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.grants import Endpoint, parse_endpoint
from sandbox.reach import NotReached

MAX_HEAD_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100
END_OF_HEAD: Final = b"\r\n\r\n"

_LINE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) (HTTP/1\.[01])")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f])*)")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
# Between a client and its proxy only; one connection carries one request.
_NOT_PASSED_ON: Final = frozenset(
    {"connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"}
    | {"upgrade"}
)

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """Where to, and what to send there.

    head: the head for that host; None: bytes go both ways untouched (CONNECT). body_bytes: how many
    follow the head; no more are passed on.
    """

    endpoint: Endpoint
    head: bytes | None = None
    body_bytes: int = 0


def parse_request(head: bytes) -> ProxyRequest:
    """Read a head, its empty line included.

    Raises:
        NotReached: it is none, or it is one that is not passed on.
    """
    first, *lines = head.removesuffix(END_OF_HEAD).decode("latin-1").split("\r\n")
    found = _LINE.fullmatch(first)
    if found is None:
        raise NotReached(400, f"{first[:80]!a} is no request line")
    method, target, version = found.groups()
    if len(lines) > MAX_HEADERS:
        raise NotReached(431, f"{len(lines)} headers are more than {MAX_HEADERS}")
    headers = [_header(line) for line in lines]
    if method == "CONNECT":
        return _tunnel(target, headers)
    return _single(method, target, version, headers)


def _header(line: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(line)
    if found is None:
        raise NotReached(400, f"{line[:80]!a} is no header")
    return found[1], found[2].rstrip(" \t")


def _tunnel(target: str, headers: Headers) -> ProxyRequest:
    endpoint = _endpoint(target)
    _check_host(headers, endpoint, endpoint.port)
    if _values(headers, "content-length") or _values(headers, "transfer-encoding"):
        raise NotReached(400, f"{endpoint}: a CONNECT has no body")
    return ProxyRequest(endpoint)


def _single(method: str, target: str, version: str, headers: Headers) -> ProxyRequest:
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() != "http":
        raise NotReached(
            400, f"{target[:80]!a}: ask for http://host/path, or CONNECT host:port for the rest"
        )
    authority, slash, path = rest.partition("/")
    if "?" in authority or "#" in target:
        raise NotReached(400, f"{target[:80]!a} is no address of a page")
    endpoint = _endpoint(authority, 80)
    _check_host(headers, endpoint, 80)
    if _values(headers, "transfer-encoding"):
        raise NotReached(411, f"{endpoint}: send the body with a Content-Length, not in chunks")
    kept = [(name, value) for name, value in headers if name.lower() not in _NOT_PASSED_ON]
    if not _values(headers, "host"):
        kept.insert(0, ("Host", authority))
    kept.append(("Connection", "close"))
    lines = [f"{method} /{path if slash else ''} {version}", *(f"{n}: {v}" for n, v in kept)]
    passed_on = "\r\n".join(lines).encode("latin-1") + END_OF_HEAD
    return ProxyRequest(endpoint, passed_on, _body_bytes(headers, endpoint))


def _endpoint(text: str, default_port: int | None = None) -> Endpoint:
    if "@" in text:
        raise NotReached(400, f"{text[:80]!a}: a host with a user name is refused")
    try:
        return parse_endpoint(text, default_port)
    except ValueError as error:
        raise NotReached(400, str(error)) from None


def _check_host(headers: Headers, endpoint: Endpoint, default_port: int) -> None:
    """A Host header, where there is one, must say what the first line says."""
    hosts = _values(headers, "host")
    if len(hosts) > 1:
        raise NotReached(400, f"{endpoint}: two Host headers")
    if hosts and _endpoint(hosts[0], default_port) != endpoint:
        raise NotReached(400, f"{endpoint}: the Host header says {hosts[0][:80]!a}")


def _body_bytes(headers: Headers, endpoint: Endpoint) -> int:
    lengths = _values(headers, "content-length")
    if len(lengths) > 1 or any(_LENGTH.fullmatch(length) is None for length in lengths):
        raise NotReached(400, f"{endpoint}: {', '.join(lengths)[:80]!a} is no Content-Length")
    return int(lengths[0]) if lengths else 0


def _values(headers: Headers, name: str) -> list[str]:
    return [value for given, value in headers if given.lower() == name]
