"""An MCP server of the standard library alone, which does what it is told and says what came of it.

It runs inside the sandbox, where no package of the tests can be read.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

HELD: list[socket.socket] = []
HOLDERS: list[subprocess.Popen[str]] = []


def do(what: str, name: str) -> str:
    match what:
        case "read":
            with open(name) as file:  # noqa: PTH123
                return file.read()
        case "write":
            with open(name, "w") as file:  # noqa: PTH123
                return str(file.write("x"))
        case "list":
            return " ".join(sorted(os.listdir(name)))  # noqa: PTH208
        case "environment":
            return json.dumps(dict(os.environ))
        case "run":
            return subprocess.run(["/bin/sh", "-c", name], capture_output=True, text=True).stdout
        case "user":
            return f"{os.getuid()} {os.getpid()}"
    return take(what, name)


def take(what: str, name: str) -> str:
    match what:
        case "files":
            folder, _, count = name.partition(" ")
            for number in range(int(count)):
                open(f"{folder}/{number}", "w").close()  # noqa: PTH123
            return "made"
        case "memory":
            processes, mib = map(int, name.split())
            holds = f"x = bytearray({mib} << 20); print(flush=True); input()"
            HOLDERS.extend(start(holds) for _ in range(processes))
            return "".join(holder.stdout.read(1) for holder in HOLDERS if holder.stdout)
        case "wait":
            threading.Event().wait()
    return reach(what, name)


def start(source: str) -> subprocess.Popen[str]:
    """A process of its own, which has done what prints a line."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", source], stdin=pipe, stdout=pipe, text=True)


def reach(what: str, name: str) -> str:
    match what:
        case "connect":
            socket.create_connection(("127.0.0.1", int(name)), timeout=2).close()
            return "connected"
        case "fetch":
            try:
                with urllib.request.urlopen(name, timeout=10) as response:  # noqa: S310
                    return str(response.read().decode())
            except urllib.error.HTTPError as error:
                return f"{error}"
        case "hold":
            host, _, port = os.environ["http_proxy"].removeprefix("http://").partition(":")
            link = socket.create_connection((host, int(port)))
            link.sendall(f"CONNECT {name} HTTP/1.1\r\n\r\n".encode())
            HELD.append(link)
            return link.recv(100).decode()
        case "accept":
            socket.create_server(("127.0.0.1", 0)).accept()
        case "socket":
            family, kind = name.split()
            socket.socket(getattr(socket, family), getattr(socket, kind)).close()
            return "made"
    return "what?"


def answer(message: dict, result: dict) -> None:  # type: ignore[type-arg]
    line = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def serve() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        match message.get("method"):
            case "initialize":
                hello = {
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "plain", "version": "0"},
                }
                answer(message, hello)
            case "tools/list":
                schema = {"type": "object", "properties": {"what": {"type": "string"}}}
                answer(message, {"tools": [{"name": "do", "inputSchema": schema}]})
            case "tools/call":
                given = message["params"]["arguments"]
                try:
                    text, failed = do(given["what"], given.get("name", "")), False
                except Exception as error:
                    text, failed = f"{type(error).__name__}: {error}", True
                content = [{"type": "text", "text": text}]
                answer(message, {"content": content, "isError": failed})
            case str() if "id" in message:
                problem = {"code": -32601, "message": "no such method"}
                failure = {"jsonrpc": "2.0", "id": message["id"], "error": problem}
                sys.stdout.write(json.dumps(failure) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    serve()
