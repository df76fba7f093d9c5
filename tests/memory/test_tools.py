"""Tools in the database: unique by name, versioned, attached to agents, every change an event."""

from collections.abc import Sequence
from typing import Any

import pytest

from memory import agents, events, tools
from memory.clones import Parts, clone_agent
from memory.errors import (
    InvalidValue,
    ToolNameTaken,
    UnknownTool,
    UnknownVersion,
    VersionMoved,
)
from memory.limits import check_tool_name
from memory.records import Event, Origin
from memory.store import MemoryStore
from memory.tools import NewTool, StoredTool, WhichTools
from tests.memory.given import TEST, MemoryOf

SOURCE = "def roll(sides: int) -> int:\n    return 4\n"


@pytest.fixture
def ada(words_only: MemoryStore) -> MemoryOf:
    return MemoryOf.new_agent(words_only, "Ada")


def new_tool(name: str = "roll", **given: Any) -> NewTool:
    return NewTool(
        **{
            "name": name,
            "description": "Roll a die.",
            "source": SOURCE,
            "schema": {"type": "object", "properties": {"sides": {"type": "integer"}}},
            **given,
        }
    )


def created(store: MemoryStore, name: str = "roll", **given: Any) -> StoredTool:
    with store.write(TEST) as transaction:
        return tools.create_tool(transaction, new_tool(name, **given))


def updated(
    store: MemoryStore, tool: StoredTool, expected: int | None = None, **changes: Any
) -> StoredTool:
    with store.write(TEST) as transaction:
        return tools.update_tool(transaction, tool, changes, expected)


def attached(ada: MemoryOf, *found: StoredTool) -> None:
    with ada.write() as transaction:
        for tool in found:
            tools.attach_tool(transaction, ada.agent, tool)


def names(found: Sequence[StoredTool]) -> list[str]:
    return [tool.name for tool in found]


def held(of: MemoryOf) -> list[str]:
    with of.read() as reader:
        return names(tools.tools_of(reader, of.agent))


def told(store: MemoryStore) -> list[Event]:
    with store.read() as reader:
        return [e for e in events.list_events(reader) if e.action.startswith("tool.")]


def test_a_tool_is_found_as_it_was_made_by_name_or_id(words_only: MemoryStore) -> None:
    tool = created(
        words_only,
        policy={"wall_s": 3},
        tags=("dice", "dice"),
        requirements=(" requests>=2.32 ",),
        return_limit_chars=9,
        requires_approval=True,
    )
    assert (tool.version, tool.author) == (1, TEST.actor)
    assert (tool.tags, tool.requirements) == (("dice",), ("requests>=2.32",))
    with words_only.read() as reader:
        for name in ("roll", "ROLL", tool.id):
            assert tools.find_tool(reader, name) == tool
        with pytest.raises(UnknownTool, match="no tool 'dice'; tools: roll"):
            tools.find_tool(reader, "dice")


def test_names_are_unique_without_regard_to_case(words_only: MemoryStore) -> None:
    created(words_only)
    other = created(words_only, "other")
    with pytest.raises(ToolNameTaken, match="'Roll' is that of another tool"):
        created(words_only, "Roll")
    with pytest.raises(ToolNameTaken):
        updated(words_only, other, name="ROLL")
    assert updated(words_only, other, name="Other").name == "Other"


def test_every_change_is_an_event_and_every_version_can_be_read_back(
    words_only: MemoryStore,
) -> None:
    first = created(words_only)
    second = updated(words_only, first, source="def roll() -> int:\n    return 6\n")
    third = updated(words_only, second, name="roll_die", requires_approval=True)
    with words_only.read() as reader:
        assert tools.at_version(reader, third, 1) == first
        assert tools.at_version(reader, third, 2) == second
        assert tools.at_version(reader, third, 3) == third
        with pytest.raises(UnknownVersion, match="no version 4; it has 1 to 3"):
            tools.at_version(reader, third, 4)
    create, update, rename = told(words_only)
    assert (create.before, update.before, rename.before) == (
        None,
        tools.describe(first),
        tools.describe(second),
    )
    assert (create.after, rename.after) == (tools.describe(first), tools.describe(third))
    assert {e.subject for e in (create, update, rename)} == {first.id}


def test_who_saw_an_older_version_changes_nothing(words_only: MemoryStore) -> None:
    first = created(words_only)
    updated(words_only, first, 1, description="Roll one die.")
    with words_only.read() as reader:
        now = tools.find_tool(reader, "roll")
    with pytest.raises(VersionMoved, match="tool 'roll' is at version 2, not 1"):
        updated(words_only, now, 1, description="Roll.")
    with pytest.raises(VersionMoved):  # read before the other's change, and written after it
        updated(words_only, first, description="Roll.")
    assert len(told(words_only)) == 2


def test_a_change_that_changes_nothing_makes_no_version(words_only: MemoryStore) -> None:
    tool = created(words_only)
    assert updated(words_only, tool, source=SOURCE) == tool
    assert len(told(words_only)) == 1


def test_agents_have_tools_in_the_order_they_got_them_once_each(ada: MemoryOf) -> None:
    first, second = created(ada.store, "first"), created(ada.store, "second")
    attached(ada, second, first, second)
    assert held(ada) == ["second", "first"]
    with ada.write() as transaction:
        assert tools.detach_tool(transaction, ada.agent, second)
        assert not tools.detach_tool(transaction, ada.agent, second)
    assert held(ada) == ["first"]
    assert [(e.action, e.after or e.before) for e in ada.events()[-3:]] == [
        ("tool.attach", {"name": "second"}),
        ("tool.attach", {"name": "first"}),
        ("tool.detach", {"name": "second"}),
    ]


