"""Templates: the same agent in three formats, and what is no template."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.agent_models import Create, NewBlock
from server.templates import (
    SUFFIXES,
    AgentTemplate,
    BadTemplate,
    fill,
    parse_template,
    read_template,
    template_text,
)
from server.toml_text import to_toml
from tests.memory.given import texts

lines = st.text(st.sampled_from(list("ab \t\n\r\"'\\+#=[]\x00\x1f\x7f\u0085\u2028é")), max_size=12)
words = texts(0) | lines
values = st.recursive(
    words | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
blocks = st.builds(NewBlock, label=words, value=words, description=words, read_only=st.booleans())
templates = st.builds(
    AgentTemplate,
    name=st.none() | words,
    description=words,
    system=words,
    tags=st.lists(words, max_size=3),
    blocks=st.none() | st.lists(blocks, max_size=3),
    settings=st.dictionaries(words, values, max_size=3),
    metadata=st.dictionaries(words, values, max_size=3),
)


@given(st.dictionaries(words, values, max_size=5))
def test_what_is_written_as_toml_is_read_back(document: dict[str, Any]) -> None:
    text = to_toml(document)
    assert tomllib.loads(text) == document


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(template=templates)
def test_a_template_is_the_same_after_a_trip_through_a_file(
    suffix: str, template: AgentTemplate
) -> None:
    assert parse_template(template_text(template, suffix), suffix) == template


def test_long_texts_stand_in_lines_that_people_can_edit() -> None:
    block = NewBlock(label="persona", value="I am Sam.\nI sail.")
    text = template_text(AgentTemplate(name="Sam", blocks=[block]), ".toml")
    assert text == (
        'name = "Sam"\n\n[[blocks]]\nlabel = "persona"\nvalue = """\nI am Sam.\nI sail."""\n'
    )


def test_a_markdown_file_holds_the_instructions_as_its_text() -> None:
    text = '+++\nname = "Sam"\ntags = ["sea"]\n+++\nYou are *Sam*.\n\nBe brief.\n'
    template = parse_template(text, ".md")
    assert (template.name, template.tags) == ("Sam", ["sea"])
    assert template.system == "You are *Sam*.\n\nBe brief."
    assert parse_template(text.replace("\n", "\r\n"), ".md").tags == ["sea"]


def test_null_cannot_be_written_in_toml() -> None:
    template = AgentTemplate(metadata={"list": [None]})
    with pytest.raises(BadTemplate, match=r"None cannot be written in TOML; .* as \.json"):
        template_text(template, ".toml")
    assert json.loads(template_text(template, ".json")) == {"metadata": {"list": [None]}}


def test_what_is_given_wins_and_settings_are_merged() -> None:
    template = AgentTemplate(
        name="Template", description="Sails.", tags=["sea"], settings={"max_steps": 3, "a": 1}
    )
    wanted = fill(Create(name="Sam", tags=["land"], settings={"max_steps": 5}), template)
    assert (wanted.name, wanted.description, wanted.tags) == ("Sam", "Sails.", ["land"])
    assert wanted.settings == {"max_steps": 5, "a": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"name = ", "is no template"),
        ("a.toml", b"nmae = 'Sam'", "'nmae' is no field of it .fields: name, description"),
        ("a.toml", b"[[blocks]]\nvalue = 'x'", "'blocks.0.label': Field required"),
        ("a.json", b"[1]", "is no template"),
        ("a.json", b"[" * 100_000, "is no template"),
        ("a.json", b"\xff", "is no template"),
        ("a.md", b"# Sam", "it does not begin with TOML"),
        ("a.yaml", b"", r"its name ends in none of \.toml, \.json, \.md"),
        ("a.toml", b" " * 6_000_001, "more than 6000000 bytes"),
    ],
)
def test_a_file_that_is_no_template_is_named_with_what_is_wrong(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadTemplate, match=message) as caught:
        read_template(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadTemplate, match=r"nowhere\.toml cannot be read: No such file"):
        read_template(tmp_path / "nowhere.toml")
