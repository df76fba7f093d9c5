"""The front's way to the owner: connecting, starting one when there is none, greeting it.

A connection begins with one line of ours (who connects, with which settings) and one of the owner's
(that it agrees, or why not); then both sides speak JSON-RPC. Standard library only.
"""

from __future__ import annotations

import os
import socket
import time

from server import owner_files

START_DEADLINE_S = 25.0  # the quickest host gives up after 30
AGREED = b'{"mnemon":1}'


class NoOwner(Exception):
    """There is no owner and none can be started; the message is one line for a person."""


class OwnerLink:
    """Finds the owner of a directory for one front.

    flags: settings the front was started with, which a new owner gets too.
    """

    def __init__(self, directory: str, flags: dict[str, str]) -> None:
        self._directory, self._flags = directory, flags
        self._front_id = os.urandom(16).hex()
        self._started: StartedOwner | None = None
        self._deadline: float | None = None

    def try_connect(self, may_start: bool = True) -> socket.socket | None:
        """Take the next step towards a connection; None: call again soon.

        Args:
            may_start: whether an owner is needed; else one that others started will do.

        Raises:
            NoOwner: the owner ended with an error, or takes too long.
        """
        now = time.monotonic()
        if may_start:
            self._deadline = self._deadline or now + START_DEADLINE_S
        try:
            connection = owner_files.connect(self._directory)
            if connection is None and may_start:
                self._start_if_nobody_does()
        except OSError as error:
            raise NoOwner(f"{self._directory} cannot be used: {error}") from error
        if connection is None and self._deadline is not None and now > self._deadline:
            raise NoOwner(
                f"the owner of {self._directory} did not answer within {START_DEADLINE_S:.0f} s;"
                " see owner.log there, or end it with `mnemon stop`"
            )
        if connection is not None:
            self._deadline = None
            connection.setblocking(False)
        return connection

    def greeting(self) -> bytes:
        """The line that a connection begins with."""
        variables = {k: v for k, v in os.environ.items() if k.startswith("MNEMON_") and v}
        who = f'"mnemon":1,"front":"{self._front_id}","pid":{os.getpid()}'
        if not self._flags and set(variables) <= {"MNEMON_DATA"}:
            return b"{" + who.encode() + b"}"
        import json  # noqa: PLC0415 - costs 3 ms, which most starts need not wait for

        settings = json.dumps({"flags": self._flags, "environment": variables})
        return f'{{{who},"settings":{settings}}}'.encode()

    def reap(self) -> None:
        """Leave no zombie of an owner that this process started."""
        if self._started is not None and self._started.exit_code() is not None:
            self._started = None

    def _start_if_nobody_does(self) -> None:
        if self._started is not None:
            code = self._started.exit_code()
            if code is None:
                return
            words, self._started = self._started.last_words(), None
            if code > 0:
                raise NoOwner(words)
        lock = owner_files.OwnerLock.take(self._directory)
        if lock is not None:
            from server.owner_start import start_owner  # noqa: PLC0415 - subprocess: 8 ms

            self._started = start_owner(self._directory, self._flags, lock)


def read_welcome(line: bytes) -> str | None:
    """What the owner answered a greeting with: None, or a note for the person.

    Raises:
        NoOwner: it refuses this front.
    """
    if line == AGREED:
        return None
    import json  # noqa: PLC0415 - rare

    said = json.loads(line)
    if "refused" in said:
        raise NoOwner(str(said["refused"]))
    return str(said.get("note", ""))


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from server.owner_start import StartedOwner
