"""Whose computed prefix is where: in the context, in memory, on disk.

The context holds one agent's tokens. When another agent's prompt comes, what the context holds is
copied to memory first, and the newcomer's own state is put back, or that of whoever's prompt begins
alike: a copy takes milliseconds, computing takes minutes. What memory has no room for goes to disk,
and everything does when the worker is idle or ends. One sequence and copies rather than several
sequences in one context: see docs/decisions/0011-key-value-cache.md.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from agent.models.engine import Engine
from agent.models.state_files import StateFile, StateFiles

# Shorter ones are computed as fast as they are put back.
MIN_KEPT_TOKENS = 32
# Buffers grow by this, so that a conversation's next state fits the last one's.
_SLACK = 1.125

Bytes = npt.NDArray[np.uint8]


@dataclass(slots=True)
class _State:
    """A state in memory; `on_disk`: the agent's file holds the same."""

    tokens: list[int]
    buffer: Bytes
    size: int
    on_disk: bool

    @property
    def data(self) -> Bytes:
        return self.buffer[: self.size]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A place that holds tokens a prompt begins with: `reuse` of them."""

    reuse: int
    owner: str | None
    source: _State | StateFile | None


class Prefixes:
    """Prepares the context for prompts.

    Args:
        files: None keeps nothing on disk.
        limit_bytes: of states in memory, besides the context.
    """

    def __init__(self, engine: Engine, files: StateFiles | None, limit_bytes: int) -> None:
        self._engine, self._files, self._limit = engine, files, limit_bytes
        self._owner = ""
        self._on_disk: list[int] = []  # what the owner's file holds
        self._states: OrderedDict[str, _State] = OrderedDict()
        self._spare: Bytes | None = None

    def prefill(self, agent_id: str, tokens: Sequence[int], room: int) -> tuple[int, int]:
        """Compute a prompt of an agent; an empty id is nobody's, and nothing of it is kept.

        Returns how many tokens the prompt has as computed, and how many of those were reused.

        Args:
            room: how many tokens the prompt may have.

        Raises:
            agent.models.engine.Stopped: asked to stop.
        """
        if agent_id != self._owner:
            self._hand_over(agent_id, tokens)
        as_computed = self._in_computed_tokens(tokens, room)
        return len(as_computed), self._engine.prefill(as_computed)

    def save_all(self, go_on: Callable[[], bool]) -> bool:
        """Write to disk what is not there; False: told not to go on, or not possible."""
        if self._files is None:
            return True
        done = True
        for agent_id, state in self._states.items():
            if not state.on_disk:
                state.on_disk = self._files.write(agent_id, state.tokens, state.data.data, go_on)
                done &= state.on_disk
        return done and self._save_held(self._files, go_on)

    def forget(self, agent_id: str) -> None:
        """Keep nothing of an agent, here or on disk."""
        self._states.pop(agent_id, None)
        if self._files is not None:
            self._files.forget(agent_id)
        if self._owner == agent_id:
            self._owner, self._on_disk = "", []
            self._engine.prefill([])

    def _save_held(self, files: StateFiles, go_on: Callable[[], bool]) -> bool:
        held = list(self._engine.held)
        if not self._owner or len(held) < MIN_KEPT_TOKENS or held == self._on_disk:
            return True
        state = self._copy_held()
        if state is None or not files.write(self._owner, state.tokens, state.data.data, go_on):
            return False
        self._on_disk = held
        self._spare = state.buffer
        return True

    def _hand_over(self, agent_id: str, tokens: Sequence[int]) -> None:
        """Make the context this agent's, with what serves its prompt best."""
        best = max(self._candidates(agent_id, tokens), key=lambda candidate: candidate.reuse)
        here = self._usable(self._engine.held, tokens, put_back=False)
        # Out of the way: in the context it will be newer, or of no use any more.
        mine = self._states.pop(agent_id, None)
        self._put_away(best.owner)
        self._owner, self._on_disk = agent_id, []
        if best.source is not None and best.reuse >= here + MIN_KEPT_TOKENS:
            self._put_back(best)
        if mine is not None:
            self._spare = mine.buffer

    def _candidates(self, agent_id: str, tokens: Sequence[int]) -> Iterator[_Candidate]:
        yield _Candidate(0, None, None)
        for owner, state in self._states.items():
            yield _Candidate(self._usable(state.tokens, tokens), owner, state)
        if self._files is not None and agent_id and agent_id not in self._states:
            file = self._files.find(agent_id, self._engine.context_tokens)
            if file is not None:
                yield _Candidate(self._usable(file.tokens, tokens), agent_id, file)

    def _usable(self, held: Sequence[int], tokens: Sequence[int], put_back: bool = True) -> int:
        kept, _ = self._engine.vocabulary.align(held, tokens)
        engine = self._engine
        drops_tail = engine.state_rolls_back if put_back else engine.rolls_back
        return kept if drops_tail or kept == len(held) < len(tokens) else 0

    def _in_computed_tokens(self, tokens: Sequence[int], room: int) -> Sequence[int]:
        """The prompt, with the tokens that the model wrote where its text is the same.

        A text can be cut into tokens in several ways, and a model need not write the usual one.
        """
        held = self._engine.held
        kept, rest = self._engine.vocabulary.align(held, tokens)
        as_computed = [*held[:kept], *tokens[rest:]]
        return as_computed if len(as_computed) <= room else tokens

    def _put_back(self, best: _Candidate) -> None:
        match best.source:
            case _State() as state:
                mine = best.owner == self._owner
                if self._engine.load_state(state.tokens, state.data) and mine and state.on_disk:
                    self._on_disk = list(state.tokens)
            case StateFile() as file if self._files is not None:
                tokens = list(file.tokens)
                buffer = self._buffer(file.state_bytes)
                data = buffer[: file.state_bytes]
                give = partial(self._engine.load_state, tokens, data)
                if self._files.load(file, data.data, give):
                    self._on_disk = tokens
                self._spare = buffer

    def _put_away(self, needed: str | None) -> None:
        """Copy what the context holds, before it becomes another agent's; spare the one needed."""
        if not self._owner or len(self._engine.held) < MIN_KEPT_TOKENS:
            return
        on_disk = list(self._engine.held) == self._on_disk
        size = self._engine.state_bytes()
        if size <= self._limit:
            self._evict(self._limit - size, needed)
            state = self._copy_held()
            if state is not None:
                state.on_disk = on_disk
                self._states[self._owner] = state
        elif self._files is not None:
            self._save_held(self._files, _always)

    def _evict(self, limit: int, needed: str | None) -> None:
        """Let go of the states longest unused until the others are within a limit."""
        for agent_id in list(self._states):
            if sum(state.buffer.size for state in self._states.values()) <= limit:
                break
            if agent_id == needed:
                continue
            state = self._states.pop(agent_id)
            if self._files is not None and not state.on_disk:
                self._files.write(agent_id, state.tokens, state.data.data, _always)
            self._spare = state.buffer

    def _copy_held(self) -> _State | None:
        size = self._engine.state_bytes()
        buffer = self._buffer(size)
        if not self._engine.save_state(buffer[:size]):
            return None
        return _State(list(self._engine.held), buffer, size, on_disk=False)

    def _buffer(self, size: int) -> Bytes:
        """Take the spare buffer when it will do: fresh memory costs more than filling it."""
        spare, self._spare = self._spare, None
        if spare is not None and size <= spare.size <= 2 * size * _SLACK:
            return spare
        return np.empty(int(size * _SLACK), np.uint8)


def _always() -> bool:
    return True
