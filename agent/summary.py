"""Summaries of the messages that leave the window: by the model when it can, else an extract.

In the self-compacting modes the model is asked at the end of the prompt it has just seen, so that
nothing of it is computed again; in the others it is shown a transcript of what leaves.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from agent.errors import ModelError
from agent.extract import extract
from agent.model import ChatMessage, ChatModel, Completion, Prompt, Reply
from agent.models.transcript import message_text
from agent.prompts import render
from agent.settings import CompactionSettings
from agent.window import clipped
from memory.errors import InvalidValue
from memory.limits import check_text

logger = logging.getLogger(__name__)

CHARS_PER_TOKEN = 4
WORDS_PER_TOKEN = 0.6
_RESULT_CHARS = 1_000  # of a tool's result in a transcript
_LEAST_CHARS = 400  # of a transcript; a prompt that has no room for so many is refused by the model
_SPEAKERS = {"user": "User", "assistant": "I", "tool": "Result", "system": "Note"}
_INDENT = "\n  "


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is summarised.

    seen: the prompt the model saw, without what is not stored yet, when it is asked at its end.
    max_tokens: of the summary. room_tokens: for a prompt that is made of a transcript.
    """

    agent_name: str
    earlier: str
    messages: Sequence[ChatMessage]
    seen: Prompt | None
    max_tokens: int
    room_tokens: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary; completion: of the model, when it was asked and answered."""

    text: str
    completion: Completion | None = None


async def summarise(model: ChatModel, leaving: Leaving, settings: CompactionSettings) -> Summary:
    """Summarise what leaves, in at most leaving.max_tokens by the model's own count.

    A model that fails, is slower than settings.timeout_s or says what cannot be used is replaced by
    an extract of the messages.

    Raises:
        ModelError: it cannot even count.
    """
    completion = None
    if settings.summarise == "model":
        completion = await _ask(model, leaving, settings)
    if completion is not None and isinstance(completion.parsed, Reply):
        text = completion.parsed.text.strip()
        if text and _can_be_stored(text):
            clip = partial(clipped, text, more="the summary was longer")
            return Summary(await _longest(model, clip, len(text), leaving.max_tokens), completion)
    take = partial(extract, leaving.earlier, leaving.messages)
    max_chars = leaving.max_tokens * CHARS_PER_TOKEN
    return Summary(await _longest(model, take, max_chars, leaving.max_tokens), completion)


def request(settings: CompactionSettings, max_tokens: int) -> str:
    """What an agent is asked at the end of its own prompt."""
    return settings.prompt or render("self_summarise", words=_words(max_tokens))


async def _longest(
    model: ChatModel, text_of: Callable[[int], str], max_chars: int, max_tokens: int
) -> str:
    """The text for as many characters as max_tokens allow, at most max_chars."""
    while max_chars > 0:
        text = text_of(max_chars)
        (tokens,) = (await model.measure("", (), [text])).text_tokens
        if tokens <= max_tokens:
            return text
        max_chars = int(min(max_chars, len(text)) * 0.95 * max_tokens / tokens)
    return ""


async def _ask(
    model: ChatModel, leaving: Leaving, settings: CompactionSettings
) -> Completion | None:
    with anyio.move_on_after(settings.timeout_s):
        try:
            prompt = _asked_at_the_end(leaving, settings)
            if prompt is None:
                prompt = await _with_transcript(model, leaving, settings)
            return await model.complete(prompt, leaving.max_tokens)
        except ModelError as error:
            logger.warning("no summary by the model, an extract is taken: %s", error)
            return None
    logger.warning("no summary by the model in %g s, an extract is taken", settings.timeout_s)
    return None


def _asked_at_the_end(leaving: Leaving, settings: CompactionSettings) -> Prompt | None:
    """The prompt that the model has seen, with the request at its end."""
    seen = leaving.seen
    if seen is None:
        return None
    return Prompt(
        (*seen.messages, ChatMessage("user", request(settings, leaving.max_tokens))),
        seen.tools,
        frozenset(),
        agent_id=seen.agent_id,
        temperature=0.0,
    )


async def _with_transcript(
    model: ChatModel, leaving: Leaving, settings: CompactionSettings
) -> Prompt:
    """A prompt of its own, with as much of what leaves as it has room for."""
    instructions = settings.prompt or render(
        "summarise", name=leaving.agent_name, words=_words(leaving.max_tokens)
    )
    told = transcript(leaving.messages)
    while True:
        text = render("to_summarise", earlier=leaving.earlier or "(none)", transcript=told)
        measure = await model.measure(instructions, (), [text])
        tokens = measure.head_tokens + measure.message_tokens + measure.text_tokens[0]
        if tokens <= leaving.room_tokens or len(told) <= _LEAST_CHARS:
            messages = ChatMessage("system", instructions), ChatMessage("user", text)
            return Prompt(messages, allowed=frozenset(), temperature=0.0)
        told = _shortened(told, int(len(told) * 0.9 * leaving.room_tokens / tokens))


def _words(max_tokens: int) -> str:
    return str(int(max_tokens * WORDS_PER_TOKEN))


def _can_be_stored(text: str) -> bool:
    try:
        check_text(text, "the summary")
    except InvalidValue:
        return False
    return True


def transcript(messages: Sequence[ChatMessage]) -> str:
    """Messages for a reader who was not there: a line each, further lines of a text set in.

    So no text can pose as another message. Long results are cut short.
    """
    lines = []
    for message in messages:
        text = message_text(message)
        if message.role == "tool":
            text = clipped(text, _RESULT_CHARS, "left out here")
        lines.append(f"{_SPEAKERS[message.role]}: {_INDENT.join(text.splitlines())}")
    return "\n".join(lines)


def _shortened(text: str, max_chars: int) -> str:
    """A text with its middle left out, if it is too long: beginning and end say most."""
    if len(text) <= max_chars:
        return text
    half = max(100, max_chars // 2 - 10)
    return f"{text[:half]}\n[…]\n{text[-half:]}"
