"""The server's side of the socket through which a tool reaches its proxy (inside/listener.py).

It is taken before a tool's code runs, and never again: descriptors that a tool sends are not read.
"""

import socket
from collections.abc import Mapping

import anyio

from sandbox.errors import SandboxUnavailable

PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
"""Where urllib, requests, httpx and curl look for a proxy."""


async def take_listener(channel: socket.socket) -> socket.socket | None:
    """The socket that the other side hands over; None: it has ended.

    Raises:
        SandboxUnavailable: what it handed over is none.
    """
    await anyio.wait_readable(channel)
    # One byte: what comes after it is frames.
    data, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if not data:
        return None
    if len(descriptors) == 1:
        listener = socket.socket(fileno=descriptors[0])
        listener.set_inheritable(False)
        if listener.family == socket.AF_INET and listener.type == socket.SOCK_STREAM:
            return listener
        listener.close()
    raise SandboxUnavailable("a process did not open its way to the proxy", "Please report this")


def proxy_environment(listener: socket.socket | None) -> Mapping[str, str]:
    """What tells a tool's libraries where its proxy is; nothing where it has none."""
    if listener is None:
        return {}
    return dict.fromkeys(PROXY_VARIABLES, f"http://127.0.0.1:{listener.getsockname()[1]}")


def close(listener: socket.socket | None) -> None:
    """Close it, if there is one."""
    if listener is not None:
        listener.close()
