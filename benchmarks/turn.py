"""What does a turn cost besides the model?

Question: CPU and wall time of one turn with a model that answers at once, on a file with one agent
that holds 10,000 messages and 10,000 passages: a plain reply, and a turn with one block edit.
Goals: 10 ms and 20 ms of CPU at the median.

CPU is the whole process's, all threads. `until_reply` ends when the turn returns; `with_background`
when what it wrote has its vectors, too. Measured without an embedder (then both are the same work)
and with MiniLM embedding in the background.

Baseline, in the same run: a bare DuckDB transaction that inserts the same two messages into a table
of the same columns and commits, which is the floor. For comparison, measured earlier and not in
this run: the same two turns took Letta 0.16.8 638 and 1,283 ms.

The texts are drawn with a fixed seed. Prints one JSON line; progress goes to stderr.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import duckdb

from agent.live_run import Said
from agent.loop import AgentLoop
from agent.model import Parsed, Reply, ToolCalls
from agent.models.scripted import ScriptedModel
from agent.runs import Runs
from benchmarks.report import Report, print_line, say, spread
from memory import agents, archival, recall
from memory.agents import NewAgent
from memory.embedder import Embedder
from memory.embedders.factory import load_embedder
from memory.records import Block, NewMessage, NewPassage, Origin, ToolCall
from memory.store import MemoryStore

SEED = 20_260_331
GOALS = {
    "without_embedder": {
        "plain_reply": {"cpu_until_reply_ms": 10},
        "one_block_edit": {"cpu_until_reply_ms": 20},
    }
}
BATCH = 500
WARM_UP_TURNS = 20
ORIGIN = Origin("person:benchmark", "benchmark")
WORDS = (
    "garden winter letter kitchen sister train coffee doctor holiday violin market river bicycle"
    " window birthday neighbour school boiler ticket recipe mountain camera passport meeting"
    " yellow quiet broken early careful second usual foreign paid planted borrowed promised visited"
    " repaired forgot learned cooked painted lost found called sold with after before because"
    " during near without about my her the our every"
).split()


def sentence(rng: random.Random) -> str:
    """A short text as people write them: 6 to 16 words."""
    words = " ".join(rng.choices(WORDS, k=rng.randint(6, 16)))
    return f"{words.capitalize()} {rng.randint(1, 999)}."


def fill(path: Path, messages: int, passages: int) -> None:
    """Make the file: one agent with two blocks, its conversation and its archive."""
    rng = random.Random(SEED)  # noqa: S311 - texts, no secrets
    blocks = (Block("persona", "I am Ada."), Block("human", "Name: Sam\nMood: calm"))
    with MemoryStore(path, None) as store:
        with store.write(ORIGIN) as transaction:
            agent = agents.create_agent(transaction, NewAgent("ada", blocks=blocks))
        for start in range(0, messages, BATCH):
            batch = [
                NewMessage("assistant" if number % 2 else "user", sentence(rng))
                for number in range(start, min(start + BATCH, messages))
            ]
            with store.write(ORIGIN) as transaction:
                recall.append_messages(transaction, agent, f"turn-{start}", start, batch)
        for start in range(0, passages, BATCH):
            size = min(BATCH, passages - start)
            notes = [NewPassage(sentence(rng)) for _ in range(size)]
            with store.write(ORIGIN) as transaction:
                archival.insert_passages(transaction, agent, notes)


def plain() -> Iterator[Parsed]:
    """One step for each turn: the reply."""
    while True:
        yield Reply("Thank you, I will keep that in mind for the next time.")


def editing() -> Iterator[Parsed]:
    """Two steps for each turn: an edit of a block, then the reply."""
    for old, new in cycle([("calm", "busy"), ("busy", "calm")]):
        edit = {"label": "human", "old_string": f"Mood: {old}", "new_string": f"Mood: {new}"}
        yield ToolCalls((ToolCall(f"call-{uuid4()}", "memory_replace", edit),))
        yield Reply("Thank you, I will keep that in mind for the next time.")


async def measure_turns(
    store: MemoryStore, answers: Iterator[Parsed], turns: int
) -> dict[str, Any]:
    """Run turns one after another and summarise what each took, in ms."""
    rng = random.Random(SEED + 1)  # noqa: S311 - texts, no secrets
    loop = AgentLoop(store, ScriptedModel(answers))
    runs = Runs(store, lambda _: nullcontext(loop))
    taken: dict[str, list[float]] = {"cpu_until_reply": [], "cpu_with_background": [], "wall": []}
    for number in range(WARM_UP_TURNS + turns):
        text = sentence(rng)
        wall, cpu = time.perf_counter(), time.process_time()
        await runs.message(Said("ada", text, "person:benchmark"))
        wall_end, cpu_end = time.perf_counter(), time.process_time()
        settle(store)
        cpu_settled = time.process_time()
        if number >= WARM_UP_TURNS:
            taken["cpu_until_reply"].append(1_000 * (cpu_end - cpu))
            taken["cpu_with_background"].append(1_000 * (cpu_settled - cpu))
            taken["wall"].append(1_000 * (wall_end - wall))
    return {f"{name}_ms": spread(values, 50, 95) for name, values in taken.items()}


def measure_store(path: Path, load: Callable[[], Embedder] | None, turns: int) -> dict[str, Any]:
    """Both kinds of turn on the file, with or without an embedder."""
    with MemoryStore(path, load) as store:
        settle(store)
        say("  plain replies")
        result = {"plain_reply": anyio.run(partial(measure_turns, store, plain(), turns))}
        say("  turns with one block edit")
        before = version_of_block(store)
        result["one_block_edit"] = anyio.run(partial(measure_turns, store, editing(), turns))
        if version_of_block(store) - before != WARM_UP_TURNS + turns:
            raise SystemExit("not every turn edited its block")
        return result


def measure_floor(path: Path, turns: int) -> dict[str, Any]:
    """A bare transaction that inserts the same two messages and commits."""
    rng = random.Random(SEED + 1)  # noqa: S311 - texts, no secrets
    taken: dict[str, list[float]] = {"cpu": [], "wall": []}
    with duckdb.connect(str(path), config={"threads": 1}) as connection:
        connection.execute(
            "CREATE TABLE messages (doc BIGINT, id TEXT, agent_key INTEGER, role TEXT,"
            " content TEXT, tool_calls TEXT, tool_call_id TEXT, turn_id TEXT, sequence INTEGER,"
            " created_at TIMESTAMP)"
        )
        for number in range(WARM_UP_TURNS + turns):
            said = [("user", sentence(rng)), ("assistant", "Thank you, I will keep that in mind.")]
            rows: list[Any] = []
            for i, (role, text) in enumerate(said):
                doc = 2 * number + i
                ids = (doc, f"message-{uuid4()}", 1, role, text, None, None, f"turn-{uuid4()}")
                rows += [*ids, doc, datetime.now(UTC).replace(tzinfo=None)]
            wall, cpu = time.perf_counter(), time.process_time()
            connection.execute("BEGIN TRANSACTION")
            connection.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),"
                " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.execute("COMMIT")
            if number >= WARM_UP_TURNS:
                taken["cpu"].append(1_000 * (time.process_time() - cpu))
                taken["wall"].append(1_000 * (time.perf_counter() - wall))
    return {f"{name}_ms": spread(values, 50, 95) for name, values in taken.items()}


def version_of_block(store: MemoryStore) -> int:
    """How often the block was edited."""
    return {block.label: block.version for block in store.agent_state("ada").blocks}["human"]


def settle(store: MemoryStore) -> None:
    """Wait until everything that was written has its vectors."""
    if not store.embedding.settle(None, 3_600):
        raise SystemExit("embedding did not come to an end")


def measure(messages: int, passages: int, turns: int) -> dict[str, Any]:
    """Everything, in one run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "memory.duckdb")
        say(f"writing {messages} messages and {passages} passages")
        fill(path, messages, passages)
        say("without an embedder")
        without = measure_store(path, None, turns)
        say("with MiniLM, after embedding everything")
        with_minilm = measure_store(path, load_embedder, turns)
        say("the floor")
        floor = measure_floor(Path(folder, "floor.duckdb"), turns)
    return {
        "without_embedder": without,
        "with_minilm": with_minilm,
        "floor_bare_transaction": floor,
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=200)
    options = parser.parse_args()
    if options.turns % 2:
        parser.error(
            f"--turns {options.turns} is odd: each edit of the block undoes the one before"
        )
    figures = measure(options.messages, options.passages, options.turns)
    packages = ("duckdb", "onnxruntime", "pydantic")
    print_line(Report("turn", figures, vars(options), GOALS, SEED, packages))


if __name__ == "__main__":
    main()
