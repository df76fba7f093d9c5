"""Programs that only npm has, of exact versions, in .node/: the packer, the conformance suite.

Standard library only. Nothing is installed for the machine, and nothing twice.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

NODE = "node@22.23.3"
"""What is installed where the machine's own Node.js is too old."""

ENOUGH = (22, 19)
"""What the Inspector needs; the conformance suite needs 22."""


class ToolsMissing(Exception):
    """The programs cannot be had here; the message says why."""


def install_tools(directory: Path, *packages: str) -> Path:
    """The node_modules folder with these packages (name@version), installed unless they are there.

    Raises:
        ToolsMissing: there is no npm, or it cannot install them.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ToolsMissing("npm is not installed; it comes with Node.js 20 or newer")
    modules = directory / "node_modules"
    missing = [package for package in packages if not _is_installed(modules, package)]
    if missing:
        # Saved, because npm removes whatever nobody asked for. One retry: more of them take a
        # minute to find out that there is no network.
        flags = ["--save-exact", "--no-audit", "--fetch-retries=1"]
        command = [npm, "install", "--prefix", str(directory), *flags, *missing]
        directory.mkdir(exist_ok=True)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ToolsMissing(f"npm cannot install {', '.join(missing)}: {done.stderr.strip()}")
    return modules


def find_node(directory: Path) -> str:
    """A Node.js that is new enough: the machine's own, or one that npm puts into the directory.

    Raises:
        ToolsMissing: there is neither.
    """
    own = shutil.which("node")
    if own is not None and _version(own) >= ENOUGH:
        return own
    node = install_tools(directory, NODE) / "node" / "bin" / "node"
    if not node.exists():
        raise ToolsMissing(f"npm installed {NODE} without its program; does it ignore scripts?")
    return str(node)


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


def _is_installed(modules: Path, package: str) -> bool:
    name, _, version = package.rpartition("@")
    manifest = modules / name / "package.json"
    return manifest.exists() and json.loads(manifest.read_text("utf-8"))["version"] == version
