"""Models in made-up caches of each program, and the names they get."""

import json
import os
from pathlib import Path

import pytest

from agent.errors import ModelFileInvalid
from agent.models.library.catalogue import Catalogue, find_models, open_model
from agent.models.library.errors import AmbiguousModel, UnknownModel
from agent.models.library.memory_needs import (
    DEFAULT_WINDOW_TOKENS,
    fit,
    machine_memory_bytes,
    needed_bytes,
    window_tokens,
)
from agent.models.library.names import is_name
from agent.models.library.ollama import MODEL_LAYER, model_name
from agent.models.library.places import Places, model_places
from agent.models.library.recommended import RECOMMENDED, recommended_for
from agent.models.library.shards import shard_name
from tests.agent.models.library.given import LLAMA, gguf_bytes, write_gguf


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def places(home: Path) -> Places:
    """Where programs of this home keep models, and nowhere else on the machine."""
    found = model_places({"OLLAMA_MODELS": "~/.ollama/models"}, home, home / "mnemon" / "models")
    assert found.ollama == (home / ".ollama" / "models",)
    return found


def hub_file(places: Places, repository: str, name: str, data: bytes, revision: str = "r1") -> Path:
    """A file in the hub's cache, as the hub puts it there."""
    folder = places.huggingface / f"models--{repository.replace('/', '--')}"
    blob = folder / "blobs" / f"{abs(hash(data)):064x}"
    snapshot = folder / "snapshots" / revision / name
    for path in (blob, snapshot):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    snapshot.symlink_to(os.path.relpath(blob, snapshot.parent))
    return snapshot


def ollama_model(root: Path, name: tuple[str, ...], data: bytes, digest: str = "ab" * 32) -> Path:
    manifest = root.joinpath("manifests", *name)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'cd' * 32}"},
        {"mediaType": MODEL_LAYER, "digest": f"sha256:{digest}"},
    ]
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    blob = root / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(data)
    return blob


def listed(catalogue: Catalogue) -> dict[str, str]:
    return {model.name: model.origin for model in catalogue.models}


def test_models_of_all_programs_are_found_where_they_lie(places: Places, home: Path) -> None:
    assert places.own is not None
    write_gguf(places.own / "org" / "repo" / "own-Q8_0.gguf")
    cached = hub_file(places, "org/repo-GGUF", "cached-Q4_K_M.gguf", gguf_bytes())
    write_gguf(home / ".lmstudio" / "models" / "pub" / "repo" / "studio-Q6_K.gguf")
    write_gguf(home / ".cache" / "lm-studio" / "models" / "pub" / "repo" / "older.gguf")
    name = ("registry.ollama.ai", "library", "qwen3", "4b")
    blob = ollama_model(places.ollama[0], name, gguf_bytes())

    found = find_models(places)

    assert listed(found) == {
        "own-Q8_0": "mnemon",
        "cached-Q4_K_M": "huggingface",
        "studio-Q6_K": "lm-studio",
        "older": "lm-studio",
        "ollama/qwen3:4b": "ollama",
    }
    assert found.resolve("cached-q4_k_m").path == cached
    assert found.resolve("org/repo-GGUF/cached-Q4_K_M.gguf").path == cached
    assert found.resolve("qwen3:4b").path == blob
    assert not found.unusable


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/h/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "/hf", "XDG_CACHE_HOME": "/x"}, "/hf/hub"),
        ({"HF_HUB_CACHE": "~/c", "HF_HOME": "/hf"}, "/h/c"),
        ({"HF_HUB_CACHE": " "}, "/h/.cache/huggingface/hub"),
    ],
)
def test_the_hub_s_cache_is_where_its_variables_say(environ: dict[str, str], expected: str) -> None:
    assert model_places(environ, Path("/h"), None).huggingface == Path(expected)


def test_a_folder_chosen_in_lm_studio_is_looked_into_too(places: Places, home: Path) -> None:
    write_gguf(home / "big disk" / "pub" / "repo" / "moved.gguf")
    write_gguf(home / ".lmstudio" / "models" / "pub" / "repo" / "stayed.gguf")
    settings = home / ".lmstudio" / "settings.json"
    settings.write_text(json.dumps({"downloadsFolder": str(home / "big disk")}))
    assert set(listed(find_models(places))) == {"moved", "stayed"}
    for broken in (
        "{",
        "[]",
        '{"downloadsFolder": 3}',
        '{"downloadsFolder": "models"}',
        "[" * 9999,
    ):
        settings.write_text(broken)
        assert set(listed(find_models(places))) == {"stayed"}


