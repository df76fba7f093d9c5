"""One run of an installer, as who waits for it is told of it."""

import sys
from pathlib import Path

from sandbox.install_process import Bounds, Installation, install

SAYS = "print('Looking in https://me:hush@index.example/simple, http://token@other.example')"


async def test_passwords_of_an_index_are_told_to_nobody(tmp_path: Path) -> None:
    told: list[str] = []
    command = [sys.executable, "-I", "-S", "-c", SAYS]
    installation = Installation("resolving", command, [tmp_path], {})
    code, lines = await install(installation, Bounds(20, 1_000_000, 100), told.append)
    assert (code, lines) == (0, told)
    assert told == ["Looking in https://***@index.example/simple, http://***@other.example"]
