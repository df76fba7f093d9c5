"""A session to read: an agent that remembers across restarts. Run it with `make demo`.

Starts the real server as a host would, over stdio, three times on one data directory. Exits 1 as
soon as something that should be remembered is not.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "tests" / "fixtures" / "tiny-memory-agent" / "tiny-memory-agent.gguf"

FACTS = (
    "Ada grows tomatoes and basil on her balcony.",
    "Her sailing boat is moored in Lisbon until October.",
    "The quarterly report must be sent to the tax office on Friday.",
    "She is allergic to peanuts.",
)
QUESTION = "Which food would make her ill?"
EXPECTED = FACTS[3]


class Forgotten(Exception):
    """Something that was to be remembered was not."""


async def play(data: Path) -> None:
    """Play the whole session on one data directory."""
    title("1. A host stores memories", "first process")
    async with server(data) as host:
        await host.say("agent_create", name="Sam", blocks=BLOCKS)
        await host.say(
            "core_memory_append",
            agent_id="Sam",
            label="human",
            content="The user is Ada Lovelace, a sailor from London.",
        )
        for fact in FACTS:
            await host.say("archival_memory_insert", agent_id="Sam", content=fact)

    title("2. Another host asks, after a restart", "second process, same data")
    async with server(data) as host:
        context = await host.say("memory_context", agent_id="Sam")
        expect("Ada Lovelace" in context["blocks"], "the human block")
        found = await host.say(
            "archival_memory_search", agent_id="Sam", query=QUESTION, top_k=1, explain=True
        )
        expect(
            EXPECTED in [hit["content"] for hit in found["results"]],
            "the passage without a common word",
        )

        title("3. The agent itself thinks, on a local model", MODEL.name)
        told = await host.say("agent_message", agent_id="Sam", message="My dog is named Quokka.")
        expect("core_memory_append" in told["tools_used"], "the agent storing what it was told")

    title("4. And remembers, after one more restart", "third process, same data")
    async with server(data) as host:
        told = await host.say("agent_message", agent_id="Sam", message="What is my dog named?")
        expect("Quokka" in told["reply"], "the dog's name in the agent's answer")


BLOCKS = [
    {"label": "persona", "value": "I am Sam.", "description": "Who the agent is."},
    {"label": "human", "description": "What is known about the user."},
]


class Host:
    """A host that shows what it asks and what it gets."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def say(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, print both sides, and return the result as data."""
        shown = ", ".join(f"{k}={v!r}" for k, v in arguments.items() if k != "agent_id")
        line(f"\033[36m> {tool}\033[0m {shown}")
        started = time.perf_counter()
        result = await self._client.call_tool(tool, arguments)
        took_ms = (time.perf_counter() - started) * 1000
        text = "\n".join(part.text for part in result.content if part.type == "text")
        line("\n".join(f"  {row}" for row in text.splitlines()))
        line(f"  \033[2m{took_ms:.0f} ms\033[0m")
        if result.is_error or result.structured_content is None:
            raise Forgotten(f"{tool} failed: {text}")
        data: dict[str, Any] = result.structured_content
        return data


@asynccontextmanager
async def server(data: Path) -> AsyncIterator[Host]:
    """A host's server; all its processes are gone when the block ends."""
    mnemon = str(Path(sys.executable).with_name("mnemon"))
    parameters = StdioServerParameters(
        command=mnemon,
        args=["mcp", "--toolset", "full", "--data", str(data), "--model", str(MODEL)],
        env=dict(os.environ),
    )
    try:
        async with Client(parameters) as client:
            yield Host(client)
    finally:
        # It would wait for other hosts for a while; this is about what a new process remembers.
        with anyio.CancelScope(shield=True):
            await anyio.run_process([mnemon, "stop", "--data", str(data)])
    line("  (the server has ended)")


def expect(remembered: bool, what: str) -> None:
    """Stop with exit code 1 when something was not remembered."""
    if not remembered:
        raise Forgotten(f"expected {what}")
    line(f"  \033[32mok\033[0m {what}")


def _first(group: BaseException) -> BaseException:
    """The first exception inside groups of groups."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def title(text: str, note: str) -> None:
    """Print a heading."""
    line(f"\n\033[1m{text}\033[0m  ({note})")


def line(text: str) -> None:
    """Print one line, without colours where nobody sees them."""
    if not sys.stdout.isatty():
        for code in ("36", "32", "2", "1", "0"):
            text = text.replace(f"\033[{code}m", "")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the session in a temporary directory, or in one that is to be kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="directory to play in, which is kept")
    keep = parser.parse_args(arguments).keep
    if keep is not None and keep.exists() and any(keep.iterdir()):
        parser.error(f"{keep} is not empty; the session begins without a memory: name a new one")
    code = 0
    try:
        with tempfile.TemporaryDirectory(prefix="mnemon-demo-") as temporary:
            anyio.run(play, keep or Path(temporary))
        line("\nAll remembered.")
    except* KeyboardInterrupt:
        code = 130
    except* Exception as failures:
        sys.stderr.write(f"demo failed: {_first(failures)}\n")
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
