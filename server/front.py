"""`mnemon mcp`: the process that a host starts; it relays lines between the host and the owner.

Standard library only, and little of it: a host may start several, and waits for each. What it is
sure to need is imported at the top, json and subprocess when there is a use for them.

It ends on: end of input (answers in flight may still come), a stdout that nobody reads, SIGTERM,
SIGINT, SIGHUP, a parent that is gone, and when there is no owner and none can be started. The death
of an owner is no end: the front finds or starts another as soon as the host waits for an answer,
and tells it again what it must know (conversation.py). Finding is owner_link.py's.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from server.line_buffer import LineBuffer
from server.owner_link import NoOwner, OwnerLink, read_welcome

CLEAN = 0
NOBODY_READS = 1
NO_OWNER = 2

_CHUNK_BYTES = 64 * 1024  # what a pipe holds on Linux
_ENOUGH_BYTES = 1024 * 1024  # waiting to be written: nothing more is read until it is less
_WATCH_MS = 1_000  # an orphan lives at most this long
_RETRY_MS = 20  # while an owner starts; a socket that comes to be sends no event
_LAST_ANSWERS_S = 3.0  # after the end of input; the owner itself ends the connection sooner
_BROKEN = select.POLLERR | select.POLLHUP | select.POLLNVAL


def run_front(directory: str, flags: dict[str, str], input_fd: int = 0, output_fd: int = 1) -> int:
    """Serve the host at stdin and stdout until it leaves; return the exit code.

    Args:
        directory: of the memory, absolute.
        flags: settings by name, as the command line gave them.
        input_fd, output_fd: where the host is.
    """
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), _stop)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        return Front(OwnerLink(directory, flags), input_fd, output_fd).run()
    except NoOwner as problem:
        _tell(str(problem))
        return NO_OWNER


def _stop(number: int, frame: object) -> None:
    # The owner sees the connection end, and ends what this host was still waiting for.
    raise SystemExit(CLEAN)


class _Ended(Exception):
    """Serving is over; the exit code is its argument."""


class Front:
    """The relay between one host and the owner of a directory."""

    def __init__(self, link: OwnerLink, input_fd: int, output_fd: int) -> None:
        self._link, self._input_fd, self._output_fd = link, input_fd, output_fd
        self._parent = os.getppid()
        self._owner: socket.socket | None = None
        self._greeted = False
        self._wants_owner = True
        self._input_ended_at: float | None = None
        self._from_host, self._from_owner = LineBuffer(), LineBuffer()
        self._to_host, self._to_owner = bytearray(), bytearray()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._answered = False
        self._said: list[tuple[bool, bytes]] = []
        self._followed: Conversation | None = None

    def run(self) -> int:
        """Relay until the end; return the exit code."""
        try:
            while True:
                self._connect()
                self._wait()
                self._check_ends()
                if self._answered and not self._to_host and self._followed is None:
                    self._conversation()  # not sooner: the host has its first answer now
        except _Ended as end:
            return int(end.args[0])

    def _wait(self) -> None:
        """Wait for something to do, and do it."""
        connecting = self._owner is None and self._wants_owner
        for fd, events in self._poll().poll(_RETRY_MS if connecting else _WATCH_MS):
            if fd == self._output_fd:
                if events & _BROKEN:
                    raise _Ended(NOBODY_READS)
                self._write_host()
            elif fd == self._input_fd:
                self._read_host()
            else:
                if events & select.POLLOUT:
                    self._write_owner()
                if events & ~select.POLLOUT:
                    self._read_owner()

    def _poll(self) -> select.poll:
        """What is of interest now. Whoever does not keep up is not read from either."""
        poll = select.poll()
        poll.register(self._output_fd, select.POLLOUT if self._to_host else 0)
        for_owner = len(self._to_owner) + self._unsent_bytes
        if self._input_ended_at is None and for_owner < _ENOUGH_BYTES:
            poll.register(self._input_fd, select.POLLIN)
        if self._owner is not None:
            events = select.POLLOUT if self._to_owner else 0
            if len(self._to_host) < _ENOUGH_BYTES:
                events |= select.POLLIN
            if events:
                poll.register(self._owner.fileno(), events)
        return poll

    def _read_host(self) -> None:
        try:
            chunk = os.read(self._input_fd, _CHUNK_BYTES)
        except OSError:
            chunk = b""  # a vanished terminal is the end of input
        lines = self._from_host.feed(chunk)
        if not chunk:
            self._input_ended_at = time.monotonic()
            rest = self._from_host.take_rest()
            lines = [rest] if rest else []
        for line in lines:
            if self._owner is None:
                self._unsent.append(line)
                self._unsent_bytes += len(line)
                self._wants_owner = True
            else:
                self._send(line)
        self._write_owner()

    def _send(self, line: bytes) -> None:
        self._follow(True, line)
        self._to_owner += line + b"\n"

    def _write_owner(self) -> None:
        if self._owner is None:
            return
        try:
            while self._to_owner:
                sent = self._owner.send(memoryview(self._to_owner)[:_ENOUGH_BYTES])
                del self._to_owner[:sent]
            if self._input_ended_at is not None:
                self._owner.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            return  # reading tells of the same end, after all that was still said

    def _read_owner(self) -> None:
        assert self._owner is not None  # noqa: S101 - for the type checker
        try:
            chunk = self._owner.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._lose_owner()
            return
        for line in self._from_owner.feed(chunk):
            if not self._greeted:
                self._greeted = True
                note = read_welcome(line)
                if note:
                    _tell(note)
            elif self._follow(False, line):
                self._to_host += line + b"\n"
        self._write_host()

    def _write_host(self) -> None:
        """Write what stdout takes without blocking: PIPE_BUF bytes whenever it is ready.

        It is shared with whoever else has it, so it is not made non-blocking.
        """
        poll = select.poll()
        poll.register(self._output_fd, select.POLLOUT)
        while self._to_host:
            ready = poll.poll(0)
            if not ready:
                return
            try:
                if ready[0][1] & _BROKEN:
                    raise _Ended(NOBODY_READS)
                sent = os.write(self._output_fd, memoryview(self._to_host)[: select.PIPE_BUF])
            except OSError:
                raise _Ended(NOBODY_READS) from None
            del self._to_host[:sent]

    def _connect(self) -> None:
        if self._owner is not None or not self._wants_owner:
            return
        if self._input_ended_at is not None and not self._is_waiting():
            raise _Ended(CLEAN)
        self._owner = self._link.try_connect()
        if self._owner is not None:
            self._begin()

    def _begin(self) -> None:
        """Say to a new connection all that its owner must know."""
        self._greeted = False
        if self._input_ended_at is not None:
            self._input_ended_at = time.monotonic()  # the time for answers begins now
        self._to_owner += self._link.greeting() + b"\n"
        if self._followed is not None or self._said:
            conversation = self._conversation()
            for answer in conversation.give_up_hopeless():
                self._to_host += answer + b"\n"
            for line in conversation.lines_to_repeat():
                self._to_owner += line + b"\n"
        for line in self._unsent:
            self._send(line)
        self._unsent.clear()
        self._unsent_bytes = 0
        self._write_owner()

    def _lose_owner(self) -> None:
        """Forget a connection that ended; another is sought when the host has a use for it."""
        assert self._owner is not None  # noqa: S101 - for the type checker
        self._owner.close()
        self._owner = None
        self._to_owner.clear()
        self._from_owner.take_rest()
        self._link.reap()
        self._wants_owner = self._input_ended_at is None and self._is_waiting()

    def _check_ends(self) -> None:
        if os.getppid() != self._parent:
            raise _Ended(CLEAN)
        if self._input_ended_at is None:
            return
        if self._owner is None and self._wants_owner:
            return  # what was said before the end is still to be answered; this has a deadline
        late = time.monotonic() - self._input_ended_at > _LAST_ANSWERS_S
        if late or (self._owner is None and not self._to_host):
            raise _Ended(CLEAN)

    def _is_waiting(self) -> bool:
        return bool(self._unsent) or self._conversation().is_waiting

    def _follow(self, from_host: bool, line: bytes) -> bool:
        """Take account of a line; whether it is to be sent on."""
        if self._followed is None:
            self._said.append((from_host, line))
            self._answered = self._answered or not from_host
            return True
        if from_host:
            self._followed.host_said(line)
            return True
        return self._followed.server_said(line)

    def _conversation(self) -> Conversation:
        if self._followed is None:
            from server.conversation import Conversation  # noqa: PLC0415 - json costs 3 ms

            self._followed = Conversation()
            for from_host, line in self._said:
                self._follow(from_host, line)
            self._said.clear()
        return self._followed


def _tell(message: str) -> None:
    os.write(2, f"mnemon: {message}\n".encode())


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from server.conversation import Conversation
