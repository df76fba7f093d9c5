"""Where servers may be, and which headers they may be sent. Pure."""

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from memory.errors import InvalidValue

_MAX_URL_CHARS: Final = 2_000
_RESERVED: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-protocol-version",
        "mcp-session-id",
        "transfer-encoding",
        "upgrade",
    }
)


def check_url(url: str) -> None:
    """Refuse what others could read on its way.

    Raises:
        InvalidValue: it is no https URL, nor http of this machine, or it holds a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidValue(f"{url[:120]!a} is no URL") from None
    if len(url) > _MAX_URL_CHARS or not url.isprintable() or " " in url or not parts.hostname:
        raise InvalidValue(f"{url[:120]!a} is no URL of at most {_MAX_URL_CHARS} characters")
    if parts.username is not None or parts.password is not None or "$secret:" in url:
        raise InvalidValue("a URL holds no user, password or secret; give them as a header")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return
    raise InvalidValue(
        f"{url[:120]!a} is neither https nor http of this machine (127.0.0.1, localhost)"
    )


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that cannot be, or that the protocol sets itself.

    Raises:
        InvalidValue: naming the one.
    """
    for name, value in headers.items():
        token = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if not token or name.lower() in _RESERVED or len(name) > 100:
            raise InvalidValue(f"{name[:80]!a} cannot be a header of yours")
        if not value.isprintable() or not value.isascii() or len(value) > 4_000:
            raise InvalidValue(f"the value of header {name!r} is no line of plain ASCII")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
