"""The program inside as one file: its parts joined, without what only a reader needs.

One file, because it is mounted alone into a sandbox that sees nothing else of us, and because it
is compiled anew at each start: the join leaves out annotations, docstrings that no tool can see,
and imports of typing.
"""

import ast
import subprocess
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxUnavailable
from sandbox.unprivileged import Child

_PARTS: Final = ("answer", "channel", "confine", "listener", "methods", "run", "boot")
_ONLY_FOR_READERS: Final = ("typing", "collections.abc", "sandbox.")


_COMPILE: Final = """
import importlib.util, marshal, sys
code = compile(sys.stdin.buffer.read(), "<boot>", "exec", dont_inherit=True)
sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
"""


@cache
def boot_program() -> bytes:
    """Source of the program, for any Python from 3.9 on."""
    folder = resources.files("sandbox.inside")
    body: list[ast.stmt] = []
    for part in _PARTS:
        tree = ast.parse((folder / f"{part}.py").read_text(encoding="utf-8"))
        lean = _Lean().visit(tree)
        body += [node for node in lean.body if not _is_for_readers(node)]
    joined = ast.Module(body, type_ignores=[])
    return (ast.unparse(ast.fix_missing_locations(joined)) + "\n").encode()


def compiled_by(python: Path, child: Child, timeout_s: float = 30) -> bytes:
    """The program as a .pyc of this interpreter, which starts 5 ms faster than its source.

    child: whom the interpreter runs as, here as later.

    Raises:
        SandboxUnavailable: the interpreter does not run.
    """
    command = [str(python), "-I", "-S", "-B", "-c", _COMPILE]
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            input=boot_program(),
            capture_output=True,
            timeout=timeout_s,
            check=True,
            cwd="/",
            env={},
            **child.spawn_arguments(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxUnavailable(
            f"{python} cannot compile the program that runs inside ({error})",
            "It takes a working Python of at least 3.9",
        ) from error
    compiled: bytes = done.stdout
    return compiled


def _is_for_readers(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").startswith(_ONLY_FOR_READERS)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class _Lean(ast.NodeTransformer):
    """Takes annotations out, which an older Python could not even evaluate."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """An argument without its type."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without its return type."""
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """An assignment without its type; a mere declaration goes."""
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value))
