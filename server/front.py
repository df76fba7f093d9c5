"""`mnemon mcp`: the process that a host starts; it relays lines between the host and the owner.

Standard library only, and little of it: a host may start several, and waits for each. What it is
sure to need is imported at the top, json and subprocess when there is a use for them.

It ends on: end of input (answers in flight may still come), a stdout that nobody reads, SIGTERM,
SIGINT, SIGHUP, a parent that is gone, and when there is no owner and none can be started. The death
of an owner is no end: the front finds or starts another as soon as the host waits for an answer
(where it only listens, it finds one that another host started), and tells it again what it must
know (conversation.py). Finding is owner_link.py's.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from server.host_pipes import BROKEN, CHUNK_BYTES, POLLIN, POLLOUT, HostPipes
from server.line_buffer import LineBuffer
from server.owner_link import NoOwner, OwnerLink, read_welcome

CLEAN = 0
NOBODY_READS = 1
NO_OWNER = 2

_ENOUGH_BYTES = 1024 * 1024  # waiting to be written: nothing more is read until it is less
_UNREAD_BYTES = 64 * 1024  # passed on: reading that many takes a few milliseconds
_WATCH_MS = 1_000  # an orphan lives at most this long
_RETRY_MS = 20  # while an owner starts; a socket that comes to be sends no event
_LAST_ANSWERS_S = 3.0  # after the end of input; the owner itself ends the connection sooner


def run_front(
    directory: str,
    flags: dict[str, str],
    input_fd: int = 0,
    output_fd: int = 1,
    pipes: Callable[[int, int], Host] | None = None,
) -> int:
    """Serve the host at stdin and stdout until it leaves; return the exit code.

    Args:
        directory: of the memory, absolute.
        flags: settings by name, as the command line gave them.
        input_fd, output_fd: where the host is.
        pipes: how to speak to it; by default in the way of this system.
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, _stop)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    host = (pipes or _pipes())(input_fd, output_fd)
    try:
        return Front(OwnerLink(directory, flags), host).run()
    except NoOwner as problem:
        _tell(str(problem))
        return NO_OWNER


def _pipes() -> Callable[[int, int], Host]:
    if sys.platform == "win32":
        from server.pumped_pipes import PumpedPipes  # noqa: PLC0415 - threads are not for others

        return PumpedPipes
    return HostPipes


def _stop(number: int, frame: object) -> None:
    # The owner sees the connection end, and ends what this host was still waiting for.
    raise SystemExit(CLEAN)


class _Ended(Exception):
    """Serving is over; the exit code is its argument."""


