"""Many short completions leave no memory, descriptor or process behind.

Small by default; MNEMON_TORTURE=1 (`make torture`) asks for a thousand.
"""

import os
from pathlib import Path

import pytest

from agent.model import ChatMessage, Prompt, ToolSpec
from agent.models.llama import LlamaModel, LlamaOptions

COMPLETIONS = 1000 if "MNEMON_TORTURE" in os.environ else 80
WARM_UP = 40  # grammars, states of all agents and their files are there then
AGENTS = 5
MAX_GROWTH_BYTES = 8_000_000

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="memory and descriptors are read from /proc"
)
TOOL = ToolSpec("note", "d", {"type": "object", "properties": {"text": {"type": "string"}}})


def resident_bytes(pid: int | str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def descriptors(pid: int | str) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def children() -> list[str]:
    """Process ids of this process's children, of all its threads."""
    tasks = Path("/proc/self/task").iterdir()
    return sorted(pid for task in tasks for pid in (task / "children").read_text().split())


async def test_many_completions_leak_nothing(model_path: Path, tmp_path: Path) -> None:
    options = LlamaOptions(state_directory=tmp_path, state_limit_bytes=50_000_000)
    shown = []

    async def show(text: str) -> None:
        shown.append(text)

    async with LlamaModel(model_path, threads=1, options=options) as model:
        before: tuple[int, ...] = ()
        for turn in range(WARM_UP + COMPLETIONS):
            agent = f"agent-{turn % AGENTS}"
            messages = (ChatMessage("system", agent * 20), ChatMessage("user", f"Hello {turn % 7}"))
            tools = (TOOL,) if turn % 2 else ()
            await model.complete(Prompt(messages, tools, agent_id=agent), 8, show)
            if turn == WARM_UP:
                assert model.worker_pid is not None
                worker = model.worker_pid
                before = (resident_bytes(worker), resident_bytes("self"))
                open_before = descriptors(worker), descriptors("self"), children()
        assert (descriptors(worker), descriptors("self"), children()) == open_before
        assert resident_bytes(worker) - before[0] < MAX_GROWTH_BYTES
        assert resident_bytes("self") - before[1] < MAX_GROWTH_BYTES
