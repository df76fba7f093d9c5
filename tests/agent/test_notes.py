"""How an agent learns of changes that others make to its memory: in one note, exactly once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.errors import ModelCrashed
from agent.model import Completion, OnText, Parsed, Prompt, Reply
from memory import agents, blocks, core_memory
from memory.records import Agent, Block
from memory.store import MemoryStore
from memory.transaction import Transaction
from tests.agent.harness import PERSON, add_block, new_agent, remember, said, turn
from tests.agent.prompts_seen import Watching, begins_with, head_of

Change = Callable[[Transaction, Agent], object]
NEWS = "[Core memory was changed since you last saw it. Now it is:]\n"


def configure(transaction: Transaction, agent: Agent) -> None:
    core_memory.configure_block(
        transaction, agent, "human", lambda block: replace(block, value="Name: Kim")
    )


def protect(transaction: Transaction, agent: Agent) -> None:
    core_memory.configure_block(
        transaction, agent, "human", lambda block: blocks.configure(block, {"read_only": True})
    )


def rename(transaction: Transaction, agent: Agent) -> None:
    core_memory.edit_blocks(
        transaction,
        agent,
        lambda held: [
            blocks.rename(block, "user") if block.label == "human" else block for block in held
        ],
    )


def detach(transaction: Transaction, agent: Agent) -> None:
    core_memory.detach_block(transaction, agent, "human")


def delete(transaction: Transaction, agent: Agent) -> None:
    core_memory.edit_blocks(
        transaction, agent, lambda held: [block for block in held if block.label != "human"]
    )


def create(transaction: Transaction, agent: Agent) -> None:
    core_memory.create_block(transaction, agent, Block("project", "Moon landing."))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (configure, ["<human>", "Name: Kim"]),
        (protect, ["<human>", "- read_only=true"]),
        (rename, ["<user>", "Name: Sam", "[The block human is gone.]"]),
        (detach, ["[The block human is gone.]"]),
        (delete, ["[The block human is gone.]"]),
        (create, ["<project>", "Moon landing."]),
    ],
)
async def test_a_change_by_others_is_told_once_before_the_next_message(
    store: MemoryStore, agent: Agent, change: Change, told: list[str]
) -> None:
    model = Watching()
    await turn(store, model, "One.")
    with store.write(PERSON) as transaction:
        change(transaction, agent)
    await turn(store, model, "Two.")
    await turn(store, model, "Three.")
    first, second, third = model.asked
    assert second.messages[-1].content.startswith(NEWS)
    assert second.messages[-1].content.endswith("\n\nTwo.")
    assert all(text in second.messages[-1].content for text in told)
    assert third.messages[-1].content == "Three."
    assert begins_with(second, first)
    assert begins_with(third, second)
    assert [role for role, _ in said(store, agent)].count("system") == 1


async def test_an_attached_block_is_told_and_so_is_its_next_change_by_another_agent(
    store: MemoryStore, agent: Agent
) -> None:
    other = new_agent(store, "bob", [Block("project", "Moon landing.")])
    model = Watching()
    await turn(store, model, "One.")
    (project,) = store.agent_state(other.id).blocks
    with store.write(PERSON) as transaction:
        core_memory.attach_block(transaction, agent, project)
    await turn(store, model, "Two.")
    with store.write(PERSON) as transaction:
        core_memory.edit_block(
            transaction, other, "project", lambda block: replace(block, value="Mars landing.")
        )
    await turn(store, model, "Three.")
    assert "Moon landing." in model.asked[1].messages[-1].content
    assert "Mars landing." in model.asked[2].messages[-1].content


async def test_an_edit_of_its_own_is_not_told_again(store: MemoryStore, agent: Agent) -> None:
    answers = iter([remember("Likes tea.")])
    model = Watching(lambda prompt: next(answers, None) or _done(prompt))
    await turn(store, model, "I like tea.")
    await turn(store, model, "And?")
    assert model.asked[-1].messages[-1].content == "And?"
    assert len({head_of(prompt) for prompt in model.asked}) == 1


async def test_a_change_of_two_blocks_at_two_times_is_one_note(
    store: MemoryStore, agent: Agent
) -> None:
    model = Watching()
    await turn(store, model, "One.")
    for change in (configure, create):
        with store.write(PERSON) as transaction:
            change(transaction, agent)
    await turn(store, model, "Two.")
    assert model.asked[-1].messages[-1].content.count(NEWS) == 1


async def test_what_a_person_changes_while_the_agent_thinks_is_told_before_the_next_message(
    store: MemoryStore, agent: Agent
) -> None:
    def change_meanwhile(prompt: Prompt) -> None:
        if len(model.asked) == 1:
            add_block(store, agent, Block("project", "Moon landing."))

    answers = iter([remember("Likes tea.")])

    class Changing(Watching):
        async def complete(
            self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
        ) -> Completion:
            done = await super().complete(prompt, max_tokens, on_text)
            change_meanwhile(prompt)
            return done

    model = Changing(lambda prompt: next(answers, None) or _done(prompt))
    await turn(store, model, "I like tea.")
    await turn(store, model, "And?")
    told = model.asked[-1].messages[-1].content
    assert "Moon landing." in told
    assert "Likes tea." not in told


async def test_a_note_that_nobody_answered_is_told_again(store: MemoryStore, agent: Agent) -> None:
    def crash(prompt: Prompt) -> Parsed:
        raise ModelCrashed("it was told to")

    await turn(store, Watching(), "One.")
    with store.write(PERSON) as transaction:
        configure(transaction, agent)
    with pytest.raises(ModelCrashed):
        await turn(store, Watching(crash), "Two.")
    model = Watching()
    await turn(store, model, "Three.")
    assert model.asked[0].messages[-1].content.startswith(NEWS)


async def test_other_instructions_or_tool_rules_render_the_head_anew_and_leave_no_note(
    store: MemoryStore, agent: Agent
) -> None:
    model = Watching()
    await turn(store, model, "One.")
    rule = {"type": "exit_loop", "tool_name": "archival_memory_insert"}
    changes: list[dict[str, Any]] = [{"system": "Rhyme."}, {"settings": {"tool_rules": [rule]}}]
    for number, changed in enumerate(changes):
        with store.write(PERSON) as transaction:
            create_again = Block(f"project{number}", "Moon landing.")
            core_memory.create_block(transaction, agent, create_again)
            now = agents.find_agent(transaction, agent.id)
            agents.update_agent(transaction, now, changed)
        await turn(store, model, "Go on.")
        assert model.asked[-1].messages[-1].content == "Go on."
        assert f"<project{number}>" in head_of(model.asked[-1]).content
    assert head_of(model.asked[-1]).content.startswith("Rhyme.\n\n<tool_usage_rules>")


async def test_a_note_leaves_with_the_next_head(store: MemoryStore, agent: Agent) -> None:
    model = Watching()
    await turn(store, model, "One.")
    with store.write(PERSON) as transaction:
        configure(transaction, agent)
    await turn(store, model, "Two.")
    with store.write(PERSON) as transaction:
        now = agents.find_agent(transaction, agent.id)
        agents.update_agent(transaction, now, {"system": "Rhyme."})
    await turn(store, model, "Three.")
    assert "Name: Kim" in head_of(model.asked[-1]).content
    assert [m.content for m in model.asked[-1].messages if m.role == "user"] == [
        "One.",
        "Two.",
        "Three.",
    ]


def _done(prompt: Prompt) -> Reply:
    return Reply("I see.")
