"""The store against plain dictionaries: whatever is done in whatever order, both agree.

After each step: what is read back, the cached state against a freshly loaded one, the events
replayed, and the postings recomputed from the texts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from memory import agents, archival, blocks, core_memory, events, orphans, recall
from memory.agents import NewAgent
from memory.clones import Parts, clone_agent
from memory.errors import BlockOverflow, InvalidValue
from memory.records import Agent, Block, NewMessage, NewPassage, View
from memory.terms import indexed_text, term_counts
from memory.transaction import Transaction
from memory.working_set import load_state
from tests.memory.given import TEST, filled_texts, texts, words_only_store

LABELS = ["persona", "human", "notes", "notes/old"]
notes = st.none() | filled_texts(10)
messages = st.tuples(st.sampled_from(["user", "assistant", "tool"]), texts(0))


@dataclass
class Expected:
    """What one agent should have: block ids by label, messages, and passages by id."""

    agent: Agent
    blocks: dict[str, str] = field(default_factory=dict)
    messages: list[tuple[str, str]] = field(default_factory=list)
    passages: dict[str, dict[str, Any]] = field(default_factory=dict)


class StoreMachine(RuleBasedStateMachine):
    """Agents and their clones, blocks (also shared and orphaned), messages, passages, deletions."""

    def __init__(self) -> None:
        super().__init__()
        self.store = words_only_store()
        self.expected: dict[str, Expected] = {}
        self.values: dict[str, str] = {}
        self.orphans: set[str] = set()
        self.names = 0

    def teardown(self) -> None:
        self.store.close()

    known = Bundle("known")

    def write(self, act: Callable[[Transaction], Any]) -> Any:
        with self.store.write(TEST) as transaction:
            return act(transaction)

    @rule(target=known, system=texts(0), tags=st.lists(filled_texts(8), max_size=3))
    def create_agent(self, system: str, tags: list[str]) -> str:
        self.names += 1
        new = NewAgent(f"agent {self.names}", system=system, tags=tuple(tags))
        agent: Agent = self.write(lambda t: agents.create_agent(t, new))
        self.expected[agent.id] = Expected(agent)
        return agent.id

    @rule(of=known, description=texts(0))
    def update_agent(self, of: str, description: str) -> None:
        expected = self.expected[of]
        expected.agent = self.write(
            lambda t: agents.update_agent(t, agents.find_agent(t, of), {"description": description})
        )

    @rule(of=known, label=st.sampled_from(LABELS), value=texts(0), limit=st.integers(1, 60))
    def create_block(self, of: str, label: str, value: str, limit: int) -> None:
        expected = self.expected[of]
        draft = Block(label, value, limit)
        try:
            block = self.write(lambda t: core_memory.create_block(t, expected.agent, draft))
        except InvalidValue:
            assert label in expected.blocks or len(value) > limit
            return
        expected.blocks[label] = block.id
        self.values[block.id] = value

    @rule(of=known, to=known)
    def share_blocks(self, of: str, to: str) -> None:
        one, other = self.expected[of], self.expected[to]
        with self.store.write(TEST) as transaction:
            for block in core_memory.list_blocks(transaction, one.agent):
                if block.label not in other.blocks:
                    core_memory.attach_block(transaction, other.agent, block)
                    other.blocks[block.label] = block.id

    @precondition(lambda self: any(e.blocks for e in self.expected.values()))
    @rule(of=known, text=texts(0, 30))
    def append_to_blocks(self, of: str, text: str) -> None:
        expected = self.expected[of]
        for label, block_id in expected.blocks.items():
            try:
                with self.store.write(TEST) as transaction:
                    block = core_memory.edit_block(
                        transaction, expected.agent, label, lambda b: blocks.append(b, text)
                    )
                self.values[block_id] = block.value
            except BlockOverflow as error:
                assert error.excess_chars > 0

    @rule(of=known, label=st.sampled_from(LABELS))
    def delete_block(self, of: str, label: str) -> None:
        def without(held: tuple[Block, ...]) -> list[Block]:
            return [block for block in held if block.label != label]

        expected = self.expected[of]
        self.write(lambda t: core_memory.edit_blocks(t, expected.agent, without))
        expected.blocks.pop(label, None)

    @rule(of=known, old=st.sampled_from(LABELS), new=st.sampled_from(LABELS))
    def rename_block(self, of: str, old: str, new: str) -> None:
        def renamed(held: tuple[Block, ...]) -> list[Block]:
            return [blocks.rename(b, new) if b.label == old else b for b in held]

        expected = self.expected[of]
        block_id = expected.blocks.get(old)
        sharing = [e for e in self.expected.values() if e.blocks.get(old) == block_id]
        try:
            self.write(lambda t: core_memory.edit_blocks(t, expected.agent, renamed))
        except InvalidValue:
            assert any(new in e.blocks for e in sharing)
            return
        if block_id is not None:
            for e in sharing:
                e.blocks[new] = e.blocks.pop(old)

    @rule(
        of=known,
        said=st.lists(
            st.tuples(st.sampled_from(["user", "assistant", "tool"]), texts(0)),
            min_size=1,
            max_size=3,
        ),
    )
    def say(self, of: str, said: list[tuple[Any, str]]) -> None:
        expected = self.expected[of]
        new = [NewMessage(role, text) for role, text in said]
        self.write(
            lambda t: recall.append_messages(t, expected.agent, "turn", len(expected.messages), new)
        )
        expected.messages += said

    @rule(of=known, keep=st.integers(0, 3))
    def move_window(self, of: str, keep: int) -> None:
        expected = self.expected[of]
        shown = self.store.agent_state(of).messages[-keep:]
        if shown:
            view = View(summary="Earlier.")
            self.write(lambda t: agents.set_view(t, expected.agent, shown[0].doc, view))

    @rule(
        of=known,
        news=st.lists(
            st.builds(
                NewPassage,
                text=filled_texts(),
                tags=st.lists(filled_texts(8), max_size=2).map(tuple),
                author=notes,
                session=notes,
                occurred_at=st.none()
                | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
            ),
            min_size=1,
            max_size=3,
        ),
    )
    def archive(self, of: str, news: list[NewPassage]) -> None:
        expected = self.expected[of]
        stored = self.write(lambda t: archival.insert_passages(t, expected.agent, news))
        for passage, new in zip(stored, news, strict=True):
            assert (passage.text, passage.occurred_at) == (new.text, new.occurred_at)
            expected.passages[passage.id] = archival.describe(passage)

    @rule(of=known, which=st.integers(0, 100))
    def delete_passage(self, of: str, which: int) -> None:
        expected = self.expected[of]
        if expected.passages:
            passage_id = sorted(expected.passages)[which % len(expected.passages)]
            self.write(lambda t: archival.delete_passage(t, expected.agent, passage_id))
            del expected.passages[passage_id]

    @rule(target=known, of=known, what=st.builds(Parts))
    def clone_agent(self, of: str, what: Parts) -> str:
        self.names += 1
        source, name = self.expected[of], f"agent {self.names}"
        agent: Agent = self.write(lambda t: clone_agent(t, source.agent, name, what))
        clone = self.expected[agent.id] = Expected(agent)
        if what.blocks:
            with self.store.read() as reader:
                found = core_memory.list_blocks(reader, agent)
            clone.blocks = {block.label: block.id for block in found}
            assert list(clone.blocks) == list(source.blocks)
            for label, block_id in source.blocks.items():
                assert (clone.blocks[label] == block_id) == what.share_blocks
                self.values[clone.blocks[label]] = self.values[block_id]
        if what.messages:
            clone.messages = list(source.messages)
        if what.passages:
            with self.store.read() as reader:
                told = events.list_events(reader, agent.id, limit=100_000)
            clone.passages = {
                event.subject: dict(event.after or {})
                for event in told
                if event.action == "passage.insert"
            }
            copied, originals = clone.passages.values(), source.passages.values()
            assert sorted(map(repr, copied)) == sorted(map(repr, originals))
        return agent.id

    @rule(of=known)
    def reset_messages(self, of: str) -> None:
        expected = self.expected[of]
        forgotten = self.write(lambda t: agents.reset_messages(t, expected.agent))
        assert forgotten == len(expected.messages)
        expected.messages = []

    @precondition(lambda self: any(e.blocks for e in self.expected.values()))
    @rule(of=known, label=st.sampled_from(LABELS))
    def detach_block(self, of: str, label: str) -> None:
        expected = self.expected[of]
        if label in expected.blocks:
            self.write(lambda t: core_memory.detach_block(t, expected.agent, label))
            block_id = expected.blocks.pop(label)
            if block_id not in self.held():
                self.orphans.add(block_id)

    @precondition(lambda self: self.orphans)
    @rule(of=known, attach=st.booleans())
    def take_or_delete_an_orphan(self, of: str, attach: bool) -> None:
        expected, block_id = self.expected[of], min(self.orphans)
        with self.store.write(TEST) as transaction:
            block = core_memory.find_block(transaction, block_id)
            if not attach:
                orphans.delete_orphan(transaction, orphans.find_orphan(transaction, block_id))
                del self.values[block_id]
            elif block.label in expected.blocks:
                return
            else:
                core_memory.attach_block(transaction, expected.agent, block)
                expected.blocks[block.label] = block_id
        self.orphans.remove(block_id)

    def held(self) -> set[str]:
        return {block for known in self.expected.values() for block in known.blocks.values()}

    @rule(of=consumes(known), delete_orphans=st.booleans())
    def delete_agent(self, of: str, delete_orphans: bool) -> None:
        expected = self.expected.pop(of)
        gone = self.write(lambda t: agents.delete_agent(t, expected.agent, delete_orphans))
        held = self.held()
        if not delete_orphans:
            self.orphans |= set(expected.blocks.values()) - held
        assert (gone.messages, gone.passages) == (len(expected.messages), len(expected.passages))
        assert {block.label for block in gone.blocks} == {
            k for k, v in expected.blocks.items() if v not in held
        }

    @rule(of=known)
    def fail(self, of: str) -> None:
        """Do a bit of everything, and then fail."""
        agent = self.expected[of].agent
        try:
            with self.store.write(TEST) as transaction:
                recall.append_messages(transaction, agent, "turn", 0, [NewMessage("user", "no")])
                archival.insert_passages(transaction, agent, [NewPassage("no")])
                agents.delete_agent(transaction, agent)
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    @rule(target=known)
    def nothing(self) -> Any:
        return multiple()

    @invariant()
    def what_is_read_back_is_what_was_written(self) -> None:
        with self.store.read() as reader:
            assert {agent.id for agent in agents.list_agents(reader)} == set(self.expected)
            for agent_id, expected in self.expected.items():
                state = self.store.agent_state(agent_id)
                assert state == load_state(reader, agents.find_agent(reader, agent_id))
                assert {b.label: (b.id, b.value) for b in state.blocks} == {
                    label: (id_, self.values[id_]) for label, id_ in expected.blocks.items()
                }
                assert state.total_messages == len(expected.messages)
                said = [(m.role, m.content) for m in state.messages]
                assert said == expected.messages[len(expected.messages) - len(said) :]
                for passage_id, passage in expected.passages.items():
                    found = archival.get_passage(reader, expected.agent, passage_id)
                    assert archival.describe(found) == passage
                held = agents.holdings(reader, expected.agent)
                assert held.passages == len(expected.passages)
            left = orphans.list_orphans(reader, limit=1_000)
            assert {orphan.id for orphan in left if orphan.kind == "block"} == self.orphans

    @invariant()
    def the_events_replayed_give_the_present(self) -> None:
        values: dict[str, str] = {}
        passages: dict[str, dict[str, dict[str, Any]]] = {}
        with self.store.read() as reader:
            told = events.list_events(reader, limit=100_000)
        for event in told:
            after = dict(event.after or {})
            match event.action:
                case "block.create" | "block.update":
                    assert event.before is None or event.before["value"] == values[event.subject]
                    values[event.subject] = after["value"]
                case "block.delete":
                    del values[event.subject]
                case "passage.insert":
                    passages.setdefault(str(event.agent_id), {})[event.subject] = after
                case "passage.delete":
                    assert passages[str(event.agent_id)].pop(event.subject) == event.before
                case "agent.delete":
                    passages.pop(str(event.agent_id), None)
        held = self.held() | self.orphans
        assert values == {id_: value for id_, value in self.values.items() if id_ in held}
        assert {k: v for k, v in passages.items() if v} == {
            id_: expected.passages for id_, expected in self.expected.items() if expected.passages
        }

    @invariant()
    def the_postings_are_those_of_the_texts(self) -> None:
        for expected in self.expected.values():
            agent = expected.agent
            with self.store.read() as reader:
                rows = reader.rows("texts_to_embed", after=0, limit=100_000)
                postings = reader.rows("postings_of", collection=agent.archive_key)
                postings += reader.rows("postings_of", collection=agent.key)
            wanted = {
                (doc, term, count)
                for doc, collection, text, author, when in rows
                if collection in (agent.archive_key, agent.key)
                for term, count in term_counts(indexed_text(text, author, when)).items()
            }
            assert set(postings) == wanted and len(postings) == len(wanted)
            said = [text for role, text in expected.messages if role != "tool" and text.strip()]
            mine = {(agent.key, text) for text in said} | {
                (agent.archive_key, passage["text"]) for passage in expected.passages.values()
            }
            here = {(c, text) for _, c, text, *_ in rows if c in (agent.archive_key, agent.key)}
            assert here == mine


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
