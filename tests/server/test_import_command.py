"""`mnemon import`: files into an archive, each passage once, whatever ends the command."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from memory import agents
from memory.archival import passage_of
from memory.records import Passage
from memory.store import MemoryStore
from server.import_files import CHUNK_BYTES, open_sources, read_passages
from tests.server.processes import DEADLINE_S, Run, kill_owner

MANY = 1_200
"""More than two batches."""


def lines(path: Path, *values: Any) -> str:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return str(path)


@pytest.fixture
def diary(tmp_path: Path) -> str:
    """A file of many passages, two of which are the same."""
    said = [f"On day {n} Ada fed {n + 3} ducks." for n in range(MANY - 1)]
    return lines(tmp_path / "diary.jsonl", *said, said[7])


@pytest.fixture
def sam(run: Run) -> Run:
    """The command, on a memory with an agent Sam."""
    assert run("agents", "create", "Sam").returncode == 0
    return run


@contextmanager
def started(
    mnemon: str, data: Path, *arguments: str, **more: Any
) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "MNEMON_DATA": str(data)}
    with subprocess.Popen(
        [mnemon, *arguments], env=environment, stderr=subprocess.PIPE, text=True, **more
    ) as process:
        timer = Timer(2 * DEADLINE_S, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()


def until(process: "subprocess.Popen[str]", begin: str) -> str:
    """The next line of stderr that begins so."""
    assert process.stderr is not None
    return next(line for line in process.stderr if line.startswith(begin))


def imported(run: Run, *arguments: str) -> Mapping[str, Any]:
    done = run("import", "Sam", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def archive(run: Run, data: Path) -> Sequence[Passage]:
    """All passages of Sam, once the owner has ended."""
    run("stop")
    with MemoryStore(data / "mnemon.duckdb", None) as store, store.read() as reader:
        agent = agents.find_agent(reader, "Sam")
        docs = [doc for doc, *_ in reader.rows("texts_to_embed", after=0, limit=10_000)]
        rows = reader.rows("passages_by_doc", collection=agent.archive_key, docs=json.dumps(docs))
        return sorted(map(passage_of, rows), key=lambda passage: passage.doc)


def vectors(data: Path) -> int:
    with MemoryStore(data / "mnemon.duckdb", None) as store, store.read() as reader:
        key = agents.find_agent(reader, "Sam").archive_key
        return int(reader.value("count_vectors", collection=key))


def test_each_line_is_a_passage_with_its_own_fields(sam: Run, tmp_path: Path) -> None:
    said = {"text": "I play the oboe.", "author": "Ada", "tags": ["music"], "session": "one"}
    dated = {"content": "It rained.", "occurred_at": "2026-03-31T18:00", "source": "diary"}
    file = lines(tmp_path / "a.jsonl", said, dated, "Just a text.")
    assert imported(sam, file, "--tag", "new", "--author", "Bob", "--embedder", "none") == {
        "stored": 3,
        "held": 0,
        "pending_vectors": 3,
        "problem": "there is no embedder",
    }
    first, second, third = archive(sam, tmp_path / "data")
    assert (first.text, first.author, first.tags) == ("I play the oboe.", "Ada", ("music",))
    assert (first.session, first.sequence, first.source) == ("one", 1, file)
    assert (second.source, second.author, second.tags) == ("diary", "Bob", ("new",))
    assert str(second.occurred_at) == "2026-03-31 18:00:00+00:00"
    assert third.text == "Just a text."


def test_a_text_becomes_pieces_in_the_order_of_the_file(sam: Run, tmp_path: Path) -> None:
    text = "\n\n".join(f"Paragraph {n} tells of ducks. " + "They swim. " * 20 for n in range(9))
    (tmp_path / "ducks.md").write_text(text)
    file = str(tmp_path / "ducks.md")
    assert imported(sam, file, "--embedder", "none")["stored"] == 5
    pieces = archive(sam, tmp_path / "data")
    assert "".join("".join(p.text for p in pieces).split()) == "".join(text.split())
    assert [(p.source, p.session, p.sequence) for p in pieces] == [
        (file, file, number) for number in range(1, 6)
    ]


def test_a_text_of_any_length_is_cut_without_a_loss(tmp_path: Path) -> None:
    text = "\ufeff" + "\n\n".join(
        f"Absatz {n} erzählt: {'Enten schwimmen. ' * 9}" for n in range(15_000)
    )
    (tmp_path / "ducks.txt").write_text(text)
    with ExitStack() as opened:
        sources = open_sources([str(tmp_path / "ducks.txt")], None, {}, opened)
        first, again = (list(read_passages(sources)) for _ in range(2))
    assert first == again and len(text) > 2 * CHUNK_BYTES
    assert "".join("".join(p.content for p in first).split()) == "".join(text[1:].split())
    assert [p.sequence for p in first] == list(range(1, len(first) + 1))
    assert max(len(p.content) for p in first) < 1_200


def test_standard_input_is_read_as_lines(sam: Run, tmp_path: Path) -> None:
    done = sam("import", "Sam", "-", "--embedder", "none", input='"one"\n\n{"content": "two"}\n')
    assert "2 passages stored" in done.stdout
    assert [p.text for p in archive(sam, tmp_path / "data")] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"a"\n{"content": ', "line 2 is no JSON"),
        ('"a"\n\n[1]', "line 3 is neither an object nor a text"),
        (
            '{"content": "a", "colour": "red"}',
            "line 1: unknown argument 'colour'; a passage has content, tags",
        ),
        ('"a"\n"\\u0000"', "line 2: the passage holds a NUL character"),
        ('{"content": "a", "occurred_at": "soon"}', "line 1: occurred_at"),
        ('"a"\n"' + "a" * 100_001 + '"', "line 2: the passage has 100001 characters"),
        ("a" * 2_000_001, "line 1 has more than 2000000 bytes"),
    ],
)
def test_a_file_with_something_wrong_in_it_changes_nothing(
    sam: Run, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    done = sam("import", "Sam", str(tmp_path / "bad.jsonl"), "--embedder", "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"bad.jsonl, {message}" in done.stderr and "Traceback" not in done.stderr
    assert archive(sam, tmp_path / "data") == []


def test_what_cannot_be_read_or_nobody_has_is_said(sam: Run, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    file = lines(tmp_path / "a.jsonl", "tea")
    for arguments, message in (
        (["Sam", str(tmp_path / "none.txt")], "cannot be read"),
        (["Sam", str(tmp_path)], "cannot be read"),
        (["Sam", str(tmp_path / "latin.txt")], "is no UTF-8 text"),
        (["Bob", file], "no agent 'Bob'; agents: Sam"),
    ):
        done = sam("import", *arguments, "--embedder", "none")
        assert done.returncode == 2 and message in done.stderr


def test_an_import_goes_on_when_the_owner_is_killed(
    sam: Run, mnemon: str, tmp_path: Path, diary: str
) -> None:
    data = tmp_path / "data"
    with started(mnemon, data, "import", "Sam", diary) as process:
        until(process, "stored")
        kill_owner(data)
        until(process, f"stored {MANY}/{MANY}")
        until(process, "embedded")
        kill_owner(data)
        until(process, f"embedded {MANY}/{MANY}")
        assert process.wait() == 0
    assert len(archive(sam, data)) == MANY and vectors(data) == MANY


def test_an_import_that_was_killed_with_the_owner_is_made_whole_by_running_it_again(
    sam: Run, mnemon: str, tmp_path: Path, diary: str
) -> None:
    data = tmp_path / "data"
    with started(mnemon, data, "import", "Sam", diary) as process:
        until(process, "stored")
        process.send_signal(signal.SIGKILL)
        kill_owner(data)
    again = imported(sam, diary)
    assert again["stored"] + again["held"] == MANY and again["held"] >= 500
    assert again["pending_vectors"] == 0
    assert imported(sam, diary)["held"] == MANY
    assert len(archive(sam, data)) == MANY and vectors(data) == MANY


def test_ctrl_c_keeps_what_is_stored_and_says_how_to_go_on(
    sam: Run, mnemon: str, tmp_path: Path, diary: str
) -> None:
    data = tmp_path / "data"
    with started(mnemon, data, "import", "Sam", diary, "--no-wait", process_group=0) as process:
        until(process, "stored")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait() == 130 and "Traceback" not in told
        assert "interrupted; " in told and "run the same command again" in told
    again = imported(sam, diary, "--no-wait")
    assert again["held"] >= 500 and again["stored"] + again["held"] == MANY
    assert len(archive(sam, data)) == MANY
