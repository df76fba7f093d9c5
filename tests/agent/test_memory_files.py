"""Core memory as files: the answers that Anthropic documents for its memory tool."""

import pytest

from memory.records import Agent, Block
from memory.store import MemoryStore
from tests.agent.harness import add_block, block_value, new_agent, stored_events, use


@pytest.fixture
def agent(store: MemoryStore) -> Agent:
    return new_agent(
        store,
        "ada",
        [
            Block("human", "Name: Sam\nLikes tea.\n"),
            Block("work/plan", "é" * 1_000),
            Block("work/old/2025", "x" * 2_048, limit_chars=9_000),
            Block("work/old/2024", "y"),
            Block("work/.draft", "z"),
            Block("empty"),
        ],
    )


def files(store: MemoryStore, agent: Agent, command: str, **arguments: object) -> str:
    return use(store, agent, "memory_files", command=command, **arguments)


def labels(store: MemoryStore) -> list[str]:
    return [block.label for block in store.agent_state("ada").blocks]


def test_the_root_lists_two_levels_with_sizes(store: MemoryStore, agent: Agent) -> None:
    assert files(store, agent, "view", path="/memories") == (
        "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items"
        " and node_modules:\n"
        "4.0K\t/memories\n"
        "0B\t/memories/empty\n"
        "21B\t/memories/human\n"
        "4.0K\t/memories/work/\n"
        "2.0K\t/memories/work/old/\n"
        "2.0K\t/memories/work/plan"
    )


@pytest.mark.parametrize("path", ["/memories/work", "/memories/work/", "work"])
def test_a_folder_lists_what_is_in_it(store: MemoryStore, agent: Agent, path: str) -> None:
    assert files(store, agent, "view", path=path).split("\n")[1:] == [
        "4.0K\t/memories/work",
        "2.0K\t/memories/work/old/",
        "1B\t/memories/work/old/2024",
        "2.0K\t/memories/work/old/2025",
        "2.0K\t/memories/work/plan",
    ]


def test_an_agent_without_blocks_has_an_empty_folder(store: MemoryStore) -> None:
    bob = new_agent(store, "bob", ())
    listing = files(store, bob, "view", path="/memories/")
    assert listing.split("\n")[1:] == ["0B\t/memories"]


def test_a_file_is_shown_with_line_numbers(store: MemoryStore, agent: Agent) -> None:
    assert files(store, agent, "view", path="/memories/human") == (
        "Here's the content of /memories/human with line numbers:\n"
        "     1\tName: Sam\n"
        "     2\tLikes tea."
    )
    assert files(store, agent, "view", path="/memories/empty") == (
        "Here's the content of /memories/empty with line numbers:"
    )


@pytest.mark.parametrize(
    ("asked", "shown"),
    [([1, 1], "1"), ([2, 2], "2"), ([1, -1], "12"), ([2, -1], "2"), ([1, 9], "12")],
)
def test_a_range_of_lines_is_shown(
    store: MemoryStore, agent: Agent, asked: list[int], shown: str
) -> None:
    lines = files(store, agent, "view", path="human", view_range=asked).split("\n")[1:]
    assert [line.split("\t")[0].strip() for line in lines] == list(shown)


def test_a_new_file_is_a_block(store: MemoryStore, agent: Agent) -> None:
    result = files(store, agent, "create", path="/memories/notes/tea.md", file_text="Oolong\n")
    assert result == "File created successfully at: /memories/notes/tea.md"
    assert block_value(store, agent, "notes/tea.md") == "Oolong\n"


def test_a_text_is_replaced_and_shown_with_what_is_around_it(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("list", "\n".join("abcdefgh")))
    result = files(store, agent, "str_replace", path="list", old_str="d", new_str="D\nd")
    assert result == (
        "The memory file has been edited.\n"
        "     2\tb\n     3\tc\n     4\tD\n     5\td\n     6\te\n     7\tf"
    )
    files(store, agent, "str_replace", path="/memories/list", old_str="\nD")
    assert block_value(store, agent, "list") == "\n".join("abcdefgh")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (0, "new\nName: Sam\nLikes tea.\n"),
        (1, "Name: Sam\nnew\nLikes tea.\n"),
        (2, "Name: Sam\nLikes tea.\nnew\n"),
    ],
)
@pytest.mark.parametrize("text", ["new", "new\n"])
def test_lines_are_inserted_after_a_line(
    store: MemoryStore, agent: Agent, line: int, value: str, text: str
) -> None:
    result = files(store, agent, "insert", path="human", insert_line=line, insert_text=text)
    assert result == "The file /memories/human has been edited."
    assert block_value(store, agent, "human") == value


def test_a_file_is_deleted_and_a_folder_with_all_in_it(store: MemoryStore, agent: Agent) -> None:
    assert files(store, agent, "delete", path="/memories/human") == (
        "Successfully deleted /memories/human"
    )
    assert files(store, agent, "delete", path="/memories/work/old") == (
        "Successfully deleted /memories/work/old"
    )
    assert labels(store) == ["work/plan", "work/.draft", "empty"]
    files(store, agent, "delete", path="/memories/work/")
    assert labels(store) == ["empty"]


def test_a_file_is_renamed_and_a_folder_with_all_in_it(store: MemoryStore, agent: Agent) -> None:
    assert files(store, agent, "rename", old_path="/memories/human", new_path="people/sam") == (
        "Successfully renamed /memories/human to /memories/people/sam"
    )
    files(store, agent, "rename", old_path="/memories/work", new_path="/memories/job/")
    assert labels(store) == [
        *("people/sam", "job/plan", "job/old/2025", "job/old/2024", "job/.draft", "empty")
    ]


