"""What of a prompt is computed again: one agent, several, after a restart, after damage."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import ChatMessage, Completion, Prompt, Reply
from agent.models.context_size import MIN_CONTEXT_TOKENS
from agent.models.engine import Engine, EngineSettings
from agent.models.llama import LlamaModel, LlamaOptions
from agent.models.prefixes import Prefixes
from agent.models.state_files import StateFiles
from benchmarks.random_model import Shape, write_model

SMALL = Shape(dim=64, layers=3, heads=2, kv_heads=1, ffn=96, vocabulary=1500, context=2048)
SYSTEM = "You are a helpful agent with memory.\n<memory_blocks>\n<persona>\nI am Sam.\n</persona>\n"
FEW = 24  # tokens: a new message, its markers, and the last token, which is always computed


def of(agent: str, *said: str, start: str = "") -> Prompt:
    """A prompt of an agent that said and heard these, its own text first."""
    roles = ("user", "assistant")
    history = (ChatMessage(roles[n % 2], text) for n, text in enumerate(said))  # type: ignore[arg-type]
    system = ChatMessage("system", SYSTEM + (start or agent) * 20)
    return Prompt((system, *history), agent_id=agent)


def options(directory: Path | None, limit_bytes: int = 100_000_000) -> LlamaOptions:
    return LlamaOptions(state_directory=directory, state_limit_bytes=limit_bytes)


def computed(completion: Completion) -> int:
    return completion.prompt_tokens - completion.cached_tokens


def inside(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


async def ask(model: LlamaModel, prompt: Prompt) -> Completion:
    return await model.complete(prompt, 12)


@pytest.fixture
async def model(model_path: Path) -> AsyncIterator[LlamaModel]:
    async with LlamaModel(model_path, threads=1) as model:
        yield model


async def test_only_what_is_new_of_a_prompt_is_computed(model: LlamaModel) -> None:
    first = await ask(model, of("ada", "Hello"))
    again = await ask(model, of("ada", "Hello"))
    longer = await ask(model, of("ada", "Hello", "Hello! How can I help?", "ok"))

    assert first.cached_tokens == 0
    assert again.cached_tokens == again.prompt_tokens - 1
    assert longer.cached_tokens > first.prompt_tokens  # what the model wrote is not computed again
    assert computed(longer) <= FEW


async def test_an_agent_finds_its_prompt_computed_after_others_had_the_model(
    model: LlamaModel,
) -> None:
    agents = ("ada", "bob", "cyd")
    first = [await ask(model, of(agent, "Hello")) for agent in agents]
    again = [await ask(model, of(agent, "Hello", "Hello!", "ok")) for agent in agents]

    for before, after in zip(first, again, strict=True):
        assert computed(before) > FEW
        assert computed(after) <= FEW


async def test_agents_that_begin_alike_share_the_beginning(model: LlamaModel) -> None:
    await ask(model, of("ada", "Hello", start="the same text "))
    other = await ask(model, of("bob", "Hi", start="the same text "))
    assert computed(other) <= FEW


async def test_answers_are_the_same_whoever_had_the_model_before(model_path: Path) -> None:
    prompts = [
        of("ada", "Hello"),
        of("bob", "My dog is named Quokka."),
        of("ada", "Hello", "Hello! How can I help?", "My name is Ada."),
        of("bob", "My dog is named Quokka.", "Got it.", "Hello"),
        of("", "Hello"),
        of("ada", "Hello", "Hello! How can I help?", "My name is Ada.", "Got it.", "Hi"),
    ]
    async with LlamaModel(model_path, threads=1) as model:
        shared = [(await ask(model, prompt)).parsed for prompt in prompts]
    for prompt, answer in zip(prompts, shared, strict=True):
        async with LlamaModel(model_path, threads=1) as alone:
            assert (await ask(alone, prompt)).parsed == answer


async def test_a_prompt_of_nobody_takes_no_agents_place_for_good(model: LlamaModel) -> None:
    await ask(model, of("ada", "Hello"))
    await ask(model, of("", "Summarise this."))
    assert computed(await ask(model, of("ada", "Hello", "Hello!", "ok"))) <= FEW


async def test_after_a_restart_an_agents_prompt_is_there(model_path: Path, tmp_path: Path) -> None:
    directory = tmp_path / "kv-cache"
    for agent in ("ada", "bob"):  # bob last, so that one was put away and one is in the context
        async with LlamaModel(model_path, threads=1, options=options(directory)) as model:
            await ask(model, of("ada", "Hello"))
            await ask(model, of(agent, "Hello"))
    async with LlamaModel(model_path, threads=1, options=options(directory)) as model:
        for agent in ("ada", "bob"):
            warm = await ask(model, of(agent, "Hello", "Hello! How can I help?", "ok"))
            assert computed(warm) <= FEW
    assert {path.suffix for path in inside(directory)} == {".kv"}


@pytest.mark.parametrize("kept_where", [None, 0])
async def test_without_a_directory_or_room_nothing_is_written(
    model_path: Path, tmp_path: Path, kept_where: int | None
) -> None:
    nowhere = options(None) if kept_where is None else options(tmp_path / "kv", kept_where)
    for _ in range(2):
        async with LlamaModel(model_path, threads=1, options=nowhere) as model:
            assert (await ask(model, of("ada", "Hello"))).cached_tokens == 0
    assert inside(tmp_path) == []


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_short, changed, emptied])
async def test_a_damaged_file_costs_a_computation_and_no_more(
    model_path: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with LlamaModel(model_path, threads=1, options=options(tmp_path)) as model:
        await ask(model, of("ada", "Hello"))
    (path,) = inside(tmp_path)
    damage(path)
    async with LlamaModel(model_path, threads=1, options=options(tmp_path)) as model:
        completion = await ask(model, of("ada", "Hello"))
        assert completion.parsed == Reply("Hello! How can I help?")
        assert completion.cached_tokens == 0
        pid = model.worker_pid
        assert (await ask(model, of("ada", "Hello"))).cached_tokens > 0
        assert model.worker_pid == pid


async def test_a_state_of_a_model_whose_file_changed_is_not_used(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.gguf"
    write_model(path, SMALL)
    directory = tmp_path / "kv"
    async with LlamaModel(path, threads=1, options=options(directory)) as model:
        await ask(model, of("ada", "Hello"))
    write_model(path, SMALL, seed=1)
    async with LlamaModel(path, threads=1, options=options(directory)) as model:
        assert (await ask(model, of("ada", "Hello"))).cached_tokens == 0


async def test_a_forgotten_agent_leaves_nothing(model_path: Path, tmp_path: Path) -> None:
    async with LlamaModel(model_path, threads=1, options=options(tmp_path)) as model:
        await ask(model, of("ada", "Hello"))
        await ask(model, of("bob", "Hello"))
        await model.forget("ada")
        await model.forget("bob")
        assert (await ask(model, of("ada", "Hello"))).cached_tokens < FEW * 2
        await model.forget("ada")
    assert inside(tmp_path) == []


def engine_on(path: Path) -> Engine:
    return Engine(path, EngineSettings(1024, 1), lambda: False)


def seeded(seed: int, count: int = 300) -> list[int]:
    return [(seed * 7919 + n * 104_729) % 1400 for n in range(count)]


def test_states_that_memory_has_no_room_for_go_to_disk(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf", SMALL)
    engine = engine_on(path)
    files = StateFiles(tmp_path / "kv", 100_000_000, "m")
    prefixes = Prefixes(engine, files, limit_bytes=0)
    for seed in (1, 2, 3):
        prefixes.prefill(str(seed), seeded(seed), room=1000)
    _, cached = prefixes.prefill("1", [*seeded(1), 5, 6], room=1000)
    assert cached == 300


def test_the_least_used_state_in_memory_goes_first(tmp_path: Path) -> None:
    engine = engine_on(write_model(tmp_path / "m.gguf", SMALL))
    Prefixes(engine, None, 10**9).prefill("x", seeded(9), room=1000)
    prefixes = Prefixes(engine, None, limit_bytes=int(2.5 * engine.state_bytes()))
    for agent in (1, 2, 3, 4):
        prefixes.prefill(str(agent), seeded(agent), room=1000)
    cached = {n: prefixes.prefill(str(n), seeded(n), room=1000)[1] for n in (4, 3, 1)}
    assert cached == {4: 299, 3: 299, 1: 0}


def test_tokens_as_the_model_wrote_them_stand_for_the_same_text_cut_otherwise(
    tmp_path: Path,
) -> None:
    engine = engine_on(write_model(tmp_path / "m.gguf", SMALL))
    prefixes = Prefixes(engine, None, 10**9)
    text = "Hello, my dog is named Quokka and I remember that."
    usual = engine.tokenize(text, special=False)
    letters = [token for c in text for token in engine.tokenize(c, special=False)]
    assert len(letters) > len(usual)
    (end,) = engine.tokenize("<|im_end|>", special=True)
    head = seeded(1, 50)

    prefixes.prefill("ada", [*head, *letters], room=1000)
    assert prefixes.prefill("ada", [*head, *usual, end, 7], room=1000) == (
        50 + len(letters) + 2,
        50 + len(letters),
    )
    # Where that would be too long, the usual tokens are computed.
    fits = 50 + len(usual) + 2
    assert prefixes.prefill("ada", [*head, *usual, end, 7], room=fits)[0] == fits


@pytest.mark.parametrize(
    "shape",
    [SMALL, replace(SMALL, layers=6, window=32), replace(SMALL, recurrent=True)],
    ids=["whole attention", "sliding window", "recurrent"],
)
def test_a_state_put_back_computes_what_it_would_have(tmp_path: Path, shape: Shape) -> None:
    engine = engine_on(write_model(tmp_path / "m.gguf", shape))
    prefixes = Prefixes(engine, StateFiles(tmp_path / "kv", 10**8, "m"), 10**9)
    prompt, longer = seeded(1), [*seeded(1), *seeded(2, 10)]
    prefixes.prefill("ada", prompt, room=1000)
    prefixes.prefill("ada", longer, room=1000)
    expected = engine.logits().copy()

    prefixes.prefill("bob", seeded(3), room=1000)
    prefixes.prefill("ada", prompt[:-20], room=1000)
    prefixes.prefill("ada", prompt, room=1000)
    prefixes.prefill("bob", seeded(4), room=1000)
    _, cached = prefixes.prefill("ada", longer, room=1000)
    assert cached == 300
    assert abs(engine.logits() - expected).max() < 0.2  # batches round otherwise


def test_a_recurrent_model_computes_all_of_a_prompt_that_does_not_go_on(tmp_path: Path) -> None:
    engine = engine_on(write_model(tmp_path / "m.gguf", replace(SMALL, recurrent=True)))
    prefixes = Prefixes(engine, None, 10**9)
    prefixes.prefill("ada", seeded(1), room=1000)
    expected = engine.logits().copy()

    assert prefixes.prefill("ada", [*seeded(1), 5], room=1000)[1] == 300
    assert prefixes.prefill("ada", seeded(1), room=1000)[1] == 0
    assert (engine.logits() == expected).all()


pieces = st.sampled_from(["Hello", " Ada", "dog", "\n", "<", "é", "🙂", " is", "."])


@given(
    common=st.lists(pieces, max_size=6).map("".join),
    left=st.lists(pieces, max_size=4).map("".join),
    right=st.lists(pieces, max_size=4).map("".join),
)
def test_aligned_parts_are_the_same_text(
    small_engine: Engine, common: str, left: str, right: str
) -> None:
    vocabulary = small_engine.vocabulary
    held = [t for c in common for t in small_engine.tokenize(c, special=False)]
    held += small_engine.tokenize(left, special=False)
    tokens = small_engine.tokenize(common + right, special=False)

    i, j = vocabulary.align(held, tokens)
    same = b"".join(vocabulary.pieces[t] for t in held[:i])
    assert same == b"".join(vocabulary.pieces[t] for t in tokens[:j])
    if left == right:
        assert (i, j) == (len(held), len(tokens))
    assert vocabulary.align(tokens, tokens) == (len(tokens), len(tokens))


@pytest.fixture(scope="module")
def small_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_on(write_model(tmp_path_factory.mktemp("model") / "m.gguf", SMALL))


def test_a_model_in_parts_is_one_model(tmp_path: Path) -> None:
    whole = engine_on(write_model(tmp_path / "whole.gguf", SMALL))
    parts = engine_on(write_model(tmp_path / "m.gguf", SMALL, parts=3))
    for engine in (whole, parts):
        engine.prefill(seeded(1))
    assert (whole.logits() == parts.logits()).all()
    assert parts.context_tokens > MIN_CONTEXT_TOKENS
