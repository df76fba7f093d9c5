"""A transaction knows an agent's blocks without asking the database, and never knows them wrong."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import agents, core_memory
from memory.errors import MemoryStoreError
from memory.records import Agent, Block
from memory.store import MemoryStore
from memory.transaction import Transaction
from tests.memory.given import TEST, MemoryOf

_numbers = count()
LABELS = st.sampled_from(["persona", "human", "notes"])
KINDS = st.sampled_from(["edit", "create", "detach", "share", "remove"])
changes = st.lists(st.tuples(KINDS, LABELS), max_size=6)


def change(transaction: Transaction, agent: Agent, other: Agent, kind: str, label: str) -> None:
    match kind:
        case "edit":
            text = f"Edit {next(_numbers)}"
            core_memory.edit_block(transaction, agent, label, lambda b: replace(b, value=text))
        case "create":
            core_memory.create_block(transaction, agent, Block(label, "new"))
        case "detach":
            core_memory.detach_block(transaction, agent, label)
        case "share":
            block = core_memory.get_block(transaction, other, label)
            core_memory.attach_block(transaction, agent, block)
        case _:
            core_memory.edit_blocks(
                transaction, agent, lambda held: [b for b in held if b.label != label]
            )


def asked(transaction: Transaction, agent: Agent) -> tuple[Block, ...]:
    """The blocks as the database has them."""
    return tuple(Block(*row) for row in transaction.rows("blocks_of_agent", agent_key=agent.key))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, min_size=1, max_size=3))
def test_blocks_listed_in_a_transaction_are_those_the_database_has(
    words_only: MemoryStore, transactions: Sequence[Sequence[tuple[str, str]]]
) -> None:
    one, other = (
        MemoryOf.new_agent(words_only, f"{name} {next(_numbers)}").agent for name in ("Ada", "Bob")
    )
    for done in transactions:
        for agent in (one, other):
            words_only.agent_state(agent.id)
        with words_only.write(TEST) as transaction:
            for number, (kind, label) in enumerate(done):
                pair = (one, other) if number % 2 else (other, one)
                with suppress(MemoryStoreError):  # refused, as it may be
                    change(transaction, *pair, kind, label)
                for agent in (one, other):
                    assert core_memory.list_blocks(transaction, agent) == asked(transaction, agent)


def test_an_agent_is_found_by_its_name_as_it_is_now(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada the first").agent
    assert words_only.agent_state("Ada the first").agent.id == ada.id
    with words_only.write(TEST) as transaction:
        agents.update_agent(transaction, ada, {"name": "Ada the second"})
    bob = MemoryOf.new_agent(words_only, "Ada the first").agent
    assert words_only.agent_state("Ada the first").agent.id == bob.id
    assert words_only.agent_state("Ada the second").agent.id == ada.id
    assert words_only.agent_state("ADA THE SECOND").agent.id == ada.id
