"""One untrusted process and its one call: what is said, answered and believed.

Nothing that a process sends carries authority: a forged message is a tool that lies about its own
result. Not here: how it is started (launcher.py) and how frames are read (channel.py).
"""

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import anyio

from sandbox import bubblewrap
from sandbox.channel import Channel
from sandbox.errors import InvalidRun
from sandbox.frames import FrameTooLong, encode
from sandbox.listener import close, proxy_environment
from sandbox.output import Kept, bounded_error
from sandbox.policy import MAX_METHOD_CALLS, MIB, checked_environment
from sandbox.protocol import Method, MethodRefused, Outcome, Status, Tier, ToolRun
from sandbox.proxy import serve_grants
from sandbox.settings import SandboxSettings
from sandbox.shape import Shape
from sandbox.spawn import Spawned, drain, last_words
from sandbox.strict_json import NotStrictJson, dumps
from sandbox.watch import MEMORY_FOLDERS, WORKSPACE, Bounds, watch

CALL_ID: Final = 1
METHOD_BYTES: Final = MIB
# A message holds a little more than the value in it.
ENVELOPE_BYTES: Final = 16 * 1024
# An end is seen on the channel a little before the process has its exit code.
_EXIT_S: Final = 0.5
_SHORT_S: Final = 0.005
_SIGNALLED: Final = 128
_SIGNALS: Final = {
    4: "by an illegal instruction (SIGILL)",
    6: "by abort (SIGABRT)",
    7: "by a bus error (SIGBUS)",
    8: "by an arithmetic error (SIGFPE)",
    9: "from outside or for lack of memory (SIGKILL)",
    11: "by a segmentation fault (SIGSEGV)",
    15: "by SIGTERM",
    31: "by a system call that is not allowed (SIGSYS)",
}
_CPU_SIGNAL: Final = 24
_MORE: Final = "it sent more after its answer, or a process that it started did; so it has none"


Streams = Sequence[tuple[int, Callable[[bytes], None]]]
"""Pipes that are read while the call runs, and who takes what comes."""

Later = Callable[[Callable[[], Awaitable[None]]], bool]
"""Has something done, at the latest before the sandbox is closed; False: it is, so it has not."""


@dataclass(slots=True)
class Verdict:
    """How a call ended. broken: a method failed in a way that ends the run."""

    status: Status
    result: Any = None
    error: str | None = None
    broken: BaseException | None = None


