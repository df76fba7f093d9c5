"""What every test may rely on: no settings from the person's own environment, a real mnemon."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A shell that runs the tests in the background has them ignore Ctrl-C, and what they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)

FIXTURES = Path(__file__).parent / "fixtures"

# Machines are shared and slow at times: what takes long is no failure, and CI repeats itself.
settings.register_profile("shared", deadline=None, derandomize=True)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MNEMON_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def mnemon() -> str:
    """The installed command."""
    return str(Path(sys.executable).with_name("mnemon"))


@pytest.fixture(scope="session")
def model_file() -> Path:
    """A trained GGUF file, 2 MB, that speaks the language of a memory agent."""
    return FIXTURES / "tiny-memory-agent" / "tiny-memory-agent.gguf"
