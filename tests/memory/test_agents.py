"""Agents: names, settings, and what goes when one is deleted."""

from dataclasses import replace

import pytest

from memory import agents, core_memory
from memory.agents import NewAgent, Where
from memory.errors import InvalidValue, MemoryStoreError, NameTaken, UnknownAgent
from memory.limits import MAX_BLOCKS
from memory.records import Block
from memory.store import MemoryStore
from tests.memory.given import TEST, MemoryOf, labels


def test_an_agent_is_found_by_id_or_by_name_in_any_case(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    with words_only.read() as reader:
        assert agents.find_agent(reader, ada.agent.id) == ada.agent
        assert agents.find_agent(reader, "aDA") == ada.agent


def test_an_unknown_agent_is_answered_with_those_that_exist(words_only: MemoryStore) -> None:
    MemoryOf.new_agent(words_only, "Ada")
    with words_only.read() as reader, pytest.raises(UnknownAgent, match="agents: Ada"):
        agents.find_agent(reader, "Bob")


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "x" * 1_000_000])
def test_a_name_that_no_agent_can_have_is_not_found_and_breaks_nothing(
    words_only: MemoryStore, name: str
) -> None:
    with words_only.read() as reader, pytest.raises(MemoryStoreError):
        agents.find_agent(reader, name)


def test_two_agents_cannot_have_one_name(words_only: MemoryStore) -> None:
    ada, bob = MemoryOf.new_agent(words_only, "Ada"), MemoryOf.new_agent(words_only, "Bob")
    with pytest.raises(NameTaken, match="'ada' exists already"):
        MemoryOf.new_agent(words_only, "ada")
    with pytest.raises(NameTaken), bob.write() as transaction:
        agents.update_agent(transaction, bob.agent, {"name": "Ada"})
    with ada.write() as transaction:
        assert agents.update_agent(transaction, ada.agent, {"name": "ADA"}).name == "ADA"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": " "}, "name is empty"),
        ({"name": "a\nb"}, "control characters"),
        ({"name": "x" * 101}, "1 over the limit"),
        ({"timezone": "Mars/Olympus"}, "is no time zone"),
        ({"timezone": "../etc/passwd"}, "is no time zone"),
        ({"system": "a\0"}, "NUL character at position 1"),
        ({"description": "\udfff"}, "lone surrogate"),
        ({"tags": ("x" * 101,)}, "1 over the limit"),
        ({"blocks": (Block("a b"),)}, "cannot be a block's label"),
        ({"blocks": (Block("a"), Block("a"))}, "two blocks are called 'a'"),
        ({"blocks": (Block("a", "long", limit_chars=2),)}, "2 over its limit"),
        ({"blocks": (Block("a", limit_chars=0),)}, "outside 1 to"),
    ],
)
def test_an_agent_with_a_bad_setting_is_refused_and_leaves_nothing_behind(
    words_only: MemoryStore, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidValue, match=message):
        MemoryOf.new_agent(words_only, **{"name": "Ada", **settings})  # type: ignore[arg-type]
    with words_only.read() as reader:
        assert agents.list_agents(reader) == []
        assert reader.value("count_vectors", collection=0) == 0


def test_agents_are_listed_in_pages(words_only: MemoryStore) -> None:
    made = [MemoryOf.new_agent(words_only, f"agent {n}").agent for n in range(5)]
    with words_only.read() as reader:
        page = agents.list_agents(reader, limit=3)
        assert [*page, *agents.list_agents(reader, after=page[-1].key)] == made


