"""The official Inspector against `mnemon mcp` over stdio, in both protocol eras."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.suite import Tools
from tests.conftest import end_owner

ERAS = ("legacy", "modern")
TOOLSETS = ("memory", "agents", "full")


@dataclass(frozen=True)
class Inspected:
    """A memory with one agent in it, and what the Inspector needs to start mnemon on it."""

    tools: Tools
    mnemon: str
    directory: Path

    def ask(
        self, era: str, method: str, *flags: str, toolset: str = "memory"
    ) -> "subprocess.CompletedProcess[str]":
        arguments = ["mcp", "--data", str(self.directory / "memory"), "--embedder", "none"]
        entry = {"command": self.mnemon, "args": [*arguments, "--toolset", toolset]}
        config = self.directory / "mcp.json"
        config.write_text(json.dumps({"mcpServers": {"mnemon": entry}}))
        return self.tools.inspect(config, era, method, *flags)

    def result(self, era: str, method: str, *flags: str) -> Any:
        done = self.ask(era, method, *flags)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["result"]


@pytest.fixture(scope="module")
def inspected(
    tools: Tools, mnemon: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Inspected]:
    directory = tmp_path_factory.mktemp("inspected")
    memory = ["--data", str(directory / "memory"), "--embedder", "none"]
    subprocess.run([mnemon, "agents", "create", "Ada", *memory], check=True, capture_output=True)
    yield Inspected(tools, mnemon, directory)
    end_owner(directory / "memory" / "owner.lock")


@pytest.mark.parametrize("toolset", TOOLSETS)
@pytest.mark.parametrize("era", ERAS)
def test_no_schema_is_hard_for_any_host(inspected: Inspected, era: str, toolset: str) -> None:
    done = inspected.ask(era, "tools/list", "--strict", toolset=toolset)
    listed = json.loads(done.stdout)["result"]["tools"]
    inspected.tools.summary.append(
        f"Inspector --strict, {era}, {toolset}: {len(listed)} tools, "
        f"{done.stderr.count('Error:')} errors, {done.stderr.count('Warning:')} warnings"
    )
    assert len(listed) >= 5
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("era", ERAS)
def test_tools_resources_and_prompts_can_be_used(inspected: Inspected, era: str) -> None:
    named = json.dumps({"agent_id": "Ada"})
    call = ("--tool-name", "memory_context", "--tool-args-json", named)
    called = inspected.result(era, "tools/call", *call)
    assert called["structuredContent"]["name"] == "Ada"

    resources = inspected.result(era, "resources/list")["resources"]
    uri = next(found["uri"] for found in resources if found["name"] == "Ada")
    read = inspected.result(era, "resources/read", "--uri", uri)
    assert "Ada" in read["contents"][0]["text"]
    assert inspected.result(era, "resources/templates/list")["resourceTemplates"]

    prompts = [found["name"] for found in inspected.result(era, "prompts/list")["prompts"]]
    assert "recall" in prompts
    wanted = ("--prompt-name", "recall", "--prompt-args", "agent_id=Ada", "topic=tea")
    prompt = inspected.result(era, "prompts/get", *wanted)
    assert "tea" in prompt["messages"][0]["content"]["text"]


@pytest.mark.parametrize("era", ERAS)
def test_a_failed_call_is_seen_as_one(inspected: Inspected, era: str) -> None:
    named = json.dumps({"agent_id": "nobody"})
    done = inspected.ask(
        era, "tools/call", "--tool-name", "memory_context", "--tool-args-json", named
    )
    assert done.returncode == 5
    assert "no agent 'nobody'" in done.stdout
