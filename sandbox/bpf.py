"""Classic BPF for seccomp: pieces of program that always end in a verdict.

A piece either returns or branches into two pieces, so a program cannot run off its end and jumps
only forward, as the kernel demands. seccomp.py decides what the pieces say.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LOAD_WORD: Final = 0x20
_AND: Final = 0x54
_JUMP: Final = 0x05
_IF_EQUAL: Final = 0x15
_IF_AT_LEAST: Final = 0x35
_IF_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_NEAR: Final = 255
_MAX_INSTRUCTIONS: Final = 4_096
_SOCK_FILTER: Final = struct.Struct("<HBBI")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One `struct sock_filter`: code, how far to jump if true and if false, operand."""

    code: int
    if_true: int
    if_false: int
    operand: int


Piece = tuple[Instruction, ...]


def verdict(value: int) -> Piece:
    """Return this value to the kernel."""
    return (Instruction(_RETURN, 0, 0, value),)


def load(offset: int, then: Piece) -> Piece:
    """Take the 32-bit word at this byte of `struct seccomp_data`, then go on."""
    return (Instruction(_LOAD_WORD, 0, 0, offset), *then)


def mask(bits: int, then: Piece) -> Piece:
    """Keep only these bits of the word, then go on."""
    return (Instruction(_AND, 0, 0, bits), *then)


def if_equal(value: int, then: Piece, otherwise: Piece) -> Piece:
    """Branch on whether the word is this value."""
    return _branch(_IF_EQUAL, value, then, otherwise)


def if_at_least(value: int, then: Piece, otherwise: Piece) -> Piece:
    """Branch on whether the word, unsigned, is this value or more."""
    return _branch(_IF_AT_LEAST, value, then, otherwise)


def if_any_bit(bits: int, then: Piece, otherwise: Piece) -> Piece:
    """Branch on whether one of these bits of the word is set."""
    return _branch(_IF_ANY_BIT, bits, then, otherwise)


def if_one_of(values: Sequence[int], then: Piece, otherwise: Piece) -> Piece:
    """Branch on whether the word is one of these values."""
    piece = otherwise
    for value in reversed(values):
        piece = if_equal(value, then, piece)
    return piece


def assemble(piece: Piece) -> bytes:
    """The program as an array of `struct sock_filter`, little-endian as both machines are.

    Raises:
        ValueError: it is longer than the kernel accepts.
    """
    if len(piece) > _MAX_INSTRUCTIONS:
        raise ValueError(f"{len(piece)} instructions; the kernel takes {_MAX_INSTRUCTIONS}")
    return b"".join(
        _SOCK_FILTER.pack(each.code, each.if_true, each.if_false, each.operand) for each in piece
    )


def _branch(code: int, operand: int, then: Piece, otherwise: Piece) -> Piece:
    if len(otherwise) <= _NEAR:
        return (Instruction(code, len(otherwise), 0, operand), *otherwise, *then)
    # A conditional jump reaches 255 instructions; an unconditional one reaches any.
    far = Instruction(_JUMP, 0, 0, len(otherwise))
    return (Instruction(code, 0, 1, operand), far, *otherwise, *then)
