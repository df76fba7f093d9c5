"""Locks of packages: agreed to once, kept for ever, and which tools have them."""

from memory import events, locks, tools
from memory.records import Origin
from memory.store import MemoryStore
from tests.memory.given import TEST
from tests.memory.test_tools import created, updated

KEY, OTHER = "a" * 64, "b" * 64
TEXT = f"cup==1.0 --hash=sha256:{'0' * 64}\ntea==2.0 --hash=sha256:{'1' * 64}\n"


def agreed(store: MemoryStore, lock: str = KEY, origin: Origin = TEST) -> locks.AgreedLock:
    with store.write(origin) as transaction:
        return locks.agree(transaction, lock, TEXT, "cpython-312 3.12.1 linux")


def test_a_lock_is_agreed_to_once_and_says_who_did_and_what_to(words_only: MemoryStore) -> None:
    first = agreed(words_only)
    assert first.packages == ["cup==1.0", "tea==2.0"]
    assert agreed(words_only, origin=Origin("host:another", "test")) == first
    with words_only.read() as reader:
        assert locks.find_lock(reader, KEY) == first
        assert locks.find_lock(reader, OTHER) is None
        (event,) = [e for e in events.list_events(reader) if e.action == "packages.agree"]
    assert (event.subject, event.actor) == (KEY, TEST.actor)
    assert event.after == {"packages": first.packages, "python": first.python}


def test_locks_are_listed_in_order_with_the_tools_that_have_them(words_only: MemoryStore) -> None:
    first, second = agreed(words_only), agreed(words_only, OTHER)
    created(words_only, "a", requirements=("tea",), package_lock=KEY)
    created(words_only, "b", requirements=("tea>1",), package_lock=KEY)
    with words_only.read() as reader:
        assert locks.list_locks(reader, limit=1) == [first]
        assert locks.list_locks(reader, first.key) == [second]
        assert locks.tools_with_lock(reader, KEY) == ["a", "b"]
        assert locks.locks_in_use(reader) == {KEY}


def test_a_tool_with_other_requirements_has_no_lock_and_each_lock_is_a_version(
    words_only: MemoryStore,
) -> None:
    tool = created(words_only, requirements=("tea",), package_lock=KEY)
    newer = updated(words_only, tool, package_lock=OTHER)
    assert (newer.version, newer.package_lock) == (2, OTHER)
    assert updated(words_only, newer, tags=("hot",)).package_lock == OTHER
    with words_only.read() as reader:
        now = tools.find_tool(reader, tool.id)
        assert tools.at_version(reader, now, 1).package_lock == KEY
    assert updated(words_only, now, requirements=("coffee",)).package_lock is None
