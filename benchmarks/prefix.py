"""How long does an agent wait for its first token when its prompt is mostly computed already?

Question: time to the first token of a reply with about 100 new tokens after 4,000 unchanged ones,
through LlamaModel and its worker process: for the agent that asked last; after an edit of a block
(which only appends in our layout: a call and its result); after another agent had the model; after
a restart, from the file on disk. Goals, as ratios of wall time: 1.1, 1.1, 1.3, 1.5.

Baseline, in the same run: the least that llama.cpp needs for it: llama-cpp-python's low-level API,
a context that holds the same number of tokens, and 100 new ones computed with the same batch size
and number of threads. Baseline and cases take turns.

`wall` ends when the answer to a request of one token is there; `cpu` is that of the process that
computes. A restart is measured without the time that starting the process and loading the model
take, which a cold start pays, too; `restart_with_load` has it. Medians and quartiles.

The model is random, about 100 million parameters, q8_0, made with a fixed seed in a temporary
directory. Prints one JSON line; progress goes to stderr.
"""

import argparse
import ctypes
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import llama_cpp

from agent.model import ChatMessage, Completion, Prompt, ToolSpec
from agent.models.engine import BATCH_TOKENS
from agent.models.llama import LlamaModel, LlamaOptions
from benchmarks.random_model import SEED, Shape, write_model
from benchmarks.report import Report, print_line, quartiles, say
from memory.records import ToolCall

SHAPE = Shape()
WINDOW = 8192
OLD_TOKENS, NEW_TOKENS = 4000, 100
GOALS = {"unchanged": 1.1, "block_edit": 1.1, "other_agent": 1.3, "restart": 1.5}
WORDS = (
    "garden winter letter kitchen sister train coffee doctor holiday violin market river bicycle"
).split()
APPEND = ToolSpec(
    "core_memory_append",
    "Append to a block.",
    {"type": "object", "properties": {"label": {"type": "string"}, "content": {"type": "string"}}},
)


class Baseline:
    """llama.cpp itself: one context, tokens held, some more computed."""

    def __init__(self, path: Path, threads: int) -> None:
        self._quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._quiet, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        model = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
        context = llama_cpp.llama_context_default_params()
        context.n_ctx = WINDOW
        context.n_batch = context.n_ubatch = BATCH_TOKENS
        context.n_threads = context.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(model, context)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._held = 0

    def measure(self, old: int, new: int) -> tuple[float, float]:
        """Hold `old` tokens, then compute `new` more; seconds of wall and CPU of the latter."""
        llama_cpp.llama_memory_seq_rm(self._memory, 0, min(old, self._held), -1)
        self._held = min(old, self._held)
        self._compute(old - self._held)
        wall, cpu = time.perf_counter(), time.process_time()
        self._compute(new)
        return time.perf_counter() - wall, time.process_time() - cpu

    def _compute(self, count: int) -> None:
        tokens = [(n * 7919) % 30_000 for n in range(self._held, self._held + count)]
        for start in range(0, count, BATCH_TOKENS):
            part = tokens[start : start + BATCH_TOKENS]
            array = (llama_cpp.llama_token * len(part))(*part)
            batch = llama_cpp.llama_batch_get_one(array, len(part))
            if llama_cpp.llama_decode(self._context, batch):
                raise SystemExit("the baseline could not compute")
        self._held += count


