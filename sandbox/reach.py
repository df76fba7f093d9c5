"""What a tool may reach by the names that it asks for.

A name is resolved once for each connection, every address is judged (public_addresses.py), and the
connection goes to an address that was judged; what the name says a moment later changes nothing.
The proxy that asks is proxy.py.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import anyio

from sandbox.grants import Address, Endpoint
from sandbox.public_addresses import WHAT_TO_DO, judge_address

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""The addresses of a host name; an OSError when it has none."""

Judge = Callable[[Address], str | None]
"""What is wrong with an address, e.g. "a loopback address"; None: it may be reached."""


class NotReached(Exception):
    """A connection is not made. status: of the proxy's answer; the message is one plain line."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


async def ask_system(host: str, port: int) -> tuple[Address, ...]:
    """Resolve a name as this machine does.

    Raises:
        OSError: it has no address, or nobody could be asked.
    """
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(ip_address(where[0]) for *_, where in found)


@dataclass(frozen=True, slots=True)
class Reach:
    """How names are resolved and addresses judged. The defaults let a tool reach the public only.

    Anything else is for tests, whose servers are on loopback.
    """

    resolve: Resolve = ask_system
    judge: Judge = judge_address

    async def addresses_of(self, endpoint: Endpoint) -> tuple[Address, ...]:
        """The addresses that a connection may go to, best first.

        One bad address spoils them all: an honest name has none.

        Raises:
            NotReached: there is none, or one of them is not to be reached.
        """
        addresses: Sequence[Address]
        if endpoint.literal is not None:
            addresses = (endpoint.literal,)
        else:
            try:
                addresses = await self.resolve(endpoint.host, endpoint.port)
            except OSError as error:
                why = error.strerror or error
                raise NotReached(502, f"{endpoint}: the name was not resolved: {why}") from error
        if not addresses:
            raise NotReached(502, f"{endpoint}: the name has no address")
        for address in addresses:
            if (what := self.judge(address)) is not None:
                where = "this" if endpoint.literal else address
                raise NotReached(403, f"{endpoint}: {where} is {what}; {WHAT_TO_DO}")
        return tuple(addresses)
