"""The tool memory and its paths: Letta's commands, each reaching every block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.block_paths import inside, label_of, path_of
from memory import core_memory
from memory.errors import InvalidValue
from memory.records import Agent, Block
from memory.store import MemoryStore
from tests.agent.harness import PERSON, add_block, block_value, new_agent, stored_events, use


def labels(store: MemoryStore, name: str = "ada") -> list[str]:
    return [block.label for block in store.agent_state(name).blocks]


def description(store: MemoryStore, label: str) -> str:
    (block,) = [block for block in store.agent_state("ada").blocks if block.label == label]
    return block.description


def create(store: MemoryStore, agent: Agent, path: str, text: str = "Rest.") -> str:
    return use(
        store, agent, "memory", command="create", path=path, description="Plans.", file_text=text
    )


@pytest.mark.parametrize("written", ["/memories/work/plan", "work/plan"])
@pytest.mark.parametrize("label", ["work/plan", "plan", "work_plan"])
def test_every_command_reaches_the_block_that_create_made(
    store: MemoryStore, agent: Agent, written: str, label: str
) -> None:
    """In Letta a block with a slash in its label can be made and never deleted."""
    path = written.replace("work/plan", label)
    assert create(store, agent, path) == (
        f"Memory updated. Block {label} is created.\nBlock {label} is now:\nRest."
    )
    replaced = use(
        store, agent, "memory",
        command="str_replace", path=path, old_string="Rest", new_string="Work",
    )  # fmt: skip
    assert replaced == f"Memory updated. Block {label} is now:\nWork."
    use(store, agent, "memory", command="insert", path=path, insert_line=0, insert_text="Today:")
    assert block_value(store, agent, label) == "Today:\nWork."
    described = use(store, agent, "memory", command="rename", path=path, description="Days.")
    assert described == f"Memory updated. Block {label} is now described as: Days."
    assert description(store, label) == "Days."
    renamed = use(store, agent, "memory", command="rename", old_path=path, new_path=f"{path}/old")
    assert renamed == f"Memory updated. Block {label} is now called {label}/old."
    assert labels(store) == ["persona", "human", f"{label}/old"]
    deleted = use(store, agent, "memory", command="delete", path=f"{path}/old")
    assert deleted == f"Memory updated. Block {label}/old is deleted."
    assert labels(store) == ["persona", "human"]


def test_insert_without_a_line_appends(store: MemoryStore, agent: Agent) -> None:
    use(store, agent, "memory", command="insert", path="human", insert_text="Likes tea.")
    assert block_value(store, agent) == "Name: Sam\nLikes tea."


def test_create_without_a_text_makes_an_empty_block(store: MemoryStore, agent: Agent) -> None:
    use(store, agent, "memory", command="create", path="/memories/plan", description="Plans.")
    assert block_value(store, agent, "plan") == ""
    assert description(store, "plan") == "Plans."


def test_delete_takes_a_shared_block_from_this_agent_only(store: MemoryStore, agent: Agent) -> None:
    bob = new_agent(store, "bob", ())
    with store.write(PERSON) as transaction:
        shared = core_memory.get_block(transaction, agent, "human")
        core_memory.attach_block(transaction, bob, shared)
    result = use(store, agent, "memory", command="delete", path="/memories/human")
    assert result == "Memory updated. You no longer have block human; other agents still do."
    assert (labels(store), labels(store, "bob")) == (["persona"], ["human"])
    result = use(store, bob, "memory", command="delete", path="/memories/human")
    assert result == "Memory updated. Block human is deleted."
    event = stored_events(store, bob)[-1]
    assert (event.action, event.reason) == ("block.delete", "test")
    assert event.before is not None
    assert event.before["value"] == "Name: Sam"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"command": "create", "path": "plan"}, "create needs description"),
        ({"command": "create"}, "create needs path and description"),
        ({"command": "str_replace", "path": "human"}, "needs old_string and new_string"),
        ({"command": "insert", "path": "human"}, "insert needs insert_text"),
        ({"command": "delete"}, "delete needs path"),
        ({"command": "rename"}, "rename needs old_path and new_path"),
        ({"command": "rename", "old_path": "human"}, "rename needs new_path"),
        ({"command": "rename", "path": "human"}, "give one pair"),
        (
            {"command": "rename", "path": "a", "description": "b", "old_path": "a"},
            "rename takes old_path and new_path for another label, or path and description for",
        ),
        ({"command": "view", "path": "human"}, "command: Input should be 'create', "),
        ({"command": "create", "path": "human", "description": ""}, "has a block 'human' already"),
        ({"command": "delete", "path": "plan"}, "has no block 'plan'; it has persona, human"),
        (
            {"command": "rename", "old_path": "human", "new_path": "persona"},
            "has a block 'persona' already",
        ),
        (
            {"command": "rename", "path": "human", "description": "x" * 3_000},
            "description has 3000 characters",
        ),
        (
            {"command": "create", "path": "a", "description": "", "file_text": "x" * 6_000},
            "1000 over its limit of 5000",
        ),
        ({"command": "insert", "path": "human", "insert_text": "x", "insert_line": 9}, "line 9 is"),
        (
            {"command": "str_replace", "path": "human", "old_string": "", "new_string": ""},
            "the text to replace is empty",
        ),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(
    store: MemoryStore, agent: Agent, arguments: dict[str, object], told: str
) -> None:
    before, events = store.agent_state("ada"), stored_events(store, agent)
    result = use(store, agent, "memory", **arguments)
    assert result.startswith("Error: ")
    assert told in result
    assert (store.agent_state("ada"), stored_events(store, agent)) == (before, events)


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": "str_replace", "path": "rules", "old_string": "kind", "new_string": "rude"},
        {"command": "insert", "path": "rules", "insert_text": "Or not."},
        {"command": "delete", "path": "rules"},
        {"command": "rename", "old_path": "rules", "new_path": "laws"},
        {"command": "rename", "path": "rules", "description": "Not binding."},
    ],
)
def test_no_command_touches_a_read_only_block(
    store: MemoryStore, agent: Agent, arguments: dict[str, object]
) -> None:
    add_block(store, agent, Block("rules", "Be kind.", read_only=True))
    before = store.agent_state("ada")
    assert "is read-only" in use(store, agent, "memory", **arguments)
    assert store.agent_state("ada") == before


BAD_PATHS = (
    "", "/", "/memories", "/memories/", "/memories/..", "/memories/../etc/passwd", "/etc/passwd",
    "/memoriesx/human", "../human", "a/../b", "a//b", "./human", "/memories//human", "human/",
    "/memories/%2e%2e/human", "/memories/a\\b", "/memories/.hidden", "/memories/a b", "human\n",
    "x" * 64, "/memories/" + "x" * 100_000,
)  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leads_nowhere_is_refused(store: MemoryStore, agent: Agent, path: str) -> None:
    with pytest.raises(InvalidValue):
        label_of(path)
    for arguments in (
        {"command": "create", "path": path, "description": "x"},
        {"command": "delete", "path": path},
        {"command": "rename", "old_path": "human", "new_path": path},
    ):
        result = use(store, agent, "memory", **arguments)
        assert result.startswith("Error: ")
        assert len(result) < 400
    assert labels(store) == ["persona", "human"]


segments = st.text(st.sampled_from("aB3_.-"), min_size=1, max_size=5).filter(
    lambda text: text not in (".", "..")
)


@given(st.lists(segments, min_size=1, max_size=4).map("/".join))
def test_a_label_and_its_path_are_the_same_block(label: str) -> None:
    assert inside(path_of(label)) == inside(label) == label
    if label[0] not in ".-":
        assert label_of(path_of(label)) == label_of(label) == label


def test_finish_edits_changes_nothing(store: MemoryStore, agent: Agent) -> None:
    events = stored_events(store, agent)
    assert use(store, agent, "memory_finish_edits") == "Memory edits are finished."
    assert stored_events(store, agent) == events


def test_text_copied_from_the_view_of_a_block_is_found_in_it(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("plan", "Never </human>\nwrite this"))
    use(
        store, agent, "memory",
        command="str_replace", path="plan", old_string="Never <\\/human>", new_string="Always",
    )  # fmt: skip
    assert block_value(store, agent, "plan") == "Always\nwrite this"