def test_what_was_changed_is_what_its_agents_have_at_once(ada: MemoryOf) -> None:
    tool = created(ada.store)
    attached(ada, tool)
    ada.state()  # now in the working set
    updated(ada.store, tool, name="cast")
    assert held(ada) == ["cast"]


def test_an_agent_has_no_more_tools_than_it_may(
    ada: MemoryOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "MAX_TOOLS_OF_AGENT", 1)
    attached(ada, created(ada.store, "first"))
    with pytest.raises(InvalidValue, match="has 1 tools, which is the limit; detach one"):
        attached(ada, created(ada.store, "second"))


def test_a_deleted_tool_is_taken_from_its_agents_and_its_event_keeps_it(ada: MemoryOf) -> None:
    tool = created(ada.store)
    attached(ada, tool)
    with ada.write() as transaction:
        assert tools.delete_tool(transaction, tool) == ["Ada"]
    assert held(ada) == []
    assert ada.events()[-1].action == "tool.detach"
    assert told(ada.store)[-1].before == tools.describe(tool)
    again = created(ada.store)
    assert (again.version, again.id != tool.id) == (1, True)
    assert held(ada) == []


def test_a_deleted_agent_leaves_its_tools_to_others(ada: MemoryOf) -> None:
    tool = created(ada.store)
    bob = MemoryOf.new_agent(ada.store, "Bob")
    attached(ada, tool)
    attached(bob, tool)
    with ada.write() as transaction:
        agents.delete_agent(transaction, ada.agent)
    assert held(bob) == ["roll"]
    with ada.read() as reader:
        assert tools.users_of_tool(reader, tool) == [(bob.agent.id, "Bob")]


def test_a_clone_has_the_same_tools(ada: MemoryOf) -> None:
    first, second = created(ada.store, "first"), created(ada.store, "second")
    attached(ada, second, first)
    with ada.write() as transaction:
        bob = MemoryOf(ada.store, clone_agent(transaction, ada.agent, "Bob", Parts()))
    assert held(bob) == ["second", "first"]


def test_tools_are_listed_by_what_they_are_like(ada: MemoryOf) -> None:
    roll = created(ada.store, tags=("dice", "fun"))
    created(ada.store, "weather", description="Tell the weather.", tags=("fun",))
    attached(ada, roll)
    for which, found in (
        (WhichTools(), ["roll", "weather"]),
        (WhichTools(name="ROL"), ["roll"]),
        (WhichTools(text="tell"), ["weather"]),
        (WhichTools(tags_any=("dice", "fun")), ["roll", "weather"]),
        (WhichTools(tags_all=("dice", "fun")), ["roll"]),
        (WhichTools(agent=ada.agent), ["roll"]),
    ):
        with ada.read() as reader:
            assert names(tools.list_tools(reader, which=which)) == found
    with ada.read() as reader:
        assert names(tools.list_tools(reader, limit=1)) == ["roll"]
        assert names(tools.list_tools(reader, after=roll.key)) == ["weather"]


def test_who_may_see_some_agents_sees_the_tools_of_these(ada: MemoryOf) -> None:
    attached(ada, created(ada.store))
    bob = MemoryOf.new_agent(ada.store, "Bob")
    with ada.store.read(frozenset({bob.agent.id})) as reader:
        assert tools.list_tools(reader) == []
        with pytest.raises(UnknownTool, match="tools: none yet"):
            tools.find_tool(reader, "roll")
    with ada.store.read(frozenset({ada.agent.id})) as reader:
        assert names(tools.list_tools(reader)) == ["roll"]


def test_the_author_is_whoever_created_it(words_only: MemoryStore) -> None:
    with words_only.write(Origin("agent:Ada", "tool_create")) as transaction:
        tool = tools.create_tool(transaction, new_tool())
    assert updated(words_only, tool, description="x").author == "agent:Ada"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "9lives"}, "'9lives' cannot be a tool's name"),
        ({"name": "x" * 49}, "use 1 to 48 letters"),
        ({"name": "naïve"}, "cannot be a tool's name"),
        ({"source": " "}, "source is empty"),
        ({"source": "é" * 60_000}, "source takes 120000 bytes, 20000 over the limit"),
        ({"source": "a\0b"}, "NUL"),
        ({"description": "x" * 2_001}, "description has 2001 characters"),
        ({"schema": {"x": "y" * 16_000}}, "the schema takes"),
        ({"policy": {"x": "y" * 16_000}}, "policy takes"),
        ({"requirements": ("--index-url=http://x",)}, "is no requirement"),
        ({"requirements": ("x @ https://x/y.whl",)}, "no options, paths or URLs"),
        ({"requirements": ("./x",)}, "is no requirement"),
        ({"return_limit_chars": 0}, "it must be 1 to 1000000"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    words_only: MemoryStore, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidValue, match=told):
        created(words_only, **given)


@pytest.mark.parametrize(
    "requirement", ["requests", "numpy==2.1", "a[b,c]>=1,<2", "x; python_version < '3.12'", "a~=1"]
)
def test_requirements_are_as_pip_names_packages(words_only: MemoryStore, requirement: str) -> None:
    assert created(words_only, requirements=(requirement,)).requirements == (requirement,)


@pytest.mark.parametrize("name", ["_", "a", "A1_", "x" * 48])
def test_names_that_a_function_can_have_are_taken(name: str) -> None:
    assert check_tool_name(name) == name
