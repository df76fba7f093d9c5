"""`mnemon models` as people and scripts use it, against a hub on this machine."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.models.library.ollama import MODEL_LAYER
from memory import agents
from memory.records import Origin
from memory.store import MemoryStore
from server.commands.models.tables import size
from server.commands.models.transfer import progress_line
from tests.agent.models.library.given import LLAMA, Hub, gguf_bytes, serving_hub, write_gguf

DATA = gguf_bytes({**LLAMA, "general.file_type": 15}, weights=50_000)
OTHER = gguf_bytes(weights=60_000)
Models = Callable[..., "subprocess.CompletedProcess[str]"]


def sibling(name: str, data: bytes) -> dict[str, Any]:
    lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 1}
    return {"rfilename": name, "size": len(data), "lfs": lfs}


def publish(hub: Hub, repository: str, files: dict[str, bytes]) -> None:
    siblings = [sibling(name, data) for name, data in files.items()]
    card = {"license": "apache-2.0"}
    hub.repositories[repository] = {"sha": "c0ffee", "siblings": siblings, "cardData": card}
    hub.files |= {f"/{repository}/resolve/c0ffee/{name}": data for name, data in files.items()}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving_hub() as hub:
        publish(hub, "org/repo", {"m-Q4_K_M.gguf": DATA, "m-Q8_0.gguf": OTHER})
        yield hub


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """That of a new user whose hub is the test's."""
    moved = ("HF_", "HUGGINGFACE_", "OLLAMA_", "XDG_", "MNEMON_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(moved)}
    home = tmp_path / "home"
    return {
        **kept,
        "HOME": str(home),
        "OLLAMA_MODELS": str(home / "ollama"),
        "HF_ENDPOINT": hub.url,
        "MNEMON_DATA": str(tmp_path / "data"),
    }


@pytest.fixture
def models(mnemon: str, environment: dict[str, str]) -> Models:
    """Run `mnemon models` as that user."""

    def call(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [mnemon, "models", *arguments],
            **{
                "env": environment,
                "stdin": subprocess.DEVNULL,
                "capture_output": True,
                "text": True,
                "timeout": 60,
                **options,
            },
        )

    return call


def test_with_no_models_some_are_recommended_with_how_to_get_them(models: Models) -> None:
    result = models("list")
    assert result.returncode == 0, result.stderr
    assert "no language models on this machine" in result.stdout
    assert "unsloth/Qwen3-4B-Instruct-2507-GGUF" in result.stdout
    assert "mnemon models pull qwen3-4b" in result.stdout
    assert json.loads(models("list", "--json").stdout) == []
    recommended = json.loads(models("list", "--recommended", "--json").stdout)
    assert recommended[0]["licence"] == "Apache-2.0"


def test_a_pulled_model_is_listed_and_named_in_the_advice(models: Models, tmp_path: Path) -> None:
    pulled = models("pull", "org/repo", "--json")
    assert pulled.returncode == 0, pulled.stderr
    told = json.loads(pulled.stdout)
    path = tmp_path / "data" / "models" / "org" / "repo" / "m-Q4_K_M.gguf"
    assert (told["status"], told["checked"], told["path"]) == ("pulled", True, str(path))
    assert path.read_bytes() == DATA

    (row,) = json.loads(models("list", "--json").stdout)
    assert (row["name"], row["from"], row["quantisation"]) == ("m-Q4_K_M", "mnemon", "Q4_K_M")
    assert row["trained_tokens"] == row["window_tokens"] == 4096
    assert row["memory_bytes"] == len(DATA) + 4096 * 256
    assert row["fits"] == "yes" and row["template_knows_tools"] and row["probe"] is None
    assert f"mnemon chat AGENT --model {path}" in models("list").stdout
    narrow = json.loads(models("list", "--json", "--context-tokens", "600").stdout)
    assert narrow[0]["window_tokens"] == 600


def test_the_usual_quantisation_is_taken_and_the_others_are_named(models: Models) -> None:
    result = models("pull", "org/repo")
    assert f"org/repo: Q4_K_M, {size(len(DATA))}, licence apache-2.0" in result.stderr
    assert f"others there: Q8_0 ({size(len(OTHER))}); take one with org/repo:NAME" in result.stderr
    assert result.stderr.count("%") <= 11
    assert "pulled: m-Q4_K_M" in result.stdout
    assert "mnemon models probe m-Q4_K_M" in result.stdout


def test_what_is_there_is_not_fetched_again_whoever_put_it_there(
    models: Models, hub: Hub, environment: dict[str, str]
) -> None:
    models("pull", "org/repo:Q4_K_M")
    studio = Path(environment["HOME"]) / ".lmstudio" / "models" / "org" / "repo"
    studio.mkdir(parents=True)
    (studio / "m-Q8_0.gguf").write_bytes(OTHER)
    hub.files.clear()
    again = models("pull", "org/repo:Q4_K_M")
    assert (again.returncode, again.stdout.partition(" (")[0]) == (0, "already there: m-Q4_K_M")
    elsewhere = json.loads(models("pull", "org/repo:m-Q8_0.gguf", "--json").stdout)
    assert (elsewhere["status"], elsewhere["from"]) == ("there", "lm-studio")


def test_an_interrupted_pull_is_listed_and_goes_on(
    mnemon: str, models: Models, hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    hub.cut_after, hub.stalls = [60_000], True
    command = [mnemon, "models", "pull", "org/repo:Q4_K_M"]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as pull:
        assert pull.stderr is not None
        timer = threading.Timer(60, pull.kill)
        timer.start()
        for line in pull.stderr:
            if "%" in line:  # some of it is here
                pull.send_signal(signal.SIGINT)
                break
        said = pull.stderr.read()
        assert pull.wait() == 130
        timer.cancel()
    assert "run the same command again to go on" in said
    assert "Traceback" not in said
    part = tmp_path / "data" / "models" / "org" / "repo" / "m-Q4_K_M.gguf.part"
    kept = part.stat().st_size
    assert 0 < kept <= 60_000

    listed = models("list").stdout
    assert f"unfinished: m-Q4_K_M.gguf, {size(kept)} of {size(len(DATA))}" in listed
    assert "go on with: mnemon models pull org/repo:m-Q4_K_M.gguf" in listed

    hub.stalls = False
    assert models("pull", "org/repo:m-Q4_K_M.gguf").returncode == 0
    assert hub.ranges_asked() == [f"bytes={kept}-"]
    assert part.with_suffix("").read_bytes() == DATA


def test_in_a_terminal_a_bar_shows_how_far_it_is(mnemon: str, environment: dict[str, str]) -> None:
    terminal, child = pty.openpty()
    command = [mnemon, "models", "pull", "org/repo"]
    with subprocess.Popen(command, env=environment, stderr=child, stdout=child) as pull:
        os.close(child)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while more := os.read(terminal, 65_536):
                shown += more
        assert pull.wait(60) == 0
    os.close(terminal)
    assert b"\rm-Q4_K_M  [########################]  201 kB / 201 kB  100 %" in shown


def test_the_line_of_a_download_fits_its_terminal() -> None:
    line = progress_line("Qwen3-4B", 1_200_000_000, 2_500_000_000, 10_000_000, 100)
    assert line == (
        "Qwen3-4B  [###########.............]  1.2 GB / 2.5 GB   48 %  10.0 MB/s  2 min 10 s left"
    )
    for width in range(1, 100):
        assert len(progress_line("Qwen3-4B", 1, 2_500_000_000, 1000.0, width)) <= width
        assert len(progress_line("Qwen3-4B", 1, None, 0.0, width)) <= width


def test_a_split_model_comes_with_all_its_parts(models: Models, hub: Hub, tmp_path: Path) -> None:
    parts = {
        f"BF16/b-BF16-{number:05}-of-00002.gguf": gguf_bytes(weights=1000 * number)
        for number in (1, 2)
    }
    publish(hub, "org/split", parts)
    told = json.loads(models("pull", "org/split", "--json").stdout)
    assert (told["name"], told["size_bytes"]) == ("b-BF16", sum(map(len, parts.values())))
    folder = tmp_path / "data" / "models" / "org" / "split"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        Path(name).name for name in parts
    )


def test_a_model_comes_from_any_url_held_to_a_digest(
    models: Models, hub: Hub, tmp_path: Path
) -> None:
    hub.files["/files/toy.gguf"] = DATA
    url = f"{hub.url}/files/toy.gguf?download=true"
    wrong = models("pull", url, "--sha256", "0" * 64)
    assert wrong.returncode == 2
    assert "do not trust its source" in wrong.stderr
    digest = hashlib.sha256(DATA).hexdigest()
    told = json.loads(models("pull", url, "--sha256", digest, "--json").stdout)
    assert told["checked"] and told["name"] == "toy"
    again = models("pull", url, "--sha256", "1" * 64)
    assert f"with the SHA-256 {digest}, not 1111" in again.stderr
    hub.files["/files/free.gguf"] = OTHER
    unchecked = models("pull", f"{hub.url}/files/free.gguf")
    assert "nobody promised a checksum" in unchecked.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pull", "nobody"], "is nothing that can be pulled; it can be a short name"),
        (["pull", "org/none"], "has no repository org/none"),
        (["pull", "org/repo:Q6_K"], "org/repo has no Q6_K; it has Q4_K_M, Q8_0"),
        (["pull", "http://example.org/m.gguf"], "is not https"),
        (["pull", "org/repo", "--sha256", "abc"], "--sha256 takes 64 hexadecimal digits"),
        (["pull", "org/repo", "--data", ":memory:"], "':memory:' keeps nothing"),
        (["probe", "nobody"], "there is no model 'nobody' on this machine"),
        (["probe", "/nowhere.gguf"], "does not exist"),
        (["rm", "nobody"], "there is no model 'nobody' on this machine"),
        (["find"], "invalid choice: 'find'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_explained_in_a_line_and_exits_with_2(
    models: Models, arguments: list[str], expected: str
) -> None:
    result = models(*arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_model_is_tried_and_the_list_knows_it_from_then_on(
    models: Models, model_file: Path, tmp_path: Path
) -> None:
    own = tmp_path / "data" / "models" / "tiny.gguf"
    own.parent.mkdir(parents=True)
    own.write_bytes(model_file.read_bytes())
    probed = models("probe", "tiny", "--model-threads", "1", "--json")
    assert probed.returncode == 0, probed.stderr
    told = json.loads(probed.stdout)
    assert told["works"] and told["mode"] == "hermes" and told["window_limit"] == "training"
    (row,) = json.loads(models("list", "--json").stdout)
    assert row["probe"]["mode"] == "hermes"
    by_path = models("probe", str(own), "--context-tokens", "600")
    assert by_path.returncode == 1
    assert "problem     the prompt is" in by_path.stdout
    assert "calls no tools" in models("list").stdout


def test_a_model_is_deleted_with_what_was_known_of_it(models: Models, tmp_path: Path) -> None:
    models("pull", "org/repo")
    refused = models("rm", "m-Q4_K_M")
    assert refused.returncode == 2
    assert "add --yes to do it" in refused.stderr
    removed = json.loads(models("rm", "M-q4_k_m", "--yes", "--json").stdout)
    assert removed == {"deleted": "m-Q4_K_M", "freed_bytes": len(DATA)}
    assert list((tmp_path / "data" / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("place", "name", "way"),
    [
        (".lmstudio/models/p/r/m.gguf", "m", "LM Studio's, not mnemon's; remove it in LM Studio"),
        (
            ".cache/huggingface/hub/models--o--r/snapshots/1/m.gguf",
            "o/r/m",
            "Hugging Face's, not mnemon's; remove it with: hf cache rm model/o/r",
        ),
    ],
)
def test_models_of_other_programs_are_theirs_to_delete(
    models: Models, environment: dict[str, str], place: str, name: str, way: str
) -> None:
    path = write_gguf(Path(environment["HOME"]) / place)
    result = models("rm", name, "--yes")
    assert result.returncode == 2
    assert way in result.stderr
    assert path.exists()


def test_a_model_of_ollama_s_is_deleted_there(models: Models, environment: dict[str, str]) -> None:
    root = Path(environment["OLLAMA_MODELS"])
    write_gguf(root / "blobs" / f"sha256-{'ab' * 32}")
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "qwen3" / "4b"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": MODEL_LAYER, "digest": f"sha256:{'ab' * 32}"}
    manifest.write_text(json.dumps({"layers": [layer]}))
    assert "ollama/qwen3:4b" in models("list").stdout
    assert "remove it with: ollama rm qwen3:4b" in models("rm", "qwen3:4b").stderr


def test_a_model_in_use_is_kept_until_that_is_forced(models: Models, tmp_path: Path) -> None:
    models("pull", "org/repo:Q4_K_M")
    models("pull", "org/repo:Q8_0")
    data = tmp_path / "data"
    folder = data / "models" / "org" / "repo"
    (data / "config.toml").write_text("model = 'models/org/repo/m-Q8_0.gguf'\n")
    with (
        MemoryStore(data / "mnemon.duckdb", None) as store,
        store.write(Origin("person:test", "fill")) as transaction,
    ):
        used = str(folder / "m-Q4_K_M.gguf")
        agents.create_agent(transaction, agents.NewAgent("Sam", model=used))
    for name, user in (("m-Q8_0", "the setting `model`"), ("m-Q4_K_M", "agent Sam")):
        refused = models("rm", name, "--yes")
        assert refused.returncode == 2
        assert f"is used by {user}" in refused.stderr
    assert models("rm", "m-Q4_K_M", "--yes", "--force").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["m-Q8_0.gguf"]


def test_what_cannot_be_used_is_told_and_can_be_deleted(models: Models, tmp_path: Path) -> None:
    own = tmp_path / "data" / "models"
    write_gguf(own / "good.gguf")
    write_gguf(own / "embedder.gguf", {**LLAMA, "llama.pooling_type": 1})
    (own / "cut.gguf").write_bytes(DATA[:200])
    (own / "half.gguf.part").write_bytes(DATA[:50])
    assert "1 more cannot be used; --all says why" in models("list").stdout
    everything = models("list", "--all").stdout
    assert f"not usable: {own / 'cut.gguf'} (mnemon) is cut off" in everything
    assert "embedder (embedding model)" in everything
    for name in ("cut", "half", "embedder"):
        assert models("rm", name, "--yes").returncode == 0
    assert [path.name for path in own.iterdir()] == ["good.gguf"]
