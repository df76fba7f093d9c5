"""The memory of an agent as a tool sees it: only what is granted, and written all or not at all."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.custom.memory_methods import METHODS, MemoryMethods
from agent.memory_tools import Scope
from agent.model import Reply
from agent.models.scripted import ScriptedModel
from memory import agents, archival, blocks, core_memory
from memory.errors import BlockReadOnly, EditMismatch, MemoryStoreError, UnknownBlock
from memory.records import Agent, Block, NewPassage, Origin
from memory.store import MemoryStore
from sandbox.protocol import MethodRefused
from tests.agent.harness import PERSON, add_block, block_value, call, calls, new_agent, turn, use

TOOL = Origin("tool:note", "note")


async def ask(methods: MemoryMethods, name: str, /, **arguments: Any) -> Any:
    return await methods.granted(METHODS)[f"memory.{name}"](arguments)


async def refused(methods: MemoryMethods, name: str, /, **arguments: Any) -> str:
    with pytest.raises(MethodRefused) as caught:
        await ask(methods, name, **arguments)
    return str(caught.value)


def keep(store: MemoryStore, agent: Agent, methods: MemoryMethods) -> None:
    """As the step does when the call has ended well."""
    with store.write(TOOL) as transaction:
        now = agents.find_agent(transaction, agent.id)
        if methods.commit is not None:
            methods.commit(Scope(store, transaction, now))


def change(store: MemoryStore, agent: Agent, value: str, label: str = "human") -> None:
    """Somebody else changes a block while the tool runs."""
    with store.write(PERSON) as transaction:
        core_memory.edit_block(transaction, agent, label, lambda b: blocks.rewrite(b, value))


# What may be asked


def test_only_what_is_granted_can_be_asked(store: MemoryStore, agent: Agent) -> None:
    methods = MemoryMethods(store, agent)
    assert list(methods.granted(["memory.search", "memory.delete"])) == ["memory.search"]
    assert methods.granted([]) == {}


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("read_block", {"label": "human", "agent": "eve"}, "agent: Extra inputs"),
        ("read_block", {"label": 7}, "label: Input should be a valid string"),
        ("read_block", {}, "label: Field required; memory.read_block takes label"),
        ("search", {"query": "tea", "limit": 1_000}, "limit: Input should be less than or equal"),
        ("search", {"query": "tea", "where": "eve"}, "where: Input should be 'everywhere'"),
        ("append", {"label": "human", "content": " "}, "content is empty"),
        ("append", {"label": "plan", "content": "x"}, "has no block 'plan'; it has persona, human"),
        ("replace", {"label": "human", "old": "Eve", "new": "x"}, "does not hold 'Eve'"),
        ("insert", {"label": "human", "text": "x", "line": 9}, "line 9 is outside block 'human'"),
        ("archive", {"content": "x\0"}, "the passage holds a NUL"),
        ("archive", {"content": "x", "tags": ["\ud800"]}, "lone surrogate"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_would_work(
    store: MemoryStore, agent: Agent, name: str, arguments: dict[str, Any], problem: str
) -> None:
    methods = MemoryMethods(store, agent)
    assert problem in await refused(methods, name, **arguments)
    assert methods.commit is None


async def test_the_limit_and_the_flag_of_a_block_hold_at_once(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("small", "1234", limit_chars=6))
    add_block(store, agent, Block("fixed", "x", read_only=True))
    methods = MemoryMethods(store, agent)
    assert "1 over its limit of 6" in await refused(methods, "append", label="small", content="56")
    assert "is read-only" in await refused(methods, "append", label="fixed", content="y")
    assert await ask(methods, "append", label="small", content="5") == "1234\n5"
    assert "over its limit" in await refused(methods, "append", label="small", content="6")


# What is seen


async def test_a_tool_sees_the_agent_as_it_is_with_its_own_writes_which_nobody_else_sees(
    store: MemoryStore, agent: Agent
) -> None:
    methods = MemoryMethods(store, agent)
    await ask(methods, "append", label="human", content="Likes tea.")
    await ask(methods, "replace", label="human", old="tea", new="mate")
    await ask(methods, "insert", label="human", text="Title: Dr", line=0)
    change(store, agent, "Name: Sam\nLives in Oslo.")
    seen = await ask(methods, "read_block", label="human")
    assert seen == "Title: Dr\nName: Sam\nLives in Oslo.\nLikes mate."
    assert block_value(store, agent) == "Name: Sam\nLives in Oslo."


async def test_a_search_finds_the_archive_earlier_conversations_and_what_the_tool_archived(
    store: MemoryStore, agent: Agent
) -> None:
    await turn(store, ScriptedModel([Reply("Noted.")]), "My tea is Darjeeling.")
    with store.write(PERSON) as transaction:
        archival.insert_passages(transaction, agent, [NewPassage("Tea at five.", ("habit",))])
    methods = MemoryMethods(store, agent)
    await ask(methods, "archive", content="No tea on Sundays.")
    found = await ask(methods, "search", query="tea")
    assert [(hit["where"], hit["content"]) for hit in found] == [
        ("archive", "No tea on Sundays."),
        ("archive", "Tea at five."),
        ("conversation", "My tea is Darjeeling."),
    ]
    only = await ask(methods, "search", query="tea", where="archive", tags=["habit"])
    assert [hit["content"] for hit in only] == ["Tea at five."]


async def test_a_search_does_not_find_the_run_that_calls(store: MemoryStore, agent: Agent) -> None:
    step = calls(call("archival_memory_search", query="x"), text="Darjeeling?")
    await turn(store, ScriptedModel([step, Reply("Noted.")]), "Darjeeling.", run_id="run-1")
    assert await ask(MemoryMethods(store, agent, "run-1"), "search", query="Darjeeling") == []
    assert await ask(MemoryMethods(store, agent), "search", query="Darjeeling") != []


async def test_what_a_search_returns_fits_into_an_answer(store: MemoryStore, agent: Agent) -> None:
    long = [NewPassage(f"tea {number} " + "x " * 45_000) for number in range(4)]
    with store.write(PERSON) as transaction:
        archival.insert_passages(transaction, agent, long)
    found = await ask(MemoryMethods(store, agent), "search", query="tea", where="archive")
    assert sum(len(hit["content"]) for hit in found) <= 200_000
    assert len(found) == 3


# What is kept


async def test_nothing_is_written_until_the_call_has_ended_well(
    store: MemoryStore, agent: Agent
) -> None:
    methods = MemoryMethods(store, agent)
    await ask(methods, "append", label="human", content="Likes tea.")
    await ask(methods, "archive", content="Sam likes tea.", tags=["drink"])
    assert block_value(store, agent) == "Name: Sam"
    assert "No results" in use(store, agent, "archival_memory_search", query="tea")
    keep(store, agent, methods)
    assert block_value(store, agent) == "Name: Sam\nLikes tea."
    assert "Sam likes tea." in use(store, agent, "archival_memory_search", query="tea")


async def test_a_change_elsewhere_in_the_block_is_no_hindrance(
    store: MemoryStore, agent: Agent
) -> None:
    methods = MemoryMethods(store, agent)
    await ask(methods, "replace", label="human", old="Sam", new="Tom")
    await ask(methods, "append", label="human", content="Likes tea.")
    change(store, agent, "Name: Sam\nLives in Oslo.")
    keep(store, agent, methods)
    assert block_value(store, agent) == "Name: Tom\nLives in Oslo.\nLikes tea."


@pytest.mark.parametrize("now", ["Name: Eve", "Name: Sam, Sam"])
async def test_a_text_that_was_changed_meanwhile_is_not_replaced_and_nothing_else_is_kept(
    store: MemoryStore, agent: Agent, now: str
) -> None:
    methods = MemoryMethods(store, agent)
    await ask(methods, "archive", content="Tom was here.")
    await ask(methods, "append", label="persona", content="I know Tom.")
    await ask(methods, "replace", label="human", old="Sam", new="Tom")
    change(store, agent, now)
    with pytest.raises(EditMismatch, match="was changed while the tool ran: it holds the text"):
        keep(store, agent, methods)
    assert block_value(store, agent) == now
    assert block_value(store, agent, "persona") == "I am Ada."
    assert "No results" in use(store, agent, "archival_memory_search", query="Tom")


async def test_a_line_is_inserted_only_below_the_lines_that_the_tool_saw(
    store: MemoryStore, agent: Agent
) -> None:
    methods = MemoryMethods(store, agent)
    await ask(methods, "insert", label="human", text="Likes tea.", line=1)
    change(store, agent, "Title: Dr\nName: Sam")
    with pytest.raises(EditMismatch, match="line 1 or one above it is another"):
        keep(store, agent, methods)


async def test_what_became_read_only_or_went_away_meanwhile_is_not_written(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("plan", "Sleep."))
    methods = MemoryMethods(store, agent)
    await ask(methods, "append", label="human", content="x")
    await ask(methods, "append", label="plan", content="y")
    with store.write(PERSON) as transaction:
        core_memory.configure_block(
            transaction, agent, "plan", lambda b: blocks.configure(b, {"read_only": True})
        )
    with pytest.raises(BlockReadOnly):
        keep(store, agent, methods)
    with store.write(PERSON) as transaction:
        core_memory.detach_block(transaction, agent, "plan")
    with pytest.raises(UnknownBlock):
        keep(store, agent, methods)
    assert block_value(store, agent) == "Name: Sam"


async def test_a_deleted_agent_answers_nothing(store: MemoryStore) -> None:
    gone = new_agent(store, "gone")
    with store.write(PERSON) as transaction:
        agents.delete_agent(transaction, gone)
    assert "no agent" in await refused(MemoryMethods(store, gone), "read_block", label="human")


# Laws


@pytest.fixture(scope="module")
def shared() -> Iterator[MemoryStore]:
    with MemoryStore(None, None) as opened:
        yield opened


words = st.text(st.sampled_from("ab\n"), min_size=1, max_size=5)
labels = st.sampled_from(["one", "two", "fixed"])
edits = st.one_of(
    st.tuples(st.just("append"), labels, st.fixed_dictionaries({"content": words})),
    st.tuples(st.just("replace"), labels, st.fixed_dictionaries({"old": words, "new": words})),
    st.tuples(
        st.just("insert"),
        labels,
        st.fixed_dictionaries({"text": words, "line": st.integers(-2, 3)}),
    ),
)
OWN = {
    "append": ("core_memory_append", {"content": "content"}),
    "replace": ("core_memory_replace", {"old": "old_content", "new": "new_content"}),
    "insert": ("memory_insert", {"text": "new_string", "line": "insert_line"}),
}


def held(store: MemoryStore, agent: Agent) -> dict[str, str]:
    return {block.label: block.value for block in store.agent_state(agent.id).blocks}


def twin(store: MemoryStore) -> Agent:
    texts = (
        Block("one", "ab", limit_chars=15),
        Block("two", "a\nb", limit_chars=15),
        Block("fixed", "ab", read_only=True),
    )
    return new_agent(store, f"agent {uuid4()}", texts)


@settings(max_examples=50, deadline=None)
@given(made=st.lists(edits, max_size=8))
async def test_what_a_tool_writes_is_what_the_models_own_tools_would_have_made_of_it(
    shared: MemoryStore, made: list[tuple[str, str, dict[str, Any]]]
) -> None:
    by_tool, by_model = twin(shared), twin(shared)
    methods = MemoryMethods(shared, by_tool)
    for name, label, arguments in made:
        own, names = OWN[name]
        renamed = {names[key]: value for key, value in arguments.items()}
        result = use(shared, by_model, own, label=label, **renamed)
        try:
            await ask(methods, name, label=label, **arguments)
        except MethodRefused as error:
            assert result == f"Error: {error}".replace(by_tool.name, by_model.name)
        else:
            assert not result.startswith("Error: ")
        assert await ask(methods, "read_block", label=label) == held(shared, by_model)[label]
    keep(shared, by_tool, methods)
    assert held(shared, by_tool) == held(shared, by_model)


@settings(max_examples=50, deadline=None)
@given(made=st.lists(edits, min_size=1, max_size=5), meanwhile=st.lists(edits, max_size=3))
async def test_a_commit_is_all_or_nothing_whatever_others_did_meanwhile(
    shared: MemoryStore,
    made: list[tuple[str, str, dict[str, Any]]],
    meanwhile: list[tuple[str, str, dict[str, Any]]],
) -> None:
    agent = twin(shared)
    methods = MemoryMethods(shared, agent)
    wrote = 0
    await ask(methods, "archive", content="a passage")
    for name, label, arguments in made:
        try:
            await ask(methods, name, label=label, **arguments)
            wrote += 1
        except MethodRefused:
            pass
    for name, label, arguments in meanwhile:
        own, names = OWN[name]
        renamed = {names[key]: value for key, value in arguments.items()}
        use(shared, agent, own, label=label, **renamed)
    before = held(shared, agent)
    try:
        keep_inside_a_step(shared, agent, methods)
    except MemoryStoreError:
        assert (held(shared, agent), archived(shared, agent)) == (before, 0)
    else:
        assert archived(shared, agent) == 1
        assert wrote or held(shared, agent) == before


def keep_inside_a_step(store: MemoryStore, agent: Agent, methods: MemoryMethods) -> None:
    """The transaction is committed also when the tool's part of it was refused."""
    refused: MemoryStoreError | None = None
    with store.write(TOOL) as transaction:
        try:
            assert methods.commit is not None
            methods.commit(Scope(store, transaction, agents.find_agent(transaction, agent.id)))
        except MemoryStoreError as error:
            refused = error
    if refused is not None:
        raise refused


def archived(store: MemoryStore, agent: Agent) -> int:
    with store.read() as reader:
        return agents.holdings(reader, agent).passages
