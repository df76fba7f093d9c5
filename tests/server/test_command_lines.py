"""Commands as they are typed, made ones that start from any folder."""

from pathlib import Path

import pytest

from server.command_lines import command_of
from server.config import ConfigError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    for name in ("bin/tool", "server.py", "serve", "conf.toml"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("bin/tool server.py", ["{}/bin/tool", "{}/server.py"]),
        ("./bin/tool .", ["{}/bin/tool", "{}"]),
        ("~/bin/tool ~/server.py", ["{}/bin/tool", "{}/server.py"]),
        ("./gone", ["{}/gone"]),
        ("tool serve gone.py -m pkg.mod", ["tool", "serve", "gone.py", "-m", "pkg.mod"]),
        ("tool --config=conf.toml --x=1.5", ["tool", "--config={}/conf.toml", "--x=1.5"]),
        ("/usr/bin/tool /etc/../etc", ["/usr/bin/tool", "/etc/../etc"]),
        ("tool 'two words'", ["tool", "two words"]),
    ],
)
def test_what_is_a_path_here_is_one_everywhere(here: Path, line: str, parts: list[str]) -> None:
    assert command_of(line, here) == [part.format(here) for part in parts]


@pytest.mark.parametrize(("line", "told"), [("tool 'x", "No closing quotation"), (" ", "is empty")])
def test_a_line_that_is_no_command_is_refused(here: Path, line: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        command_of(line, here)
