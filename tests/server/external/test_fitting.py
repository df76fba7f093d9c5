"""What other servers say of their tools, made fit for models: laws and odd cases."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.tool_schema import sanitise_schema
from memory.errors import InvalidValue
from server.external.listing import MAX_OFFERED_CHARS, changes, seen_tools
from server.external.references import check_values, filled, names_in, without
from server.external.results import result_text
from server.external.schemas import SchemaUnusable, fit_schema
from server.external.words import clean

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
words = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "allOf",
        "oneOf",
        "$ref",
        "enum",
        "const",
        "required",
        "additionalProperties",
        "description",
        "minimum",
        "maxLength",
        "$defs",
        "pattern",
    ]
)
schemas = st.recursive(
    st.sampled_from(["string", "object", "#", "#/$defs/a", "integer", 3, True]),
    lambda inner: st.dictionaries(words, inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=15,
)


@given(st.dictionaries(words, schemas, max_size=5))
def test_any_schema_is_fit_for_the_grammar_or_refused(sent: dict[str, Any]) -> None:
    try:
        fitted = fit_schema("tool", sent)
    except SchemaUnusable:
        return
    sanitise_schema("tool", fitted)
    assert "$ref" not in str(fitted) or "$ref" in str(sent.get("enum", sent))


def test_references_are_inlined_and_recursion_is_anything() -> None:
    sent = {
        "type": "object",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "properties": {"head": {"$ref": "#/$defs/node"}, "name": {"type": "string", "format": "x"}},
        "required": ["head", "gone"],
    }
    assert fit_schema("tool", sent) == {
        "type": "object",
        "properties": {
            "head": {"type": "object", "properties": {"next": {}}},
            "name": {"type": "string"},
        },
        "required": ["head"],
    }


def test_references_that_double_at_every_level_are_refused() -> None:
    sent: dict[str, Any] = {"$defs": {"d0": {"type": "string"}}, "type": "object"}
    for level in range(1, 12):
        ref = {"$ref": f"#/$defs/d{level - 1}"}
        sent["$defs"][f"d{level}"] = {
            "type": "object",
            "properties": dict.fromkeys("abcdefgh", ref),
        }
    sent["properties"] = {"x": {"$ref": "#/$defs/d11"}}
    with pytest.raises(SchemaUnusable, match="parts"):
        fit_schema("tool", sent)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"type": "array"}, "array"),
        ({"properties": {"a": {"type": "any"}}}, "any"),
        ({"properties": {"a": {"$ref": "https://example.com/x"}}}, "another document"),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, "lacks"),
        ({"properties": {"a\u202e": {}}}, "cannot be shown"),
        ({"properties": {"x": {"description": "x" * 200_000}}}, "bytes"),
        ({"properties": {f"p{i}": {"description": "x" * 300} for i in range(100)}}, "bytes"),
    ],
)
def test_what_cannot_be_offered_says_why(sent: dict[str, Any], why: str) -> None:
    (tool,) = seen_tools("web", [{"name": "a", "inputSchema": sent}])
    assert why in tool.unusable


@given(st.lists(st.text(max_size=90), max_size=12))
def test_every_tool_has_a_name_of_its_own_that_models_can_call(names: list[str]) -> None:
    tools = seen_tools("web", [{"name": name, "inputSchema": {}} for name in names])
    offered = [tool.offered.lower() for tool in tools]
    assert len(set(offered)) == len(offered)
    assert all(len(name) <= MAX_OFFERED_CHARS for name in offered)
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in offered)


@given(st.dictionaries(st.sampled_from(["content", "isError", "structuredContent"]), anything))
def test_any_result_becomes_text_that_can_be_stored(result: dict[str, Any]) -> None:
    text, _ = result_text(result, max_chars=100)
    assert text.encode()
    assert clean(text) == text
    assert len(text) < 200


def test_what_changed_between_two_listings_is_said() -> None:
    before = seen_tools("web", [{"name": "a"}, {"name": "b", "description": "x"}])
    after = seen_tools("web", [{"name": "b", "description": "y"}, {"name": "c"}])
    assert changes(before, after) == {"new": ["c"], "gone": ["a"], "changed": ["b"]}
    assert changes(after, after) == {"new": [], "gone": [], "changed": []}


def test_secrets_are_referred_to_and_filled_in_and_taken_out_again() -> None:
    values = {"Authorization": "Bearer $secret:ONE", "X-Both": "$secret:ONE/$secret:TWO"}
    check_values(values, "header")
    assert names_in(values) == ["ONE", "TWO"]
    secrets = {"ONE": "first-secret", "TWO": "\\1$secret:ONE"}
    assert filled(values, secrets)["X-Both"] == "first-secret/\\1$secret:ONE"
    said = {"a": ["it is first-secret", 1], "first-secret": None}
    assert without(said, secrets) == {"a": ["it is [secret ONE]", 1], "[secret ONE]": None}
    for name in ("Authorization", "api_key", "X-Api-Key", "GITHUB_TOKEN", "PASSWORD", "Cookie"):
        with pytest.raises(InvalidValue, match="looks like a secret"):
            check_values({name: "value"}, "header")
    check_values({"LOG_LEVEL": "debug", "MONKEY": "x"}, "variable")
