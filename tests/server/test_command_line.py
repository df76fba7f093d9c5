"""The command line as people and scripts use it: real processes, exit codes, text and JSON."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memory import agents
from memory.database import Database
from memory.queries import load_migrations
from memory.records import Origin
from memory.store import MemoryStore
from tests.server.processes import Run


def test_an_agent_is_created_listed_shown_and_deleted(run: Run) -> None:
    created = run("agents", "create", "Sam", "--persona", "I am Sam.", "--json")
    assert json.loads(created.stdout)["name"] == "Sam"
    assert [agent["name"] for agent in json.loads(run("agents", "list", "--json").stdout)] == [
        "Sam"
    ]
    assert "I am Sam." in run("agents", "show", "sam").stdout
    assert run("agents", "delete", "Sam", "--yes").returncode == 0
    assert "no agents yet" in run("agents", "list").stdout


def test_flags_may_stand_before_or_after_an_action(run: Run, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    assert run("agents", "--data", elsewhere, "create", "Sam").returncode == 0
    assert "Sam" in run("agents", "list", "--data", elsewhere).stdout
    assert "no agents yet" in run("agents", "list").stdout


def test_deleting_asks_first_and_refuses_where_nobody_can_answer(run: Run) -> None:
    run("agents", "create", "Sam")
    refused = run("agents", "delete", "Sam", stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    assert "add --yes" in refused.stderr
    assert "Sam" in run("agents", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["agents", "lst"], "invalid choice: 'lst'"),
        (["agents", "show", "Tom"], "no agent 'Tom'; agents: none yet"),
        (["agents", "create", " "], "name is empty"),
        (["agents", "create", "a", "--template", ""], "--template is empty"),
        (["agents", "list", "--data", ""], "the command line: data is empty"),
        (["mcp", "--data", ""], "the command line: data is empty"),
        (["setup", "cursor", "--config", ""], "--config cannot be ''"),
        (["setup", "cursor", "--config", "/nowhere/b/a.json"], "a folder that exists"),
        (["approve", "", "--yes"], "there is no run ''; `mnemon runs list AGENT` shows"),
        (["doctor", "--port", "1"], "unrecognized arguments: --port 1"),
        (["agents", "create", "--templte", "a"], "--templte (did you mean --template?)"),
        (["agents", "list", "--foo"], "mnemon agents list: error: unrecognized arguments: --foo"),
        (["models", "probe", "ollama:qwen3"], "mnemon doctor --model ollama:qwen3` tries it"),
        (["serve", "--port", "99999"], "http_port cannot be 99999"),
        (["serve", "--host", "10.1.2.3"], "can be reached from other machines"),
        (["serve", "--http", "10.1.2.3:80"], "can be reached from other machines"),
        (["serve", "--http", "localhost"], "--http takes HOST:PORT, such as 127.0.0.1:7077"),
        (["serve", "--http", "::1:80"], "--http takes HOST:PORT"),
        (["tokens", "create", "laptop"], "at least one with --agent"),
        (["tokens", "create", "laptop", "--agent", "Tom"], "no agent 'Tom'"),
        (["tokens", "revoke", "laptop"], "there is no token 'laptop'; there are: none"),
        (["doctor", "--context-tokens", "many"], "invalid int value: 'many'"),
        (["reindex"], "nothing to reindex"),
        (["mcp", "--toolset", "foo"], "mnemon mcp: error: argument --toolset: invalid choice"),
        (["mcp", "--idle-minutes", "abc"], "mnemon mcp: error: argument --idle-minutes"),
        (["mcp", "--embedder", "foo"], "embedder cannot be 'foo': it can be 'minilm', 'none'"),
        (["agents", "delete", "Sam", "--y"], "unrecognized arguments: --y"),
        (["chat", "Tom", "-m", "Hi"], "no agent 'Tom'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_explained_in_a_line_and_exits_with_2(
    run: Run, arguments: list[str], expected: str
) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_with_json_a_mistake_is_json_too(run: Run) -> None:
    result = run("agents", "show", "Tom", "--json")
    assert result.returncode == 2
    assert "no agent 'Tom'" in json.loads(result.stdout)["error"]


def test_the_doctor_finds_everything_in_order_and_creates_nothing(
    run: Run, tmp_path: Path, model_file: Path
) -> None:
    result = run("doctor", "--model", str(model_file), "--json")
    found = {finding["what"]: finding["state"] for finding in json.loads(result.stdout)}
    if found.pop("sandbox") != "ok":
        pytest.skip(f"nothing can be isolated here: {result.stdout}")
    assert found == dict.fromkeys(("program", "database", "vss", "embedder", "model"), "ok")
    assert result.returncode == 0
    assert not (tmp_path / "data").exists()


def test_the_doctor_names_what_is_wrong_and_exits_with_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnemon.duckdb").write_bytes(b"rubbish" * 5000)
    result = run("doctor", "--model", "/nowhere.gguf", "--embedder", "sentence-transformers:/no")
    assert result.returncode == 1
    problems = [line for line in result.stdout.splitlines() if line.startswith("problem")]
    assert len(problems) == 3
    assert "restore a backup" in result.stdout
    assert "/nowhere.gguf" in result.stdout
    assert "the path of its folder" in result.stdout


STORE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from memory.store import MemoryStore
from tests.server.processes import Run
from tests.memory.given import MemoryOf
MemoryOf.new_agent(MemoryStore(Path(sys.argv[1]), None), "Ada")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_doctor_leaves_the_file_and_the_log_of_a_killed_server_as_they_are(
    run: Run, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    subprocess.run([sys.executable, "-c", STORE_AND_DIE, data / "mnemon.duckdb"])
    before = {file.name: file.read_bytes() for file in data.iterdir()}
    assert sorted(before) == ["mnemon.duckdb", "mnemon.duckdb.wal"]

    result = run("doctor")

    log_kb = len(before["mnemon.duckdb.wal"]) / 1e3
    assert result.returncode == 0
    assert f"schema version {len(load_migrations())}, 1 agent" in result.stdout
    assert f"a log of {log_kb:.1f} KB that the next start reads" in result.stdout
    assert {file.name: file.read_bytes() for file in data.iterdir()} == before


def test_the_doctor_announces_a_migration_and_does_not_make_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "data" / "mnemon.duckdb"
    with Database(path) as database, database.write(Origin("person:test", "age it")) as transaction:
        transaction.run("delete_meta", name="schema_version")
        transaction.run("insert_meta", name="schema_version", value="0")
    before = path.read_bytes()
    told = f"the next start brings the schema to version {len(load_migrations())}"
    assert told in run("doctor").stdout
    assert path.read_bytes() == before


@contextmanager
def serving(mnemon: str, data: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [mnemon, "mcp", "--data", str(data)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.stdin.close()
            assert process.wait(10) == 0


def speak(server: "subprocess.Popen[str]") -> None:
    """Have the owner open the memory for a host."""
    for number, method in enumerate(("initialize", "tools/call"), start=1):
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        if method == "tools/call":
            params = {"name": "agent_list", "arguments": {}}
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        server.stdout.readline()


def test_commands_work_while_a_host_has_the_memory_open(
    mnemon: str, run: Run, tmp_path: Path
) -> None:
    with serving(mnemon, tmp_path / "data") as server:
        speak(server)
        about = ["--persona", "I am Sam. " * 450, "--description", "Helps. " * 280]
        assert run("agents", "create", "Sam", *about).returncode == 0
        served = run("agents", "show", "Sam", "--json").stdout
        assert "Sam" in run("agents", "list").stdout
        assert "I am Sam." in run("agents", "show", "sam").stdout
        assert "no agent 'Tom'" in run("agents", "show", "Tom").stderr
        owner = json.loads(run("status", "--json").stdout)["owner"]
        assert [host["name"] for host in owner["hosts"]] == ["test"]
        (host,) = owner["hosts"]
        described = (
            f"served by process {owner['pid']} since {owner['since']}"
            f" for test (process {host['front_pid']})"
        )
        for told in ("doctor", "status"):
            assert described in run(told).stdout
        assert run("doctor").returncode == 0

        refused = run("reindex")
        assert refused.returncode == 2
        assert f"{described}; end it with `mnemon stop`" in refused.stderr
        for setting, detail in (("--embedder", "none"), ("--model", "/a.gguf")):
            refused = run("chat", "Sam", "-m", "Hi", setting, detail)
            assert refused.returncode == 2
            assert f"{described} with {setting[2:]}" in refused.stderr
            assert f"leave {setting} out" in refused.stderr
        assert "model: none configured" in run("doctor").stdout
        looked_at = run("doctor", "--model", "/a.gguf").stdout
        assert "note    model: /a.gguf is looked at; hosts have none" in looked_at
        assert "problem model: " in looked_at
        unanswered = run("chat", "Sam", "-m", "Hi")
        assert unanswered.returncode == 2
        assert "no language model is configured" in unanswered.stderr
        assert run("stop").returncode == 0
        assert run("agents", "show", "Sam", "--json").stdout == served
        assert run("agents", "delete", "Sam", "--yes").returncode == 0
    assert "nobody serves" in run("status").stdout
    assert "no agents yet" in run("agents", "list").stdout


def test_the_doctor_says_that_the_agent_of_a_setting_does_not_exist(
    mnemon: str, run: Run, tmp_path: Path
) -> None:
    variables = {**os.environ, "MNEMON_DATA": str(tmp_path / "data"), "MNEMON_AGENT": "Sam"}
    run("agents", "create", "Tom")
    assert "problem agent: no agent 'Sam'" in run("doctor", env=variables).stdout
    with serving(mnemon, tmp_path / "data") as server:
        speak(server)
        assert "problem agent: no agent 'Sam'" in run("doctor", env=variables).stdout
        run("agents", "create", "Sam")
        assert run("doctor", env=variables).returncode == 0
        run("stop")
    assert run("doctor", env=variables).returncode == 0


def test_a_conversation_is_read_line_by_line_and_answered_in_json(
    run: Run, model_file: Path
) -> None:
    run("agents", "create", "Sam", "--persona", "I am Sam.")
    result = run("chat", "Sam", "--model", str(model_file), "--json", input="Hello\n\nHello\n")
    replies = [json.loads(line) for line in result.stdout.splitlines()]
    assert [reply["steps"] for reply in replies] == [1, 1]
    assert json.loads(run("agents", "show", "Sam", "--json").stdout)["messages"] == 4


def test_looking_for_agents_makes_no_memory(run: Run, tmp_path: Path) -> None:
    assert "no agents yet" in run("agents", "list").stdout
    assert "no agent 'Sam'" in run("agents", "show", "Sam").stderr
    assert not (tmp_path / "data").exists()


def test_a_token_is_made_for_agents_shown_once_listed_and_revoked(run: Run) -> None:
    run("agents", "create", "Sam")
    made = run("tokens", "create", "laptop", "--agent", "Sam", "--toolset", "agents", "--json")
    token = json.loads(made.stdout)
    assert run("tokens", "list").stdout.endswith("  Sam\n")
    (listed,) = json.loads(run("tokens", "list", "--json").stdout)
    assert listed == {key: value for key, value in token.items() if key != "token"}
    assert listed["toolset"] == "agents"
    assert listed["agents"] == [json.loads(run("agents", "show", "Sam", "--json").stdout)["id"]]
    assert "revoked laptop" in run("tokens", "revoke", "laptop").stdout
    assert "no tokens for some agents" in run("tokens", "list").stdout


def test_ctrl_c_ends_a_server_with_exit_code_0(mnemon: str, tmp_path: Path) -> None:
    command = [mnemon, "serve", "--http", "127.0.0.1:0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert "mnemon serves http://127.0.0.1:" in server.stdout.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0


def test_settings_of_the_file_yield_to_the_environment_and_that_to_flags(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.toml").write_text('embedder = "none"\n')
    assert "search is by keyword only" in run("doctor").stdout
    assert "MiniLM" in run("doctor", "--embedder", "minilm").stdout


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("embeder = 'none'", "there is no setting 'embeder'; known: data, embedder"),
        ("http_port = 'high'", "http_port cannot be 'high'"),
        ("http_port = ", "cannot be read"),
        ("data = '/tmp'", "cannot stand in the directory"),
        ("allow_unsandboxed_tools = true", "set MNEMON_ALLOW_UNSANDBOXED_TOOLS=1"),
        ("sandbox_python = 'python3'", "sandbox_python cannot be 'python3': it takes an abs"),
    ],
    ids=["unknown key", "wrong type", "broken", "data", "unsandboxed", "python"],
)
def test_a_wrong_configuration_file_is_named_with_what_is_wrong(
    run: Run, tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.toml").write_text(content)
    result = run("doctor")
    assert result.returncode == 2
    assert "config.toml" in result.stderr
    assert expected in result.stderr


def test_an_owner_is_found_and_stopped_whatever_is_wrong_with_other_settings(
    mnemon: str, run: Run, tmp_path: Path
) -> None:
    with serving(mnemon, tmp_path / "data") as server:
        speak(server)
        (tmp_path / "data" / "config.toml").write_text("http_port = ")
        assert "served by process" in run("status").stdout
        assert "stopped process" in run("stop").stdout


def test_a_closed_output_is_told_of_in_a_line(mnemon: str, tmp_path: Path) -> None:
    given = ["sh", "-c", 'exec "$0" agents list --data "$1" >&-', mnemon, str(tmp_path / "data")]
    closed = subprocess.run(given, stderr=subprocess.PIPE, text=True, timeout=60)
    assert closed.returncode == 2
    assert closed.stderr == "mnemon: the output cannot be written: it is closed\n"


def test_an_unknown_variable_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEMON_EMBEDDDER", "none")
    result = run("doctor")
    assert result.returncode == 2
    assert "the environment: there is no setting 'embeddder'" in result.stderr


def test_a_server_that_cannot_open_its_memory_does_not_announce_itself(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "mnemon.duckdb").write_bytes(b"rubbish" * 5000)
    result = run("serve", "--port", "0")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "restore a backup" in result.stderr


def test_every_agent_is_listed(run: Run, tmp_path: Path) -> None:
    database = tmp_path / "data" / "mnemon.duckdb"
    with (
        MemoryStore(database, None) as store,
        store.write(Origin("person:test", "fill")) as transaction,
    ):
        for number in range(120):
            agents.create_agent(transaction, agents.NewAgent(f"Agent {number}"))
    assert len(json.loads(run("agents", "list", "--json").stdout)) == 120


def test_nothing_is_written_outside_the_data_directory(run: Run, tmp_path: Path) -> None:
    # onnxruntime, left to itself, puts an id and a queue of reports into the home directory.
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "MNEMON_DATA": str(tmp_path / "data")}
    for arguments in (["agents", "create", "Sam"], ["doctor"], ["reindex"]):
        assert run(*arguments, env=environment).returncode == 0
    assert list(home.iterdir()) == []


def test_a_data_directory_that_is_a_file_is_explained(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    for arguments in (["serve", "--port", "0"], ["agents", "list"]):
        result = run(*arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert str(tmp_path / "data") in result.stderr