def test_revisions_that_share_a_blob_are_one_model(places: Places) -> None:
    hub_file(places, "org/repo", "m.gguf", gguf_bytes(), "r1")
    hub_file(places, "org/repo", "m.gguf", gguf_bytes(), "r2")
    assert len(find_models(places).models) == 1


def test_a_link_out_of_the_hub_s_cache_is_left_alone(places: Places, home: Path) -> None:
    outside = write_gguf(home / "elsewhere.gguf")
    link = hub_file(places, "org/repo", "good.gguf", gguf_bytes()).with_name("bad.gguf")
    link.symlink_to(outside)
    assert set(listed(find_models(places))) == {"good"}


def test_links_to_files_are_followed_and_circles_are_not(places: Places, home: Path) -> None:
    assert places.own is not None
    places.own.mkdir(parents=True)
    (places.own / "linked.gguf").symlink_to(write_gguf(home / "disk" / "m.gguf"))
    (places.own / "circle").symlink_to(places.own)
    (places.own / "nowhere.gguf").symlink_to(home / "gone.gguf")
    found = find_models(places)
    assert set(listed(found)) == {"linked"}


@pytest.mark.parametrize(
    "manifest",
    [
        "{",
        "[]",
        '{"layers": 3}',
        '{"layers": [{"mediaType": 1}]}',
        json.dumps(
            {"layers": [{"mediaType": MODEL_LAYER, "digest": "sha256:../../../etc/passwd"}]}
        ),
        json.dumps({"layers": [{"mediaType": MODEL_LAYER, "digest": f"sha256:{'ef' * 32}"}]}),
    ],
)
def test_a_manifest_that_names_no_model_is_passed_over(places: Places, manifest: str) -> None:
    name = ("registry.ollama.ai", "library", "qwen3", "4b")
    ollama_model(places.ollama[0], name, gguf_bytes())
    places.ollama[0].joinpath("manifests", *name).write_text(manifest)
    assert find_models(places) == Catalogue((), ())


def test_models_are_called_as_in_ollama() -> None:
    assert model_name("registry.ollama.ai", "library", "qwen3", "4b") == "qwen3:4b"
    assert model_name("registry.ollama.ai", "me", "tuned", "latest") == "me/tuned:latest"
    assert model_name("hf.co", "org", "repo", "Q8_0") == "hf.co/org/repo:Q8_0"


def test_the_tag_latest_goes_without_saying(places: Places) -> None:
    name = ("registry.ollama.ai", "library", "llama3", "latest")
    ollama_model(places.ollama[0], name, gguf_bytes())
    found = find_models(places)
    assert [model.name for model in found.models] == ["ollama/llama3"]
    assert found.resolve("llama3") == found.resolve("llama3:latest")


def split_model(folder: Path, count: int = 3) -> list[Path]:
    first = folder / f"big-Q8_0-00001-of-{count:05}.gguf"
    parts = [write_gguf(first, weights=10)]
    for number in range(2, count + 1):
        name = f"big-Q8_0-{number:05}-of-{count:05}.gguf"
        parts.append(write_gguf(folder / name, {"split.no": number - 1}, weights=100))
    return parts


def test_a_split_model_is_one_with_the_size_of_all_its_parts(places: Places) -> None:
    assert places.own is not None
    parts = split_model(places.own)
    (found,) = find_models(places).models
    assert (found.name, found.path, found.files) == ("big-Q8_0", parts[0], tuple(parts))
    assert found.size_bytes == sum(part.stat().st_size for part in parts)
    assert found.facts.parameters == 210
    assert found.facts.trained_tokens == 4096


@pytest.mark.parametrize("lost", [0, 1])
def test_a_split_model_with_a_part_missing_is_said_to_be_so(places: Places, lost: int) -> None:
    assert places.own is not None
    split_model(places.own)[lost].unlink()
    found = find_models(places)
    assert not found.models
    assert f"big-Q8_0-{lost + 1:05}-of-00003.gguf is missing" in found.unusable[0].problem


@pytest.mark.parametrize("name", ["a-00001-of-00001", "a-00004-of-00003", "a-0001-of-0003", "a"])
def test_other_names_are_of_whole_models(name: str) -> None:
    assert not shard_name(f"{name}.gguf").is_split


