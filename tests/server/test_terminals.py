"""What a terminal does to a command: Ctrl-C, Ctrl-D, letters it does not know, no room left."""

import os
import pty
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.processes import Run


def test_a_question_that_nobody_answers_deletes_nothing(mnemon: str, tmp_path: Path) -> None:
    given = ["--data", str(tmp_path / "data")]
    subprocess.run([mnemon, "agents", "create", "Sam", *given], check=True, capture_output=True)
    terminal, child = pty.openpty()
    with subprocess.Popen(
        [mnemon, "agents", "delete", "Sam", *given], stdin=child, stdout=child, stderr=child
    ) as asking:
        os.close(child)
        shown = b""
        while b"[y/N] " not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"\x04")  # Ctrl-D
        assert asking.wait(30) == 1
        with suppress(OSError):  # the end of a terminal
            while more := os.read(terminal, 1000):
                shown += more
    os.close(terminal)
    assert b"nothing was changed" in shown
    assert b"Traceback" not in shown


def test_letters_that_a_terminal_does_not_know_are_no_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("agents", "create", "\u00dcn\u00ef")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert r"\xdcn\xef" in run("agents", "list").stdout


def test_output_that_cannot_be_written_is_a_line(mnemon: str, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [mnemon, "agents", "list", "--data", str(tmp_path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 2
    assert "the output cannot be written: No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_a_conversation_at_its_prompt(
    mnemon: str, run: Run, tmp_path: Path, model_file: Path
) -> None:
    run("agents", "create", "Sam")
    terminal, child = os.openpty()
    command = [mnemon, "chat", "Sam", "--model", str(model_file), "--data", str(tmp_path / "data")]
    with subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, start_new_session=True
    ) as chat:
        os.close(child)
        timer = threading.Timer(60, chat.kill)
        timer.start()
        shown = b""
        while not shown.endswith(b"> "):
            shown += os.read(terminal, 1000)
        chat.send_signal(signal.SIGINT)
        assert chat.wait() == 130
        timer.cancel()
    os.close(terminal)
    assert b"Traceback" not in shown
