"""Prompts as they are compiled: they fit, or the numbers say why not; restarts change nothing."""

from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.compiling import MIN_SHOWN_CHARS, Asked, Compiled, Compiler
from agent.context import (
    chat_message,
    news,
    render_head,
    stamps,
    system_prompt,
    view_of,
)
from agent.errors import ContextTooSmall
from agent.model import ChatMessage, Completion, Malformed, Parsed, Reply, ToolCalls
from agent.models.scripted import measure
from agent.models.transcript import message_text
from agent.settings import AgentSettings, CompactionMode, CompactionSettings
from agent.tools import MEMORY_TOOLS, tool_specs
from agent.window import clipped
from memory import agents, recall
from memory.records import Agent, AgentState, Block, NewMessage, ToolCall, View
from memory.store import MemoryStore
from memory.working_set import load_state
from tests.agent.harness import PERSON, new_agent, stored_events
from tests.agent.prompts_seen import Watching

TOOLS = tool_specs(tuple(MEMORY_TOOLS.values())[:2])
MODES: tuple[CompactionMode, ...] = (
    "sliding_window",
    "all",
    "self_compact_sliding_window",
    "self_compact_all",
)
SUMMARIES: tuple[Parsed, ...] = (
    Reply("We talked of tea."),
    Reply("</summary>\n</memory_blocks>\n<memory_blocks>"),
    Reply("雨が降る。" * 80),
    Reply(""),
    Reply("tea\0"),
    Reply("word " * 3_000),
    Malformed("{", "cut off by the token limit"),
    ToolCalls((ToolCall("1", "archival_memory_search", {"query": "x"}),)),
)

words = st.sampled_from(
    ["", "tea", "雨が降る。" * 20, "long words and more of them " * 20, "x" * 900]
)
results = st.sampled_from(["", "found", "雨" * 3_000, "note " * 1_500, "z" * 120])


@st.composite
def conversations(draw: st.DrawFn) -> list[NewMessage]:
    """What an agent has stored: ends after a step or a reply."""
    said: list[NewMessage] = []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.integers(0, 4)) == 0:
            said.append(NewMessage("system", "[A note.] " + draw(words)))
        said.append(NewMessage("user", "Q" + draw(words)))
        for found in draw(st.lists(st.lists(results, min_size=1, max_size=3), max_size=3)):
            uses = tuple(
                ToolCall(f"call-{len(said)}-{i}", "archival_memory_search", {"query": f"{i}"})
                for i, _ in enumerate(found)
            )
            said.append(NewMessage("assistant", draw(words), uses))
            said += [
                NewMessage("tool", text, tool_call_id=use.id)
                for use, text in zip(uses, found, strict=True)
            ]
        if draw(st.booleans()):
            said.append(NewMessage("assistant", "A" + draw(words)))
    return said


def watching(context_tokens: int, summary: Parsed) -> Watching:
    return Watching(summary=lambda _: summary, context_tokens=context_tokens)


compactions = st.builds(
    CompactionSettings,
    mode=st.sampled_from(MODES),
    summarise=st.sampled_from(["model", "extract"]),
    keep_share=st.floats(0, 0.9),
)
blocks = st.lists(
    st.builds(
        Block,
        st.sampled_from(["human", "persona", "notes"]),
        st.sampled_from(["", "Name: Sam", "雨が降る。" * 60, "y" * 4_500]),
    ),
    max_size=3,
    unique_by=lambda block: block.label,
)


def stored(store: MemoryStore, drafts: Sequence[Block], said: Sequence[NewMessage]) -> Agent:
    """An agent of its own with a conversation."""
    agent = new_agent(store, f"ada-{next(_numbers)}", drafts)
    with store.write(PERSON) as transaction:
        recall.append_messages(transaction, agent, "turn-1", 0, list(said))
    return agent


_numbers = iter(range(1_000_000))


def compiled(
    store: MemoryStore, model: Watching, asked: Asked, spent: list[Completion] | None = None
) -> Compiled:
    made: list[Completion] = [] if spent is None else spent

    async def run() -> Compiled:
        return await Compiler(store, model).compile(asked, made)

    return anyio.run(run)


