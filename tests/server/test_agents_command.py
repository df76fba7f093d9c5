"""`mnemon agents` as people use it: real processes, with and without an owner."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import Run, front_process

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["alone", "served"])
def agents(request: pytest.FixtureRequest, run: Run, mnemon: str, tmp_path: Path) -> Iterator[Run]:
    """`mnemon agents ...` on a memory that a host has open, or that nobody has."""

    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run("agents", *arguments, **options)

    if request.param == "alone":
        yield call
        return
    with front_process(mnemon, tmp_path / "data") as front:
        front.shake_hands()
        yield call


def shown(agents: Run, name: str) -> dict[str, Any]:
    result = agents("show", name, "--json")
    assert result.returncode == 0, result.stderr + result.stdout
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_an_agent_is_created_changed_copied_reset_and_deleted(agents: Run) -> None:
    about = ["--tag", "sea", "--tag", "crew", "--metadata", '{"team": 1}', "--set", "max_steps=9"]
    assert agents("create", "Sam", "--persona", "I am Sam.", *about).returncode == 0
    sam = shown(agents, "Sam")
    assert (sam["tags"], sam["metadata"]) == (["sea", "crew"], {"team": 1})
    assert sam["settings"] == {"max_steps": 9}
    assert [block["description"] != "" for block in sam["blocks"]] == [True, True]

    changes = ["--set", "max_steps=null", "--set", "compaction.mode=all", "--name", "Samuel"]
    changed = agents("update", "Sam", *changes, "--block", "human=Ada", "--detach", "persona")
    assert "Samuel" in changed.stdout, changed.stderr
    samuel = shown(agents, "Samuel")
    assert samuel["settings"] == {"compaction": {"mode": "all"}}
    assert [(block["label"], block["value"]) for block in samuel["blocks"]] == [("human", "Ada")]

    persona = json.loads(agents("orphans", "--json").stdout)[0]["id"]
    assert agents("update", "Samuel", "--attach", persona).returncode == 0
    assert agents("clone", "Samuel", "Eva", "--include", "blocks").returncode == 0
    assert [block["label"] for block in shown(agents, "Eva")["blocks"]] == ["human", "persona"]
    assert "Forgot 0 messages" in agents("reset", "Samuel", "-y").stdout

    kept = agents("delete", "Samuel", "--keep-orphans", "--yes")
    assert "stays without an agent" in kept.stdout
    left = [orphan["id"] for orphan in json.loads(agents("orphans", "--json").stdout)]
    assert len(left) == 2
    deleted = agents("orphans", *(f"--delete={id_}" for id_ in left), "--yes", "--json")
    assert json.loads(deleted.stdout)["status"] == "done"
    assert "every block and archive has an agent" in agents("orphans").stdout


def test_agents_are_listed_by_what_they_are_like(agents: Run) -> None:
    agents("create", "Sam", "--tag", "a", "--tag", "b", "--description", "Sails.")
    agents("create", "Eva", "--tag", "a")
    for flags, names in (
        (["--name", "SA"], ["Sam"]),
        (["--query", "sails"], ["Sam"]),
        (["--tag", "b", "--tag", "a"], ["Sam", "Eva"]),
        (["--tag", "b", "--tag", "a", "--all-tags"], ["Sam"]),
    ):
        found = json.loads(agents("list", *flags, "--json").stdout)
        assert [agent["name"] for agent in found] == names
    assert "no agent is like that" in agents("list", "--name", "x").stdout


def test_what_the_readme_shows_is_done_without_a_word_more(agents: Run) -> None:
    created = agents("create", "Eva", "--persona", "I am Eva.", "--human", "The user is Ada.")
    assert (created.returncode, created.stderr) == (0, "")
    assert [block["value"] for block in shown(agents, "Eva")["blocks"]] == [
        "I am Eva.",
        "The user is Ada.",
    ]


def test_a_model_that_is_not_there_is_pointed_out(agents: Run) -> None:
    created = agents("create", "Eva", "--model", "/no/such.gguf", "--tag", "sea")
    assert created.returncode == 0
    assert "note: model '/no/such.gguf'" in created.stderr
    assert "  [sea]" in agents("list").stdout


def test_an_empty_model_is_the_configured_one_again(agents: Run) -> None:
    agents("create", "Eva", "--model", "openai:gpt")
    assert shown(agents, "Eva")["model"] == "openai:gpt"
    told = agents("update", "Eva", "--model", "null")
    assert (told.returncode, "`mnemon agents update AGENT --no-model`" in told.stderr) == (2, True)
    assert agents("update", "Eva", "--model", "x", "--no-model").returncode == 2
    assert shown(agents, "Eva")["model"] == "openai:gpt"
    assert agents("update", "Eva", "--no-model").returncode == 0
    assert not shown(agents, "Eva")["model"]
    agents("update", "Eva", "--model", "openai:gpt")
    assert agents("update", "Eva", "--model", "").returncode == 0
    assert not shown(agents, "Eva")["model"]
    assert "model default" in agents("show", "Eva").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", ""], "no agent ''; agents: Eva"),
        (["update", "Eva", "--tag", "a", "--no-tags"], "not allowed with argument"),
        (["update", "Eva", "--block", "a=1", "--block", "a=2"], "--block a is given twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(agents: Run, arguments: list[str], said: str) -> None:
    agents("create", "Eva")
    refused = agents(*arguments)
    assert refused.returncode == 2
    assert said in refused.stderr


@pytest.mark.parametrize("suffix", [".toml", ".json", ".md"])
def test_an_agent_made_from_its_own_template_is_like_it(
    run: Run, tmp_path: Path, suffix: str
) -> None:
    file = str(tmp_path / f"sam{suffix}")
    about = ["--system", "You are Sam.\n\nBe brief.", "--timezone", "Europe/Berlin"]
    settings = ["--set", "temperature=0.5", "--metadata", '{"a": {"b": [1, "x"]}}']
    run("agents", "create", "Sam", "--persona", "I am Sam.\n", *about, *settings)
    assert f"wrote {file}" in run("agents", "export-template", "Sam", "--output", file).stdout
    assert run("agents", "delete", "Sam", "--yes").returncode == 0
    result = run("agents", "create", "--template", file)
    assert "created Sam" in result.stdout, result.stderr
    sam = json.loads(run("agents", "show", "Sam", "--json").stdout)
    assert (sam["system"], sam["timezone"]) == ("You are Sam.\n\nBe brief.", "Europe/Berlin")
    assert (sam["settings"], sam["metadata"]) == ({"temperature": 0.5}, {"a": {"b": [1, "x"]}})
    assert [block["value"] for block in sam["blocks"]] == ["I am Sam.\n", ""]
    again = run("agents", "export-template", "Sam", "--output", file)
    assert again.returncode == 2
    assert "File exists" in again.stderr


@pytest.mark.parametrize(
    "template", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name
)
def test_the_templates_of_the_examples_work(run: Run, template: Path) -> None:
    result = run("agents", "create", "--template", str(template), "--json")
    assert result.returncode == 0, result.stdout
    name = json.loads(result.stdout)["name"]
    printed = run("agents", "export-template", name).stdout
    assert f'name = "{name}"' in printed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["create"], "an agent needs a name"),
        (["create", "Sam", "--set", "max_steps"], "'max_steps' is not KEY=VALUE"),
        (["create", "Sam", "--set", "max_step=3"], "there is no setting 'max_step'"),
        (["create", "Sam", "--metadata", "[1]"], "--metadata takes a JSON object, not '[1]'"),
        (["create", "Sam", "--template", "/nowhere.toml"], "/nowhere.toml cannot be read"),
        (["create", "Sam", "--set", "a=1", "--set", "a.b=1"], "a was set to a plain value"),
        (["update", "Sam"], "nothing to change"),
        (["update", "Tom", "--description", "x"], "no agent 'Tom'"),
        (["clone", "Tom", "Sam"], "no agent 'Tom'"),
        (["orphans", "--delete", "block-1", "--yes"], "no orphan 'block-1'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_explained_in_a_line(run: Run, arguments: list[str], expected: str) -> None:
    result = run("agents", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
