"""Build dist/mnemon-VERSION.mcpb, the bundle that Claude Desktop installs with a double click.

The bundle has the sources and no dependencies: the host's uv installs those, for its machine, at
the first start. It is validated and packed by the official packer, which npm puts into .node/.
The manifest is scripts/mcpb/manifest.json; tests compare it with the project. Standard library
only. Run it from the root: python -m scripts.build_mcpb
"""

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
import zlib
from pathlib import Path

from scripts.node_tools import ToolsMissing, install_tools

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "scripts" / "mcpb" / "manifest.json"
PACKER = "@anthropic-ai/mcpb@2.1.2"
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
ICON_SIZE = 512  # what the packer asks for


def main() -> int:
    """Build the bundle and print where it is."""
    try:
        packer = install_packer(ROOT / ".node")
        print(build(packer, ROOT / "dist"))
    except ToolsMissing as error:
        print(f"build_mcpb: {error}", file=sys.stderr)
        return 1
    return 0


def install_packer(directory: Path) -> Path:
    """The packer's command, installed unless it is there.

    Raises:
        ToolsMissing: npm is missing, or cannot install the packer.
    """
    return install_tools(directory, PACKER) / ".bin" / "mcpb"


def build(packer: Path, directory: Path) -> Path:
    """Lay out the bundle's files, have them validated and packed, and return the bundle."""
    version = json.loads(MANIFEST.read_text(encoding="utf-8"))["version"]
    bundle = directory / f"mnemon-{version}.mcpb"
    bundle.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary) / "mnemon"
        stage(staged)
        for action in (("validate", staged / "manifest.json"), ("pack", staged, bundle)):
            subprocess.run([packer, *action], check=True, stdout=subprocess.DEVNULL)
    return bundle


def stage(directory: Path) -> None:
    """Copy what the bundle has: the manifest, an icon, and what builds the package."""
    directory.mkdir(parents=True)
    shutil.copy(MANIFEST, directory)
    (directory / "icon.png").write_bytes(draw_icon())
    for name in FILES:
        shutil.copy(ROOT / name, directory)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, directory / package, ignore=ignored)


def draw_icon() -> bytes:
    """A PNG of blocks in a frame: what an agent always sees."""
    ground, frame, block = (27, 38, 59), (119, 141, 169), (224, 225, 221)
    bars = ((128, 176, 384), (232, 280, 320), (336, 384, 352))  # top, bottom, right

    def color(x: int, y: int) -> tuple[int, int, int]:
        if any(top <= y < bottom and 128 <= x < right for top, bottom, right in bars):
            return block
        edge = min(x, y, ICON_SIZE - 1 - x, ICON_SIZE - 1 - y)
        return frame if 48 <= edge < 68 else ground

    rows = (
        b"\0" + bytes(part for x in range(ICON_SIZE) for part in color(x, y))
        for y in range(ICON_SIZE)
    )
    header = struct.pack(">IIBBBBB", ICON_SIZE, ICON_SIZE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    sys.exit(main())
