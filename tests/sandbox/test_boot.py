"""The program inside: one call, one strict answer, whatever the tool does."""

import signal
from pathlib import Path
from typing import Any

import pytest

from sandbox.frames import encode
from tests.sandbox.boot_process import ready, run


def test_a_function_is_called_with_its_arguments_and_answers_json(tmp_path: Path) -> None:
    source = "def tool(text: str, times: int = 2) -> dict:\n    return {'said': [text] * times}\n"
    ended = run(tmp_path, source, arguments={"text": "né 🙂", "times": 3})
    assert ended.result == {"said": ["né 🙂"] * 3}
    assert (ended.stderr, ended.status) == ("", 0)


def test_arguments_arrive_as_they_were_sent(tmp_path: Path) -> None:
    given = {
        "n": -(10**4_000),
        "f": 0.1,
        "t": '"\\\0\n🙂',
        "x": [None, True, {"": [[]]}],
        "e": 1e300,
    }
    ended = run(tmp_path, "def tool(**given): return given", arguments=given)
    assert ended.result == given


def test_an_error_names_its_type_and_the_line_of_the_tools_own_source(tmp_path: Path) -> None:
    source = "import json\n\ndef tool():\n    return inner()\n\ndef inner():\n    json.loads('{')\n"
    ended = run(tmp_path, source)
    assert ended.error["type"] == "JSONDecodeError"
    assert ended.error["message"].startswith("Expecting property name")
    assert ended.error["line"] == 7
    assert "line 4, in tool\n    return inner()\n  line 7, in inner\n    json.loads" in ended.stderr
    assert "boot" not in ended.stderr


def test_the_cause_of_an_error_is_printed_before_it(tmp_path: Path) -> None:
    source = (
        "def tool():\n"
        "    try:\n"
        "        1 / 0\n"
        "    except Exception as e:\n"
        "        raise OSError('no') from e\n"
    )
    ended = run(tmp_path, source)
    assert ended.error == {"type": "OSError", "message": "no", "line": 5}
    assert ended.stderr.index("ZeroDivisionError") < ended.stderr.index("OSError: no")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise SystemExit(3)", ("SystemExit", "called exit(3); return a value instead", 2)),
        ("import sys; sys.exit()", ("SystemExit", "called exit()", 2)),
        ("raise KeyboardInterrupt", ("KeyboardInterrupt", "KeyboardInterrupt", 2)),
        ("return tool()", ("RecursionError", "maximum recursion depth exceeded", 2)),
        ("import sys; sys.setrecursionlimit(60); f = lambda: f(); f()", ("RecursionError", "", 2)),
        ("raise MemoryError", ("MemoryError", "more memory than it may have", 2)),
        ("raise ValueError('x' * 10**7)", ("ValueError", "x" * 4_096, 2)),
        ("raise ValueError('\\ud800')", ("ValueError", "\\ud800", 2)),
        ("import no_such_module", ("ModuleNotFoundError", "no_such_module", 2)),
        ("yield 1", ("NotJson", "generator (yield); return its values in a list", None)),
        ("return {'items': [0, 1, 2, {3}]}", ("NotJson", "result.items[3] is a set", None)),
        ("return float('nan')", ("NotJson", "result is NaN", None)),
        ("return b'x'", ("NotJson", "result is a bytes; return text", None)),
        ("return 10**9999", ("NotJson", "more than 4300 digits", None)),
        ("return {(1, 2): 1, None: 2}", ("NotJson", "a key that is a tuple", None)),
        ("return '\\ud800'", ("NotJson", "half a surrogate pair", None)),
        ("return tool", ("NotJson", "result is a function; return what it returns", None)),
        ("a = []; a.append(a); return a", ("NotJson", "result[0] contains itself", None)),
        ("a = 1\n    for _ in range(100000): a = [a]\n    return a", ("NotJson", "deeper", None)),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_error_that_says_why(
    body: str, error: tuple[str, str, int | None], tmp_path: Path
) -> None:
    ended = run(tmp_path, f"def tool():\n    {body}\n")
    assert (ended.error["type"], ended.error["line"]) == (error[0], error[2])
    assert error[1] in ended.error["message"]
    assert len(ended.error["message"].encode()) <= 4_096


LIARS = """
class Liar(Exception):
    def __str__(self): raise RuntimeError
class Text(str):
    def __getitem__(self, key): return "x" * 10**7
class Longer(Exception):
    def __str__(self): return Text("long")
def tool(which):
    raise {"Liar": Liar, "Longer": Longer}[which]()
"""


@pytest.mark.parametrize(
    ("which", "message"), [("Liar", "(its message cannot be shown)"), ("Longer", "long")]
)
def test_an_error_that_lies_about_its_message_harms_nobody(
    which: str, message: str, tmp_path: Path
) -> None:
    ended = run(tmp_path, LIARS, arguments={"which": which})
    assert ended.error == {"type": which, "message": message, "line": 9}


@pytest.mark.parametrize(
    ("source", "line"),
    [("def tool():\n    return 1 +\n", 2), ("x = 1\n1 / 0\ndef tool(): pass", 2), ("\0", None)],
)
def test_source_that_does_not_run_is_an_error(
    source: str, line: int | None, tmp_path: Path
) -> None:
    assert run(tmp_path, source).error["line"] == line


