"""What a tool may ask of the server while it runs: `memory.search(query="…")`."""

import _thread
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.inside.answer import complaint
from sandbox.inside.channel import Channel


class ToolMethodError(Exception):
    """The server did not do what a method asked; the message says why."""


class Methods:
    """What this tool was granted, e.g. `memory.search(query="tea", limit=5)`.

    Give every argument by name. Arguments and answers are JSON: text, numbers, True, False, None,
    lists and dicts. A refusal raises ToolMethodError, which the tool may catch. Calls from several
    threads take turns. What is written becomes lasting only when the tool ends without an error.
    """

    def __init__(self, name: str, methods: dict[str, Callable[..., Any]]) -> None:
        self.__dict__.update(methods)
        self.__name = name

    def __getattr__(self, name: str) -> Any:
        """Explain what is missing."""
        granted = ", ".join(sorted(key for key in self.__dict__ if not key.startswith("_")))
        raise AttributeError(f"{self.__name}.{name} was not granted; there is: {granted}")

    def __repr__(self) -> str:
        return f"<{self.__name}, methods of the server>"


def method_objects(names: Sequence[str], channel: Channel) -> dict[str, Any]:
    """What the names make global in a tool: an object for all that start alike, and the error."""
    grouped: dict[str, dict[str, Callable[..., Any]]] = {}
    ask = _Asking(channel)
    for name in names:
        first, _, rest = name.partition(".")
        grouped.setdefault(first, {})[rest] = _method(name, ask)
    objects: dict[str, Any] = {first: Methods(first, found) for first, found in grouped.items()}
    return {**objects, "ToolMethodError": ToolMethodError} if objects else {}


class _Asking:
    """One question at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = _thread.allocate_lock()
        self._last_id = 0

    def __call__(self, name: str, arguments: dict[str, Any]) -> Any:
        with self._lock:
            self._last_id += 1
            question = {"t": "method", "id": self._last_id, "name": name, "arguments": arguments}
            try:
                self._channel.send(question)
                answer = self._channel.receive()
                # Answers to questions that a signal handler of the tool broke off.
                while answer["id"] != self._last_id:
                    answer = self._channel.receive()
            except (EOFError, OSError) as error:
                raise ToolMethodError(f"{name}: {error}") from None
        if not answer["ok"]:
            raise ToolMethodError(answer["error"])
        return answer["result"]


def _method(name: str, ask: _Asking) -> Callable[..., Any]:
    def method(*positional: Any, **arguments: Any) -> Any:
        if positional:
            raise TypeError(f"{name} takes its arguments by name, e.g. {name}(name=value)")
        wrong = complaint(arguments, name)
        if wrong is not None:
            raise TypeError(wrong.replace("return ", "pass ", 1))
        return ask(name, arguments)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Ask the server for {name}; arguments by name."
    return method
