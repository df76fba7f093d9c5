"""Whole sessions with the real program: told, ended, started again, asked."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

Era = Literal["legacy", "auto"]
ERAS = pytest.mark.parametrize("era", ["legacy", "auto"])


class Host:
    """A host as the tests need one: calls tools, fails on errors."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return dict(result.structured_content)


@asynccontextmanager
async def stdio_host(mnemon: str, era: Era, *flags: str) -> AsyncIterator[Host]:
    """A host, and nothing that outlives it: the owner is stopped with it."""
    parameters = StdioServerParameters(command=mnemon, args=["mcp", *flags], env=dict(os.environ))
    with anyio.fail_after(60):
        async with Client(parameters, mode=era) as client:
            yield Host(client)
    await anyio.run_process([mnemon, "stop", *flags[:2]])


@contextmanager
def http_server(mnemon: str, data: Path) -> Iterator[dict[str, str]]:
    command = [mnemon, "serve", "--port", "0", "--json", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            server = json.loads(process.stdout.readline())
            yield {**server, "token": Path(server["token_file"]).read_text().strip()}
        finally:
            process.terminate()
            assert process.wait(10) == 0


@asynccontextmanager
async def http_host(server: dict[str, str], era: Era) -> AsyncIterator[Host]:
    headers = {"Authorization": f"Bearer {server['token']}"}
    with anyio.fail_after(60):
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(server["url"], http_client=http), mode=era) as client,
        ):
            yield Host(client)


async def store_memories(host: Host) -> None:
    await host("agent_create", name="Sam", blocks=[{"label": "human"}, {"label": "persona"}])
    await host("core_memory_append", agent_id="Sam", label="human", content="The user is Ada.")
    for fact in (
        "Her sailing boat is moored in Lisbon.",
        "The tax report is due on Friday.",
        "She is allergic to peanuts.",
    ):
        await host("archival_memory_insert", agent_id="Sam", content=fact)


async def recall_memories(host: Host) -> None:
    context = await host("memory_context", agent_id="Sam")
    assert "The user is Ada." in context["blocks"]
    assert context["passages"] == 3
    found = await host(
        "archival_memory_search", agent_id="Sam", query="Which food makes her ill?", top_k=1
    )
    assert found["by_meaning"]
    assert [hit["content"] for hit in found["results"]] == ["She is allergic to peanuts."]


@ERAS
async def test_what_a_host_stored_over_stdio_is_found_after_a_restart(
    mnemon: str, tmp_path: Path, era: Era
) -> None:
    async with stdio_host(mnemon, era, "--data", str(tmp_path)) as host:
        await store_memories(host)
    async with stdio_host(mnemon, era, "--data", str(tmp_path)) as host:
        await recall_memories(host)


@ERAS
async def test_what_a_host_stored_over_http_is_found_after_a_restart(
    mnemon: str, tmp_path: Path, era: Era
) -> None:
    with http_server(mnemon, tmp_path) as server:
        async with http_host(server, era) as host:
            await store_memories(host)
    with http_server(mnemon, tmp_path) as server:
        async with http_host(server, era) as host:
            await recall_memories(host)


async def test_a_memory_stored_over_stdio_is_read_as_a_resource_over_http(
    mnemon: str, tmp_path: Path
) -> None:
    async with stdio_host(mnemon, "auto", "--data", str(tmp_path)) as host:
        await store_memories(host)
    with http_server(mnemon, tmp_path) as server:
        async with http_host(server, "auto") as host:
            listed = (await host.client.list_resources()).resources
            human = next(r for r in listed if str(r.uri).endswith("/blocks/human"))
            (content,) = (await host.client.read_resource(str(human.uri))).contents
    assert content.model_dump()["text"] == "The user is Ada."


async def test_an_agent_remembers_what_it_was_told_before_a_restart(
    mnemon: str, tmp_path: Path, model_file: Path
) -> None:
    flags = ("--data", str(tmp_path), "--model", str(model_file))
    async with stdio_host(mnemon, "auto", *flags) as host:
        blocks = [{"label": "persona", "value": "I am Sam."}, {"label": "human"}]
        await host("agent_create", name="Sam", blocks=blocks)
        told = await host("agent_message", agent_id="Sam", message="My dog is named Quokka.")
        assert told["tools_used"] == ["core_memory_append"]
        message = "Archive this: My project is called Hephaestus."
        archived = await host("agent_message", agent_id="Sam", message=message)
        assert archived["tools_used"] == ["archival_memory_insert"]

    async with stdio_host(mnemon, "auto", *flags) as host:
        shown = await host("agent_get", agent_id="Sam")
        assert "My dog is named Quokka." in [block["value"] for block in shown["blocks"]]
        answer = await host("agent_message", agent_id="Sam", message="What is my dog named?")
        assert "Quokka" in answer["reply"]
        found = await host("archival_memory_search", agent_id="Sam", query="project")
        assert found["results"][0]["content"] == "My project is called Hephaestus."
        said = await host("conversation_search", agent_id="Sam", query="dog", roles=["user"])
        assert "My dog is named Quokka." in [hit["content"] for hit in said["results"]]


def test_nothing_heavy_is_imported_before_initialize_is_answered(mnemon: str) -> None:
    request = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    command = [sys.executable, "-X", "importtime", mnemon, "mcp", "--data", ":memory:"]
    run = subprocess.run(
        command, input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=60
    )
    assert json.loads(run.stdout)["result"]["serverInfo"]["name"] == "mnemon"
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in run.stderr.splitlines()
    }
    assert "mcp" in imported
    heavy = {"duckdb", "numpy", "onnxruntime", "llama_cpp", "torch", "tokenizers"}
    assert heavy & imported == set()


def test_the_demo_plays_to_its_end(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "examples" / "demo.py"
    run = subprocess.run([sys.executable, str(demo)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.rstrip().endswith("All remembered.")


def test_the_demo_is_not_played_where_something_is_already(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "examples" / "demo.py"
    (tmp_path / "mnemon.duckdb").touch()
    command = [sys.executable, str(demo), "--keep", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert f"{tmp_path} is not empty" in run.stderr


def test_the_demo_fails_when_something_is_not_remembered(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "examples" / "demo.py"
    environment = {**os.environ, "MNEMON_EMBEDDER": "none"}
    run = subprocess.run(
        [sys.executable, str(demo)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 1
    assert "demo failed: expected the passage without a common word" in run.stderr