def test_an_update_changes_what_is_named_and_nothing_else(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada", description="poet", timezone="Europe/London")
    with ada.write() as transaction:
        changed = agents.update_agent(transaction, ada.agent, {"description": "analyst"})
    assert ada.state().agent == changed
    assert (changed.description, changed.timezone) == ("analyst", "Europe/London")


def test_a_deleted_agent_takes_its_memory_and_leaves_what_others_share(
    words_only: MemoryStore,
) -> None:
    ada, bob = (
        MemoryOf.new_agent(words_only, "Ada"),
        MemoryOf.new_agent(words_only, "Bob", blocks=()),
    )
    with bob.write() as transaction:
        core_memory.attach_block(transaction, bob.agent, ada.block("human"))
    ada.say("hello")
    ada.archive("one", "two")
    with ada.write() as transaction:
        gone = agents.delete_agent(transaction, ada.agent)
    assert (gone.messages, gone.passages) == (1, 2)
    assert (labels(gone.blocks), labels(gone.shared_blocks)) == (["persona"], ["human"])
    assert labels(bob.state().blocks) == ["human"]
    assert bob.append("human", "is kept").value == "Ada\nis kept"
    assert ada.found("one") == [] and ada.said("hello") == []
    with pytest.raises(UnknownAgent):
        ada.state()


def test_a_window_moves_on_the_agent_as_it_is_now_not_as_it_was_read(
    words_only: MemoryStore,
) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    message = ada.say("hello")[0]
    ada.state()
    with ada.write() as transaction:
        agents.update_agent(transaction, ada.agent, {"description": "changed meanwhile"})
    with ada.write() as transaction:
        agents.set_view(transaction, ada.agent, message.doc, ada.agent.view)
    assert ada.state().agent.description == "changed meanwhile"
    assert ada.state().agent.window_start == message.doc


def test_an_agent_has_a_limited_number_of_blocks_however_they_come(words_only: MemoryStore) -> None:
    drafts = tuple(Block(f"b{n}") for n in range(MAX_BLOCKS))
    full, other = (
        MemoryOf.new_agent(words_only, "full", blocks=drafts),
        MemoryOf.new_agent(words_only, "other", blocks=(Block("more"),)),
    )
    for add in (core_memory.create_block, core_memory.attach_block):
        with pytest.raises(InvalidValue, match="which is the limit"), full.write() as transaction:
            add(transaction, full.agent, other.block("more"))


def test_an_origin_that_cannot_be_stored_is_refused(words_only: MemoryStore) -> None:
    with (
        pytest.raises(InvalidValue, match="actor holds a lone surrogate"),
        words_only.write(replace(TEST, actor="host:\ud800")) as transaction,
    ):
        agents.create_agent(transaction, NewAgent("Ada"))


def test_who_may_see_one_agent_finds_lists_and_is_told_of_no_other(words_only: MemoryStore) -> None:
    ada, bob = MemoryOf.new_agent(words_only, "Ada"), MemoryOf.new_agent(words_only, "Bob")
    only_ada = frozenset({ada.agent.id})
    with words_only.read(only_ada) as reader:
        assert agents.find_agent(reader, "ada") == ada.agent
        assert agents.list_agents(reader) == [ada.agent]
        assert agents.list_names(reader) == ["Ada"]
        for absent in ("Bob", bob.agent.id):
            with pytest.raises(UnknownAgent) as caught:
                agents.find_agent(reader, absent)
            assert str(caught.value) == f"no agent {absent!r}; agents: Ada"
    with words_only.write(TEST, only_ada) as transaction, pytest.raises(UnknownAgent):
        agents.find_agent(transaction, "Bob")


def test_a_cached_agent_is_as_absent_as_any_to_who_may_not_see_it(words_only: MemoryStore) -> None:
    bob = MemoryOf.new_agent(words_only, "Bob")
    assert words_only.agent_state(bob.agent.id).agent == bob.agent
    with pytest.raises(UnknownAgent, match="none yet"):
        words_only.agent_state(bob.agent.id, frozenset())


def test_names_are_completed_without_regard_to_case(words_only: MemoryStore) -> None:
    for name in ("Ada", "adam", "Bob"):
        MemoryOf.new_agent(words_only, name)
    with words_only.read() as reader:
        assert agents.list_names(reader, "AD") == ["Ada", "adam"]
        assert agents.list_names(reader, "%") == []


def test_watchers_learn_of_what_was_committed_and_of_nothing_else(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    seen: list[tuple[str, str | None]] = []
    words_only.watch(lambda changes: seen.extend((c.action, c.agent_id) for c in changes))
    ada.append("persona", "Kind.")
    ada.say("Hello.")
    with pytest.raises(ZeroDivisionError), ada.write() as transaction:
        agents.update_agent(transaction, ada.agent, {"name": "Eva"})
        1 / 0  # noqa: B018
    assert seen == [("block.update", ada.agent.id), ("message.append", ada.agent.id)]


def test_a_watcher_that_fails_undoes_nothing(
    words_only: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    words_only.watch(lambda changes: 1 / 0)  # type: ignore[arg-type]
    ada.append("persona", "Kind.")
    assert ada.block("persona").value.endswith("Kind.")
    assert "a watcher of memory failed" in caplog.text


def test_agents_are_found_by_part_of_the_name_by_text_and_by_tags(words_only: MemoryStore) -> None:
    made = {
        "Ada": {"description": "Writes verse.", "tags": ("poet", "de")},
        "Adam": {"description": "Counts beans.", "tags": ("analyst", "de")},
        "Bob": {"description": "Helps Ada with VERSE.", "tags": ("poet",)},
    }
    for name, settings in made.items():
        MemoryOf.new_agent(words_only, name, **settings)
    wanted = {
        Where(): ["Ada", "Adam", "Bob"],
        Where(name="aDA"): ["Ada", "Adam"],
        Where(name="%"): [],
        Where(text="verse"): ["Ada", "Bob"],
        Where(text="bob"): ["Bob"],
        Where(tags_any=("poet", "analyst")): ["Ada", "Adam", "Bob"],
        Where(tags_all=("poet", "de")): ["Ada"],
        Where(name="ada", text="beans", tags_any=("de",)): ["Adam"],
    }
    with words_only.read() as reader:
        for where, names in wanted.items():
            assert [agent.name for agent in agents.list_agents(reader, where=where)] == names
        first = agents.list_agents(reader, limit=1, where=Where(text="verse"))
        rest = agents.list_agents(reader, first[0].key, where=Where(text="verse"))
        assert [agent.name for agent in (*first, *rest)] == ["Ada", "Bob"]
