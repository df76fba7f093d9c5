"""Whatever happens in whatever order, no agent waits for ever and every status tells for what."""

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.approval import Decision
from agent.errors import NotWaiting, RunWaits
from agent.model import ChatModel, Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel
from agent.runs import Runs
from memory import agents
from memory.agents import NewAgent
from memory.runs import open_runs
from memory.store import MemoryStore
from tests.agent.harness import BLOCKS, PERSON, remember
from tests.agent.run_words import ASKS, AT_ONCE, process, said, settled, stored_run

YES, NO = Decision(True), Decision(False, "not now")

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["message", "background", "yes", "no", "cancel", "restart"]),
        st.sampled_from(["ada", "eve", "hasty"]),
    ),
    max_size=12,
)


def _thinks(prompt: Prompt) -> Parsed:
    """Wants to remember what it is told, and then says so."""
    return remember("x") if prompt.messages[-1].role == "user" else Reply("Noted.")


@settings(max_examples=25)
@given(moves=MOVES)
def test_whatever_happens_every_run_can_be_ended_and_shows_what_it_waits_for(
    store_in_memory: MemoryStore, moves: list[tuple[str, str]]
) -> None:
    store = store_in_memory
    with store.write(PERSON) as transaction:
        for name, minutes in (("ada", 60), ("eve", 60), ("hasty", AT_ONCE)):
            given = {"tool_rules": [ASKS], "approval_minutes": minutes}
            agents.create_agent(transaction, NewAgent(name, blocks=BLOCKS, settings=given))
    try:
        anyio.run(_play, store, moves)
    finally:
        with store.write(PERSON) as transaction:
            for agent in agents.list_agents(transaction):
                agents.delete_agent(transaction, agent)


async def _play(store: MemoryStore, moves: list[tuple[str, str]]) -> None:
    model: ChatModel = ScriptedModel(_thinks)
    while moves:
        async with process(store, model) as runs:
            while moves:
                move, name = moves.pop(0)
                if move == "restart":
                    break
                await _move(store, runs, move, name)
                await _shows_what_waits(store, runs)
    async with process(store, model) as runs:
        await _shows_what_waits(store, runs)
        while left := runs.all():
            await runs.cancel(left[0].run.id)
            await settled(runs)
        for name in ("ada", "eve"):
            live = await runs.message(said("again", name))
            assert (await runs.decide(live.run.id, YES)).reply == "Noted."
    with store.read() as reader:
        assert open_runs(reader) == []


async def _move(store: MemoryStore, runs: Runs, move: str, name: str) -> None:
    agent = store.agent_state(name).agent
    waiting = next((live for live in runs.of_agent(agent.id) if live.is_finished), None)
    match move:
        case "background":
            await runs.start(said("Hi", name))
        case "message":
            try:
                await runs.message(said("Hi", name))
            except RunWaits as refused:
                assert stored_run(store, refused.run_id).status == "waiting"
        case "cancel" if runs.of_agent(agent.id):
            await runs.cancel(runs.of_agent(agent.id)[-1].run.id)
        case "yes" | "no" if waiting is not None:
            try:
                await runs.decide(waiting.run.id, YES if move == "yes" else NO)
            except NotWaiting:
                assert name == "hasty"
    await settled(runs)


async def _shows_what_waits(store: MemoryStore, runs: Runs) -> None:
    await settled(runs)
    with store.read() as reader:
        stored = {run.id: run for _, run in open_runs(reader)}
    for live in runs.all():  # the hasty one's may end by themselves at any moment
        if live.is_finished:
            assert live.place == 0
            assert stored[live.run.id].pending == live.run.pending is not None
        elif live.place:
            assert runs.of_agent(live.agent_id)[0] is not live
    for live in runs.all():
        assert (await runs.find(live.run.id)).run.id == live.run.id
