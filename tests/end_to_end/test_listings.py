"""What registries, links and bundles say about mnemon agrees with what it is."""

import base64
import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import TypeAdapter

from server.config import PREFIX, Settings
from server.parser import build_parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_json(name: str) -> Any:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


LISTING = read_json("server.json")
ENTRY = read_json("mcp.json")["mcpServers"]["mnemon"]


def test_the_registry_s_listing_is_of_this_version() -> None:
    (package,) = LISTING["packages"]
    assert LISTING["version"] == package["version"] == PROJECT["version"]
    assert package["identifier"] == PROJECT["name"]
    assert package["transport"] == {"type": "stdio"}
    assert len(LISTING["description"]) <= 100  # the registry's limit


def test_the_readme_proves_that_the_listing_is_the_package_s_own() -> None:
    assert f"<!-- mcp-name: {LISTING['name']} -->" in README
    assert re.fullmatch(r"io\.github\.[\w-]+/mnemon", LISTING["name"])


def test_the_listing_starts_the_command_that_hosts_are_given() -> None:
    (package,) = LISTING["packages"]
    arguments = [argument["value"] for argument in package["packageArguments"]]
    assert arguments == ENTRY["args"]
    assert PROJECT["scripts"] == {ENTRY["command"]: "server.cli:main"}
    assert build_parser().parse_args(arguments).command == "mcp"


def test_the_listing_s_variables_are_settings_and_take_what_it_offers() -> None:
    (package,) = LISTING["packages"]
    for variable in package["environmentVariables"]:
        name = variable["name"].removeprefix(PREFIX).lower()
        default = str(Settings.model_fields[name].default)
        assert variable.get("default", "") == default
        for choice in variable.get("choices", ()):
            Settings.model_validate({name: choice})


def linked(host: str) -> tuple[str, str]:
    """The name and the encoded entry in the link of the README that adds mnemon to a host."""
    (link,) = re.findall(rf"\[{host}\]\((https:[^)]*)\)", README)
    query = parse_qs(urlsplit(link).query, strict_parsing=True)
    ((name,), (config,)) = query["name"], query["config"]
    return name, config


@pytest.mark.parametrize("host", ["VS Code", "Cursor", "LM Studio"])
def test_an_install_link_adds_the_entry_of_mcp_json(host: str) -> None:
    name, config = linked(host)
    text = config if host == "VS Code" else base64.b64decode(config, validate=True).decode()
    entry = TypeAdapter(dict[str, Any]).validate_json(text)
    expected = {key: value for key, value in ENTRY.items() if value}
    assert name == "mnemon"
    assert entry == ({"type": "stdio", **expected} if host == "VS Code" else expected)
