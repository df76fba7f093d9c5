"""Who may speak to the HTTP server at all: the checks before a request reaches the protocol.

In this order: the Host and Origin headers (a web page that resolves its own name to this machine
must learn nothing), GET /health, the bearer token. The rules are pure functions; HttpGuard applies
them to every path, and says further inside whom the token stands for.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.callers import PRINCIPAL_KEY
from server.principals import Principals

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

# A name or an address in brackets, then a port or none; nothing else is a Host header.
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)


def host_is_allowed(hosts: Sequence[str], names: Collection[str]) -> bool:
    """Tell whether the Host headers of a request are exactly one of the names, on any port."""
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    return found is not None and (found[1] or found[2]).lower() in names


def origin_is_allowed(origins: Sequence[str], names: Collection[str]) -> bool:
    """Tell whether a request comes from no web page, or from one of this server's own names."""
    if not origins:
        return True
    if len(origins) > 1:
        return False
    try:
        origin = urlsplit(origins[0])
        return origin.scheme in ("http", "https") and origin.hostname in names
    except ValueError:
        return False


def bearer_token(authorizations: Sequence[str]) -> str | None:
    """The token that a request bears, when it bears exactly one."""
    if len(authorizations) != 1:
        return None
    scheme, _, given = authorizations[0].partition(" ")
    return (given.strip() or None) if scheme.lower() == "bearer" else None


_UNKNOWN_HOST: Final = (
    "this server is not known by that Host; `mnemon serve --allow-host NAME` adds one"
)


@dataclass(frozen=True, slots=True)
class HttpGuard:
    """ASGI middleware that lets only permitted requests through to `app`.

    names: host names and addresses this server is known by, lower case.
    principals: whose token every request but GET /health must bear.
    """

    app: ASGIApp
    names: frozenset[str]
    principals: Principals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request, pass on the others and everything that is no request."""
        refusal = self._answer(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        """The refusal, or None; then the scope says who asks."""
        headers = Headers(scope=scope)
        if not host_is_allowed(headers.getlist("host"), self.names):
            return PlainTextResponse(_UNKNOWN_HOST, 421)
        if not origin_is_allowed(headers.getlist("origin"), self.names):
            return PlainTextResponse("this Origin may not use the server", 403)
        if scope["path"] == "/health" and scope["method"] in ("GET", "HEAD"):
            return PlainTextResponse("ok")
        given = headers.getlist("authorization")
        token = bearer_token(given)
        principal = None if token is None else self.principals.of(token)
        if principal is not None:
            scope[PRINCIPAL_KEY] = principal
            # The SDK ties a session, and what a client carries for us, to who began it.
            access = AccessToken(token="", client_id=principal.id, scopes=[])
            scope["user"] = AuthenticatedUser(access)
            return None
        # RFC 6750, section 3: no error code for a request that brought no token.
        challenge = 'Bearer realm="mnemon"' + (', error="invalid_token"' if given else "")
        return PlainTextResponse(
            "send the server's bearer token", 401, {"WWW-Authenticate": challenge}
        )
