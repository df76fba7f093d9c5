"""What a tool asks of the server while it runs."""

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.boot_process import ready, run


def search(arguments: dict[str, Any]) -> Any:
    if "query" not in arguments:
        raise ValueError("query is missing")
    return [{"text": arguments["query"], "score": 0.5}]


def test_a_method_is_asked_by_name_and_answers_json(tmp_path: Path) -> None:
    source = "def tool():\n    return memory.search(query='té')[0]['text']\n"
    assert run(tmp_path, source, methods={"memory.search": search}).result == "té"


def test_a_refusal_is_an_error_that_the_tool_may_catch(tmp_path: Path) -> None:
    source = (
        "def tool():\n"
        "    try:\n"
        "        memory.search()\n"
        "    except ToolMethodError as error:\n"
        "        return [str(error), memory.search(query='x')[0]['text']]\n"
    )
    ended = run(tmp_path, source, methods={"memory.search": search})
    assert ended.result == ["query is missing", "x"]


def test_a_refusal_that_is_not_caught_names_its_line(tmp_path: Path) -> None:
    ended = run(tmp_path, "def tool():\n    memory.search()\n", methods={"memory.search": search})
    assert ended.error == {"type": "ToolMethodError", "message": "query is missing", "line": 2}


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        ("memory.search('x')", "TypeError", "memory.search takes its arguments by name"),
        ("memory.search(query={1})", "TypeError", "memory.search.query is a set; pass a list"),
        ("memory.append(text='x')", "AttributeError", "memory.append was not granted; there is: "),
    ],
)
def test_what_cannot_be_asked_is_not_sent(
    call: str, kind: str, message: str, tmp_path: Path
) -> None:
    asked: list[Any] = []
    source = f"def tool():\n    {call}\n"
    ended = run(tmp_path, source, methods={"memory.search": asked.append})
    assert (ended.error["type"], ended.error["line"], asked) == (kind, 2, [])
    assert message in ended.error["message"]


def test_without_a_grant_there_is_no_memory(tmp_path: Path) -> None:
    assert run(tmp_path, "def tool(): memory.search()").error["type"] == "NameError"


def test_scripts_and_threads_and_large_messages_are_answered_each_with_their_own(
    tmp_path: Path,
) -> None:
    source = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def ask(n): return memory.echo(n=n, text=str(n) * 100_000)\n"
        "with ThreadPoolExecutor(8) as pool: answers = list(pool.map(ask, range(40)))\n"
        "[a['n'] for a in answers if a['text'] == str(a['n']) * 100_000]\n"
    )
    ended = run(tmp_path, source, None, methods={"memory.echo": lambda given: given})
    assert ended.result == list(range(40))


def test_an_answer_that_the_tool_no_longer_waited_for_is_not_taken_for_the_next(
    tmp_path: Path,
) -> None:
    source = (
        "import signal\n"
        "class TooLate(Exception): pass\n"
        "def late(*_): raise TooLate\n"
        "def tool():\n"
        "    signal.signal(signal.SIGUSR1, late)\n"
        "    try: memory.echo(n=1)\n"
        "    except TooLate: pass\n"
        "    return memory.echo(n=2)\n"
    )
    with ready(tmp_path) as boot:

        def echo(given: dict[str, Any]) -> Any:
            if given["n"] == 1:
                boot.process.send_signal(10)
                # The second question is a sign that the first was given up.
                second = boot.frame()
                assert second is not None
                boot.waiting.insert(0, second)
            return given["n"]

        assert boot.run(source, methods={"memory.echo": echo}).result == 2


def test_a_server_that_is_gone_is_an_error_for_the_tool(tmp_path: Path) -> None:
    source = (
        "def tool():\n"
        "    try: memory.search(query='x')\n"
        "    except ToolMethodError as error: print(error)\n"
    )
    with ready(tmp_path) as boot:

        def gone(_: dict[str, Any]) -> None:
            boot.link.shutdown(1)

        with pytest.raises(BrokenPipeError):
            boot.run(source, methods={"memory.search": gone})
        out, _ = boot.process.communicate(timeout=20)
    assert out == b"memory.search: the server has closed the connection\n"


def test_the_memory_object_explains_itself(tmp_path: Path) -> None:
    ended = run(tmp_path, "[memory.__doc__, repr(memory)]", None, methods={"memory.search": search})
    assert "Give every argument by name" in ended.result[0]
    assert ended.result[1] == "<memory, methods of the server>"
