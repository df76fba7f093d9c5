"""A message that comes again, because its answer was lost: the turn is found or gone on with."""

import pytest

from agent.model import Reply
from agent.models.scripted import ScriptedModel
from memory.errors import KeyReused
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent.harness import block_value, remember, said, turn


async def test_a_turn_that_has_ended_returns_its_reply_without_thinking(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel([remember("Ada sails."), Reply("Noted.")])
    first = await turn(store, model, "I sail.", run_id="run-1")
    stored = said(store, agent)
    again = await turn(store, model, "I sail.", run_id="run-1")
    assert (again.reply, again.run.steps, again.tools_used) == ("Noted.", 2, first.tools_used)
    assert said(store, agent) == stored


async def test_a_turn_that_was_broken_off_goes_on_after_its_last_stored_step(
    store: MemoryStore, agent: Agent
) -> None:
    with pytest.raises(LookupError):  # the model has no more to say, as if its process had died
        await turn(store, ScriptedModel([remember("Ada sails.")]), "I sail.", run_id="run-1")
    done = await turn(store, ScriptedModel([Reply("Noted.")]), "I sail.", run_id="run-1")
    assert (done.reply, done.run.steps, done.tools_used) == ("Noted.", 2, ("core_memory_append",))
    assert [role for role, _ in said(store, agent)] == ["user", "assistant", "tool", "assistant"]
    assert block_value(store, agent).count("Ada sails.") == 1


async def test_another_message_under_the_key_of_a_turn_is_refused(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel([Reply("Noted."), Reply("Hm.")])
    await turn(store, model, "I sail.", run_id="run-1")
    with pytest.raises(KeyReused):
        await turn(store, model, "I row.", run_id="run-1")
