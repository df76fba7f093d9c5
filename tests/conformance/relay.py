"""A relay between the suite, which can send no header of ours, and a server that wants a token.

It adds the Authorization header to every request and passes on all other bytes as they come.
"""

import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

BLOCK_BYTES: Final = 65_536


@contextmanager
def relay(url: str, token: str) -> Iterator[str]:
    """Relay to a server while the context lasts; gives the URL to use instead of its own."""
    target = urlsplit(url)
    header = f"Authorization: Bearer {token}\r\n".encode()

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            address = (target.hostname, target.port)
            # Either side may be gone at any moment; that ends the connection, nothing else.
            with suppress(OSError), socket.create_connection(address) as upstream:
                Thread(target=pump, args=(upstream, self.connection), daemon=True).start()
                while head := read_head(self.rfile):
                    upstream.sendall(b"".join([*head, header, b"\r\n"]))
                    upstream.sendall(self.rfile.read(body_bytes(head)))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Connection) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{target.path}"
        finally:
            server.shutdown()


def read_head(stream: BufferedIOBase) -> list[bytes]:
    """The lines before the empty one; nothing when the client is gone."""
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return lines if line else []


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(BLOCK_BYTES):
            sink.sendall(block)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def body_bytes(head: list[bytes]) -> int:
    fields = dict(line.lower().split(b":", 1) for line in head[1:])
    if b"transfer-encoding" in fields:
        raise NotImplementedError("the relay reads bodies of a known length only")
    return int(fields.get(b"content-length", b"0"))
