"""The program inside: one call, one strict answer, whatever the tool does."""

from pathlib import Path

from tests.sandbox.boot_process import run


def test_a_function_is_called_with_its_arguments_and_answers_json(tmp_path: Path) -> None:
    source = "def tool(text: str, times: int = 2) -> dict:\n    return {'said': [text] * times}\n"
    ended = run(tmp_path, source, arguments={"text": "né 🙂", "times": 3})
    assert ended.result == {"said": ["né 🙂"] * 3}
    assert (ended.stderr, ended.status) == ("", 0)


def test_an_error_names_its_type_and_the_line_of_the_tools_own_source(tmp_path: Path) -> None:
    source = "import json\n\ndef tool():\n    return inner()\n\ndef inner():\n    json.loads('{')\n"
    ended = run(tmp_path, source)
    assert ended.error["type"] == "JSONDecodeError"
    assert ended.error["line"] == 7
    assert "line 4, in tool\n    return inner()\n  line 7, in inner" in ended.stderr
    assert "boot" not in ended.stderr


def test_a_script_answers_with_its_last_line(tmp_path: Path) -> None:
    assert run(tmp_path, "x = 20\nx * 2 + 2", None).result == 42


def test_a_script_without_a_last_expression_answers_null(tmp_path: Path) -> None:
    assert run(tmp_path, "x = 20\n", None).result is None


def test_a_scripts_last_value_that_is_no_json_is_shown(tmp_path: Path) -> None:
    assert run(tmp_path, "{1, 2}", None).result == {"repr": "{1, 2}"}
