"""Run pip so that it can start no other program: a program of its own, standard library only.

Arguments: pip's `__pip-runner__.py`, then pip's own. `--only-binary :all:` keeps pip from building
what it finds in an index, but not what a wheel's metadata names by address; a build and a checkout
both need a program, so none is started. What else pip asks programs for, it does without.
"""

import runpy
import sys

_STARTS_A_PROGRAM = {
    "subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "os.system", "os.startfile", "pty.spawn",
}  # fmt: skip


def refuse_programs(event: str, _arguments: tuple[object, ...]) -> None:
    """An audit hook; cannot be taken away again."""
    if event in _STARTS_A_PROGRAM:
        raise PermissionError("only wheels are installed; a build would run code of the package")


if __name__ == "__main__":
    sys.addaudithook(refuse_programs)
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
