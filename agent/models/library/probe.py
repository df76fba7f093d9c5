"""Trying a model: does it load, with which window, does it call tools and answer, how fast is it?

What is asked of it is what an agent's turn asks: the same instructions, the same tools, a request,
a call, its result, an answer. Speeds are of this machine at this moment, and rough.
"""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.context import render_blocks
from agent.errors import ModelError
from agent.model import ChatMessage, Completion, Malformed, Prompt, Reply, ToolCalls
from agent.models.library.catalogue import FoundModel
from agent.models.library.memory_needs import window_tokens
from agent.models.library.probes import CallsTools, Probe, WindowLimit
from agent.models.llama import LlamaModel, LlamaOptions
from agent.models.model_file import EngineChoice, choose_engine
from agent.prompts import render
from agent.tools import DEFAULT_TOOLS, tool_specs
from memory.records import Block

REQUEST: Final = "Archive this: I live in Rome."
RESULT: Final = "Saved to the archive as passage-00000000-0000-0000-0000-000000000000."
MAX_ANSWER_TOKENS: Final = 300
SPEED_TOKENS: Final = 33


@dataclass(frozen=True, slots=True)
class _Trial:
    """What came of the canned request."""

    calls_tools: CallsTools
    answers: bool
    problem: str = ""
    native_failed: bool = False


async def probe_model(
    found: FoundModel,
    context_tokens: int | None = None,
    threads: int | None = None,
    engine: EngineChoice = "auto",
) -> Probe:
    """Load a model in a worker of its own and try it; a model that fails is a result too.

    Raises:
        ModelUnavailable: the engine is not installed.
    """
    choose_engine(engine)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    options = LlamaOptions(engine=engine)
    async with LlamaModel(
        found.path, context_tokens=context_tokens, threads=threads, options=options
    ) as model:
        try:
            info = await model.describe()
        except ModelError as error:
            return Probe(loads=False, problem=str(error), probed_at=now)
        window = info.context_tokens
        probe = Probe(
            loads=True,
            mode=model.call_style,
            window_tokens=window,
            window_limit=_limit(found, context_tokens, window),
            probed_at=now,
        )
        try:
            trial = await _try(model)
            probe = probe.model_copy(
                update={
                    # Calls in its own form that cannot be read: hold it to JSON from now on.
                    "mode": "json" if trial.native_failed else probe.mode,
                    "calls_tools": trial.calls_tools,
                    "answers_after_call": trial.answers,
                    "problem": trial.problem,
                }
            )
            return probe.model_copy(update=await _speeds(model))
        except ModelError as error:
            said = {"calls_tools": probe.calls_tools or "no", "problem": str(error)}
            return probe.model_copy(update=said)


def canned_request() -> Prompt:
    """A turn's first prompt, as a new agent has it."""
    blocks = (Block("persona", "I am Sam."), Block("human"))
    system = f"{render('system', name='Sam')}\n\n{render_blocks(blocks)}"
    return Prompt(
        (ChatMessage("system", system), ChatMessage("user", REQUEST)),
        tool_specs(tuple(DEFAULT_TOOLS.values())),
        agent_id="probe",
    )


async def _try(model: LlamaModel) -> _Trial:
    """Ask for a call; when none comes by itself, ask with nothing else allowed; then for words."""
    prompt = canned_request()
    asked = (await model.complete(prompt, MAX_ANSWER_TOKENS)).parsed
    freely: CallsTools = "by itself"
    native_failed = isinstance(asked, Malformed) and model.call_style != "json"
    if not isinstance(asked, ToolCalls):
        freely = "when held to it"
        asked = (await model.complete(replace(prompt, may_reply=False), MAX_ANSWER_TOKENS)).parsed
    if not isinstance(asked, ToolCalls):
        problem = asked.problem if isinstance(asked, Malformed) else "it talked instead"
        return _Trial("no", False, f"no tool call came of a request for one: {problem}", True)
    results = tuple(ChatMessage("tool", RESULT, tool_call_id=call.id) for call in asked.calls)
    calling = ChatMessage("assistant", asked.text, asked.calls)
    after = replace(prompt, messages=(*prompt.messages, calling, *results))
    answer = (await model.complete(after, MAX_ANSWER_TOKENS)).parsed
    match answer:
        case Reply():
            return _Trial(freely, True, native_failed=native_failed)
        case ToolCalls():
            problem = "it went on calling tools after the result of the first call"
        case Malformed(_, said):
            problem = f"after the result of its call came no answer: {said}"
    return _Trial(freely, False, problem, native_failed)


async def _speeds(model: LlamaModel) -> dict[str, float | int | None]:
    """Tokens per second, of a prompt that it has not seen, and of its own writing; and memory."""
    # Another beginning: what was computed for the trial must not be taken for speed.
    told = "A trial of speed. " + canned_request().messages[0].content
    prompt = Prompt(
        (ChatMessage("system", told), ChatMessage("user", "Count from one to fifty, in words."))
    )
    started = time.perf_counter()
    cold = await model.complete(prompt, 1)
    warm_from = time.perf_counter()
    await model.complete(prompt, 1)
    write_from = time.perf_counter()
    written = await model.complete(prompt, SPEED_TOKENS)
    ended = time.perf_counter()
    once = write_from - warm_from  # what a request costs beside prompt and text
    return {
        "prefill_tokens_per_s": _rate(cold.prompt_tokens, (warm_from - started) - once),
        "generation_tokens_per_s": _rate(_more_than_one(written), (ended - write_from) - once),
        "memory_bytes": _resident_bytes(model.worker_pid),
    }


def _more_than_one(written: Completion) -> int:
    return written.completion_tokens - 1


def _rate(tokens: int, seconds: float) -> float | None:
    return round(tokens / seconds, 1) if tokens > 0 and seconds > 0 else None


def _limit(found: FoundModel, wanted: int | None, window: int) -> WindowLimit:
    if window < window_tokens(found.facts, wanted):
        return "memory"
    if found.facts.trained_tokens is not None and window >= found.facts.trained_tokens:
        return "training"
    return "setting" if wanted else "default"


def _resident_bytes(pid: int | None) -> int | None:
    """Memory of a process, mapped weights included; None where the system has no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) * 1024 if sizes else None
