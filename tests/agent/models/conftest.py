"""Where the fixture model is, the engines that compute it, and the event loop its tests run on."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.models.llama import LlamaModel, LlamaOptions
from agent.models.model_file import ENGINE_MODULES, Engine

# They go below LlamaModel, into an engine that a machine without a compiler does not have.
collect_ignore = (
    [] if importlib.util.find_spec("llama_cpp") else ["test_prefixes.py", "test_whole_calls.py"]
)
MakeModel = Callable[..., LlamaModel]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def model_path() -> Path:
    return Path(__file__).parents[2] / "fixtures" / "tiny-memory-agent" / "tiny-memory-agent.gguf"


@pytest.fixture(scope="session", params=list(ENGINE_MODULES))
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    missing = [name for name in ENGINE_MODULES[chosen] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    return chosen


@pytest.fixture(scope="session")
def make_model(model_path: Path, engine: Engine) -> MakeModel:
    """Give a model of each engine: make_model(path, context_tokens=..., any option=...)."""

    def make(
        path: Path = model_path, *, context_tokens: int | None = None, **options: Any
    ) -> LlamaModel:
        chosen = LlamaOptions(engine=engine, **options)
        return LlamaModel(path, context_tokens=context_tokens, threads=1, options=chosen)

    return make