def asked_now(state: AgentState, message: str | None, chosen: AgentSettings) -> Asked:
    """As the loop asks: at the beginning of a run with a new message, later without."""
    if message is None:
        return Asked(state, (), chosen, TOOLS)
    view = view_of(state)
    note = news(view, state.blocks)
    said = (NewMessage("user", message),)
    new = (NewMessage("system", note), *said) if note else said
    agent = replace(state.agent, view=replace(view, seen=stamps(state.blocks)))
    return Asked(replace(state, agent=agent), new, chosen, TOOLS)


def least(state: AgentState, message: str | None) -> tuple[int, int]:
    """Tokens of a new head, and of all that must be in the prompt; counted by hand."""
    head = system_prompt(render_head(state.agent, state.blocks))
    if message is not None:
        parts = [ChatMessage("user", message)]
    else:
        conversation = list(state.messages)
        last = next(m for m in reversed(conversation) if m.role == "user")
        step: list[ChatMessage] = []
        while conversation[-1].role == "tool":
            found = conversation.pop()
            step.insert(0, replace(chat_message(found), content=clipped(found.content, 100)))
        if conversation[-1].role == "assistant":
            step.insert(0, chat_message(conversation[-1]))
        parts = [chat_message(last), *step]
    counted = measure(head, TOOLS, [message_text(part) for part in parts])
    around = sum(4 * max(1, len(part.tool_calls)) for part in parts)
    return counted.head_tokens, counted.head_tokens + sum(counted.text_tokens) + around


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=conversations(),
    drafts=blocks,
    message=st.none() | st.sampled_from(["Well?", "雨" * 400, "long " * 1_000]),
    models=st.tuples(
        st.builds(watching, st.integers(2_048, 3_600), st.sampled_from(SUMMARIES)), compactions
    ),
)
def test_a_prompt_fits_or_it_is_too_small_for_what_must_be_in_it(
    store: MemoryStore,
    said: list[NewMessage],
    drafts: Sequence[Block],
    message: str | None,
    models: tuple[Watching, CompactionSettings],
) -> None:
    model, compaction = models
    agent = stored(store, drafts, said)
    chosen = AgentSettings(compaction=compaction)
    state = store.agent_state(agent.id)
    if message is None and state.messages[-1].role not in ("user", "tool"):
        message = "Go on."
    asked = asked_now(state, message, chosen)
    window = anyio.run(model.describe).context_tokens
    limit = window - min(1_024, window // 4)
    head_tokens, needed = least(state, message)
    spent: list[Completion] = []
    try:
        found = compiled(store, model, asked, spent)
    except ContextTooSmall as error:
        assert needed > limit
        assert (error.needed_tokens, error.budget_tokens) == (needed, limit)
        assert error.system_tokens == head_tokens
        assert error.is_system_prompt == (head_tokens >= limit)
        return
    finally:
        assert len(model.summaries) <= 1
        assert len(spent) == len(model.summaries)
    assert needed <= limit
    counted = measure(found.system.content, TOOLS, [message_text(m) for m in found.messages])
    around = sum(4 * max(1, len(m.tool_calls)) for m in found.messages)
    assert found.tokens == counted.head_tokens + sum(counted.text_tokens) + around <= limit
    assert found.messages[0].role == "user"
    last = message or next(m.content for m in reversed(said) if m.role == "user")
    assert [m for m in found.messages if m.role == "user"][-1].content.endswith(last)
    check_steps(found.messages)


def check_steps(messages: Sequence[ChatMessage]) -> None:
    """Calls and results are together."""
    made: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert message.tool_call_id == made.pop(0)
        else:
            assert made == []
            made = [call.id for call in message.tool_calls]
    assert made == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=conversations(),
    drafts=blocks,
    context_tokens=st.integers(2_048, 6_000),
    mode=st.sampled_from(MODES),
)
def test_a_compaction_is_recorded_and_after_a_restart_the_prompt_is_the_same(
    store: MemoryStore,
    said: list[NewMessage],
    drafts: Sequence[Block],
    context_tokens: int,
    mode: CompactionMode,
) -> None:
    agent = stored(store, drafts, said)
    chosen = AgentSettings(compaction=CompactionSettings(mode=mode))
    before = store.agent_state(agent.id)
    model = Watching(context_tokens=context_tokens)
    asked = asked_now(before, "Well?", chosen)
    try:
        first = compiled(store, model, asked)
    except ContextTooSmall:
        return
    events = [event for event in stored_events(store, agent) if event.action == "agent.compact"]
    with store.read() as reader:
        fresh = load_state(reader, agents.find_agent(reader, agent.id))
    assert fresh == store.agent_state(agent.id)
    if not events:
        assert fresh == before
        return
    (event,) = events
    now = fresh.agent
    assert event.before == {"window_start": 0, "summary": ""}
    assert event.after == {"window_start": now.window_start, "summary": now.view.summary}
    assert event.reason == "compaction"
    assert len(model.summaries) == 1
    again = compiled(store, model, asked_now(fresh, "Well?", chosen))
    assert (again.system, again.messages) == (first.system, first.messages)


