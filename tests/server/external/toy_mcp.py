"""An MCP server of others for the tests: well-behaved with the SDK, or hostile in one way.

    python toy_mcp.py stdio|http [NAME OF A HOSTILE MODE]

Over http it prints its port on the first line. Hostile modes speak the handshake by hand, over
stdio; what each does is in HOSTILE.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp_types import AudioContent, CallToolResult, ImageContent, TextContent
from pydantic import BaseModel

Message = dict[str, Any]


class Sum(BaseModel):
    sum: int


def good() -> MCPServer:
    server = MCPServer("toy", log_level="ERROR")

    @server.tool(description="Add two numbers.")
    def add(left: int, right: int) -> Sum:
        return Sum(sum=left + right)

    @server.tool()
    def say(text: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(text=text)])

    @server.tool()
    def fail() -> CallToolResult:
        return CallToolResult(content=[TextContent(text="the disk is full")], is_error=True)

    @server.tool()
    def show() -> CallToolResult:
        return CallToolResult(
            content=[
                TextContent(text="a picture:"),
                ImageContent(data="AAAA", mime_type="image/png"),
                AudioContent(data="AAAA", mime_type="audio/wav"),
            ]
        )

    @server.tool()
    def environment(name: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(text=os.environ.get(name, "[not set]"))])

    @server.tool()
    async def wait(path: str) -> CallToolResult:
        """Wait until it is cancelled; say both in a file."""
        journal = anyio.Path(path)
        await journal.write_text("began\n")
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await journal.write_text("began\ncancelled\n")
        return CallToolResult(content=[])

    return server


def send(message: Message) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(request: Message, result: Message) -> None:
    send({"id": request["id"], "result": result})


def text(request: Message, said: str, **more: Any) -> None:
    answer(request, {"content": [{"type": "text", "text": said}], **more})


def notify(method: str, **params: Any) -> None:
    send({"method": method, "params": params})


def talk_without_end(request: Message) -> None:
    while True:
        notify("notifications/message", level="info", data="x")


def ask_without_end(request: Message) -> None:
    number = 0
    while True:
        number += 1
        send({"id": f"ask-{number}", "method": "ping"})


def print_without_end(request: Message) -> None:
    while True:
        sys.stdout.write("no message at all\n")


def one_line_without_end(request: Message) -> None:
    while True:
        sys.stdout.write("x" * 65536)


def die(request: Message) -> None:
    sys.stderr.write("out of cheese\n")
    sys.stderr.flush()
    os._exit(3)


def never(request: Message) -> None:
    time.sleep(600)


def deaf(request: Message) -> None:
    """Goes on, and ignores the end of stdin and every signal that can be."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    text(request, str(os.getpid()))
    while True:
        time.sleep(600)


def changed(request: Message) -> None:
    notify("notifications/tools/list_changed")
    text(request, "changed")


def twice(request: Message) -> None:
    text(request, "first")
    text(request, "second")


def others_id(request: Message) -> None:
    send({"id": 10_000, "result": {}})
    send({"id": None, "error": {"code": -1, "message": "for nobody"}})
    text(request, "mine")


HOSTILE: dict[str, Callable[[Message], None]] = {
    "talks": talk_without_end,
    "asks": ask_without_end,
    "prints": print_without_end,
    "line": one_line_without_end,
    "dies": die,
    "never": never,
    "deaf": deaf,
    "changed": changed,
    "twice": twice,
    "others": others_id,
    "error": lambda request: send(
        {"id": request["id"], "error": {"code": -32000, "message": "no\u202e way"}}
    ),
    "nothing": lambda request: answer(request, {}),
    "wrong": lambda request: answer(request, {"content": "not a list"}),
    "huge": lambda request: text(request, "x" * 3_000_000),
    "hidden": lambda request: text(request, "a\u202e\u200b\x1b[31mb"),
    "structure": lambda request: answer(request, {"content": [], "structuredContent": {"a": 1}}),
    "many": lambda request: answer(request, {"content": [{"type": "text", "text": "x"}] * 1_000}),
    "bad_schema": lambda request: text(request, "x", structuredContent={"a": "a" * 40 + "!"}),
}

EVIL_TOOLS = [
    {"name": "act", "description": "Do it.", "inputSchema": {"type": "object"}},
    {
        "name": "act",
        "description": "The same name again.",
        "inputSchema": {"type": "object"},
    },
    {"name": "a b/c", "description": "Odd\u202e name.", "inputSchema": {"type": "object"}},
    {"name": "a_b_c", "inputSchema": {"type": "object"}},
    {"name": "x" * 100, "inputSchema": {"type": "object"}},
    {"name": "broken", "inputSchema": {"type": "object", "properties": {"a": {"type": "any"}}}},
    {
        "name": "regex",
        "inputSchema": {"type": "object"},
        "outputSchema": {
            "type": "object",
            "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}},
        },
    },
]


def list_tools(request: Message, mode: str) -> None:
    cursor = (request.get("params") or {}).get("cursor")
    if mode == "pages":
        page = int(cursor or 0)
        tools = [{"name": f"tool{page}", "inputSchema": {"type": "object"}}]
        answer(request, {"tools": tools, **({"nextCursor": str(page + 1)} if page < 2 else {})})
    elif mode == "endless_pages":
        answer(request, {"tools": EVIL_TOOLS[:1], "nextCursor": "again"})
    elif mode == "never_lists":
        never(request)
    else:
        answer(request, {"tools": EVIL_TOOLS})


def say_secret(_: Message) -> None:
    error = {"code": -32603, "message": f"bad token {os.environ['MY_TOKEN']}"}
    for line in sys.stdin:
        if number := json.loads(line).get("id"):
            send({"id": number, "error": error})


AT_ONCE = {"says_nothing": never, "dies_at_start": die, "says_its_secret": say_secret}


def hostile(mode: str) -> None:
    if begin := AT_ONCE.get(mode):
        begin({})
    for line in sys.stdin:
        message = json.loads(line)
        method = message.get("method")
        if method == "initialize":
            version = message["params"]["protocolVersion"]
            answer(
                message,
                {
                    "protocolVersion": version,
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "evil", "version": "0"},
                },
            )
        elif method == "tools/list":
            list_tools(message, mode)
        elif method == "tools/call":
            HOSTILE[mode](message)
        elif "id" in message and method is not None:
            send({"id": message["id"], "error": {"code": -32601, "message": "no such method"}})


def serve_http() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    app = good().streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    if sys.argv[1] == "http":
        serve_http()
    elif len(sys.argv) > 2:
        hostile(sys.argv[2])
    else:
        good().run("stdio")
