"""What a host waits for before its first answer: the tool table loads nothing heavy."""

import subprocess
import sys

HEAVY = (
    "anyio",
    "duckdb",
    "huggingface_hub",
    "llama_cpp",
    "mcp",
    "numpy",
    "onnxruntime",
    "snowballstemmer",
    "tokenizers",
)


def test_the_tool_table_imports_nothing_heavy() -> None:
    program = "import sys, agent.tools; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "agent.memory_tools" in loaded
    assert loaded.isdisjoint(HEAVY)
