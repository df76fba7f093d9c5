"""Pieces of BPF do what they say, however long they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bpf import (
    Piece,
    assemble,
    if_any_bit,
    if_at_least,
    if_equal,
    if_one_of,
    load,
    mask,
    verdict,
)
from tests.sandbox.bpf_machine import evaluate, seccomp_data

words = st.integers(0, 2**32 - 1) | st.integers(0, 3)
YES, NO = verdict(1), verdict(0)


def answer(piece: Piece, word: int) -> int:
    return evaluate(assemble(load(0, piece)), seccomp_data("x86_64", word))


@given(words, words)
def test_branches_compare_as_unsigned_numbers(word: int, other: int) -> None:
    assert answer(if_equal(other, YES, NO), word) == (word == other)
    assert answer(if_at_least(other, YES, NO), word) == (word >= other)
    assert answer(if_any_bit(other, YES, NO), word) == bool(word & other)
    assert answer(mask(other, if_equal(word & other, YES, NO)), word) == 1


@given(words, st.lists(words, max_size=300))
def test_one_of_many_is_found_however_far_the_jump(word: int, values: list[int]) -> None:
    assert answer(if_one_of(values, YES, NO), word) == (word in values)


@given(words, st.integers(0, 600))
def test_a_long_piece_is_jumped_over(word: int, length: int) -> None:
    long = NO
    for _ in range(length):
        long = load(0, long)
    assert answer(if_equal(7, YES, long), word) == (word == 7)
    assert answer(if_equal(7, long, YES), word) == (word != 7)


def test_a_program_longer_than_the_kernel_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="5001 instructions; the kernel takes 4096"):
        assemble(NO * 5_001)
