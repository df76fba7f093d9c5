"""The bundle for Claude Desktop: its manifest tells the truth, and the official packer takes it."""

import json
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from mcp import Client

from scripts.build_mcpb import MANIFEST, ROOT, build, install_packer, stage
from scripts.node_tools import ToolsMissing
from server.app import open_server
from server.config import PREFIX, Settings

manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_manifest_is_of_this_project_and_version() -> None:
    for key in ("name", "version", "description", "license"):
        assert manifest[key] == project[key], key
    assert manifest["compatibility"]["runtimes"] == {"python": project["requires-python"]}


async def test_the_manifest_lists_the_tools_that_hosts_find() -> None:
    async with open_server(Settings(data=":memory:")) as server, Client(server) as client:
        tools = (await client.list_tools()).tools
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in tools]


def test_the_manifest_starts_the_server_and_passes_on_what_a_person_chose() -> None:
    started = manifest["server"]["mcp_config"]
    assert started["args"][-2:] == ["mnemon", "mcp"]
    for variable, value in started["env"].items():
        name = variable.removeprefix(PREFIX).lower()
        assert name in Settings.model_fields
        # Without a default, hosts pass the placeholder on as it stands.
        assert manifest["user_config"][name]["default"] == ""
        assert value == f"${{user_config.{name}}}"


def test_the_bundle_has_all_that_the_package_is_built_from(tmp_path: Path) -> None:
    stage(tmp_path / "bundle")
    staged = {str(file.relative_to(tmp_path / "bundle")) for file in tmp_path.rglob("*.*")}
    for package in ("agent", "memory", "sandbox", "server"):
        sources = {str(file.relative_to(ROOT)) for file in (ROOT / package).rglob("*.*")}
        assert {name for name in sources if "__pycache__" not in name} <= staged
    assert {"manifest.json", "icon.png", "pyproject.toml", "README.md"} <= staged
    assert not any("__pycache__" in name for name in staged)


def test_the_official_packer_takes_the_bundle(tmp_path: Path) -> None:
    try:
        packer = install_packer(ROOT / ".node")
    except ToolsMissing as error:
        pytest.skip(str(error))
    bundle = build(packer, tmp_path)
    assert bundle.name == f"mnemon-{project['version']}.mcpb"
    with ZipFile(bundle) as packed:
        assert json.loads(packed.read("manifest.json")) == manifest
        names = set(packed.namelist())
    assert "memory/embedders/all-MiniLM-L6-v2-int8/model.onnx" in names
    assert "memory/sql/search.sql" in names
    assert "agent/prompts/system.md" in names