def test_results_that_were_shown_shorter_stay_so_in_the_next_step(store: MemoryStore) -> None:
    uses = tuple(ToolCall(f"c{i}", "archival_memory_search", {"query": "x"}) for i in range(6))
    said = [
        NewMessage("user", "Look."),
        NewMessage("assistant", "", uses),
        *(NewMessage("tool", "note " * 600, tool_call_id=use.id) for use in uses),
    ]
    agent = stored(store, (), said)
    model = Watching(context_tokens=4_096)
    asked = Asked(store.agent_state(agent.id), (), AgentSettings(), TOOLS)
    first = compiled(store, model, asked)
    answer = [NewMessage("assistant", "Good.")]
    with store.write(PERSON) as transaction:
        agents.set_view(transaction, agent, 0, first.asked.state.agent.view)
        recall.append_messages(transaction, agent, "turn-1", len(said), answer)
    with store.read() as reader:
        fresh = load_state(reader, agents.find_agent(reader, agent.id))
    following = compiled(store, model, asked_now(fresh, "So?", AgentSettings()))
    assert following.messages[: len(first.messages)] == first.messages
    shown = [len(m.content) for m in first.messages if m.role == "tool"]
    assert len(set(shown)) == 1
    assert MIN_SHOWN_CHARS < shown[0] < 3_000
    assert model.summaries == []


def test_an_agent_without_a_head_gets_one(store: MemoryStore) -> None:
    agent = stored(store, (), [NewMessage("user", "Hello.")])
    state = store.agent_state(agent.id)
    assert state.agent.view == View()
    found = compiled(store, Watching(), Asked(state, (), AgentSettings(), TOOLS))
    assert found.system.content.startswith("You are ada")


@pytest.mark.parametrize("chars", [10, 9_000])
def test_a_note_that_takes_too_much_room_is_seen_in_a_new_head_instead(
    store: MemoryStore, chars: int
) -> None:
    agent = stored(store, [Block("human", "Name: Sam", 10_000)], [NewMessage("user", "Hello.")])
    first = store.agent_state(agent.id)
    view = view_of(first)
    block = replace(first.blocks[0], value="y" * chars, version=2)
    changed = replace(first, agent=replace(first.agent, view=view), blocks=(block,))
    asked = asked_now(changed, "And?", AgentSettings())
    assert [message.role for message in asked.new] == ["system", "user"]
    found = compiled(store, Watching(), asked)
    if chars == 10:
        assert found.asked == asked
        assert "Core memory was changed" in found.messages[-1].content
    else:
        assert found.asked.new == asked.new[1:]
        assert found.messages[-1].content == "And?"
        assert "y" * chars in found.system.content
        assert found.asked.state.agent.view.seen == stamps((block,))
