"""The way out, where one is granted: a socket on the loopback of this namespace.

It is opened here and served by the server, which gets it before this process says ready. So a tool
reaches its proxy as any program does, needs no Unix sockets for it, and can hold nothing of ours.
"""

import sys

_WAITING = 64


def hand_out_listener(descriptor: int) -> int:
    """Listen on a port of 127.0.0.1, give the socket away through the server's, say which port."""
    import _socket  # noqa: PLC0415 - few tools are granted a network

    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(_WAITING)
    port: int = listener.getsockname()[1]
    right = listener.fileno().to_bytes(4, sys.byteorder)
    link = _socket.socket(fileno=descriptor)
    # One byte, which the server takes alone: a descriptor is lost to who reads past it.
    link.sendmsg([b"\n"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, right)])
    link.detach()
    listener.close()
    return port
