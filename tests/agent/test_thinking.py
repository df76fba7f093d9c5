"""One step's thinking: the prompt fits before the model is asked, by the model's own tokenizer."""

from pathlib import Path

import pytest

from agent.compiling import Asked
from agent.errors import ContextTooSmall, InvalidReply, ModelCrashed, PromptTooLong
from agent.model import (
    ChatModel,
    Completion,
    Malformed,
    OnText,
    Parsed,
    Prompt,
    Reply,
    ToolCalls,
)
from agent.models.llama import LlamaModel
from agent.settings import AgentSettings
from agent.thinking import Costs, Thinker, Thought, checked
from agent.tool_rules import Permission
from agent.tools import MEMORY_TOOLS, tool_specs
from memory import recall
from memory.records import Agent, Block, MessageRole, NewMessage, ToolCall
from memory.store import MemoryStore
from tests.agent.harness import PERSON, add_block, stored_events
from tests.agent.prompts_seen import Watching

TOOLS = tool_specs(tuple(MEMORY_TOOLS.values()))
ANY = Permission(frozenset(MEMORY_TOOLS), may_reply=True)


def say(store: MemoryStore, agent: Agent, *said: NewMessage) -> None:
    with store.write(PERSON) as transaction:
        total = store.agent_state(agent.id).total_messages
        recall.append_messages(transaction, agent, "turn-1", total, list(said))


def turns(number: int, size: int = 40) -> list[NewMessage]:
    roles: tuple[MessageRole, ...] = ("user", "assistant")
    return [NewMessage(role, f"{i} ".ljust(size, ".")) for i in range(number) for role in roles]


def asked_for(store: MemoryStore, agent: Agent, message: str) -> Asked:
    state = store.agent_state(agent.id)
    return Asked(state, (NewMessage("user", message),), AgentSettings(), TOOLS)


async def think(
    store: MemoryStore, model: ChatModel, agent: Agent, message: str, costs: Costs | None = None
) -> Thought:
    asked = asked_for(store, agent, message)
    return await Thinker(store, model).think(asked, ANY, costs or Costs())


async def test_a_prompt_is_asked_once_and_is_no_longer_than_was_planned(
    store: MemoryStore, agent: Agent
) -> None:
    say(store, agent, *turns(10))
    model = Watching()
    thought = await think(store, model, agent, "Well?")
    assert model.asked == [thought.prompt]
    assert model.tokens == [thought.planned_tokens]
    assert thought.prompt.messages[-1].content == "Well?"


async def test_the_same_state_gives_the_same_prompt(store: MemoryStore, agent: Agent) -> None:
    say(store, agent, *turns(10))
    first, second = [await think(store, Watching(), agent, "Well?") for _ in range(2)]
    assert first == second


async def test_instructions_and_blocks_that_fill_the_window_are_refused_with_both_numbers(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("notes", "x" * 20_000, 20_000))
    model = Watching(context_tokens=4_096)
    with pytest.raises(ContextTooSmall, match="shorten the blocks or the message") as caught:
        await think(store, model, agent, "Hello.")
    assert caught.value.needed_tokens > 5_000
    assert caught.value.budget_tokens == 3_072
    assert caught.value.is_system_prompt
    assert model.asked == []


async def test_a_real_tokenizer_never_counts_more_than_was_planned(
    store: MemoryStore, agent: Agent, model_file: Path
) -> None:
    say(store, agent, *turns(3, 200))
    use = ToolCall("call-1", "archival_memory_search", {"query": '茶 "tea"'})
    say(
        store,
        agent,
        NewMessage("user", "Tea?"),
        NewMessage("assistant", "", (use,)),
        NewMessage("tool", "Nothing <|im_end|> found. " * 20, tool_call_id="call-1"),
        NewMessage("assistant", "No tea."),
    )
    async with LlamaModel(model_file, threads=1) as model:
        question = 'Was it "tea"\nor <|im_start|> mate? 雨が降る 😀'
        costs = Costs()
        thought = await think(store, model, agent, question, costs)
    assert len(thought.prompt.messages) > 8
    assert costs.completions[0].prompt_tokens <= thought.planned_tokens


class Fussy(Watching):
    """Finds every prompt of more than four messages one token too long."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[int] = []

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        if len(prompt.messages) > 4 and prompt.allowed != frozenset():
            self.refused.append(len(prompt.messages))
            raise PromptTooLong(1_001, 1_000)
        return await super().complete(prompt, max_tokens, on_text)


async def test_each_time_a_prompt_is_too_long_the_next_one_is_shorter(
    store: MemoryStore, agent: Agent
) -> None:
    say(store, agent, *turns(6))
    model = Fussy()
    thought = await think(store, model, agent, "Well?")
    assert thought.answer == Reply("I see.")
    assert model.refused == sorted(set(model.refused), reverse=True)
    compactions = [e for e in stored_events(store, agent) if e.action == "agent.compact"]
    assert len(compactions) == len(model.refused) == len(model.summaries)


async def test_after_an_unusable_answer_the_model_is_asked_again_with_what_was_wrong(
    store: MemoryStore, agent: Agent
) -> None:
    given: list[Parsed] = [Malformed("{", "a call is not JSON"), Reply("Yes.")]
    answers = iter(given)
    model = Watching(lambda prompt: next(answers))
    costs = Costs()
    thought = await think(store, model, agent, "Well?", costs)
    first, second = model.asked
    assert thought.answer == Reply("Yes.")
    assert second.messages[:-1] == first.messages
    assert "a call is not JSON" in second.messages[-1].content
    assert costs.usage.prompt_tokens == sum(model.tokens)


async def test_an_answer_that_is_unusable_twice_is_an_error_and_both_are_paid_for(
    store: MemoryStore, agent: Agent
) -> None:
    model = Watching(lambda prompt: Malformed("{", "a call is not JSON"))
    costs = Costs()
    with pytest.raises(InvalidReply, match="a call is not JSON"):
        await think(store, model, agent, "Well?", costs)
    assert len(costs.completions) == len(model.asked) == 2


async def test_a_summary_is_paid_for_even_when_the_step_fails(
    store: MemoryStore, agent: Agent
) -> None:
    def crash(prompt: Prompt) -> Parsed:
        raise ModelCrashed("it was told to")

    say(store, agent, *turns(20, 600))
    model = Watching(crash, context_tokens=4_096)
    costs = Costs()
    with pytest.raises(ModelCrashed):
        await think(store, model, agent, "Well?", costs)
    assert len(costs.completions) == len(model.summaries) == 1


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
