"""GGUF files of a few hundred bytes, and a hub that misbehaves as told, over real sockets."""

import json
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOOLS_TEMPLATE = "{% if tools %}<tool_call>{% endif %}{% for m in messages %}{{ m }}{% endfor %}"

LLAMA: Mapping[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Toy",
    "general.file_type": 7,
    "llama.context_length": 4096,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["<s>", "a", "b"],
    "tokenizer.chat_template": TOOLS_TEMPLATE,
}


def gguf_bytes(metadata: Mapping[str, Any] = LLAMA, weights: int = 64, filler: int = 0) -> bytes:
    """A whole file: a header, one tensor of 32-bit weights, and zeros."""
    entries = b"".join(text(key) + typed(value) for key, value in metadata.items())
    tensor = text("token_embd.weight") + struct.pack("<IQIQ", 1, weights, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(metadata)) + entries + tensor
    return head + bytes(-len(head) % 32) + bytes(4 * weights + filler)


def write_gguf(path: Path, metadata: Mapping[str, Any] = LLAMA, **sizes: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf_bytes(metadata, **sizes))
    return path


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value: object) -> bytes:
    """A value with its type before it."""
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + text(value)
        case [str(), *_] as texts:
            return struct.pack("<IIQ", 9, 8, len(texts)) + b"".join(text(str(t)) for t in texts)
        case list():
            return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
    raise TypeError(value)


@dataclass
class Hub:
    """What the server has and how it behaves; tests change it as they go.

    cut_after: bytes after which a connection breaks, one for each of the next answers; one that
    stalls breaks only at go_on.
    cdn: where files are in truth. etag: of all files; none when empty.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    repositories: dict[str, Any] = field(default_factory=dict)
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    status: int = 0
    cdn: str = ""
    etag: str = ""
    linked_etag: str = ""
    lengths: bool = True
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stalls: bool = False
    go_on: threading.Event = field(default_factory=threading.Event)

    def ranges_asked(self) -> list[str]:
        return [headers["range"] for _, headers in self.seen if "range" in headers]


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """A server on a free port of this machine."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            _answer(hub, self)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        hub.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield hub
        finally:
            hub.go_on.set()
            server.shutdown()
            thread.join()


def _answer(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    path = urlsplit(request.path).path
    if hub.status:
        return _send(request, hub.status, {}, b"no")
    if path.startswith("/api/models/"):
        repository = path.removeprefix("/api/models/").partition("/revision/")[0]
        found = hub.repositories.get(repository)
        if found is None:
            return _send(request, 401, {}, b"Repository not found")
        return _send(request, 200, {}, json.dumps(found).encode())
    if hub.cdn:
        linked = {"X-Linked-ETag": hub.linked_etag} if hub.linked_etag else {}
        return _send(request, 302, {"Location": f"{hub.cdn}{path}", **linked}, b"")
    if path not in hub.files:
        return _send(request, 404, {}, b"no")
    return _send_file(hub, request, hub.files[path])


def _send_file(hub: Hub, request: BaseHTTPRequestHandler, data: bytes) -> None:
    headers = {"ETag": hub.etag} if hub.etag else {}
    asked = request.headers.get("Range", "")
    same = request.headers.get("If-Range", hub.etag) == hub.etag
    status, start = 200, 0
    if asked and hub.ranges and same:
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(data):
            return _send(request, 416, {}, b"")
        status = 206
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    body = data[start:]
    request.send_response(status)
    if hub.lengths:
        request.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    cut = hub.cut_after.pop(0) if hub.cut_after else len(body)
    request.wfile.write(body[:cut])
    request.wfile.flush()
    if hub.stalls and cut < len(body):
        hub.go_on.wait(60)
    request.close_connection = True


def _send(
    request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)
