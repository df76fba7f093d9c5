"""What differs between servers of the OpenAI-compatible chat API: data, nothing else.

Where a server is asked about itself, a path with a slash in front is below the server's root, any
other below its base URL (the root and, mostly, /v1).

Sources, read in November 2026: the servers' documentation; llama.cpp's tools/server; ollama's
openai/openai.go, which has no field for the context window and none for tool_choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["ollama", "lmstudio", "vllm", "llama-server", "openai"]
MODEL: Final = "{model}"
"""Stands for the model's name in the body of a request."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request about the model, and where in the answer a number of tokens stands.

    body: sent by POST; None: GET. entries: key of a list in which the model's entry is found.
    named_by: key of the name in an entry. at: keys that lead to the number. pattern: finds the
    number in the text that stands there.
    """

    path: str
    at: tuple[str, ...]
    body: Mapping[str, Any] | None = None
    entries: str | None = None
    named_by: str = "id"
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A request that makes a server load the model; body as in Question."""

    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Quirks:
    """One kind of server.

    title: as people call it. url: base URL without which a spec must give one. hint: what to do
    when it does not answer. needs_name: whether a spec must name a model. implied_tag: what the
    server appends to a name without a tag.
    usage: whether it streams token counts when asked. tool_choice: whether "required" is honoured.
    asks_parallel: whether several calls in one answer must be asked for. late_system: whether
    system messages may follow others. max_tokens: the name of that field.
    window: asked in this order, until one tells. load: a request after which a server that loads
    models by itself has loaded this one, and can tell. window_tokens: when none tells.
    widen: how the window gets larger. counts: whether it renders and tokenises for us.
    """

    title: str
    url: str | None
    hint: str
    needs_name: bool = True
    implied_tag: str = ""
    usage: bool = True
    tool_choice: bool = True
    asks_parallel: bool = False
    late_system: bool = False
    max_tokens: str = "max_tokens"
    window: tuple[Question, ...] = ()
    load: Load | None = None
    window_tokens: int = 8192
    widen: str = "set `context_tokens` to what the model has"
    counts: bool = False


_ONE_TOKEN: Final = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 1,
}

QUIRKS: Final[Mapping[Kind, Quirks]] = {
    "ollama": Quirks(
        title="Ollama",
        url="http://127.0.0.1:11434/v1",
        hint="start it with `ollama serve`",
        implied_tag=":latest",
        tool_choice=False,
        # A prompt longer than the window it runs with is cut without a word, and this API cannot
        # ask for another window: so the model is loaded and the window asked for.
        window=(
            Question("/api/ps", ("context_length",), entries="models", named_by="model"),
            Question("/api/show", ("parameters",), {"model": MODEL}, pattern=r"num_ctx\s+(\d+)"),
        ),
        load=Load("/api/generate", {"model": MODEL, "stream": False}),
        window_tokens=4096,
        widen="start Ollama with OLLAMA_CONTEXT_LENGTH, or `PARAMETER num_ctx` in a Modelfile",
    ),
    "lmstudio": Quirks(
        title="LM Studio",
        url="http://127.0.0.1:1234/v1",
        hint="start its server with `lms server start`",
        window=(Question("/api/v0/models", ("loaded_context_length",), entries="data"),),
        load=Load("chat/completions", _ONE_TOKEN),
        window_tokens=4096,
        widen="load the model with a longer context in LM Studio",
    ),
    "vllm": Quirks(
        title="vLLM",
        url="http://127.0.0.1:8000/v1",
        hint="start it with `vllm serve MODEL --enable-auto-tool-choice --tool-call-parser PARSER`",
        window=(Question("models", ("max_model_len",), entries="data"),),
        widen="start vLLM with a larger --max-model-len",
    ),
    "llama-server": Quirks(
        title="llama-server",
        url="http://127.0.0.1:8080/v1",
        hint="start it with `llama-server --jinja -m FILE`",
        needs_name=False,
        asks_parallel=True,
        window=(Question("/props", ("default_generation_settings", "n_ctx")),),
        widen="start llama-server with a larger --ctx-size",
        counts=True,
    ),
    "openai": Quirks(
        title="OpenAI",
        url="https://api.openai.com/v1",
        hint="see whether this machine is online",
        late_system=True,
        max_tokens="max_completion_tokens",
    ),
}

OTHER: Final = Quirks(
    title="the server",
    url=None,
    hint="see whether it runs and the URL is right",
    window=tuple(
        Question("models", (key,), entries="data")
        for key in ("max_model_len", "context_length", "context_window", "max_context_length")
    ),
)
"""An `openai` spec with another URL than OpenAI's: any provider or proxy."""


def quirks_of(kind: Kind, base_url: str) -> Quirks:
    """The row for a server."""
    row = QUIRKS[kind]
    return OTHER if kind == "openai" and base_url != row.url else row
