"""Short ways to complete what a grammar has begun, so that the token limit never cuts a call.

Knows no format: it asks the matcher what may follow and searches, with a liking for what ends
things (markers, quotes, brackets, the grammar's own literals). Short, and shortest only as far as
these moves go: a call may be found to need a token or two more than it could do with.
"""

import heapq
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import llguidance
import llguidance.numpy
import numpy as np
import numpy.typing as npt

from agent.models.vocabulary import Vocabulary

_CLOSING = b"\"'}])></\n"
_SINGLE = b"0aA1-_.@:TZz"  # a pattern mostly goes on with one of these
# More tokens than this may follow: text, where quotes end it. Fewer: structure, where they begin.
_TEXT_SHARE = 0.25
_FEW = 64
# Each costs about 50 µs, at a vocabulary of 150,000 ten times that.
_MOST_STATES_HASTY, _MOST_STATES = 400, 1000
_END_TAG = re.compile(rb"<[/|][^<>]*>|\[/[^\[\]]*\]")
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)+)"')


@dataclass(frozen=True, slots=True)
class _Way:
    """Tokens to take from a state that was reached, and what they cost in liking."""

    matcher: llguidance.LLMatcher  # before the last move
    path: tuple[int, ...]
    moved: int  # how many tokens of path the last move is
    cost: int
    before: bytes = b""  # what might follow before it
    penalised: bool = False


@dataclass(frozen=True, slots=True)
class _Move:
    tokens: tuple[int, ...]
    cost: int