class Front:
    """The relay between one host and the owner of a directory."""

    def __init__(self, link: OwnerLink, host: Host) -> None:
        self._link, self._host = link, host
        self._parent = os.getppid()
        self._poll = host.new_poll()
        self._watched: dict[int, int | None] = {}
        self._owner: socket.socket | None = None
        self._greeted = False
        self._wants_owner, self._listens = True, False
        self._input_ended_at: float | None = None
        self._from_host, self._from_owner = LineBuffer(), LineBuffer()
        self._to_host, self._to_owner = bytearray(), bytearray()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._passed_on: list[tuple[bool, bytes]] = []
        self._passed_on_bytes = 0
        self._followed: Conversation | None = None

    def run(self) -> int:
        """Relay until the end; return the exit code."""
        try:
            while True:
                self._connect()
                idle = not self._wait()
                self._check_ends()
                if self._passed_on and (idle or self._passed_on_bytes > _UNREAD_BYTES):
                    self._conversation()
        except _Ended as end:
            self._host.finish()
            return int(end.args[0])

    def _wait(self) -> bool:
        """Wait for something to do, and do it; False: there was nothing for a while."""
        self._watch_all()
        connecting = self._owner is None and self._wants_owner
        ready = self._poll.poll(_RETRY_MS if connecting else _WATCH_MS)
        for fd, events in ready:
            if fd == self._host.output_fd:
                if events & BROKEN:
                    raise _Ended(NOBODY_READS)
                self._write_host()
            elif fd == self._host.input_fd:
                self._read_host()
            else:
                if events & POLLOUT:
                    self._write_owner()
                if events & ~POLLOUT:
                    self._read_owner()
        return bool(ready)

    def _watch_all(self) -> None:
        """Say what is of interest now. Whoever does not keep up is not read from either."""
        self._watch(self._host.output_fd, POLLOUT if self._to_host else 0)
        for_owner = len(self._to_owner) + self._unsent_bytes
        reads_host = self._input_ended_at is None and for_owner < _ENOUGH_BYTES
        self._watch(self._host.input_fd, POLLIN if reads_host else None)
        if self._owner is not None:
            events = POLLOUT if self._to_owner else 0
            if len(self._to_host) < _ENOUGH_BYTES:
                events |= POLLIN
            self._watch(self._owner.fileno(), events or None)

    def _watch(self, fd: int, events: int | None) -> None:
        """Wait for these events of a descriptor from now on; 0: for its end; None: for none."""
        if self._watched.get(fd) == events:
            return
        self._watched[fd] = events
        if events is None:
            self._poll.unregister(fd)
        else:
            self._poll.register(fd, events)

    def _read_host(self) -> None:
        chunk = self._host.read()
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
        self._note(True, line)
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
            chunk = self._owner.recv(CHUNK_BYTES)
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
            elif self._is_new(line):
                self._to_host += line + b"\n"
        self._write_host()

    def _is_new(self, line: bytes) -> bool:
        """Whether the host is to hear a line of the owner."""
        if self._followed is not None and self._followed.hears_again:
            return self._conversation().server_said(line)
        self._note(False, line)
        return True

    def _note(self, from_host: bool, line: bytes) -> None:
        """Remember a line that is passed on; it is read when there is time, or need."""
        self._passed_on.append((from_host, line))
        self._passed_on_bytes += len(line)

    def _write_host(self) -> None:
        try:
            self._host.write(self._to_host)
        except OSError:
            raise _Ended(NOBODY_READS) from None

    def _connect(self) -> None:
        if self._owner is not None or not (self._wants_owner or self._listens):
            return
        if self._input_ended_at is not None and not self._is_waiting():
            raise _Ended(CLEAN)
        self._owner = self._link.try_connect(may_start=self._wants_owner)
        if self._owner is not None:
            self._begin()

    def _begin(self) -> None:
        """Say to a new connection all that its owner must know."""
        self._greeted = False
        if self._input_ended_at is not None:
            self._input_ended_at = time.monotonic()  # the time for answers begins now
        self._to_owner += self._link.greeting() + b"\n"
        if self._followed is not None or self._passed_on:
            conversation = self._conversation()
            for line in (*conversation.withdrawn_questions(), *conversation.give_up_hopeless()):
                self._to_host += line + b"\n"
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
        self._watch(self._owner.fileno(), None)
        self._owner.close()
        self._owner = None
        self._to_owner.clear()
        self._from_owner.take_rest()
        self._link.reap()
        # After the end of input only an owner that gave way before its welcome is followed by
        # another: what it was sent, nobody has worked on yet.
        asks = self._input_ended_at is None or not self._greeted
        self._wants_owner = asks and self._is_waiting()
        self._listens = self._conversation().is_listening

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

    def _conversation(self) -> Conversation:
        """The conversation, all that was passed on read."""
        if self._followed is None:
            from server.conversation import Conversation  # noqa: PLC0415 - json costs 3 ms

            self._followed = Conversation()
        for from_host, line in self._passed_on:
            if from_host:
                self._followed.host_said(line)
            else:
                self._followed.server_said(line)
        self._passed_on.clear()
        self._passed_on_bytes = 0
        return self._followed


def _tell(message: str) -> None:
    os.write(2, f"mnemon: {message}\n".encode())


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from server.conversation import Conversation
    from server.pumped_pipes import PumpedPipes

    Host = HostPipes | PumpedPipes
