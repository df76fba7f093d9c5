"""The tokens of a model as texts: their bytes, and where two ways of cutting a text meet again."""

import ctypes
from collections.abc import Sequence

import llama_cpp


class Vocabulary:
    """What each token stands for.

    Args:
        pointer: the vocabulary as llama.cpp holds it; it lives as long as its model.
    """

    def __init__(self, pointer: object) -> None:
        self.pointer = pointer
        self.size: int = llama_cpp.llama_vocab_n_tokens(pointer)
        self._buffer = ctypes.create_string_buffer(64)
        get = llama_cpp.llama_vocab_get_attr
        self._attributes: list[int] = [get(pointer, token) for token in range(self.size)]
        is_end = llama_cpp.llama_vocab_is_eog
        self.ends = frozenset(token for token in range(self.size) if is_end(pointer, token))
        """Ids that end a turn."""
        self.special = frozenset(
            self.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_CONTROL)
            + self.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED)
        )
        """Ids of markers: control tokens and added ones."""
        self.pieces = [self._ask(token) for token in range(self.size)]
        """The bytes of each token, perhaps a part of a character; of a marker, its text."""

    def _ask(self, token: int) -> bytes:
        while True:
            room = len(self._buffer)
            length = llama_cpp.llama_token_to_piece(
                self.pointer, token, self._buffer, room, 0, True
            )
            if length >= 0:
                return self._buffer.raw[:length]
            self._buffer = ctypes.create_string_buffer(-length)

    def tokens_with(self, attribute: int) -> list[int]:
        """Give the ids with an attribute, one of llama_cpp.LLAMA_TOKEN_ATTR_*."""
        return [token for token, has in enumerate(self._attributes) if has & attribute]

    def align(self, held: Sequence[int], tokens: Sequence[int]) -> tuple[int, int]:
        """Find how far two sequences of tokens are the same text.

        Returns the largest (i, j) such that held[:i] and tokens[:j] are the same bytes and the same
        special tokens, whatever the plain tokens between are.
        """
        place = (0, 0)
        while True:
            equal = common_prefix(held[place[0] :], tokens[place[1] :])
            place = (place[0] + equal, place[1] + equal)
            following = self._meet(held, place[0], tokens, place[1])
            if following is None:
                return place
            place = following

    def _meet(
        self, held: Sequence[int], i: int, tokens: Sequence[int], j: int
    ) -> tuple[int, int] | None:
        """From tokens that differ, go on to where the texts end together; None: they do not."""
        left = right = b""
        while True:
            if not left:
                if i == len(held) or held[i] in self.special:
                    return None
                left, i = self.pieces[held[i]], i + 1
            if not right:
                if j == len(tokens) or tokens[j] in self.special:
                    return None
                right, j = self.pieces[tokens[j]], j + 1
            common = min(len(left), len(right))
            if left[:common] != right[:common]:
                return None
            left, right = left[common:], right[common:]
            if not left and not right:
                return i, j


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Count the tokens that both begin with."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
