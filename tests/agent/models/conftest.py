"""Where the fixture model is, and the event loop its tests run on."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def model_path() -> Path:
    return Path(__file__).parents[2] / "fixtures" / "tiny-memory-agent" / "tiny-memory-agent.gguf"
