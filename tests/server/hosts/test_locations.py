"""Where each host keeps its configuration, on each system."""

import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from server.hosts.hosts import HOSTS
from server.hosts.locations import System, locate, locations

ADA = PurePosixPath("/home/ada")
MAC = PurePosixPath("/Users/ada")
WIN = PureWindowsPath("C:/Users/ada")

FILES: dict[tuple[str, System], str] = {
    ("claude-desktop", "linux"): "/home/ada/.config/Claude/claude_desktop_config.json",
    ("claude-desktop", "darwin"): (
        "/Users/ada/Library/Application Support/Claude/claude_desktop_config.json"
    ),
    ("claude-desktop", "win32"): (
        r"C:\Users\ada\AppData\Roaming\Claude\claude_desktop_config.json"
    ),
    ("claude-code", "linux"): "/home/ada/.claude.json",
    ("claude-code", "darwin"): "/Users/ada/.claude.json",
    ("claude-code", "win32"): r"C:\Users\ada\.claude.json",
    ("cursor", "linux"): "/home/ada/.cursor/mcp.json",
    ("cursor", "darwin"): "/Users/ada/.cursor/mcp.json",
    ("cursor", "win32"): r"C:\Users\ada\.cursor\mcp.json",
    ("vscode", "linux"): "/home/ada/.config/Code/User/mcp.json",
    ("vscode", "darwin"): "/Users/ada/Library/Application Support/Code/User/mcp.json",
    ("vscode", "win32"): r"C:\Users\ada\AppData\Roaming\Code\User\mcp.json",
    ("windsurf", "linux"): "/home/ada/.codeium/windsurf/mcp_config.json",
    ("windsurf", "darwin"): "/Users/ada/.codeium/windsurf/mcp_config.json",
    ("windsurf", "win32"): r"C:\Users\ada\.codeium\windsurf\mcp_config.json",
    ("zed", "linux"): "/home/ada/.config/zed/settings.json",
    ("zed", "darwin"): "/Users/ada/.config/zed/settings.json",
    ("zed", "win32"): r"C:\Users\ada\AppData\Roaming\Zed\settings.json",
    ("lm-studio", "linux"): "/home/ada/.lmstudio/mcp.json",
    ("lm-studio", "darwin"): "/Users/ada/.lmstudio/mcp.json",
    ("lm-studio", "win32"): r"C:\Users\ada\.lmstudio\mcp.json",
}


@pytest.mark.parametrize(("host", "system"), FILES, ids=lambda part: str(part))
def test_a_file_lies_where_its_vendor_says(host: str, system: System) -> None:
    homes = {"linux": ADA, "darwin": MAC, "win32": WIN}
    usual = locations(host, system, homes[system], {})[0]
    assert str(usual.file) == FILES[host, system]


def test_every_host_has_a_file_on_every_system() -> None:
    assert {host for host, _ in FILES} == set(HOSTS)
    assert len(FILES) == 3 * len(HOSTS)


@pytest.mark.parametrize(
    ("host", "variable", "file"),
    [
        ("claude-desktop", "XDG_CONFIG_HOME", "/x/Claude/claude_desktop_config.json"),
        ("vscode", "XDG_CONFIG_HOME", "/x/Code/User/mcp.json"),
        ("zed", "XDG_CONFIG_HOME", "/x/zed/settings.json"),
        ("claude-code", "CLAUDE_CONFIG_DIR", "/x/.claude.json"),
    ],
)
def test_a_variable_moves_the_file(host: str, variable: str, file: str) -> None:
    assert str(locations(host, "linux", ADA, {variable: "/x"})[0].file) == file


def test_appdata_moves_the_files_of_windows() -> None:
    usual, store = locations(
        "claude-desktop", "win32", WIN, {"APPDATA": r"D:\Roaming", "LOCALAPPDATA": r"D:\Local"}
    )
    assert str(usual.sign) == r"D:\Roaming\Claude"
    assert str(store.sign).startswith(r"D:\Local\Packages\Claude_")


@pytest.mark.skipif(sys.platform == "win32", reason="home is HOME only elsewhere")
def test_a_host_that_has_been_elsewhere_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    usual, old = tmp_path / ".lmstudio", tmp_path / ".cache" / "lm-studio"
    assert locate("lm-studio", {}).file == usual / "mcp.json"
    usual.mkdir()
    old.mkdir(parents=True)
    assert locate("lm-studio", {}).file == old / "mcp.json"
    pointer = tmp_path / ".lmstudio-home-pointer"
    for nowhere in (b"", b"relative/path", b"\xff\xfe"):
        pointer.write_bytes(nowhere)
        assert locate("lm-studio", {}).file == old / "mcp.json"
    pointer.write_text("/big/lmstudio\n")
    assert locate("lm-studio", {}).file == Path("/big/lmstudio/mcp.json")
