"""What a server says about itself: which models it has, and how large a model's window is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.errors import EndpointFailed
from agent.models.chat_api.http import EndpointHttp, Refused
from agent.models.chat_api.quirks import MODEL, Load, Question
from agent.models.chat_api.request import encoded
from agent.models.spec import Endpoint

SMALLEST_WINDOW, LARGEST_WINDOW = 256, 100_000_000
MAX_MODELS: Final = 10_000


@dataclass(frozen=True, slots=True)
class WindowSize:
    """How many tokens prompt and reply may have together. note: empty when the server said so."""

    tokens: int
    note: str = ""


async def ask_models(http: EndpointHttp) -> tuple[str, ...]:
    """The names of the models that the server lists; none when it lists none.

    Raises:
        Refused: the server answers, but not this.
        EndpointUnreachable: it does not answer.
    """
    entries = _entries(await http.ask("models"), "data")
    names = (entry.get("id") for entry in entries[:MAX_MODELS])
    return tuple(name for name in names if isinstance(name, str))


def has_model(endpoint: Endpoint, listed: tuple[str, ...]) -> bool:
    """Whether a list of models has the endpoint's."""
    return not endpoint.name or any(_is_named(endpoint, name) for name in listed)


async def ask_window(
    http: EndpointHttp, endpoint: Endpoint, wanted_tokens: int | None, may_load_s: float | None
) -> WindowSize:
    """The window of the endpoint's model, at most as large as wanted.

    Args:
        wanted_tokens: the setting.
        may_load_s: how long a server may take to load the model, to tell then; None: it may not.

    Raises:
        EndpointFailed: the server cannot load the model.
        EndpointUnreachable: it does not answer.
    """
    quirks = endpoint.quirks
    told = await _told(http, endpoint)
    if told is None and may_load_s is not None and quirks.load is not None:
        await _load(http, endpoint, quirks.load, may_load_s)
        told = await _told(http, endpoint)
    if told is None:
        tokens = wanted_tokens or quirks.window_tokens
        source = "as `context_tokens` says" if wanted_tokens else f"assumed; {quirks.widen}"
        unloaded = " before the model is loaded" if quirks.load and may_load_s is None else ""
        return WindowSize(
            tokens, f"{quirks.title} does not tell the window{unloaded}: {tokens} tokens, {source}"
        )
    if wanted_tokens is not None and wanted_tokens > told:
        return WindowSize(told, f"the window is {told} tokens; for more, {quirks.widen}")
    return WindowSize(min(told, wanted_tokens or told))


async def _load(http: EndpointHttp, endpoint: Endpoint, load: Load, deadline_s: float) -> None:
    try:
        await http.ask(load.path, encoded(_filled(load.body, endpoint.name)), deadline_s)
    except Refused as refused:
        raise EndpointFailed(str(endpoint), str(refused)) from None


async def _told(http: EndpointHttp, endpoint: Endpoint) -> int | None:
    for question in endpoint.quirks.window:
        body = question.body and encoded(_filled(question.body, endpoint.name))
        try:
            answer = await http.ask(question.path, body or None)
        except Refused:
            continue  # an older version, or another server behind this URL
        if (tokens := _tokens_in(answer, question, endpoint)) is not None:
            return tokens
    return None


def _tokens_in(answer: Any, question: Question, endpoint: Endpoint) -> int | None:
    value = answer
    if question.entries is not None:
        named = [
            entry
            for entry in _entries(answer, question.entries)
            if _is_named(endpoint, entry.get(question.named_by))
        ]
        value = named[0] if named else None
    for key in question.at:
        value = value.get(key) if isinstance(value, Mapping) else None
    if question.pattern is not None:
        found = re.search(question.pattern, value) if isinstance(value, str) else None
        value = int(found[1]) if found and len(found[1]) < 10 else None
    if not isinstance(value, int) or not SMALLEST_WINDOW <= value <= LARGEST_WINDOW:
        return None
    return value


def _entries(answer: Any, key: str) -> list[Mapping[str, Any]]:
    found = answer.get(key) if isinstance(answer, Mapping) else None
    return (
        [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []
    )


def _is_named(endpoint: Endpoint, name: object) -> bool:
    return name in (endpoint.name, endpoint.name + endpoint.quirks.implied_tag)


def _filled(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    return {key: model if value == MODEL else value for key, value in body.items()}