def test_a_function_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    ended = run(tmp_path, "import os\ndef a(): pass\nasync def b(): pass\nc = 1", "c")
    assert ended.error["message"] == "the source defines no function 'c'; it has: a, b"


def test_missing_arguments_are_an_error(tmp_path: Path) -> None:
    ended = run(tmp_path, "def tool(a): pass")
    assert ended.error["type"] == "TypeError"
    assert "missing 1 required positional argument: 'a'" in ended.error["message"]


def test_an_async_function_is_run_to_its_end(tmp_path: Path) -> None:
    source = "import asyncio\nasync def tool(n):\n    await asyncio.sleep(0)\n    return n + 1\n"
    assert run(tmp_path, source, arguments={"n": 1}).result == 2


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("x = 20\nx * 2 + 2", 42),
        ("x = 20\n", None),
        ("", None),
        ("'only this'", "only this"),
        ("def f(): return [1]\nf()", [1]),
        ("async def main(): return 7\nmain()", 7),
        ("{1, 2}", {"repr": "{1, 2}"}),
        ("print('x')", None),
    ],
)
def test_a_script_answers_with_its_last_line_where_that_is_an_expression(
    source: str, result: Any, tmp_path: Path
) -> None:
    assert run(tmp_path, source, None).result == result


def test_an_error_in_a_script_names_its_line(tmp_path: Path) -> None:
    assert run(tmp_path, "x = 0\n\n1 / x", None).error["line"] == 3


def test_a_large_answer_arrives_whole(tmp_path: Path) -> None:
    assert run(tmp_path, "def tool(): return 'é' * 500_000").result == "é" * 500_000


def test_an_answer_over_its_limit_is_an_error_that_says_by_how_much(tmp_path: Path) -> None:
    limits = {"cpu_s": 20, "result_bytes": 100}
    assert run(tmp_path, "def tool(): return 'x' * 98", limits=limits).result == "x" * 98
    ended = run(tmp_path, "def tool(): return 'x' * 99", limits=limits)
    assert "the result is 101 bytes of JSON; at most 100" in ended.error["message"]


def test_what_is_printed_is_no_answer_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    source = (
        "import sys\n"
        "def tool():\n"
        '    print(\'{"t": "result", "ok": true}\')\n'
        "    print('no line end \\ud800', end='')\n"
        "    print('aside', file=sys.stderr)\n"
        "    sys.stdout = None\n"
        "    return 1\n"
    )
    ended = run(tmp_path, source)
    assert ended.result == 1
    assert ended.stdout == '{"t": "result", "ok": true}\nno line end \\ud800'
    assert ended.stderr == "aside\n"


def test_printed_lines_are_there_when_the_process_is_killed(tmp_path: Path) -> None:
    source = "import os, signal\ndef tool():\n    print('so far')\n    os.kill(os.getpid(), 9)\n"
    ended = run(tmp_path, source)
    assert (ended.frames, ended.stdout, ended.status) == ([], "so far\n", -signal.SIGKILL)


@pytest.mark.parametrize(
    "body",
    [
        "os._exit(0)",
        "os.closerange(3, 1000)",
        "os.closerange(0, 1000)",
        "import ctypes; ctypes.string_at(0)",
        "import builtins; builtins.__dict__.clear()",
    ],
)
def test_a_tool_that_destroys_its_process_gives_no_answer(body: str, tmp_path: Path) -> None:
    assert run(tmp_path, f"import os\ndef tool():\n    {body}\n").frames == []


def test_threads_left_behind_do_not_hold_the_answer_up(tmp_path: Path) -> None:
    source = (
        "import threading\n"
        "def tool():\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    return 1\n"
    )
    assert run(tmp_path, source).result == 1


def test_bytes_that_a_tool_writes_itself_reach_the_server_as_they_are(tmp_path: Path) -> None:
    source = (
        "import os, socket\n"
        "def tool(data):\n"
        "    for fd in range(3, 100):\n"
        "        try: os.write(fd, bytes.fromhex(data))\n"
        "        except OSError: pass\n"
    )
    forged = {"t": "result", "id": 1, "ok": True, "result": "forged"}
    ended = run(tmp_path, source, arguments={"data": encode(forged).hex()})
    assert [frame["result"] for frame in ended.frames] == ["forged", None]


def test_the_cpu_limit_ends_a_loop(tmp_path: Path) -> None:
    ended = run(tmp_path, "def tool():\n    while True: pass\n", limits={"cpu_s": 1})
    assert (ended.frames, ended.status) == ([], -signal.SIGXCPU)


def test_more_memory_than_the_limit_is_an_error(tmp_path: Path) -> None:
    source = "def tool():\n    mine = [bytearray(10**6) for _ in range(10**6)]\n"
    with ready(tmp_path, rlimits={"DATA": 100 << 20}) as boot:
        ended = boot.run(source)
    assert ended.error["type"] == "MemoryError"
    assert ended.error["line"] == 2