class Conversation:
    """An agent's prompts: a long history, and what is new."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self._random = random.Random(agent)  # noqa: S311 - texts, no secrets
        self.messages: tuple[ChatMessage, ...] = (ChatMessage("system", self.text(40)),)

    def text(self, words: int) -> str:
        """Words in a random order."""
        return " ".join(self._random.choices(WORDS, k=words))

    def prompt(self, *more: ChatMessage) -> Prompt:
        """The history and some messages more, which are not kept."""
        return Prompt((*self.messages, *more), (APPEND,), agent_id=self.agent, temperature=0.0)


async def grow(model: LlamaModel, talk: Conversation, tokens: int) -> None:
    """Let the history grow until the prompt has about as many tokens."""
    while True:
        done = await model.complete(talk.prompt(ChatMessage("user", "ok")), 1)
        missing = tokens - done.prompt_tokens
        if missing < 40:
            return
        words = min(max(missing // 2, 10), 200)
        role = "user" if len(talk.messages) % 2 else "assistant"
        talk.messages += (ChatMessage(role, talk.text(words)),)  # type: ignore[arg-type]


def cpu_of(pid: int | None) -> float:
    """CPU seconds of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """All cases on one model file."""

    def __init__(self, path: Path, folder: Path, threads: int) -> None:
        self._path, self._folder, self._threads = path, folder, threads
        self._baseline = Baseline(path, threads)
        self._ada, self._bob = Conversation("ada"), Conversation("bob")
        self.taken: dict[str, list[dict[str, float]]] = {name: [] for name in GOALS}
        self.with_load: list[float] = []

    def model(self) -> LlamaModel:
        """A model whose states last; no worker runs yet."""
        options = LlamaOptions(state_directory=self._folder / "kv", state_limit_bytes=2 * 1024**3)
        return LlamaModel(self._path, context_tokens=WINDOW, threads=self._threads, options=options)

    async def measure(self, rounds: int) -> None:
        """Run everything, taking turns."""
        model = self.model()
        say("histories of two agents")
        for talk in (self._ada, self._bob):
            await grow(model, talk, OLD_TOKENS)
        for number in range(rounds + 1):  # the first one warms up
            say(f"round {number} of {rounds}")
            for name in GOALS:
                model = await self._case(name, model, keep=number > 0)
        await model.aclose()

    async def _case(self, name: str, model: LlamaModel, keep: bool) -> LlamaModel:
        ada, bob = self._ada, self._bob
        await model.complete(ada.prompt(ChatMessage("user", ada.text(8))), 1)
        if name == "other_agent":
            await model.complete(bob.prompt(ChatMessage("user", bob.text(8))), 1)
        started = time.perf_counter()
        if name == "restart":
            await model.aclose()
            model, started = self.model(), time.perf_counter()
            await model.describe()
        new: tuple[ChatMessage, ...] = (ChatMessage("user", ada.text(NEW_TOKENS // 2 - 23)),)
        if name == "block_edit":
            call = ToolCall("1", "core_memory_append", {"label": "human", "content": ada.text(9)})
            result = ChatMessage("tool", ada.text(9), tool_call_id="1")
            new = (ChatMessage("assistant", "", (call,)), result)
        await self._one(name, model, ada.prompt(*new), started, keep)
        return model

    async def _one(
        self, name: str, model: LlamaModel, prompt: Prompt, started: float, keep: bool
    ) -> None:
        cpu, wall = cpu_of(model.worker_pid), time.perf_counter()
        done: Completion = await model.complete(prompt, 1)
        ended = time.perf_counter()
        cpu = cpu_of(model.worker_pid) - cpu
        computed = done.prompt_tokens - done.cached_tokens
        base_wall, base_cpu = self._baseline.measure(done.cached_tokens, computed)
        if not keep:
            return
        self.taken[name].append(
            {
                "wall": ended - wall,
                "cpu": cpu,
                "base_wall": base_wall,
                "base_cpu": base_cpu,
                "computed": computed,
                "cached": done.cached_tokens,
            }
        )
        if name == "restart":
            self.with_load.append((ended - started) / base_wall)


def case_result(taken: list[dict[str, float]]) -> dict[str, Any]:
    """What a case came to; ratios are of each measurement to the baseline beside it."""
    return {
        "new_tokens": statistics.median(each["computed"] for each in taken),
        "unchanged_tokens": statistics.median(each["cached"] for each in taken),
        "wall_ms": quartiles([1000 * each["wall"] for each in taken], 1),
        "baseline_wall_ms": quartiles([1000 * each["base_wall"] for each in taken], 1),
        "wall_ratio": quartiles([each["wall"] / each["base_wall"] for each in taken], 3),
        "cpu_ratio": quartiles([each["cpu"] / each["base_cpu"] for each in taken], 3),
    }


def measure(rounds: int, threads: int) -> dict[str, Any]:
    """Everything, in one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("making the model")
        path = write_model(folder / "random.gguf", SHAPE)
        bench = Bench(path, folder, threads)
        anyio.run(bench.measure, rounds)
        return {
            "model_mb": round(path.stat().st_size / 1e6),
            "cases": {
                **{name: case_result(bench.taken[name]) for name in GOALS},
                "restart_with_load": {"wall_ratio": quartiles(bench.with_load, 3)},
            },
        }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    figures = measure(options.rounds, options.threads)
    goals = {"cases": {name: {"wall_ratio": goal} for name, goal in GOALS.items()}}
    packages = ("llama-cpp-python", "llguidance")
    print_line(Report("prefix", figures, vars(options), goals, SEED, packages))


if __name__ == "__main__":
    main()
