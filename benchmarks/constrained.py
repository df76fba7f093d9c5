"""What does a token cost that is held to a grammar, and are calls whole?

Question 1: seconds per computed token of tool calls, with 1, 10, 30 and 100 tools of three required
texts each, at a vocabulary of 151,936 pieces, against free generation (likeliest token, same
network, same place in the window). Goal with 30 tools: 1.3 times. All kinds take turns. Texts are
short (24 characters at most), so that about half of a call is structure, which this network never
writes by itself: there the whole set of allowed tokens is needed. The network is tiny, so that the
vocabulary is what costs; with a real one the share of the grammar is far smaller. Compiling a
grammar, once for each set of tools, is given beside it.

Question 2: of 1,000 calls by a network that never learnt anything, with limits from the smallest
that a call fits upwards, how many are whole and valid for their schema? `completed_by_limit` are
those of them that the limit completed with what nobody chose; the server refuses these.

The networks are random, made with a fixed seed in a temporary directory. Prints one JSON line;
progress goes to stderr.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agent.model import Prompt, ToolCalls, ToolSpec
from agent.models.decoding import Decoder, Grammar, Sampler
from agent.models.engine import Engine, EngineSettings
from agent.models.formats.call_format import Markers
from agent.models.parse import read_output
from agent.models.tool_grammar import output_grammar
from agent.models.transcript import CallStyle
from benchmarks.random_model import SEED, Shape, write_model
from benchmarks.report import Report, print_line, quartiles, say

LARGE = Shape(dim=64, layers=2, heads=2, kv_heads=2, ffn=128, vocabulary=151_936, context=4096)
SMALL = Shape(dim=64, layers=2, heads=2, kv_heads=1, ffn=96, vocabulary=2_000, context=4096)
TOOL_COUNTS = (1, 10, 30, 100)
GOALS = {"cost": {"cpu_ratio": {"tools_30": 1.3}, "wall_ratio": {"tools_30": 1.3}}}
PROMPT_TOKENS = 64


def tools(count: int) -> tuple[ToolSpec, ...]:
    """Tools of three required strings each."""
    text = {"type": "string", "maxLength": 24}
    schema = {
        "type": "object",
        "properties": {"label": text, "content": text, "reason": text},
        "required": ["label", "content", "reason"],
    }
    return tuple(ToolSpec(f"memory_tool_{n}", "Does something.", schema) for n in range(count))


def markers(engine: Engine) -> Markers:
    """The special tokens around a call."""
    texts = ("<tool_call>", "</tool_call>")
    return Markers({text: engine.tokenize(text, special=True)[0] for text in texts})


def free(engine: Engine, count: int) -> None:
    """Generate the likeliest tokens, as the decoder would without a grammar."""
    text = ""
    for _ in range(count):
        token = int(np.argmax(engine.logits()))
        text += engine.vocabulary.pieces[token].decode("utf-8", "replace")
        engine.advance([token])


def call(decoder: Decoder, grammar: Grammar, limit: int) -> None:
    """Generate a call that ends before the limit."""
    if decoder.generate(grammar, limit).cut:
        raise SystemExit("a call did not end by itself; raise --limit")


def timed(engine: Engine, work: Callable[[], None], start: int) -> tuple[float, float]:
    """Seconds of wall and CPU per token of work, after a prompt."""
    engine.prefill([(start * 31 + n * 7919) % 150_000 for n in range(PROMPT_TOKENS)])
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = len(engine.held) - PROMPT_TOKENS
    return wall / count, cpu / count


def measure_cost(path: Path, rounds: int, limit: int) -> dict[str, Any]:
    """Free generation and all numbers of tools, taking turns."""
    engine = Engine(path, EngineSettings(4096, 1), lambda: False)
    decoder = Decoder(engine, Sampler(temperature=0.0, seed=0))
    works: dict[str, Callable[[], None]] = {"free": partial(free, engine, limit)}
    compiled = {}
    for count in TOOL_COUNTS:
        source = output_grammar(Prompt((), tools(count), may_reply=False), "json", Markers())
        started = time.perf_counter()
        grammar = decoder.compile(source)
        compiled[str(count)] = round(1000 * (time.perf_counter() - started), 1)
        works[f"tools_{count}"] = partial(call, decoder, grammar, limit)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            cost = timed(engine, work, number)
            if number > 0:
                taken[name].append(cost)
    walls = {name: [1000 * wall for wall, _ in costs] for name, costs in taken.items()}
    cpus = {name: [1000 * cpu for _, cpu in costs] for name, costs in taken.items()}
    return {
        "vocabulary": engine.vocabulary.size,
        "tokens_at_most": limit,
        "compile_ms": compiled,
        "wall_ms_per_token": {name: quartiles(values, 3) for name, values in walls.items()},
        "cpu_ms_per_token": {name: quartiles(values, 3) for name, values in cpus.items()},
        "cpu_ratio": {name: ratios(values, cpus["free"]) for name, values in cpus.items()},
        "wall_ratio": {name: ratios(values, walls["free"]) for name, values in walls.items()},
    }


def measure_calls(path: Path, calls: int) -> dict[str, Any]:
    """Calls of a raving network, near and at the smallest limit."""
    engine = Engine(path, EngineSettings(4096, 1), lambda: False)
    decoder = Decoder(engine, Sampler(temperature=1.5, seed=SEED))
    chance = random.Random(SEED)  # noqa: S311 - no secrets
    whole = completed = 0
    for number in range(calls):
        prompt = Prompt((), tools(chance.choice((1, 5, 30))), may_reply=False)
        style: CallStyle = chance.choice(("hermes", "json"))
        grammar = decoder.compile(output_grammar(prompt, style, markers(engine)))
        if grammar.shortest is None:
            raise SystemExit("no shortest call was found")
        limit = len(grammar.shortest) + chance.choice((0, 1, 2, 3, 5, 10, 30, 100))
        engine.prefill([chance.randrange(1900) for _ in range(PROMPT_TOKENS)])
        output = decoder.generate(grammar, limit)
        parsed = read_output(output.text, output.cut, prompt, style)
        whole += isinstance(parsed, ToolCalls) and output.tokens <= limit
        completed += output.invented
        if number % 100 == 0:
            say(f"call {number} of {calls}")
    return {"calls": calls, "whole_and_valid": whole, "completed_by_limit": completed}


def ratios(values: list[float], base: list[float]) -> dict[str, float]:
    """Each round's cost to that of free generation in the same round."""
    return quartiles([value / other for value, other in zip(values, base, strict=True)], 3)


def measure(rounds: int, limit: int, calls: int) -> dict[str, Any]:
    """Everything, in one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("making the networks")
        large = write_model(folder / "large.gguf", LARGE)
        small = write_model(folder / "small.gguf", SMALL)
        cost = measure_cost(large, rounds, limit)
        whole = measure_calls(small, calls)
    return {"cost": cost, "calls": whole}


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    figures = measure(options.rounds, options.limit, options.calls)
    packages = ("llama-cpp-python", "llguidance")
    print_line(Report("constrained", figures, vars(options), GOALS, SEED, packages))


if __name__ == "__main__":
    main()
