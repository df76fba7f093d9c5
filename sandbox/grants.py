"""What a network grant names: `host:port`, in one spelling each.

Grants and what a tool asks for are brought to the same form here, so that they can be compared.
Whether the address behind a name may be reached is another question: public_addresses.py.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

Address = IPv4Address | IPv6Address

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MAX_HOST_CHARS: Final = 253


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port. host: lower case, no trailing dot, punycode; or an address.

    literal: the address, where the host is one.
    """

    host: str
    port: int
    literal: Address | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host
        return f"{host}:{self.port}"


def parse_endpoint(text: str, default_port: int | None = None) -> Endpoint:
    """Read `host:port`, `1.2.3.4:port` or `[2001::1]:port`.

    Args:
        text: as a person or a tool wrote it; other spellings of an address (127.1, 0x7f000001)
            are refused, since programs disagree on them.
        default_port: where none is given; None: it must be.

    Raises:
        ValueError: it is none; the message says why.
    """
    shown = f"{text[:80]!a}"
    host, port_text = _split(text)
    if port_text is None and default_port is not None:
        port = default_port
    elif port_text is None or _PORT.fullmatch(port_text) is None or int(port_text) > 65_535:
        raise ValueError(f"{shown} is no host:port, e.g. api.example.com:443")
    else:
        port = int(port_text)
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host, port, shown)
    name = _host_name(host, shown)
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _ipv4(name, port, shown)
    return Endpoint(name, port)


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        head, bracket, tail = text.partition("]")
        host, colon, port = head + bracket, tail[:1], tail[1:]
        return host, port if colon == ":" else ("" if tail else None)
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, None)


def _ipv6(host: str, port: int, shown: str) -> Endpoint:
    try:
        address = IPv6Address(host.removeprefix("[").removesuffix("]"))
    except AddressValueError as error:
        raise ValueError(f"{shown} is no host:port: {error}") from None
    if address.scope_id is not None:
        raise ValueError(f"{shown} is no host:port: an address with a zone is of one machine")
    return Endpoint(address.compressed, port, address)


def _ipv4(name: str, port: int, shown: str) -> Endpoint:
    try:
        address = IPv4Address(name)
    except AddressValueError:
        raise ValueError(
            f"{shown} is no host:port: write an address as four numbers, e.g. 192.0.2.1:443"
        ) from None
    return Endpoint(str(address), port, address)


def _host_name(host: str, shown: str) -> str:
    try:
        name = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        name = ""
    name = name.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _MAX_HOST_CHARS or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{shown} is no host:port, e.g. api.example.com:443")
    return name
