"""The program inside: confine itself, say ready, wait for one call, run it, answer, end.

`PYTHON -I -S -B PROGRAM DESCRIPTOR`. Once the tool has started, this program is the tool: nothing
that it sends carries authority.
"""

import _thread
import binascii
import os
import select
import sys
from collections.abc import Sequence
from typing import Any

from sandbox.inside.channel import Channel, to_json
from sandbox.inside.confine import (
    filter_system_calls,
    give_up_privileges,
    limit_cpu_seconds,
    limit_resources,
    restrict_access,
)
from sandbox.inside.listener import hand_out_listener
from sandbox.inside.methods import method_objects
from sandbox.inside.run import TOOL_FILE, complain, run_tool

_STRAY_DESCRIPTORS = 65_536
_MODULES_OF_MOST_TOOLS = (
    "types", "operator", "functools", "collections", "enum", "copyreg", "re", "json", "datetime",
    "math", "typing",
)  # fmt: skip
"""A warm call of a tool that imports json, re and datetime takes 1 ms with them, 10 ms without.

They cost 1.5 MB. In an order in which each leaves little to the next: a cold call waits 2 ms.
"""


def main() -> None:
    """Serve one call."""
    descriptor = int(sys.argv[1])
    # Whatever else was left open by mistake; the socket is not for programs that the tool starts.
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, _STRAY_DESCRIPTORS)
    os.set_inheritable(descriptor, False)
    channel = Channel(descriptor)
    _confine(channel, channel.receive(), descriptor)
    try:
        call = channel.receive()
    except EOFError:
        return
    _prepare(call)
    answer = run_tool(call, method_objects(call["methods"], channel))
    _flush()
    _answer(channel, {"t": "result", "id": call["id"], **answer}, call["limits"])


def _confine(channel: Channel, configuration: dict[str, Any], descriptor: int) -> None:
    """Give up what no tool needs, and say ready; the filter is last, for it forbids the rest."""
    limit_resources(configuration["rlimits"])
    if configuration.get("listen"):
        hand_out_listener(descriptor)
    if sys.platform == "linux":
        give_up_privileges()
    rules = configuration["landlock"]
    abi = 0 if rules is None else restrict_access(rules)
    _thread.stack_size(configuration["thread_stack"])
    channel.send({"t": "ready", "landlock_abi": abi, "pid": os.getpid()})
    _load(configuration.get("preload", _MODULES_OF_MOST_TOOLS), descriptor)
    late_filter = configuration["late_filter"]
    if late_filter is not None:
        # Now, not when the call is here: the kernel takes a while to compile it.
        filter_system_calls(binascii.a2b_base64(late_filter))


def _load(modules: Sequence[str], descriptor: int) -> None:
    """Import modules while nobody waits: a call that comes does not wait for more than one."""
    for name in modules:
        if select.select([descriptor], [], [], 0)[0]:
            return
        __import__(name)


def _prepare(call: dict[str, Any]) -> None:
    """What the tool finds: environment, modules, limits, streams."""
    os.environ.update(call["environment"])
    packages = call["packages"]
    if packages is not None:
        version = sys.version_info
        inner = f"{packages}/lib/python{version[0]}.{version[1]}/site-packages"
        sys.path.append(inner if os.path.isdir(inner) else packages)
    # Last: a file of the workspace must not stand for a module of Python.
    sys.path.append(os.getcwd())
    sys.argv = [TOOL_FILE]
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        # By line, so that what was printed is there when the process is killed.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    limit_cpu_seconds(call["limits"]["cpu_s"])


def _flush() -> None:
    # Its own streams as well, if it left others in their places.
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except BaseException:  # noqa: S110 - the tool's own loss
            pass


def _answer(channel: Channel, message: dict[str, Any], limits: dict[str, int]) -> None:
    """Send the result and end, without waiting for threads that the tool left behind."""
    max_bytes = limits.get("result_bytes")
    try:
        if max_bytes is not None and "result" in message:
            message = _no_larger(message, max_bytes)
        channel.send(message)
    except BaseException as error:
        complain(f"the answer could not be sent: {type(error).__name__}\n")
        os._exit(1)
    os._exit(0)


def _no_larger(message: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    size = len(to_json(message["result"]).encode())
    if size <= max_bytes:
        return message
    text = f"the result is {size} bytes of JSON; at most {max_bytes} are taken: return less of it"
    error = {"type": "ResultTooLarge", "message": text, "line": None}
    return {"t": "result", "id": message["id"], "ok": False, "error": error}


if __name__ == "__main__":
    main()
