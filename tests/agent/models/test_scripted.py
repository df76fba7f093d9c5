from pathlib import Path

import pytest

from agent.errors import PromptTooLong
from agent.model import ChatMessage, ChatModel, Malformed, Parsed, Prompt, Reply, ToolCalls
from agent.models.llama import LlamaModel
from agent.models.scripted import ScriptedModel
from memory.records import ToolCall

CALL = ToolCalls((ToolCall("1", "note", {"content": "x"}),))


def asked(text: str) -> Prompt:
    return Prompt((ChatMessage("system", "Be kind."), ChatMessage("user", text)))


def test_both_models_are_chat_models(tmp_path: Path) -> None:
    models: list[ChatModel] = [ScriptedModel([]), LlamaModel(tmp_path)]  # mypy is the judge
    assert len(models) == 2


async def test_answers_come_in_order_and_prompts_are_kept() -> None:
    model = ScriptedModel([CALL, Reply("Done.")])
    first = await model.complete(asked("a"), 100)
    second = await model.complete(asked("b"), 100)
    assert (first.parsed, second.parsed) == (CALL, Reply("Done."))
    assert model.prompts == [asked("a"), asked("b")]


async def test_a_function_may_answer() -> None:
    def echo(prompt: Prompt) -> Parsed:
        return Reply(prompt.messages[-1].content)

    assert (await ScriptedModel(echo).complete(asked("a"), 100)).parsed == Reply("a")


async def test_a_script_that_ends_too_early_says_so() -> None:
    with pytest.raises(LookupError, match="holds 0 answers"):
        await ScriptedModel([]).complete(asked("a"), 100)


async def test_the_prompt_is_as_long_as_measure_adds_up() -> None:
    model = ScriptedModel([Reply("ok")])
    measure = await model.measure("Be kind.", (), ["four", "fives", ""])
    completion = await model.complete(asked("fives"), 100)
    assert measure.text_tokens == (1, 2, 0)
    assert completion.prompt_tokens == (
        measure.head_tokens + measure.text_tokens[1] + measure.message_tokens
    )


async def test_a_prompt_too_long_is_refused_with_both_numbers() -> None:
    model = ScriptedModel([Reply("ok")], context_tokens=100)
    with pytest.raises(PromptTooLong) as caught:
        await model.complete(asked("x" * 400), 30)
    assert caught.value.prompt_tokens > 100
    assert caught.value.limit_tokens == 70
    assert model.prompts == []
    assert (await model.describe()).context_tokens == 100


async def test_an_answer_beyond_max_tokens_is_cut_like_a_real_one() -> None:
    completion = await ScriptedModel([Reply("x" * 100)]).complete(asked("a"), 10)
    assert isinstance(completion.parsed, Malformed)
    assert completion.completion_tokens == 10
