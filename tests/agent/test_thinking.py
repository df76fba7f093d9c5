"""One step's thinking: the prompt fits before the model is asked, by the model's own tokenizer."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.context import system_prompt
from agent.errors import ContextTooSmall, PromptTooLong
from agent.model import Completion, Malformed, OnText, Parsed, Prompt, Reply, ToolCalls
from agent.models.llama import LlamaModel
from agent.models.scripted import ScriptedModel
from agent.thinking import Thinker, checked
from memory.records import Block, Message, NewMessage, ToolCall
from tests.agent.histories import History, histories, state


class Refusing(ScriptedModel):
    """Counts how often a prompt was too long for it."""

    def __init__(self, context_tokens: int) -> None:
        super().__init__(lambda prompt: Reply("Yes."), context_tokens=context_tokens)
        self.asked = 0
        self.prompt_tokens = 0

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        self.asked += 1
        done = await super().complete(prompt, max_tokens, on_text)
        self.prompt_tokens = done.prompt_tokens
        return done


blocks = st.lists(
    st.builds(Block, st.from_regex("[a-z]{1,8}", fullmatch=True), st.text(max_size=300)),
    max_size=3,
    unique_by=lambda block: block.label,
)


@given(histories(), blocks, st.text(max_size=300), st.integers(2_048, 8_192))
def test_a_prompt_fits_before_the_model_is_asked(
    messages: list[Message], shown: Sequence[Block], question: str, context_tokens: int
) -> None:
    model = Refusing(context_tokens)
    given_state = state(messages, blocks=shown)
    new = [NewMessage("user", question)]
    try:
        thought = anyio.run(Thinker(model).think, given_state, new)
    except ContextTooSmall:  # known without asking
        assert model.asked == 0
        return
    assert model.asked == 1
    assert model.prompt_tokens <= thought.window.tokens <= context_tokens * 3 // 4 + 1
    system, *rest = model.prompts[0].messages
    assert system.content == system_prompt(given_state.agent, shown)
    assert rest[-1].content == question


@given(histories(), st.integers(2_048, 4_096))
def test_the_same_state_gives_the_same_prompt(messages: list[Message], context_tokens: int) -> None:
    model = Refusing(context_tokens)
    new = [NewMessage("user", "And now?")]
    first = anyio.run(Thinker(model).think, state(messages), new)
    second = anyio.run(Thinker(model).think, state(messages), new)
    assert model.prompts[0] == model.prompts[1]
    assert first == second


def test_instructions_and_blocks_that_fill_the_window_are_refused_with_both_numbers() -> None:
    huge = state(History().user().messages, blocks=[Block("human", "x" * 20_000, 20_000)])
    with pytest.raises(ContextTooSmall, match="shorten the blocks or the message") as caught:
        anyio.run(Thinker(Refusing(4_096)).think, huge, [NewMessage("user", "Hello.")])
    assert caught.value.needed_tokens > 5_000
    assert caught.value.budget_tokens == 3_072


async def test_a_real_tokenizer_never_counts_more_than_was_planned(model_file: Path) -> None:
    history = History()
    for size in (10, 200, 40):
        history.user(size).step(60, 5, 120).step(300).reply(size)
    async with LlamaModel(model_file, threads=1) as model:
        new = [NewMessage("user", 'Was it "tea"\nor <|im_start|> mate? 雨が降る 😀')]
        told = state(history.messages, blocks=[Block("human", "Name: Sam")])
        thought = await Thinker(model).think(told, new)
    assert len(thought.window.messages) > 1
    assert thought.prompt_tokens <= thought.window.tokens


class Fussy(ScriptedModel):
    """Finds every prompt of more than four messages one token too long."""

    def __init__(self) -> None:
        super().__init__(lambda prompt: Reply("Yes."))
        self.refused: list[int] = []

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        if len(prompt.messages) > 4:
            self.refused.append(len(prompt.messages))
            raise PromptTooLong(1_001, 1_000)
        return await super().complete(prompt, max_tokens, on_text)


async def test_each_time_a_prompt_is_too_long_the_next_one_is_shorter() -> None:
    history = History()
    for _ in range(6):
        history.user().step(10).reply()
    model = Fussy()
    thought = await Thinker(model).think(state(history.messages), [NewMessage("user", "Well?")])
    assert thought.answer == Reply("Yes.")
    assert model.refused == sorted(set(model.refused), reverse=True)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Reply(""), "it says nothing"),
        (Reply(" \n\t"), "it says nothing"),
        (ToolCalls(()), "it calls nothing"),
        (Reply("a\0"), "it holds a NUL character at position 1; remove it"),
        (ToolCalls((ToolCall("1", "x", {}),), "\ud800"), "it holds a lone surrogate (U+D800)"),
        (Malformed("{", "a call is not JSON"), "a call is not JSON"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(answer: Parsed, problem: str) -> None:
    found = checked(answer)
    assert isinstance(found, Malformed)
    assert found.problem.startswith(problem)


@pytest.mark.parametrize("answer", [Reply("Yes."), ToolCalls((ToolCall("1", "x", {}),))])
def test_an_answer_that_can_be_used_is_left_as_it_is(answer: Parsed) -> None:
    assert checked(answer) is answer
