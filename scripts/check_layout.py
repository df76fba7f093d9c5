"""Is the tree as a stranger would expect it? Exits 1 with a line for each thing that is not.

Files of at most 400 lines, functions of at most 60, a docstring on every module,
no `__init__.py` below tests/, no folder or file with a name that says nothing, and nothing at the
top level that is not listed here.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("agent", "memory", "sandbox", "server")
TOP_LEVEL = {
    *PACKAGES,
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "NOTICE", "README.md",
    "benchmarks", "constraints.txt", "docs", "examples", "mcp.json", "pyproject.toml", "scripts",
    "server.json", "tests",
}  # fmt: skip
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
EMPTY_NAMES = {"utils", "helpers", "manager", "base", "misc", "common"}
AS_THEY_RAN = ROOT / "tests" / "fixtures"


def main() -> int:
    """Print what is out of place."""
    complaints = [*check_names(), *check_sources()]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def tracked() -> list[Path]:
    """Every file that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).exists()]


def check_names() -> Iterator[str]:
    """Where files lie and what they are called."""
    for path in tracked():
        name = path.relative_to(ROOT)
        if name.parts[0] not in TOP_LEVEL:
            yield f"{name}: nothing else belongs at the top level; see scripts/check_layout.py"
        if path.name == "__init__.py" and name.parts[0] == "tests":
            yield f"{name}: tests are no package"
        if EMPTY_NAMES & {part.removesuffix(".py") for part in name.parts}:
            yield f"{name}: a name that does not say what is inside"


def check_sources() -> Iterator[str]:
    """How long files and functions are, and whether a module says what it is."""
    for path in tracked():
        if path.suffix != ".py" or AS_THEY_RAN in path.parents:
            continue
        name = path.relative_to(ROOT)
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > MAX_FILE_LINES:
            yield f"{name}: {lines} lines, more than {MAX_FILE_LINES}"
        tree = ast.parse(text)
        if name.parts[0] in PACKAGES and ast.get_docstring(tree) is None:
            yield f"{name}: a module without a docstring"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                length = node.end_lineno - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    yield f"{name}:{node.lineno}: {node.name} has {length} lines"


if __name__ == "__main__":
    sys.exit(main())
