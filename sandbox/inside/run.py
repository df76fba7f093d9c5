"""Running a tool's source and describing what came of it.

The source is a module of its own, not `__main__`; a function of it is called with the arguments,
or, without one, the value of its last line is the answer.
"""

import _ast
import os
import sys
from typing import Any

from sandbox.inside.answer import complaint

TOOL_FILE = "<tool>"
TOOL_MODULE = "__tool__"

_MAX_MESSAGE_BYTES = 4_096
_MAX_REPR_CHARS = 65_536
_MAX_FRAMES = 20
_MAX_CAUSES = 3
_NO_MEMORY = "it needs more memory than it may have"
_ONLY_AST = 0x400
_GENERATORS = ("generator", "async_generator")


class NotJson(Exception):
    """The answer is no strict JSON."""


def run_tool(call: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Run it to its end: `ok` and `result`, or `ok` and `error` with type, message and line.

    Args:
        call: the message of the server.
        names: what is global in the source.
    """
    source: str = call["source"]
    try:
        return {"ok": True, "result": _value(source, call["function"], call["arguments"], names)}
    except BaseException as error:
        # A tool may have made it too low to say anything.
        sys.setrecursionlimit(1_000)
        return {"ok": False, "error": _described(error, source)}


def _value(source: str, function: str | None, arguments: dict[str, Any], names: Any) -> Any:
    module = type(sys)(TOOL_MODULE)
    module.__dict__.update(names)
    # Where pickle and dataclasses look for the names of a class.
    sys.modules[TOOL_MODULE] = module
    if function is None:
        value = _finished(_run_script(source, module.__dict__))
        return value if complaint(value) is None else {"repr": repr(value)[:_MAX_REPR_CHARS]}
    exec(compile(source, TOOL_FILE, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    value = _finished(_function(function, module.__dict__)(**arguments))
    wrong = complaint(value)
    if wrong is not None:
        raise NotJson(wrong)
    return value


def _run_script(source: str, names: dict[str, Any]) -> Any:
    flags = _ONLY_AST
    tree: Any = compile(source, TOOL_FILE, "exec", flags, dont_inherit=True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
    exec(compile(tree, TOOL_FILE, "exec", dont_inherit=True), names)  # noqa: S102
    if last is None:
        return None
    expression = _ast.Expression(last.value)
    return eval(compile(expression, TOOL_FILE, "eval", dont_inherit=True), names)  # noqa: S307


def _function(name: str, names: dict[str, Any]) -> Any:
    if callable(names.get(name)):
        return names[name]
    functions = sorted(key for key, each in names.items() if type(each) is type(_function))
    there = f"it has: {', '.join(functions)}" if functions else "it has none"
    raise NameError(f"the source defines no function {name!r}; {there}")


def _finished(value: Any) -> Any:
    """What an async function returns in the end."""
    kind = type(value).__name__
    if kind == "coroutine":
        import asyncio  # noqa: PLC0415 - 60 ms that few tools need

        return asyncio.run(value)
    if kind in _GENERATORS:
        raise NotJson("the answer is a generator (yield); return its values in a list")
    return value


def _described(error: BaseException, source: str) -> dict[str, Any]:
    text = _message(error)
    if isinstance(error, SystemExit):
        text = "" if error.code is None else text
        text = f"the tool called exit({text[:80]}); return a value instead"
    if isinstance(error, NameError) and error.name == "memory":
        text += "; no method of memory was granted"
    line = _line(error)
    lines = source.split("\n")
    complain("".join(_trace(error, lines)))
    # Its frames may hold what fills the memory.
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return {"type": type(error).__name__[:100], "message": text, "line": line}


def complain(text: str) -> None:
    """Write to the tool's stderr; it may have closed it."""
    try:
        sys.stderr.flush()
        os.write(2, text.encode("utf-8", "backslashreplace"))
    except BaseException:  # noqa: S110 - then nobody can be told
        pass


def _message(error: BaseException) -> str:
    try:
        text = error.msg if isinstance(error, SyntaxError) else str.__str__(str(error))
        kept = text[:_MAX_MESSAGE_BYTES].encode("utf-8", "backslashreplace")[:_MAX_MESSAGE_BYTES]
        unsaid = _NO_MEMORY if isinstance(error, MemoryError) else type(error).__name__[:100]
        return kept.decode("utf-8", "ignore") or unsaid
    except BaseException:
        return "(its message cannot be shown)"


def _line(error: BaseException) -> int | None:
    """Of the tool's source, where it was raised."""
    if isinstance(error, SyntaxError) and error.filename == TOOL_FILE:
        return error.lineno
    lines = [line for line, _ in _frames(error)]
    return lines[-1] if lines else None


def _frames(error: BaseException) -> list[tuple[int, str]]:
    found = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename == TOOL_FILE:
            found.append((step.tb_lineno, code.co_name))
        step = step.tb_next
    return found


def _trace(error: BaseException, lines: list[str]) -> list[str]:
    """A traceback of the tool's own frames, causes first."""
    chain: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and len(chain) <= _MAX_CAUSES:
        chain.append(each)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    text = []
    for each in reversed(chain):
        text.append("Traceback of the tool (most recent call last):\n")
        for line, name in _frames(each)[-_MAX_FRAMES:]:
            text.append(f"  line {line}, in {name}\n")
            if 0 < line <= len(lines):
                text.append(f"    {lines[line - 1].strip()[:200]}\n")
        text.append(f"{type(each).__name__[:100]}: {_message(each)}\n")
    return text