def test_a_path_that_is_file_and_folder_is_the_file(store: MemoryStore, agent: Agent) -> None:
    add_block(store, agent, Block("work", "Hard."))
    assert "     1\tHard." in files(store, agent, "view", path="work")
    files(store, agent, "delete", path="work")
    assert labels(store)[1:3] == ["work/plan", "work/old/2025"]


MISSING = "Error: The path /memories/no does not exist"


@pytest.mark.parametrize(
    ("command", "arguments", "told"),
    [
        ("view", {"path": "no"}, f"{MISSING}. Please provide a valid path."),
        ("view", {}, "Error: view needs path"),
        (
            "view",
            {"path": "work", "view_range": [1, 2]},
            "Error: view_range is for files, and /memories/work is a folder",
        ),
        (
            "create",
            {"path": "human", "file_text": ""},
            "Error: File /memories/human already exists",
        ),
        ("create", {"path": "no"}, "Error: create needs file_text"),
        (
            "str_replace",
            {"path": "no", "old_str": "a", "new_str": "b"},
            f"{MISSING}. Please provide a valid path.",
        ),
        (
            "str_replace",
            {"path": "work", "old_str": "a", "new_str": "b"},
            "Error: The path /memories/work does not exist. Please provide a valid path.",
        ),
        (
            "str_replace",
            {"path": "human", "old_str": "Eve", "new_str": "b"},
            "Error: No replacement was performed, old_str `Eve` did not appear verbatim in"
            " /memories/human.",
        ),
        (
            "str_replace",
            {"path": "human", "old_str": "e", "new_str": "b"},
            "Error: No replacement was performed. Multiple occurrences of old_str `e` in lines: 1,"
            " 2, 2. Please ensure it is unique",
        ),
        ("str_replace", {"path": "human", "old_str": ""}, "Error: No replacement was performed,"),
        ("insert", {"path": "no", "insert_line": 0, "insert_text": "x"}, MISSING),
        ("insert", {"path": "human", "insert_text": "x"}, "Error: insert needs insert_line"),
        (
            "insert",
            {"path": "human", "insert_line": 3, "insert_text": "x"},
            "Error: Invalid `insert_line` parameter: 3. It should be within the range of lines of"
            " the file: [0, 2]",
        ),
        ("delete", {"path": "no"}, MISSING),
        ("delete", {"path": "/memories"}, "Error: /memories itself cannot be deleted"),
        ("rename", {"old_path": "no", "new_path": "yes"}, MISSING),
        ("rename", {"old_path": "/memories", "new_path": "a"}, "Error: /memories itself cannot be"),
        (
            "rename",
            {"old_path": "human", "new_path": "empty"},
            "Error: The destination /memories/empty already exists",
        ),
        (
            "rename",
            {"old_path": "human", "new_path": "work"},
            "Error: The destination /memories/work already exists",
        ),
        ("rename", {"old_path": "human", "new_path": "/memories"}, "Error: '/memories' names no"),
        ("view", {"path": "/memories/../etc"}, "Error: '/memories/../etc' has a part that is"),
        ("delete", {"path": "/etc/passwd"}, "Error: '/etc/passwd' is outside /memories"),
        ("view", {"path": "/"}, "Error: '/' is outside /memories"),
        ("create", {"path": "a//b", "file_text": ""}, "Error: 'a//b' has a part that is empty"),
        ("create", {"path": "a b", "file_text": ""}, "Error: 'a b' cannot be a block's label"),
        ("undo", {"path": "human"}, "Error: command: Input should be 'view', "),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(
    store: MemoryStore, agent: Agent, command: str, arguments: dict[str, object], told: str
) -> None:
    before, events = store.agent_state("ada"), stored_events(store, agent)
    assert files(store, agent, command, **arguments).startswith(told)
    assert (store.agent_state("ada"), stored_events(store, agent)) == (before, events)


@pytest.mark.parametrize("asked", [[0, 1], [2, 1], [3, 3], [1], [1, 2, 3], [], [-1, -1]])
def test_a_range_that_is_none_is_refused(
    store: MemoryStore, agent: Agent, asked: list[int]
) -> None:
    result = files(store, agent, "view", path="human", view_range=asked)
    assert result.startswith("Error: view_range [")
    assert "cannot be shown of 2 lines" in result


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("str_replace", {"path": "law/one", "old_str": "kind", "new_str": "rude"}),
        ("insert", {"path": "law/one", "insert_line": 0, "insert_text": "x"}),
        ("delete", {"path": "law/one"}),
        ("delete", {"path": "law"}),
        ("rename", {"old_path": "law", "new_path": "rules"}),
    ],
)
def test_a_read_only_file_stays_and_so_does_its_folder(
    store: MemoryStore, agent: Agent, command: str, arguments: dict[str, object]
) -> None:
    add_block(store, agent, Block("law/one", "Be kind.", read_only=True))
    add_block(store, agent, Block("law/two", "Be brave."))
    before = store.agent_state("ada")
    assert "block 'law/one' is read-only" in files(store, agent, command, **arguments)
    assert store.agent_state("ada") == before


def test_text_is_found_as_view_shows_it_and_as_the_prompt_does(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("odd", "a <\\/value> b </value> c"))
    files(store, agent, "str_replace", path="odd", old_str="a <\\/value> b", new_str="x")
    assert block_value(store, agent, "odd") == "x </value> c"
    files(store, agent, "str_replace", path="odd", old_str="<\\/value> c", new_str="y")
    assert block_value(store, agent, "odd") == "x y"