class Worker:
    """A process that is ready for one call, never for a second.

    tmp: where it keeps temporary files on disk, to be watched; None: in memory of its own.
    """

    def __init__(
        self, process: Spawned, shape: Shape, tier: Tier,
        listener: socket.socket | None = None, tmp: Path | None = None,
    ) -> None:  # fmt: skip
        self.shape, self.tier, self._tmp = shape, tier, tmp
        self._process, self._listener = process, listener
        self._has_mounts = tier == "namespaces"

    @property
    def pid(self) -> int:
        """Of the process that was started; all others of the call descend from it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.popen.poll() is None

    async def end(self) -> None:
        """End it unused."""
        try:
            await self._process.end()
        finally:
            close(self._listener)

    async def call(
        self, run: ToolRun, settings: SandboxSettings | None = None, later: Later | None = None
    ) -> Outcome:
        """Run it, and end the process on every path; what a method raised is raised.

        Cancelling ends the process first. settings: of its way to the network. later: takes over
        the wait until a killed process is gone, which takes as long as the call did; None: this
        waits.
        """
        started = monotonic()
        kept = Kept(run.policy.output_bytes), Kept(run.policy.output_bytes)
        streams = (self._process.stdout, kept[0].add), (self._process.stderr, kept[1].add)
        try:
            verdict = await self._decide(run, settings or SandboxSettings(), streams)
            self._process.strike()
            if later is None or self.shape.subprocesses:
                await self._process.kill()
            for number, keep in streams:
                last_words(number, keep)
        except BaseException:
            await self.end()
            raise
        if later is None or not later(self.end):
            await self.end()
        if verdict.broken is not None:
            raise verdict.broken
        return Outcome(
            verdict.status, self.tier, verdict.result,
            None if verdict.error is None else bounded_error(verdict.error),
            kept[0].text(), kept[1].text(), monotonic() - started,
        )  # fmt: skip

    async def _decide(self, run: ToolRun, settings: SandboxSettings, streams: Streams) -> Verdict:
        """Wait for whichever ends the call: its answer, a limit, the time."""
        policy = run.policy
        verdict = Verdict("timeout", error=f"it did not end within {policy.wall_s:g} s")
        with anyio.move_on_after(policy.wall_s):
            async with anyio.create_task_group() as deciding:

                async def watched() -> None:
                    nonlocal verdict
                    passed = await watch(self._bounds(run), self.pid, self._process.init)
                    verdict = Verdict("limit", error=passed)
                    deciding.cancel_scope.cancel()

                async def attended() -> None:
                    # A short call needs none of it: what it prints fits into the pipes.
                    await anyio.sleep(_SHORT_S)
                    async with anyio.create_task_group() as attending:
                        attending.start_soon(watched)
                        for number, keep in streams:
                            attending.start_soon(drain, number, keep)

                deciding.start_soon(attended)
                if self._listener is not None:
                    way = policy.network, settings.reach, settings.proxy
                    deciding.start_soon(serve_grants, self._listener, *way)
                verdict = await self._converse(run)
                deciding.cancel_scope.cancel()
        return verdict

    def _bounds(self, run: ToolRun) -> Bounds:
        policy, folders = run.policy, {}
        if run.workspace is not None and self.shape.writable:
            folders[WORKSPACE] = run.workspace
        if self._tmp is not None:
            folders["TMPDIR"] = self._tmp
        return Bounds(
            folders, policy.workspace_bytes, policy.workspace_entries, policy.memory_bytes,
            (*MEMORY_FOLDERS, *([WORKSPACE] if run.workspace is None else [])),
        )  # fmt: skip

    async def _converse(self, run: ToolRun) -> Verdict:
        """Give it the call, answer what it asks, and take its answer."""
        limit = max(run.policy.result_bytes, METHOD_BYTES) + ENVELOPE_BYTES
        channel = Channel(self._process.channel, limit)
        try:
            await channel.send(call_message(run, self._listener, has_mounts=self._has_mounts))
            for number in range(MAX_METHOD_CALLS + 1):
                message = await channel.receive()
                if message is None:
                    return await self._without_answer(run)
                if message.get("t") != "method":
                    verdict = read_answer(message, run.policy.result_bytes)
                    return verdict if channel.is_quiet() else Verdict("error", error=_MORE)
                if number == MAX_METHOD_CALLS:
                    break
                answered = await answer_method(message, run.methods)
                if isinstance(answered, Verdict):
                    return answered
                await channel.send(answered)
        except (FrameTooLong, NotStrictJson) as problem:
            return Verdict("error", error=f"its answer was refused{_why(problem, run)}")
        except OSError:
            return await self._without_answer(run)
        return Verdict("limit", error=f"it called methods more than {MAX_METHOD_CALLS} times")

    async def _without_answer(self, run: ToolRun) -> Verdict:
        code = -1
        with anyio.move_on_after(_EXIT_S):
            code = await self._process.exit_code()
        return ended_without_answer(code, run.policy.cpu_s)


def _why(problem: FrameTooLong | NotStrictJson, run: ToolRun) -> str:
    """Why an answer is none, in words of whoever wrote the tool."""
    if isinstance(problem, NotStrictJson):
        return f": {problem}"
    most = run.policy.result_bytes // MIB
    return f", for it is larger than {most} MiB: write what is large to a file of the workspace"


async def answer_method(asked: dict[str, Any], methods: Mapping[str, Method]) -> bytes | Verdict:
    """The frame that answers a method call, or the verdict where it ends the run."""
    name, arguments = asked.get("name"), asked.get("arguments")
    if set(asked) != {"t", "id", "name", "arguments"} or type(asked["id"]) is not int:
        return Verdict("error", error="it sent a method call that is not well-formed")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return Verdict("error", error="it sent a method call that is not well-formed")
    if name not in methods:
        return Verdict("error", error=f"it called the method {name[:80]!a}, which it has not")
    if len(dumps(arguments)) > METHOD_BYTES:
        return refusal(asked["id"], f"the arguments of {name} are larger than 1 MiB")
    try:
        result = await methods[name](arguments)
    except MethodRefused as refused:
        return refusal(asked["id"], str(refused))
    except Exception as problem:
        return Verdict("error", error=f"{name} failed", broken=problem)
    answer = encode({"t": "answer", "id": asked["id"], "ok": True, "result": result})
    if len(answer) > METHOD_BYTES:
        return refusal(asked["id"], f"the result of {name} is larger than 1 MiB")
    return answer


def call_message(
    run: ToolRun, listener: socket.socket | None = None, *, has_mounts: bool = True
) -> bytes:
    """The message that gives a process its call.

    listener: where its proxy is. has_mounts: folders have names of their own inside.

    Raises:
        InvalidRun: the arguments are not JSON, or text is no Unicode.
    """
    packages = None if run.packages is None else str(run.packages)
    message = {
        "t": "call",
        "id": CALL_ID,
        "source": run.source,
        "function": run.function,
        "arguments": dict(run.arguments),
        "environment": {**checked_environment(run.environment), **proxy_environment(listener)},
        "packages": bubblewrap.PACKAGES if run.packages and has_mounts else packages,
        "methods": sorted(run.methods),
        "limits": {"cpu_s": run.policy.cpu_s},
    }
    try:
        return encode(message)
    except (NotStrictJson, FrameTooLong) as problem:
        raise InvalidRun(f"it cannot be sent: {problem}") from None


def refusal(number: int, why: str) -> bytes:
    """The answer to a method call that raises in the tool."""
    return encode({"t": "answer", "id": number, "ok": False, "error": bounded_error(why)})


def read_answer(answer: dict[str, Any], limit_bytes: int) -> Verdict:
    """What a process says came of its call; anything unexpected is an error of this call."""
    if answer.get("t") != "result" or answer.get("id") != CALL_ID:
        return Verdict("error", error="it sent a message that is neither a call nor its answer")
    if answer.get("ok") is True and set(answer) == {"t", "id", "ok", "result"}:
        if limit_bytes < METHOD_BYTES and len(dumps(answer["result"])) > limit_bytes:
            return Verdict("error", error=f"its answer is longer than {limit_bytes:,} bytes")
        return Verdict("ok", result=answer["result"])
    if answer.get("ok") is False and set(answer) == {"t", "id", "ok", "error"}:
        return Verdict("error", error=error_text(answer["error"]))
    return Verdict("error", error="its answer is not well-formed")


def error_text(given: Any) -> str:
    """An error of a tool in one line."""
    if not isinstance(given, dict):
        return "its answer is not well-formed"
    kind, message, line = (given.get(key) for key in ("type", "message", "line"))
    text = f"{kind}: {message}" if isinstance(kind, str) else str(message)
    return f"{text} (line {line})" if type(line) is int else text


def ended_without_answer(code: int, cpu_s: int) -> Verdict:
    """What an exit code means, where no answer came; below 0: it did not end."""
    if code < 0:
        return Verdict("killed", error="it closed its channel without an answer")
    number = code - _SIGNALLED
    if number == _CPU_SIGNAL:
        return Verdict("limit", error=f"it used its {cpu_s} s of processor time")
    if number in _SIGNALS:
        return Verdict("killed", error=f"it was ended {_SIGNALS[number]}")
    return Verdict("killed", error=f"it ended without an answer (exit code {code})")
