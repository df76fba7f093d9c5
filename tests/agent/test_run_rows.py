"""What is kept of a run and its steps: why it stopped, what it cost, exactly what was sent."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.errors import (
    ContextTooSmall,
    EndpointFailed,
    InvalidReply,
    ModelCrashed,
    TurnLimitReached,
)
from agent.model import Completion, Malformed, OnText, Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel
from agent.models.wire import prompt_to_json
from memory.errors import DatabaseClosed
from memory.records import Agent
from memory.runs import StopReason, Usage, list_runs, step_prompt
from memory.store import MemoryStore
from tests.agent.harness import call, calls, new_agent, remember, stored_messages
from tests.agent.run_words import ASKS, process, said, set_to, stored_run, stored_steps

RUN = "run-1"


class Failing(ScriptedModel):
    """Fails when it is asked, as a model does."""

    def __init__(self, error: Exception) -> None:
        super().__init__([])
        self._error = error

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        raise self._error


class Counting(ScriptedModel):
    """Says of each answer that 100 tokens of the prompt were not computed again."""

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        return replace(await super().complete(prompt, max_tokens, on_text), cached_tokens=100)


def scripted(*answers: Parsed) -> Callable[[], ScriptedModel]:
    return lambda: ScriptedModel(answers)


def failing(error: Exception) -> Callable[[], ScriptedModel]:
    return lambda: Failing(error)


def twice(answer: Parsed) -> Callable[[], ScriptedModel]:
    return scripted(answer, answer)


FIRST = {"type": "run_first", "tool_name": "core_memory_append"}
EXIT = {"type": "exit_loop", "tool_name": "core_memory_append"}
CUT = Malformed("x", "cut off by the token limit", "cut")
NO_CALL = Malformed("x", "a call is not JSON", "call")
REFUSED = EndpointFailed("m", "answered 402", 402)
PAST = DatabaseClosed(Path("m"))

Case = tuple[StopReason, str, Callable[[], ScriptedModel], dict[str, Any], Any]

REASONS: Sequence[Case] = [
    ("end_turn", "completed", scripted(Reply("Hi.")), {}, None),
    ("tool_rule", "completed", scripted(remember("x")), {"tool_rules": [EXIT]}, None),
    ("max_steps", "completed", twice(remember("x")), {"max_steps": 2}, TurnLimitReached),
    ("requires_approval", "waiting", scripted(remember("x")), {"tool_rules": [ASKS]}, None),
    ("max_tokens_exceeded", "failed", twice(CUT), {}, InvalidReply),
    ("no_tool_call", "failed", twice(Reply("Hi.")), {"tool_rules": [FIRST]}, InvalidReply),
    ("invalid_tool_call", "failed", twice(NO_CALL), {}, InvalidReply),
    ("invalid_llm_response", "failed", twice(Reply(" ")), {}, InvalidReply),
    ("llm_api_error", "failed", failing(ModelCrashed("it died")), {}, ModelCrashed),
    ("insufficient_credits", "failed", failing(REFUSED), {}, EndpointFailed),
    ("error", "failed", failing(PAST), {}, DatabaseClosed),
    (
        "context_window_overflow_in_system_prompt",
        "failed",
        scripted(),
        {"context_tokens": 512},
        ContextTooSmall,
    ),
]  # and "cancelled": test_runs.py


@pytest.mark.parametrize("case", REASONS, ids=[reason for reason, *_ in REASONS])
async def test_a_run_is_stored_with_why_it_stopped(
    store: MemoryStore, agent: Agent, case: Case
) -> None:
    reason, status, model, settings, raises = case
    set_to(store, agent, **settings)
    async with process(store, model()) as runs:
        try:
            await runs.message(said("Hi", run_id=RUN))
            assert raises is None
        except Exception as error:
            assert raises is not None and isinstance(error, raises)
            assert stored_run(store, RUN).error == str(error)
    run = stored_run(store, RUN)
    assert (run.status, run.stop_reason) == (status, reason)
    assert (run.ended_at is None) == (status == "waiting")
    assert (run.pending is not None) == (status == "waiting")


async def test_a_run_that_a_rule_ends_returns_what_was_said_beside_its_last_call(
    store: MemoryStore, agent: Agent
) -> None:
    set_to(store, agent, tool_rules=[EXIT])
    step = calls(call("core_memory_append", label="human", content="x"), text="I noted it.")
    async with process(store, ScriptedModel([step])) as runs:
        live = await runs.message(said("Hi", run_id=RUN))
        assert live.reply == "I noted it."
        found = await runs.find(RUN)
        again = await runs.message(said("Hi", run_id=RUN))
    assert found.reply == again.reply == "I noted it."
    told = next(m for m in stored_messages(store, agent) if m.id == found.run.reply_id)
    assert (told.role, told.content) == ("assistant", "I noted it.")


async def test_a_tool_is_called_as_often_as_its_rule_lets_it_and_then_no_more(
    store: MemoryStore, agent: Agent
) -> None:
    rule = {
        "type": "max_count_per_step",
        "tool_name": "core_memory_append",
        "max_count_limit": 2,
    }
    set_to(store, agent, tool_rules=[rule])
    model = ScriptedModel([remember("1"), remember("2"), Reply("Done.")])
    async with process(store, model) as runs:
        assert (await runs.message(said("Hi"))).tools_used == ("core_memory_append",) * 2
    offered = [prompt.allowed is None for prompt in model.prompts]
    assert offered == [True, True, False]
    last = model.prompts[-1].allowed
    assert last is not None and "core_memory_append" not in last


async def test_tokens_are_counted_also_of_answers_that_were_of_no_use(
    store: MemoryStore, agent: Agent
) -> None:
    model = Counting([Malformed("y" * 40, "no call"), remember("Tea."), Reply("Noted.")])
    async with process(store, model) as runs:
        live = await runs.message(said("Tea.", run_id=RUN))
    steps = stored_steps(store, RUN)
    assert [step.usage.cached_tokens for step in steps] == [200, 100]
    assert steps[0].usage.completion_tokens >= 10
    total = steps[0].usage + steps[1].usage
    assert live.run.usage == stored_run(store, RUN).usage == total


async def test_tokens_of_a_step_that_failed_are_counted_too(
    store: MemoryStore, agent: Agent
) -> None:
    async with process(store, Counting([CUT, CUT])) as runs:
        with pytest.raises(InvalidReply):
            await runs.message(said("Hi", run_id=RUN))
    (step,) = stored_steps(store, RUN)
    assert (step.outcome, step.usage.cached_tokens, step.number) == ("failed", 200, 1)
    run = stored_run(store, RUN)
    assert (run.steps, run.usage) == (0, step.usage)
    assert step.error == run.error


async def test_tokens_of_summaries_are_counted_with_the_step_that_needed_them(
    store: MemoryStore, agent: Agent
) -> None:
    summaries = 0

    def answer(prompt: Prompt) -> Parsed:
        nonlocal summaries
        summaries += prompt.allowed == frozenset()
        return Reply("They like tea." if prompt.allowed == frozenset() else "word " * 150)

    async with process(store, Counting(answer, context_tokens=4_096)) as runs:
        number = 0
        while not summaries:
            number += 1
            await runs.message(said(f"Tell me more of {number}.", run_id=f"run-{number}"))
    cached = stored_run(store, f"run-{number}").usage.cached_tokens
    assert cached == 100 * (1 + summaries)


async def test_the_prompt_of_each_step_comes_back_byte_for_byte_also_after_a_restart(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.duckdb"
    model = ScriptedModel([remember('Ünï 🌊 \u2028 \\ " <b>'), CUT, Reply("Noted.")])
    with MemoryStore(path, None) as store:
        new_agent(store, "ada")
        async with process(store, model) as runs:
            await runs.message(said("I like\ttea.", run_id=RUN))
    sent = [
        json.dumps(prompt_to_json(p), ensure_ascii=False, separators=(",", ":"))
        for p in model.prompts
    ]
    with MemoryStore(path, None) as store, store.read() as reader:
        assert step_prompt(reader, RUN, 1) == sent[0]
        assert step_prompt(reader, RUN, 2) == sent[2]
        assert step_prompt(reader, RUN, 3) is None


async def test_the_prompt_of_a_step_that_failed_is_kept_as_well(
    store: MemoryStore, agent: Agent
) -> None:
    async with process(store, Failing(ModelCrashed("it died"))) as runs:
        with pytest.raises(ModelCrashed):
            await runs.message(said("Hi there", run_id=RUN))
    with store.read() as reader:
        sent = step_prompt(reader, RUN, 1)
    assert sent is not None
    assert json.loads(sent)["messages"][-1]["content"] == "Hi there"


async def test_times_are_in_order(store: MemoryStore, agent: Agent) -> None:
    async with process(store, ScriptedModel([remember("Tea."), Reply("Noted.")])) as runs:
        await runs.message(said("Hi", run_id=RUN))
    run, (first, second) = stored_run(store, RUN), stored_steps(store, RUN)
    assert run.started_at is not None and run.ended_at is not None
    times = [run.created_at, run.started_at, first.started_at, first.ended_at]
    times += [second.started_at, second.ended_at, run.ended_at]
    assert times == sorted(times)
    assert all(step.model == "scripted" for step in (first, second))


async def test_a_model_that_is_missing_leaves_a_run_that_says_so(
    store: MemoryStore, agent: Agent
) -> None:
    usage = Usage()
    async with process(store, Failing(ModelCrashed("there is no model"))) as runs:
        with pytest.raises(ModelCrashed):
            await runs.message(said("Hi"))
    with store.read() as reader:
        (run,) = list_runs(reader, agent, None, 10)
    assert (run.error, run.usage) == ("there is no model", usage)
    assert stored_messages(store, agent) == []
