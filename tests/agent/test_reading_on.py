"""A result that is shown only in part can be read to its end, where the agent may read on."""

import re

from agent.model import Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel
from memory import agents, recall
from memory.records import Agent, NewMessage, ToolCall
from memory.store import MemoryStore
from tests.agent.harness import PERSON, call, calls, turn
from tests.agent.prompts_seen import Watching

POINTER = re.compile(
    r"\n\[\d+ more characters; message_read with number 3 and start (?P<start>\d+) "
)
FURTHER = re.compile(r"\n\[\d+ more characters; read them with start (?P<start>\d+)\]$")


def search() -> Parsed:
    return calls(call("archival_memory_search", query="note", top_k=50))


async def with_notes(store: MemoryStore) -> None:
    for number in range(50):
        note = calls(call("archival_memory_insert", content=f"Note {number}. " + "雨が降る。" * 30))
        await turn(store, ScriptedModel([note, Reply("Kept.")]), "Keep.")


async def test_the_pointer_leads_to_the_end_piece_by_piece(
    store: MemoryStore, agent: Agent
) -> None:
    long = "".join(f"Fact {number}: 雨 " for number in range(2_500))
    used = ToolCall("call-1", "archival_memory_search", {"query": "facts"})
    with store.write(PERSON) as transaction:
        now = agents.update_agent(transaction, agent, {"settings": {"tools": ["message_read"]}})
        said = [
            NewMessage("user", "Facts?"),
            NewMessage("assistant", "", (used,)),
            NewMessage("tool", long, tool_call_id="call-1"),
            NewMessage("assistant", "Many."),
        ]
        recall.append_messages(transaction, now, "turn-1", 0, said)
    pieces = list[str]()

    def answer(prompt: Prompt) -> Parsed:
        if not pieces:
            (shown,) = (m.content for m in prompt.messages if m.role == "tool")
            pointer = POINTER.search(shown)
        else:
            shown = prompt.messages[-1].content
            pointer = FURTHER.search(shown)
        pieces.append(shown[: pointer.start()] if pointer else shown)
        if pointer is None:
            return Reply("All read.")
        return calls(call("message_read", number=3, start=int(pointer["start"])))

    await turn(store, Watching(answer, context_tokens=8_192), "All of them?")
    assert len(pieces) > 4
    assert "".join(pieces) == long


async def test_an_agent_that_cannot_read_on_is_not_told_to(
    store: MemoryStore, agent: Agent
) -> None:
    await with_notes(store)
    with store.write(PERSON) as transaction:
        now = agents.find_agent(transaction, agent.id)
        tools = ["archival_memory_search"]
        agents.update_agent(transaction, now, {"settings": {"tools": tools}})
    answers = iter([search(), search()])
    model = Watching(lambda prompt: next(answers, None) or Reply("Rain."), context_tokens=4_096)
    await turn(store, model, "What notes?")
    shown = [m.content for p in model.asked for m in p.messages if m.role == "tool"]
    assert any("more characters; ask for fewer results]" in text for text in shown)
    assert not any("message_read" in text for text in shown)
