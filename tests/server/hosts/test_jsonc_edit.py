"""Editing one entry: the rest of the text stays, and taking it out again leaves no trace."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.hosts.jsonc import JsoncError, parse
from server.hosts.jsonc_edit import has_section, is_bare, read_entry, remove_entry, set_entry
from tests.server.hosts.given import configurations, jsonc_texts

ENTRY = {"command": "/opt/mnemon/bin/mnemon", "args": ["mcp", "--data", "/home/ada/ü"]}


def with_entry(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "mcpServers": {**value.get("mcpServers", {}), "mnemon": ENTRY}}


def value_of(text: str) -> Any:
    document = parse(text)
    assert document.root is not None
    return document.value(document.root)


@given(configurations(), st.sampled_from([None, 1, 4, "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_an_entry_is_added_to_any_json_and_taking_it_out_gives_the_text_back(
    value: dict[str, Any], indent: int | str | None, newline: str
) -> None:
    text = json.dumps(value, indent=indent).replace("\n", newline)

    after = set_entry(text, "mcpServers", "mnemon", ENTRY)

    assert json.loads(after) == with_entry(value)
    assert list(json.loads(after)) == list(with_entry(value))
    had_section = has_section(text, "mcpServers")
    assert remove_entry(after, "mcpServers", "mnemon", with_section=not had_section) == text


@given(jsonc_texts(configurations()))
def test_comments_stay_when_an_entry_comes_and_goes(given: tuple[str, Any, list[str]]) -> None:
    text, value, comments = given

    after = set_entry(text, "mcpServers", "mnemon", ENTRY)

    assert value_of(after) == with_entry(value)
    assert all(comment in after for comment in comments)
    assert read_entry(after, "mcpServers", "mnemon") == ENTRY

    without = remove_entry(after, "mcpServers", "mnemon", with_section="mcpServers" not in value)

    assert value_of(without) == value
    assert all(comment in without for comment in comments)


@given(jsonc_texts(configurations()))
def test_an_entry_is_replaced_in_place(given: tuple[str, Any, list[str]]) -> None:
    text, value, comments = given
    once = set_entry(text, "mcpServers", "mnemon", {"command": "another"})
    after = set_entry(once, "mcpServers", "mnemon", ENTRY)
    assert value_of(after) == with_entry(value)
    assert all(comment in after for comment in comments)
    assert set_entry(after, "mcpServers", "mnemon", ENTRY) == after


@given(jsonc_texts(configurations()), st.data())
def test_any_entry_can_be_removed_from_any_place(
    given: tuple[str, Any, list[str]], data: st.DataObject
) -> None:
    text, value, _ = given
    servers = value.get("mcpServers", {})
    if servers:
        name = data.draw(st.sampled_from(sorted(servers)))
        after = remove_entry(text, "mcpServers", name, with_section=False)
        del servers[name]
        assert value_of(after) == value


ZED = """\
// Settings of Zed
{
    "theme": "One Dark", // at night
    "context_servers": {
        "files": {
            "command": "files",
        }, // mine
        // more to come
    },
    /* the end */
}
"""

ZED_WITH_MNEMON = """\
// Settings of Zed
{
    "theme": "One Dark", // at night
    "context_servers": {
        "files": {
            "command": "files",
        }, // mine
        // more to come
        "mnemon": {
            "command": "mnemon"
        },
    },
    /* the end */
}
"""


def test_an_entry_looks_as_if_written_by_hand() -> None:
    after = set_entry(ZED, "context_servers", "mnemon", {"command": "mnemon"})
    assert after == ZED_WITH_MNEMON
    assert remove_entry(after, "context_servers", "mnemon", with_section=False) == ZED


@pytest.mark.parametrize("text", ["", "  \n", "{}", "{ }", "\ufeff{}\n"], ids=repr)
def test_in_an_empty_file_the_entry_is_laid_out_over_lines(text: str) -> None:
    after = set_entry(text, "servers", "mnemon", {"command": "m"})
    assert '{\n  "servers": {\n    "mnemon": {\n      "command": "m"\n    }\n  }\n}' in after
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    assert is_bare(remove_entry(after, "servers", "mnemon", with_section=True))


def test_a_section_that_someone_else_uses_or_commented_on_stays() -> None:
    text = '{"servers": {"mnemon": {} /* mine */}}'
    assert (
        remove_entry(text, "servers", "mnemon", with_section=True) == '{"servers": { /* mine */}}'
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1]", "not an object in braces at line 1, column 1"),
        ('{\n"servers": null}', "servers is not an object at line 2, column 12"),
    ],
)
def test_a_text_without_a_place_for_the_entry_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(JsoncError) as caught:
        set_entry(text, "servers", "mnemon", {})
    assert str(caught.value) == complaint
