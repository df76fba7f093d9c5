"""A network that never learnt anything, held to a grammar: its calls are whole and valid, always.

Small by default; MNEMON_TORTURE=1 (`make torture`) asks for a thousand calls.
"""

import os
import random
from collections.abc import Iterator

import pytest

from agent.model import Prompt, ToolCalls, ToolSpec
from agent.models.decoding import Decoder, Grammar, LimitTooSmall, Sampler
from agent.models.engine import Engine, EngineSettings
from agent.models.formats.call_format import Markers
from agent.models.formats.table import FORMATS
from agent.models.parse import read_output
from agent.models.tool_grammar import output_grammar
from agent.models.transcript import CallStyle
from benchmarks.random_model import Shape, write_model

CALLS = 1000 if "MNEMON_TORTURE" in os.environ else 60
SHAPE = Shape(dim=64, layers=2, heads=2, kv_heads=1, ffn=96, vocabulary=1500, context=2048)


def tool(name: str, required: tuple[str, ...] = (), **properties: dict[str, object]) -> ToolSpec:
    members = {**{each: {"type": "string"} for each in required}, **properties}
    return ToolSpec(name, "d", {"type": "object", "properties": members, "required": [*required]})


# Bounded: a number without bounds may be written that no float holds, which is refused.
X = {"type": "number", "minimum": -1000, "maximum": 1000}
POINT = {"type": "object", "properties": {"x": X, "y": {"type": "boolean"}}}
ODD: dict[str, dict[str, object]] = {
    "long": {"type": "string", "minLength": 40},
    "choice": {"enum": ["alpha", "beta", "be"]},
    "points": {"type": "array", "items": {**POINT, "required": ["x", "y"]}, "minItems": 2},
    "count": {"type": ["integer", "null"], "minimum": 3, "maximum": 1000},
}
NOTE = tool("note", ("text",))
REPLACE = tool("replace", ("label", "old", "new"), count={"type": "integer"})
SETS = {
    "one": (NOTE,),
    "several": (REPLACE, NOTE, tool("look", (), query={"type": "string"})),
    "odd": (ToolSpec("odd", "d", {"type": "object", "properties": ODD, "required": [*ODD]}),),
    "many": tuple(tool(f"tool_{n}_of_30", ("a", "b", "c")) for n in range(30)),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path = write_model(tmp_path_factory.mktemp("model") / "m.gguf", SHAPE)
    return Engine(path, EngineSettings(2048, 1), lambda: False)


@pytest.fixture(scope="module")
def decoder(engine: Engine) -> Decoder:
    return Decoder(engine, Sampler(temperature=1.5, seed=5))


def markers(engine: Engine, special: bool) -> Markers:
    """As special tokens, which this vocabulary has, or as text."""
    if not special:
        return Markers()
    texts = ("<tool_call>", "</tool_call>")
    return Markers({text: engine.tokenize(text, special=True)[0] for text in texts})


def forms(engine: Engine, decoder: Decoder) -> Iterator[tuple[Prompt, CallStyle, Grammar]]:
    """Every set of tools in every style, where a call must be made."""
    for name, tools in SETS.items():
        prompt = Prompt((), tools, may_reply=False)
        for style in FORMATS:
            if (name, style) == ("odd", "gemma"):
                continue  # no short way through its long text is found: there a call may be cut
            special = style in ("hermes", "qwen")  # whose markers this vocabulary has
            source = output_grammar(prompt, style, markers(engine, special))
            yield prompt, style, decoder.compile(source)


def test_calls_are_whole_and_valid_from_the_smallest_limit_upwards(
    engine: Engine, decoder: Decoder
) -> None:
    chance = random.Random(7)  # noqa: S311 - a test
    asked = list(forms(engine, decoder))
    made = 0
    while made < CALLS:
        prompt, style, grammar = asked[made % len(asked)]
        assert grammar.shortest is not None
        limit = len(grammar.shortest) + chance.choice((0, 1, 2, 3, 5, 8, 20, 60))
        engine.prefill([chance.randrange(1400) for _ in range(8)])

        output = decoder.generate(grammar, limit)

        assert output.tokens <= limit
        parsed = read_output(output.text, output.cut, prompt, style)
        assert isinstance(parsed, ToolCalls), (output, parsed)
        made += 1


def test_a_limit_that_no_call_fits_is_refused_before_anything_is_computed(
    engine: Engine, decoder: Decoder
) -> None:
    for _, _, grammar in forms(engine, decoder):
        held = list(engine.held)
        with pytest.raises(LimitTooSmall) as caught:
            decoder.generate(grammar, 4)
        assert grammar.shortest is not None
        assert caught.value.needed == len(grammar.shortest)
        assert list(engine.held) == held


def test_a_call_the_limit_completed_with_what_nobody_chose_is_marked(
    engine: Engine, decoder: Decoder
) -> None:
    prompt = Prompt((), SETS["several"], may_reply=False)
    grammar = decoder.compile(output_grammar(prompt, "json", Markers()))
    assert grammar.shortest is not None
    engine.prefill([1, 2, 3])
    assert decoder.generate(grammar, len(grammar.shortest)).invented


def test_closing_only_ends_what_is_open(engine: Engine, decoder: Decoder) -> None:
    prompt = Prompt((), SETS["one"], may_reply=False)
    grammar = decoder.compile(output_grammar(prompt, "json", Markers()))
    endings = 0
    for start in range(12):
        engine.prefill([start, 2, 3])
        output = decoder.generate(grammar, 40)
        if output.cut and not output.invented:
            endings += 1
            assert output.text.startswith('{"name": "note", "arguments": {"text": "')
            assert output.text.endswith('"}}')
    assert endings > 0