class Closer:
    """Searches on behalf of one model.

    Args:
        cut: a text into plain tokens, no markers.
    """

    def __init__(self, vocabulary: Vocabulary, cut: Callable[[str], list[int]]) -> None:
        self._cut = cut
        self._size = vocabulary.size
        self._mask = llguidance.numpy.allocate_token_bitmask(1, self._size)
        self._vocabulary = vocabulary
        special = vocabulary.special
        pieces = [b"" if t in special else p for t, p in enumerate(vocabulary.pieces)]
        self._special = np.array(sorted(special - vocabulary.ends), np.int64)
        self._lengths = np.array([len(piece) for piece in pieces], np.int32)
        self._first = np.array([piece[0] if piece else 0 for piece in pieces], np.uint8)
        empty = [piece[:1] in (b"{", b"[") and bool(set(piece) & set(b"}]")) for piece in pieces]
        self._empty = np.array(empty)  # `{}` and its like
        self._closing = _closing_tokens(pieces)
        singles = [pieces.index(bytes([b])) for b in _SINGLE if bytes([b]) in pieces]
        self._singles = np.array(singles, np.int64)

    def literals(self, grammar: str) -> tuple[tuple[int, ...], ...]:
        """Give the texts that a grammar asks for outside of schemas, as tokens."""
        lines = (line for line in grammar.splitlines() if "%json" not in line)
        texts = {text for line in lines for text in _LITERAL.findall(line)}
        unescaped = (text.encode().decode("unicode_escape") for text in sorted(texts))
        return tuple(tuple(self._cut(text)) for text in unescaped)

    def close(
        self,
        matcher: llguidance.LLMatcher,
        limit: int,
        literals: Sequence[tuple[int, ...]] = (),
        thorough: bool = False,
    ) -> list[int] | None:
        """Give up to `limit` tokens after which the grammar accepts; None: none were found.

        The matcher is left as it is. An empty list: it accepts now. thorough: look for the shortest
        way, too, when the first one found is too long.
        """
        found = self._search(matcher, limit, literals, hasty=True)
        if found is None and thorough:
            found = self._search(matcher, limit, literals, hasty=False)
        return found

    def closes(self, matcher: llguidance.LLMatcher, closing: Sequence[int]) -> bool:
        """Say whether the grammar accepts after these tokens; cheap."""
        after = matcher.deep_copy()
        taken: int = after.try_consume_tokens(list(closing))
        return taken == len(closing) and bool(after.is_accepting())

    def only_ends(self, closing: Sequence[int]) -> bool:
        """Say whether these tokens end what is open and do nothing else.

        Else they hold what nobody chose: an argument that was still missing, or a tool.
        """
        vocabulary = self._vocabulary
        plain = [b"" if t in vocabulary.special else vocabulary.pieces[t] for t in closing]
        return not _END_TAG.sub(b"", b"".join(plain)).strip(_CLOSING + b" ")

    def _search(
        self,
        matcher: llguidance.LLMatcher,
        limit: int,
        literals: Sequence[tuple[int, ...]],
        hasty: bool,
    ) -> list[int] | None:
        """Go from state to state, best first.

        hasty: deepest first among those without unlikely moves; else the shortest way first.
        """
        order = itertools.count()
        waiting = [(0, 0, next(order), _Way(matcher, (), 0, 0))]
        for _ in range(_MOST_STATES_HASTY if hasty else _MOST_STATES):
            if not waiting:
                return None
            way = heapq.heappop(waiting)[-1]
            reached = way.matcher.deep_copy()
            if reached.try_consume_tokens(list(way.path[len(way.path) - way.moved :])) < way.moved:
                continue
            if reached.is_accepting():
                return list(way.path)
            for onward in self._onward(way, reached, literals, hasty):
                if len(onward.path) <= limit:
                    heapq.heappush(waiting, (*_rank(onward, hasty), next(order), onward))
        return None

    def _onward(
        self,
        way: _Way,
        reached: llguidance.LLMatcher,
        literals: Sequence[tuple[int, ...]],
        hasty: bool,
    ) -> Iterator[_Way]:
        following = self._following(reached)
        if following is None:
            return
        if following == way.before and not way.penalised and self._can_end_text():
            # Nothing changed: more of a text that could have ended.
            yield replace(way, cost=way.cost + 1, penalised=True)
            return
        for move in self._moves(literals, hasty):
            path, cost = way.path + move.tokens, way.cost + move.cost
            yield _Way(reached, path, len(move.tokens), cost, following)

    def _following(self, matcher: llguidance.LLMatcher) -> bytes | None:
        """Fill the mask; returns its bytes."""
        if matcher.is_stopped():
            return None
        llguidance.numpy.fill_next_token_bitmask(matcher, self._mask)
        return None if matcher.is_error() else self._mask.tobytes()

    def _moves(self, literals: Sequence[tuple[int, ...]], hasty: bool) -> Iterator[_Move]:
        """What to try from the state whose mask is filled, the likeliest first."""
        for token in self._special[self._allowed(self._special)]:
            yield _Move((int(token),), 0)
        if self._is_text():
            yield from self._ends_of_text(literals)
        else:
            yield from self._structure(hasty)

    def _is_text(self) -> bool:
        return self._count() > _TEXT_SHARE * self._size

    def _can_end_text(self) -> bool:
        return self._is_text() and bool(self._allowed(self._closing[0]).any())

    def _count(self) -> int:
        return int(np.bitwise_count(self._mask.view(np.uint32)).sum())

    def _ends_of_text(self, literals: Sequence[tuple[int, ...]]) -> Iterator[_Move]:
        firsts = np.array([literal[0] for literal in literals], np.int64)
        for literal, allowed in zip(literals, self._allowed(firsts), strict=True):
            if allowed:
                yield _Move(literal, 0)
        quoted = False
        for index, ids in enumerate(self._closing):
            allowed_ids = self._allowed(ids)
            if allowed_ids.any():
                quoted |= index == 0
                yield _Move((int(ids[np.argmax(allowed_ids)]),), 0 if index == 0 else 2)
        if not quoted:
            yield from self._longer()

    def _structure(self, hasty: bool) -> Iterator[_Move]:
        ids = self._all_allowed()
        if len(ids) <= _FEW and not hasty:
            yield from (_Move((int(token),), 0) for token in ids)
            return
        # Of one first byte the longest, but `{}` before `{"`; brackets that close before quotes.
        order = np.lexsort((-self._lengths[ids], ~self._empty[ids], self._first[ids]))
        ids = ids[order]
        firsts, places = np.unique(self._first[ids], return_index=True)
        found = zip(firsts.tolist(), ids[places].tolist(), strict=True)
        yield from (_Move((token,), 0) for _, token in sorted(found, key=_liking))

    def _longer(self) -> Iterator[_Move]:
        """What a text goes on with that must be longer, or of a certain form, before it ends."""
        ids = self._all_allowed()
        if ids.size:
            yield _Move((int(ids[np.argmax(self._lengths[ids])]),), 0)
        for token in self._singles[self._allowed(self._singles)]:
            yield _Move((int(token),), 6)

    def _allowed(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        words = self._mask.view(np.uint32)[0]
        bits: npt.NDArray[np.uint32] = words[ids >> 5] >> (ids & 31).astype(np.uint32) & 1
        return bits.astype(np.bool_)

    def _all_allowed(self) -> npt.NDArray[np.int64]:
        bits = np.unpackbits(self._mask.view(np.uint8)[0], bitorder="little")
        ids = np.flatnonzero(bits[: self._size].view(np.bool_))  # of bools ten times as fast
        return ids[self._lengths[ids] > 0]


def _liking(found: tuple[int, int]) -> tuple[bool, bool, int]:
    first, _ = found
    return first == ord("\n"), first not in b"}])>", first


def _rank(way: _Way, hasty: bool) -> tuple[int, int]:
    if hasty:
        return way.cost, -len(way.path)
    return len(way.path) + way.cost, 0


def _closing_tokens(pieces: Sequence[bytes]) -> list[npt.NDArray[np.int64]]:
    """Ids of pieces of nothing but closing characters, by the first one; the longest first."""
    by_first: dict[int, list[int]] = {first: [] for first in _CLOSING}
    for token, piece in enumerate(pieces):
        if piece and not piece.strip(_CLOSING):
            by_first[piece[0]].append(token)
    return [
        np.array(sorted(ids, key=lambda token: -len(pieces[token])), np.int64)
        for ids in by_first.values()
    ]
