"""What commands ask the owner of a directory over its socket: who uses it, and to stop."""

import json
from typing import Any, Final, Literal

from server import owner_files
from server.counted import counted
from server.errors import OperatorError
from server.turns import in_turn

_ANSWER_S: Final = 5.0
_END_S: Final = 15.0  # for the last answers, the model's process and the database


class OwnerSilent(OperatorError):
    """The owner does not answer, or does not end."""


class OwnerAway(OwnerSilent):
    """A process holds the directory and does not listen: it begins, ends or is stuck."""


class MemoryInUse(OperatorError):
    """Another process serves the directory."""

    def __init__(self, directory: str, status: dict[str, Any]) -> None:
        super().__init__(
            f"{directory} is {describe_owner(status)}; end it with `mnemon stop`, then start this"
            " again"
        )


def ask_owner(directory: str, question: Literal["status", "stop"]) -> dict[str, Any] | None:
    """Return the owner's status, or None when nobody owns the directory.

    One that begins or ends is waited for. After "stop" it returns once everything is closed.

    Raises:
        OwnerSilent: there is an owner, which does not answer or may not be asked.
    """
    return in_turn(lambda: _ask(directory, question), OwnerAway)


def _ask(directory: str, question: Literal["status", "stop"]) -> dict[str, Any] | None:
    try:
        connection = owner_files.connect(directory)
    except OSError as error:
        raise OwnerSilent(f"{directory} cannot be used: {error.strerror}") from error
    if connection is None:
        _check_unowned(directory)
        return None
    with connection:
        connection.settimeout(_ANSWER_S)
        try:
            connection.sendall(json.dumps({"mnemon": 1, "ask": question}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = lines.readline()
                if question == "stop":
                    connection.settimeout(_END_S)
                    lines.read()
        except TimeoutError as error:
            raise complaint(directory) from error
        except ConnectionError:
            answer = b""
    if not answer:
        _check_unowned(directory)
        return None
    status: dict[str, Any] = json.loads(answer)
    return status


def refuse_while_owned(directory: str) -> None:
    """For commands that need the memory for themselves.

    Raises:
        MemoryInUse: naming the owner and its hosts.
    """
    status = ask_owner(directory, "status")
    if status is not None:
        raise MemoryInUse(directory, status)


def describe_owner(status: dict[str, Any]) -> str:
    """One line about an owner."""
    hosts = [f"{host['name']} (process {host['front_pid']})" for host in status["hosts"]]
    using = ", ".join(hosts) if hosts else "no host"
    over_http = f", and at {status['url']}" if status["url"] else ""
    runs = status.get("runs") or {"in_work": 0, "waiting": 0}  # an older owner tells of none
    thinking = f"; {counted(runs['in_work'], 'run')} in work" if runs["in_work"] else ""
    if runs["waiting"]:
        waits = "waits" if runs["waiting"] == 1 else "wait"
        thinking += f"; {counted(runs['waiting'], 'run')} {waits} for a person: mnemon approve"
    since = f"served by process {status['pid']} since {status['since']}"
    return f"{since} for {using}{over_http}{thinking}"


def describe_sandbox(status: dict[str, Any]) -> str:
    """A line where tools are off, or less isolated than they should be; empty: nothing is wrong."""
    found = status.get("sandbox")  # unknown until a tool was run; an older owner never tells
    if found is None or found["tier"] == "namespaces":
        return ""
    if found["tier"] is None:
        return f"no code of tools is run: {found['cause']}. {found['cure']}"
    return f"tools run with sandbox {found['tier']}: {found['cause']}"


def _check_unowned(directory: str) -> None:
    """Nobody listens: fine when nobody holds the lock either."""
    if _note(directory) is not None:
        raise OwnerAway(str(complaint(directory)))


def complaint(directory: str) -> OwnerSilent:
    """What to say, and to do, about an owner that does not answer."""
    note = _note(directory)
    holder = f"process {json.loads(note)['pid']}" if note else "a process"
    return OwnerSilent(
        f"{holder} holds {directory} and does not answer: it is starting, ending or stuck; try"
        " again, see owner.log there, and if it stays so, kill that process"
    )


def _note(directory: str) -> str | None:
    """Who holds the directory, or None when nobody does."""
    try:
        return owner_files.read_note(directory)
    except OSError as error:
        raise OwnerSilent(f"{directory} cannot be used: {error.strerror}") from error
