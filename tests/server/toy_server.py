"""A small registry for the tests of the transports, and a program that serves it.

    python -m tests.server.toy_server stdio|http [JOURNAL]

What happens inside the process (opened, waiting, cancelled, closed) is appended to the file
JOURNAL, so that a test can see it from outside.
"""

# First of all, as the command line does it: everything below may print.
from server.standard_streams import reserve_stdio

if __name__ == "__main__":
    reserve_stdio()
    print("noise of an import")  # noqa: T201 - must not reach the host

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
from pydantic import BaseModel, Field

from agent.memory_tools import Arguments
from server.protocol import RegistryServer, build_server
from server.registry import (
    Call,
    Caller,
    Registry,
    Resource,
    ResourcePage,
    ResourceTemplate,
    Tool,
)
from server.shutdown import exit_after
from server.stdio import run_stdio

TOKEN = "toy-token-that-is-long-enough-to-be-one"  # noqa: S105


class ToyError(Exception):
    """A failure the caller can act on."""


class AddArguments(Arguments):
    left: int = Field(description="First number.", ge=0)
    right: int = Field(description="Second number.", le=100)


class Sum(BaseModel):
    sum: int


class Style(Arguments):
    title: str = "plain"


class EchoArguments(Arguments):
    text: str
    tags: list[str] = Field(default_factory=list)
    note: str | None = None
    style: Style | None = Field(default=None, description="How to print.")


class Echo(BaseModel):
    text: str
    tags: list[str]
    note: str | None
    title: str | None


class NoArguments(Arguments):
    pass


class Who(BaseModel):
    host: str
    request_id: str


class FailArguments(Arguments):
    how: Literal["mistake", "bug", "wrong result", "bad text", "long text", "noise"]


class Tree(BaseModel):
    children: list["Tree"] = Field(default_factory=list)


@dataclass
class Journal:
    """Events of the process, in memory and, with a path, in a file."""

    path: Path | None = None

    def __post_init__(self) -> None:
        self.events: list[str] = []

    def write(self, event: str) -> None:
        self.events.append(event)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(event + "\n")


async def add(call: Call, arguments: AddArguments) -> Sum:
    return Sum(sum=arguments.left + arguments.right)


async def echo(call: Call, arguments: EchoArguments) -> Echo:
    title = arguments.style.title if arguments.style else None
    return Echo(text=arguments.text, tags=arguments.tags, note=arguments.note, title=title)


async def who(call: Call, arguments: NoArguments) -> Who:
    await call.progress(1, 2, "half")
    await call.progress(2, 2, "done")
    return Who(host=call.caller.host, request_id=call.request_id)


async def fail(call: Call, arguments: FailArguments) -> BaseModel:
    if arguments.how == "mistake":
        raise ToyError("there is no toy 'x'; there are: y, z")
    if arguments.how == "bug":
        raise RuntimeError("secret detail")
    if arguments.how == "noise":
        print("noise of a tool")  # noqa: T201 - must not reach the host
        await anyio.run_process([sys.executable, "-c", "print('noise')"], stdout=None)
    results = {
        "wrong result": Sum(sum=1),
        "bad text": Who(host="\ud800", request_id=""),
        "long text": Who(host="a" * 70_000, request_id=""),
    }
    return results.get(arguments.how, Who(host="", request_id=""))


async def tree(call: Call, arguments: NoArguments) -> Tree:
    return Tree(children=[Tree()])


async def wait(journal: Journal, call: Call, arguments: NoArguments) -> Who:
    journal.write("waiting")
    try:
        await anyio.sleep_forever()
        raise AssertionError("never reached")
    finally:
        journal.write("cancelled")


async def block(journal: Journal, call: Call, arguments: NoArguments) -> Who:
    """Cannot be cancelled: a thread waits for what never comes."""
    journal.write("blocking")
    await anyio.to_thread.run_sync(threading.Event().wait)
    raise AssertionError("the event was set")


class Notes:
    """Five notes on pages of two."""

    templates: Sequence[ResourceTemplate] = (
        ResourceTemplate("toy://notes/{number}", "note", "One note."),
    )

    async def list(self, caller: Caller, cursor: str | None) -> ResourcePage:
        start = int(cursor or "0")
        numbers = range(start, min(start + 2, 5))
        return ResourcePage(
            tuple(Resource(f"toy://notes/{n}", f"note {n}", "A note.") for n in numbers),
            str(start + 2) if start + 2 < 5 else None,
        )

    async def read(self, caller: Caller, uri: str) -> tuple[str, str]:
        if uri == "toy://notes/bug":
            raise RuntimeError("secret detail")
        number = uri.rpartition("/")[2]
        if number not in ("0", "1", "2", "3", "4"):
            raise LookupError(uri)
        return "text/plain", f"text of note {number}"


def tools(journal: Journal) -> tuple[Tool, ...]:
    return (
        Tool("add", "Add", "Add two numbers.", AddArguments, Sum, add, read_only=True),
        Tool("echo", "Echo", "Return the text.", EchoArguments, Echo, echo, idempotent=True),
        Tool(
            "who",
            "Who",
            "Say who calls.",
            NoArguments,
            Who,
            who,
            text=lambda found: f"you are {found.host}",
        ),
        Tool("fail", "Fail", "Fail somehow.", FailArguments, Who, fail, destructive=True),
        Tool("tree", "Tree", "Return a tree.", NoArguments, Tree, tree),
        Tool("wait", "Wait", "Wait for ever.", NoArguments, Who, partial(wait, journal)),
        Tool("block", "Block", "Block for ever.", NoArguments, Who, partial(block, journal)),
    )


def toy_registry(
    journal: Journal | None = None,
    extra_tools: int = 0,
    on_second: Callable[[], None] | None = None,
) -> Registry:
    """Return the registry; `extra_tools` adds that many copies of add."""
    journal = journal or Journal()
    extras = tuple(
        Tool(f"add{number}", "Add", "Add two numbers.", AddArguments, Sum, add)
        for number in range(extra_tools)
    )
    return Registry(
        name="toy",
        version="1.2.3",
        title="Toy",
        instructions="Play.",
        tools=tools(journal) + extras,
        resources=Notes(),
        describe_error=lambda error: str(error) if isinstance(error, ToyError) else None,
        on_second_message=on_second or (lambda: journal.write("second message")),
    )


def main(transport: str, journal: Journal) -> int:
    @asynccontextmanager
    async def open_server() -> AsyncIterator[RegistryServer]:
        journal.write(f"opened {os.getpid()}")
        try:
            yield build_server(toy_registry(journal))
        finally:
            journal.write("closed")

    if transport == "stdio":
        return run_stdio(open_server, exit_deadline_s=3)

    from server.http import HttpAddress, serve_http  # noqa: PLC0415 - not for stdio
    from server.principals import Principals  # noqa: PLC0415

    async def serve() -> None:
        async with open_server() as server:
            await serve_http(
                server,
                HttpAddress(),
                Principals(TOKEN, None),
                on_started=lambda host, port: journal.write(f"http://{host}:{port}/mcp"),
                on_end=exit_after(5),
            )

    anyio.run(serve)
    return 0


if __name__ == "__main__":
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    sys.exit(main(sys.argv[1], Journal(path)))
