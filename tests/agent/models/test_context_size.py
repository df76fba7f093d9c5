from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.context_size import (
    DEFAULT_CONTEXT_TOKENS,
    ContextSize,
    choose_context,
    free_memory_bytes,
    kv_room,
)
from agent.models.llama import LlamaModel

GB = 1024**3


@pytest.mark.parametrize(
    ("wanted", "trained", "room", "size"),
    [
        (None, 32_768, 8 * GB, ContextSize(DEFAULT_CONTEXT_TOKENS, "default")),
        (16_384, 32_768, 8 * GB, ContextSize(16_384, "setting")),
        (65_536, 32_768, 8 * GB, ContextSize(32_768, "trained")),
        (None, 0, 8 * GB, ContextSize(DEFAULT_CONTEXT_TOKENS, "default")),
        (None, 2_048, None, ContextSize(2_048, "trained")),
        (32_768, 32_768, GB, ContextSize(GB // 131_072, "memory")),
        (None, 512, 131_072 * 300, ContextSize(300, "memory")),
    ],
)
def test_the_window_is_the_least_of_setting_training_and_memory_and_says_which(
    wanted: int | None, trained: int, room: int | None, size: ContextSize
) -> None:
    assert choose_context(wanted, trained, room, kv_bytes_per_token=131_072) == size


@given(free=st.integers(0, 10**12), weights=st.integers(0, 10**12))
def test_keys_and_values_never_get_more_than_half_of_what_is_free(free: int, weights: int) -> None:
    room = kv_room(free, weights)
    assert room is not None
    assert 0 <= room <= free // 2


def test_weights_count_for_they_are_mapped_and_look_free() -> None:
    assert kv_room(8 * GB, 4 * GB) == 2 * GB
    assert kv_room(None, 4 * GB) is None


def test_this_machine_has_some_memory_free() -> None:
    free = free_memory_bytes()
    assert free is None or 0 < free < 2**50


async def test_a_model_says_what_limits_its_window(model_path: Path) -> None:
    for setting, limited_by in ((500, "setting"), (10**9, "trained"), (None, "trained")):
        async with LlamaModel(model_path, context_tokens=setting, threads=1) as model:
            assert (await model.describe()).limited_by == limited_by
