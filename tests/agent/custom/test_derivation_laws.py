"""Laws of derivation: whatever the source, there is a tool that models can use or a refusal."""

import ast
import json

from hypothesis import given
from hypothesis import strategies as st

from agent.custom.derive import derive_tool
from agent.models.tool_schema import find_violation, sanitise_schema
from memory.errors import InvalidValue
from tests.agent.custom.sources import STRUCTURES


def is_tool_or_refusal(source: str) -> None:
    try:
        derived = derive_tool(source)
    except InvalidValue as error:
        assert str(error)
        return
    sanitised = sanitise_schema(derived.name, derived.schema)
    for name, schema in derived.schema["properties"].items():
        if "default" in schema:
            assert find_violation(schema["default"], sanitised["properties"][name]) is None
    json.dumps(derived.schema, allow_nan=False)


@given(st.text(max_size=300))
def test_any_text_is_a_tool_or_a_clear_refusal(text: str) -> None:
    is_tool_or_refusal(text)
    is_tool_or_refusal(f'def f(x: {text}):\n    """D."""\n')
    is_tool_or_refusal(f'def f(x: str = {text}):\n    """D."""\n')
    is_tool_or_refusal(f"def f(x: str):\n    {text!r}\n")


WORDS = st.sampled_from(
    "int str list dict tuple Optional Union Literal Annotated Point Line Any None ... 'a' 1 -1 [ ]"
    " , | ( ) : = . \" * ** / \n 'x'".split(" ")
)


@given(st.lists(WORDS, max_size=25))
def test_whatever_words_make_a_hint_it_is_read_or_refused(words: list[str]) -> None:
    is_tool_or_refusal(f'{STRUCTURES}\ndef f(x: {" ".join(words)}):\n    """D."""\n')
    is_tool_or_refusal(f'{STRUCTURES}\ndef f(x: {"".join(words)}):\n    """D."""\n')


hints = st.recursive(
    st.sampled_from(["int", "str", "bool", "float", "None", "Any", "Point", "Literal['a', 2]"]),
    lambda inner: st.one_of(
        inner.map("list[{}]".format),
        inner.map("dict[str, {}]".format),
        inner.map("Optional[{}]".format),
        inner.map("Annotated[{}, 'Said.']".format),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} | {two[1]}"),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: f"tuple[{', '.join(some)}]"),
    ),
    max_leaves=8,
)


@given(hints)
def test_a_well_formed_hint_becomes_a_schema_that_endpoints_and_grammars_take(hint: str) -> None:
    ast.parse(hint)
    is_tool_or_refusal(f'{STRUCTURES}\ndef f(x: {hint}):\n    """D."""\n')
