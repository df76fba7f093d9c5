"""Finding what takes several searches, through the real loop: the model follows what it finds.

Nested key-value lookup and its sizes are MemGPT's (arXiv 2310.08560): 140 pairs of UUIDs, a value
may be the key of another pair. The model is scripted; store, search and loop are the product's.
"""

import random
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from uuid import UUID

import pytest

from agent.model import Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel
from memory import archival
from memory.embedders.factory import load_embedder
from memory.records import Agent, NewPassage
from memory.store import MemoryStore
from tests.agent.harness import PERSON, call, calls, new_agent, turn

PAIRS = 140
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def archive() -> Iterator[MemoryStore]:
    with MemoryStore(None, load_embedder) as store:
        yield store


def pairs(chance: random.Random, nesting: int) -> tuple[dict[str, str], str, str]:
    """Pairs of which the first is the beginning of a chain; its key, and the value at the end."""
    keys = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(PAIRS)]
    found = {key: str(UUID(int=chance.getrandbits(128), version=4)) for key in keys}
    chain = chance.sample(keys, nesting + 1)
    for key, following in pairwise(chain):
        found[key] = following
    return found, chain[0], found[chain[-1]]


def follower(tool: str) -> Callable[[Prompt], Parsed]:
    """Searches for the last UUID it was told of, until nothing leads on from it."""

    def answer(prompt: Prompt) -> Parsed:
        last = prompt.messages[-1]
        if last.role == "user":
            (wanted,) = UUIDS.findall(last.content)
            return calls(call(tool, query=wanted))
        asked = str(prompt.messages[-2].tool_calls[0].arguments["query"])
        leading = re.search(rf"{asked} is kept under ({UUIDS.pattern})", last.content)
        return Reply(asked) if leading is None else calls(call(tool, query=leading[1]))

    return answer


@pytest.mark.parametrize("nesting", range(5))
async def test_a_nested_key_leads_to_its_value_however_deep_it_is(
    archive: MemoryStore, nesting: int
) -> None:
    for number in range(2):
        found, key, value = pairs(random.Random(f"{nesting} {number}"), nesting)  # noqa: S311
        agent = new_agent(archive, f"keeper {nesting} {number}")
        notes = [NewPassage(f"{one} is kept under {other}") for one, other in found.items()]
        with archive.write(PERSON) as transaction:
            archival.insert_passages(transaction, agent, notes)
        model = ScriptedModel(follower("archival_memory_search"))
        done = await turn(archive, model, f"What is {key}?", agent=agent.name)
        assert done.reply == value
        assert done.run.steps == nesting + 3  # each key, the value that leads nowhere, the reply


async def test_what_was_said_in_several_old_conversations_is_put_together(
    store: MemoryStore, agent: Agent
) -> None:
    said = [
        "My sister Ines has a boat called Marlin.",
        "The Marlin lies at the harbour of Setubal.",
        "In Setubal the harbour master is old Duarte.",
    ]
    small = 2_048
    for fact in said:
        await turn(store, ScriptedModel([Reply("I see.")], context_tokens=small), fact)
        for number in range(25):
            other = ScriptedModel([Reply("Indeed.")], context_tokens=small)
            await turn(store, other, f"It rained again today, for the {number}th time this week.")
    hops = ["sister boat", "Marlin harbour", "Setubal harbour master"]
    searches = [calls(call("conversation_search", query=hop)) for hop in hops]
    script: list[Parsed] = [*searches, Reply("Duarte")]
    model = ScriptedModel(script, context_tokens=small)
    await turn(store, model, "Who is the harbour master where my sister's boat lies?")
    results = [m.content for prompt in model.prompts for m in prompt.messages if m.role == "tool"]
    for fact in said:
        assert any(fact in result for result in results), fact
    shown = [message.content for message in model.prompts[0].messages[1:]]
    assert not any(fact in text for fact in said[:2] for text in shown)  # they had left the window
