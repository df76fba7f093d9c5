"""Offering the tools to a model, and running what it calls."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.memory_tools import Scope
from agent.models.tool_schema import find_violation
from agent.tools import (
    ALL_TOOLS,
    DEFAULT_TOOLS,
    MEMORY_TOOLS,
    OPTIONAL_TOOLS,
    run_call,
    tool_specs,
)
from agent.window import MAX_STORED_RESULT_CHARS, clipped
from memory import blocks, core_memory
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent.harness import PERSON, call, use

LETTAS_NAMES = (
    "core_memory_append",
    "core_memory_replace",
    "memory_insert",
    "memory_replace",
    "memory_rethink",
    "archival_memory_insert",
    "archival_memory_search",
    "conversation_search",
)


def test_the_tools_have_lettas_names_in_a_steady_order() -> None:
    assert tuple(MEMORY_TOOLS) == LETTAS_NAMES
    assert tuple(spec.name for spec in tool_specs(tuple(MEMORY_TOOLS.values()))) == LETTAS_NAMES


def test_further_tools_are_known_by_name_and_not_offered_by_default() -> None:
    further = (
        *("memory", "memory_apply_patch", "memory_finish_edits", "memory_files"),
        *("tool_create", "tool_update"),
    )
    assert tuple(OPTIONAL_TOOLS) == further
    assert tuple(spec.name for spec in tool_specs(tuple(OPTIONAL_TOOLS.values()))) == further
    assert tuple(DEFAULT_TOOLS) == (*LETTAS_NAMES, "message_read")
    assert {**DEFAULT_TOOLS, **OPTIONAL_TOOLS} == ALL_TOOLS
    assert not DEFAULT_TOOLS.keys() & OPTIONAL_TOOLS.keys()


@pytest.mark.parametrize(
    ("tool", "required", "optional"),
    [
        ("core_memory_append", ["label", "content"], []),
        ("core_memory_replace", ["label", "old_content", "new_content"], []),
        ("memory_insert", ["label", "new_string"], ["insert_line"]),
        ("memory_replace", ["label", "old_string", "new_string"], []),
        ("memory_rethink", ["label", "new_memory"], []),
        ("archival_memory_insert", ["content"], ["tags"]),
        (
            "archival_memory_search",
            ["query"],
            ["tags", "tag_match_mode", "top_k", "start_datetime", "end_datetime"],
        ),
        ("conversation_search", [], ["query", "roles", "limit", "start_date", "end_date"]),
        (
            "memory",
            ["command"],
            [
                *("path", "file_text", "description", "old_string", "new_string"),
                *("insert_line", "insert_text", "old_path", "new_path"),
            ],
        ),
        ("memory_apply_patch", ["patch"], ["label"]),
        ("memory_finish_edits", [], []),
    ],
)
def test_the_arguments_are_lettas(tool: str, required: list[str], optional: list[str]) -> None:
    (spec,) = tool_specs([ALL_TOOLS[tool]])
    assert list(spec.parameters["properties"]) == required + optional
    assert spec.parameters.get("required", []) == required
    assert spec.parameters["additionalProperties"] is False
    assert "description" not in spec.parameters
    assert all(field["description"] for field in spec.parameters["properties"].values())


def test_a_schema_is_plain_json_without_titles() -> None:
    for spec in tool_specs(tuple(ALL_TOOLS.values())):
        text = json.dumps(dict(spec.parameters))
        assert json.loads(text) == spec.parameters
        assert '"title"' not in text
        assert "$ref" not in text
        assert '"null"' not in text


def test_a_null_for_what_may_be_left_out_is_taken(store: MemoryStore, agent: Agent) -> None:
    arguments = {"query": "tea", "tags": None, "top_k": 3, "start_datetime": None}
    (spec,) = tool_specs([MEMORY_TOOLS["archival_memory_search"]])
    assert find_violation(arguments, dict(spec.parameters)) is None
    assert use(store, agent, "archival_memory_search", **arguments) == "No results found."


def test_an_unknown_tool_is_answered_with_those_that_exist(
    store: MemoryStore, agent: Agent
) -> None:
    result = use(store, agent, "send_message", message="Hello.")
    assert result == f"Error: there is no tool 'send_message'; use {', '.join(ALL_TOOLS)}"


def test_an_endless_name_of_a_tool_is_not_repeated(store: MemoryStore, agent: Agent) -> None:
    assert len(use(store, agent, "x" * 100_000)) < 500


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "label: Field required; content: Field required"),
        ({"label": "human", "content": None}, "content: Input should be a valid string"),
        ({"label": "human", "content": ["a"]}, "content: Input should be a valid string"),
        ({"label": "human", "content": "a", "text": "b"}, "text: Extra inputs are not permitted"),
        ({"label": "human", "content": "a", "\0": "b"}, "\\x00: Extra inputs are not permitted"),
    ],
)
def test_wrong_arguments_are_named_with_those_the_tool_takes(
    store: MemoryStore, agent: Agent, arguments: dict[str, object], told: str
) -> None:
    result = use(store, agent, "core_memory_append", **arguments)
    assert result == f"Error: {told}; core_memory_append takes label, content"


def test_a_number_passes_for_a_text(store: MemoryStore, agent: Agent) -> None:
    assert use(store, agent, "core_memory_append", label="human", content=42).endswith("\n42")


def test_a_result_longer_than_is_stored_says_what_is_missing(
    store: MemoryStore, agent: Agent
) -> None:
    long = "x" * 60_000
    with store.write(PERSON) as transaction:
        core_memory.configure_block(
            transaction, agent, "human", lambda b: blocks.configure(b, {"limit_chars": 90_000})
        )
        scope = Scope(store, transaction, agent, max_chars=200)
        result = run_call(scope, ALL_TOOLS, call("core_memory_append", label="human", content=long))
    shown, note = result.split("\n[")
    whole = f"Memory updated. Block human is now:\nName: Sam\n{long}"
    assert whole.startswith(shown)
    assert note == f"{len(whole) - len(shown)} more characters; ask for fewer results]"
    assert len(result) <= MAX_STORED_RESULT_CHARS


@given(st.text(), st.integers(60, 300))
def test_a_clipped_text_begins_as_the_whole_and_counts_what_is_missing(
    text: str, max_chars: int
) -> None:
    short = clipped(text * 5, max_chars)
    assert len(short) <= max_chars
    if len(text * 5) <= max_chars:
        assert short == text * 5
    else:
        kept, _, note = short.rpartition("\n[")
        assert (text * 5).startswith(kept)
        assert int(note.split()[0]) == len(text * 5) - len(kept)
