"""Trying a real model, and keeping what came of it."""

import os
import shutil
from pathlib import Path

import pytest

from agent.models.context_size import DEFAULT_CONTEXT_TOKENS
from agent.models.library.catalogue import open_model
from agent.models.library.errors import ProbeNotKept
from agent.models.library.memory_needs import DEFAULT_WINDOW_TOKENS
from agent.models.library.probe import probe_model
from agent.models.library.probes import FILE_NAME, Probe, ProbeStore, stored_mode
from tests.agent.models.library.given import write_gguf

GOOD = Probe(loads=True, mode="json", calls_tools="by itself", answers_after_call=True)


async def test_a_trained_model_calls_a_tool_answers_and_is_measured(model_path: Path) -> None:
    probe = await probe_model(open_model(model_path), threads=1)
    assert probe.works
    assert (probe.mode, probe.calls_tools, probe.problem) == ("hermes", "by itself", "")
    assert (probe.window_tokens, probe.window_limit) == (4096, "training")
    # A machine under load may have nothing to say here; what it says makes sense.
    for figure in (probe.prefill_tokens_per_s, probe.generation_tokens_per_s, probe.memory_bytes):
        assert figure is None or figure > 0


async def test_a_window_that_was_asked_for_is_said_to_be_so(model_path: Path) -> None:
    probe = await probe_model(open_model(model_path), context_tokens=3000, threads=1)
    assert (probe.window_tokens, probe.window_limit) == (3000, "setting")


async def test_a_window_too_small_for_a_turn_is_a_problem_not_an_error(model_path: Path) -> None:
    probe = await probe_model(open_model(model_path), context_tokens=512, threads=1)
    assert probe.loads and not probe.works
    assert "the prompt is" in probe.problem


async def test_a_model_that_does_not_load_is_a_result_too(tmp_path: Path) -> None:
    probe = await probe_model(open_model(write_gguf(tmp_path / "toy.gguf")))
    assert not probe.loads and not probe.works
    assert "toy.gguf" in probe.problem
    assert probe.mode is None


def test_the_window_opened_without_a_setting_is_the_engine_s() -> None:
    assert DEFAULT_WINDOW_TOKENS == DEFAULT_CONTEXT_TOKENS


def test_a_probe_is_known_for_as_long_as_the_file_is_the_same(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    assert stored_mode(tmp_path, path) is None
    ProbeStore(tmp_path).put(open_model(path), GOOD)
    assert stored_mode(tmp_path, path) == "json"
    assert ProbeStore(tmp_path).get(open_model(path)) == GOOD

    moved = path.rename(tmp_path / "moved.gguf")
    assert stored_mode(tmp_path, moved) == "json"

    shutil.copyfile(moved, path)
    os.utime(path, (0, 0))
    assert stored_mode(tmp_path, path) is None
    assert stored_mode(tmp_path, tmp_path / "none.gguf") is None


@pytest.mark.parametrize("content", ["", "{", '{"version": 2}', '{"probes": {"a": {}}}', "\xff"])
def test_a_file_of_probes_that_cannot_be_read_counts_as_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content, encoding="latin-1")
    store = ProbeStore(tmp_path)
    model = open_model(write_gguf(tmp_path / "m.gguf"))
    assert store.get(model) is None
    store.put(model, GOOD)
    assert store.get(model) == GOOD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.gguf", FILE_NAME]


def test_what_cannot_be_kept_is_said_with_where(tmp_path: Path) -> None:
    model = open_model(write_gguf(tmp_path / "a.gguf"))
    (tmp_path / "file").touch()
    with pytest.raises(ProbeNotKept, match=r"file/models\.json cannot be written: "):
        ProbeStore(tmp_path / "file").put(model, GOOD)