def test_what_is_no_language_model_has_no_name_to_think_with(places: Places) -> None:
    assert places.own is not None
    write_gguf(places.own / "mmproj-model-f16.gguf")
    write_gguf(places.own / "embedder.gguf", {**LLAMA, "llama.pooling_type": 1})
    found = find_models(places)
    assert [model.facts.kind for model in found.models] == ["embedding", "projector"]
    assert not any(model.can_chat for model in found.models)
    with pytest.raises(ModelFileInvalid, match="is no language model"):
        found.resolve("embedder")


def test_damaged_files_do_not_hide_the_others(places: Places) -> None:
    assert places.own is not None
    write_gguf(places.own / "good.gguf")
    (places.own / "cut.gguf").write_bytes(gguf_bytes()[:100])
    found = find_models(places)
    assert set(listed(found)) == {"good"}
    assert found.unusable[0].problem == "is cut off within its header"
    with pytest.raises(ModelFileInvalid, match="is cut off within its header"):
        found.resolve("cut")


def test_names_are_as_short_as_can_be_told_apart(places: Places, home: Path) -> None:
    assert places.own is not None
    write_gguf(places.own / "a" / "one" / "m.gguf")
    write_gguf(places.own / "a" / "two" / "m.gguf")
    write_gguf(home / ".lmstudio" / "models" / "a" / "two" / "m.gguf")
    write_gguf(places.own / "b" / "n.gguf")
    found = find_models(places)
    assert set(listed(found)) == {"a/one/m", "mnemon/a/two/m", "lm-studio/a/two/m", "n"}
    assert all(found.resolve(model.name) is model for model in found.models)
    with pytest.raises(AmbiguousModel) as caught:
        found.resolve("m")
    assert set(caught.value.names) == {"a/one/m", "mnemon/a/two/m", "lm-studio/a/two/m"}


def test_an_unknown_name_says_what_comes_close(places: Places) -> None:
    assert places.own is not None
    write_gguf(places.own / "Qwen3-4B-Q4_K_M.gguf")
    with pytest.raises(UnknownModel, match="did you mean Qwen3-4B-Q4_K_M"):
        find_models(places).resolve("qwen3-4b-q4_k_s")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Qwen3-4B-Q4_K_M", True),
        ("org/repo/m", True),
        ("ollama/qwen3:4b", True),
        ("m.gguf", False),
        ("models/m.GGUF", False),
        ("/models/m", False),
        ("~/m", False),
        ("./m", False),
        ("", False),
    ],
)
def test_names_and_paths_are_told_apart_by_how_they_are_written(text: str, named: bool) -> None:
    assert is_name(text) is named


def test_a_file_anywhere_is_a_model(tmp_path: Path) -> None:
    assert open_model(split_model(tmp_path)[0]).name == "big-Q8_0"


def test_memory_is_weights_and_the_window_that_is_used(tmp_path: Path) -> None:
    facts = open_model(write_gguf(tmp_path / "m.gguf")).facts
    assert window_tokens(facts, None) == 4096 < DEFAULT_WINDOW_TOKENS
    assert window_tokens(facts, 1000) == 1000
    assert needed_bytes(500, facts, 1000) == 500 + 1000 * facts.kv_bytes_per_token


@pytest.mark.parametrize(
    ("needed", "memory", "expected"),
    [(70, 100, "yes"), (71, 100, "tight"), (91, 100, "no"), (1, None, "unknown")],
)
def test_what_fits(needed: int, memory: int | None, expected: str) -> None:
    assert fit(needed, memory) == expected


def test_a_container_s_limit_counts_as_the_memory(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    assert machine_memory_bytes([limit]) == 1_000_000
    limit.write_text("max\n")
    whole = machine_memory_bytes([limit, tmp_path / "none"])
    assert whole is not None and whole > 1_000_000


def test_something_is_recommended_for_every_machine() -> None:
    assert recommended_for(1) == RECOMMENDED[:1]
    assert recommended_for(None) == RECOMMENDED
    small = recommended_for(int(7.6e9))  # sold as 8 GB
    assert [model.name for model in small] == ["qwen3-4b", "qwen3.5-4b"]
    assert all(model.size_gb < 0.75 * model.memory_gb for model in RECOMMENDED)
