"""Laws over whole conversations: what prompts of one agent have to do with each other."""

import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.live_run import Said
from agent.model import Parsed, Prompt, Reply, ToolCalls
from memory import agents, core_memory
from memory.records import Agent, Block, ToolCall
from memory.store import MemoryStore
from tests.agent.harness import (
    BLOCKS,
    PERSON,
    new_agent,
    runs_on,
    stored_events,
    stored_messages,
)
from tests.agent.prompts_seen import Watching, begins_with, head_of

NEWS = "[Core memory was changed since you last saw it."
texts = st.sampled_from(
    ["tea", "雨が降る。" * 12, "many words about a long day. " * 9, "Rex " * 150]
)
short = st.text(string.ascii_lowercase, min_size=1, max_size=8)


@dataclass(frozen=True)
class Edit:
    """A block edit by a person between two messages."""

    label: str
    value: str


@dataclass(frozen=True)
class Turn:
    """A message, and what the model calls before it answers."""

    said: str
    steps: tuple[tuple[ToolCall, ...], ...]


def note_call(label: str, text: str) -> ToolCall:
    return ToolCall("c", "core_memory_append", {"label": label, "content": text})


def keep_call(text: str) -> ToolCall:
    return ToolCall("c", "archival_memory_insert", {"content": text})


def find_call(text: str) -> ToolCall:
    return ToolCall("c", "conversation_search", {"query": text, "limit": 20})


used = (
    st.builds(note_call, st.sampled_from(["human", "persona", "gone"]), short)
    | st.builds(keep_call, texts)
    | st.builds(find_call, short | st.just("day"))
)
turns = st.builds(
    Turn, texts, st.lists(st.lists(used, min_size=1, max_size=3).map(tuple), max_size=3).map(tuple)
)
edits = st.builds(Edit, st.sampled_from(["human", "notes"]), short)
conversations = st.lists(turns | turns | turns | edits, min_size=2, max_size=14)


@dataclass
class Conversation:
    """One agent that is talked with; edits are done as a person does them."""

    store: MemoryStore
    agent: Agent
    model: Watching
    script: list[Parsed] = field(default_factory=list)
    changed: bool = False

    def take(self, action: Turn | Edit) -> None:
        if isinstance(action, Edit):
            self.edit(action)
        else:
            self.talk(action)

    def edit(self, edit: Edit) -> None:
        """Change the block, or make it when the agent has none."""
        with self.store.write(PERSON) as transaction:
            labels = [b.label for b in core_memory.list_blocks(transaction, self.agent)]
            if edit.label not in labels:
                draft = Block(edit.label, edit.value)
                core_memory.create_block(transaction, self.agent, draft)
                self.changed = True
                return
            old = core_memory.get_block(transaction, self.agent, edit.label)
            now = core_memory.configure_block(
                transaction, self.agent, edit.label, lambda block: replace(block, value=edit.value)
            )
            self.changed |= now.version != old.version

    def talk(self, turn: Turn) -> None:
        """Say it; note whether a note of changes was due and seen."""
        self.script = [
            ToolCalls(tuple(replace(call, id=f"call-{next(_numbers)}") for call in step))
            for step in turn.steps
        ]
        before = len(self.model.asked)
        anyio.run(runs_on(self.store, self.model).message, Said(self.agent.id, turn.said, "p:t"))
        prompt = self.model.asked[before]
        seen = prompt.messages[-1].content.startswith(NEWS)
        fresh = before == 0 or head_of(prompt) != head_of(self.model.asked[before - 1])
        assert seen == self.changed or (self.changed and fresh)
        self.changed = False

    def answer(self, prompt: Prompt) -> Parsed:
        return self.script.pop(0) if self.script else Reply("I see, thank you for the words.")

    def compactions(self) -> int:
        events = stored_events(self.store, self.agent)
        return sum(event.action == "agent.compact" for event in events)


def held(
    store: MemoryStore, actions: Sequence[Turn | Edit], tokens: int, mode: str
) -> Conversation:
    """The conversation after these actions."""
    agent = new_agent(store, f"talker-{next(_numbers)}", BLOCKS)
    with store.write(PERSON) as transaction:
        chosen = {"settings": {"compaction": {"mode": mode}}}
        agent = agents.update_agent(transaction, agent, chosen)
    model = Watching(context_tokens=tokens)
    talk = Conversation(store, agent, model)
    talk.model = Watching(talk.answer, context_tokens=tokens)
    for action in actions:
        talk.take(action)
    return talk


_numbers = iter(range(1_000_000))
modes = st.sampled_from(
    ["sliding_window", "all", "self_compact_sliding_window", "self_compact_all"]
)
laws = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@laws
@given(actions=conversations, tokens=st.integers(3_000, 5_000), mode=modes)
def test_between_compactions_each_prompt_goes_on_where_the_last_one_ends(
    store: MemoryStore, actions: list[Turn | Edit], tokens: int, mode: str
) -> None:
    talk = held(store, actions, tokens, mode)
    asked = talk.model.asked
    breaks = sum(not begins_with(later, earlier) for earlier, later in pairwise(asked))
    assert breaks == talk.compactions() == len(talk.model.summaries)
    assert len({head_of(prompt) for prompt in asked}) <= 1 + breaks
    for tokens_used in talk.model.tokens:
        assert tokens_used <= tokens - min(1_024, tokens // 4)
    check_nothing_comes_back(talk, [a.said for a in actions if isinstance(a, Turn)])


def check_nothing_comes_back(talk: Conversation, spoken: Sequence[str]) -> None:
    """What leaves the prompts is gone from them, in order, and is still stored."""
    stored = stored_messages(talk.store, talk.agent)
    assert [m.content for m in stored if m.role == "user"] == spoken
    everything = [use.id for message in stored for use in message.tool_calls]
    shown = [[u.id for m in p.messages for u in m.tool_calls] for p in talk.model.asked]
    for calls in shown:
        assert calls == everything[everything.index(calls[0]) :][: len(calls)] if calls else True
    for earlier, later in pairwise(shown):
        left = set(earlier) - set(later)
        assert not left & set(later)
        assert earlier[len(left) :] == later[: len(earlier) - len(left)]
