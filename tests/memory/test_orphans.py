"""What a deletion leaves behind when it is told to, and giving it to another agent."""

import pytest

from memory import agents, archives, core_memory, orphans
from memory.errors import InvalidValue, UnknownId
from memory.records import Belongings
from memory.store import MemoryStore
from tests.memory.given import TEST, MemoryOf, labels


def deleted(memory: MemoryOf, delete_orphans: bool) -> Belongings:
    with memory.write() as transaction:
        return agents.delete_agent(transaction, memory.agent, delete_orphans)


def test_a_deletion_tells_what_hangs_on_the_agent_alone(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    bob = MemoryOf.new_agent(words_only, "Bob", blocks=())
    with words_only.write(TEST) as transaction:
        core_memory.attach_block(transaction, bob.agent, ada.block("human"))
        archives.use_archive(transaction, bob.agent, archives.archive_id(transaction, ada.agent))
    ada.archive("one")
    with words_only.read() as reader:
        own = agents.belongings(reader, ada.agent)
    assert (labels(own.blocks), labels(own.shared_blocks)) == (["persona"], ["human"])
    assert (own.archive, own.passages) == (None, 0)
    assert deleted(ada, delete_orphans=True) == own
    assert MemoryOf(words_only, bob.state().agent).found("one") == ["one"]


def test_what_is_kept_has_no_agent_until_another_takes_it(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    ada.archive("Ada sails.")
    own = deleted(ada, delete_orphans=False)
    with words_only.read() as reader:
        left = orphans.list_orphans(reader)
    assert {(orphan.kind, orphan.name, orphan.size) for orphan in left} == {
        ("block", "persona", 13),
        ("block", "human", 3),
        ("archive", "Ada", 1),
    }
    bob = MemoryOf.new_agent(words_only, "Bob", blocks=())
    with words_only.write(TEST) as transaction:
        block = core_memory.find_block(transaction, own.blocks[1].id)
        core_memory.attach_block(transaction, bob.agent, block)
        bob_now = archives.use_archive(transaction, bob.agent, str(own.archive))
    assert bob.state().agent == bob_now
    assert MemoryOf(words_only, bob_now).found("sails") == ["Ada sails."]
    assert labels(bob.state().blocks) == ["human"]
    with words_only.read() as reader:
        assert [orphan.name for orphan in orphans.list_orphans(reader)] == ["persona"]


def test_an_empty_archive_is_not_kept(words_only: MemoryStore) -> None:
    deleted(MemoryOf.new_agent(words_only, "Ada", blocks=()), delete_orphans=False)
    with words_only.read() as reader:
        assert orphans.list_orphans(reader) == []


def test_an_orphan_can_be_deleted_and_what_has_an_agent_cannot(words_only: MemoryStore) -> None:
    ada, bob = MemoryOf.new_agent(words_only, "Ada"), MemoryOf.new_agent(words_only, "Bob")
    ada.archive("one")
    own = deleted(ada, delete_orphans=False)
    with words_only.write(TEST) as transaction:
        for id_ in (own.archive, *(block.id for block in own.blocks)):
            orphan = orphans.find_orphan(transaction, str(id_))
            orphans.delete_orphan(transaction, orphan)
        for id_ in (bob.block("human").id, own.archive):
            with pytest.raises(UnknownId):
                orphans.find_orphan(transaction, str(id_))
    with words_only.read() as reader:
        assert orphans.list_orphans(reader) == []
        assert reader.rows("postings_of", collection=ada.agent.archive_key) == []


def test_who_may_see_one_agent_takes_no_block_or_archive_of_another(
    words_only: MemoryStore,
) -> None:
    ada, bob = MemoryOf.new_agent(words_only, "Ada"), MemoryOf.new_agent(words_only, "Bob")
    gone = deleted(MemoryOf.new_agent(words_only, "Eva"), delete_orphans=False)
    with words_only.read() as reader:
        theirs = archives.archive_id(reader, bob.agent)
    with words_only.write(TEST, frozenset({ada.agent.id})) as transaction:
        for block_id in (bob.block("human").id, gone.blocks[0].id, "block-1"):
            with pytest.raises(UnknownId):
                core_memory.find_block(transaction, block_id)
        with pytest.raises(UnknownId):
            archives.use_archive(transaction, ada.agent, theirs)
        assert orphans.list_orphans(transaction) == []
        with pytest.raises(UnknownId):
            orphans.find_orphan(transaction, gone.blocks[0].id)
        assert core_memory.find_block(transaction, ada.block("human").id) == ada.block("human")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": "x" * 16_000}, "over the limit of 16000"),
        ({"a": "\ud800"}, "cannot be written as JSON"),
        ({"a": float("nan")}, "cannot be written as JSON"),
    ],
)
def test_metadata_that_cannot_be_kept_is_refused(
    words_only: MemoryStore, value: dict[str, object], message: str
) -> None:
    for field in ("metadata", "settings"):
        with pytest.raises(InvalidValue, match=f"{field} .*{message}"):
            MemoryOf.new_agent(words_only, "Ada", **{field: value})


def test_metadata_of_any_depth_is_refused_without_harm(words_only: MemoryStore) -> None:
    deep: dict[str, object] = {}
    for _ in range(20):
        deep = {"a": deep}
    with pytest.raises(InvalidValue, match="nested more than 20 levels deep"):
        MemoryOf.new_agent(words_only, "Ada", metadata=deep)
    for _ in range(20_000):
        deep = {"a": [deep]}
    with pytest.raises(InvalidValue, match="nested more than 20 levels deep"):
        MemoryOf.new_agent(words_only, "Ada", metadata=deep)
