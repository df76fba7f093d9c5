"""A sentence-transformers model in a folder; a tiny one with random weights, made here."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from memory.embedder import Embedder
from memory.embedders.errors import EmbedderInvalid
from memory.embedders.factory import load_embedder
from memory.embedders.minilm import MODEL_FOLDER

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def make_model(folder: Path, prompts: dict[str, str], seed: int = 1) -> Path:
    import torch  # noqa: PLC0415  # takes seconds
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from sentence_transformers.models import StaticEmbedding  # noqa: PLC0415

    torch.manual_seed(seed)
    tokenizer = Tokenizer.from_file(str(MODEL_FOLDER / "tokenizer.json"))
    words = StaticEmbedding(tokenizer, embedding_dim=16)
    SentenceTransformer(modules=[words], prompts=prompts, device="cpu").save(str(folder))
    return folder


def load(folder: Path) -> Embedder:
    return load_embedder(f"sentence-transformers:{folder}")


def test_vectors_are_float32_rows_of_length_one_in_the_order_of_the_texts(tmp_path: Path) -> None:
    embedder = load(make_model(tmp_path / "tiny", {}))
    texts = ["a cat", "the price of fish", "a lone \ud800 surrogate and a \0"]
    vectors = embedder.embed(texts, "passage")
    assert vectors.shape == (3, embedder.dimensions) == (3, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embedder.embed(texts[::-1], "passage")[::-1], vectors, atol=1e-6)
    assert embedder.embed([], "query").shape == (0, 16)


def test_a_text_of_which_nothing_is_seen_gives_zeros_not_nan(tmp_path: Path) -> None:
    embedder = load(make_model(tmp_path / "tiny", {}))
    assert np.isfinite(embedder.embed([""], "passage")).all()


def test_the_models_prompts_tell_queries_from_passages(tmp_path: Path) -> None:
    prompts = {"query": "search query: ", "passage": "stored passage: "}
    with_prompts = load(make_model(tmp_path / "prompts", prompts))
    without = load(make_model(tmp_path / "plain", {}))
    text = ["a cat on a wall"]
    np.testing.assert_allclose(
        with_prompts.embed(text, "query"),
        without.embed(["search query: a cat on a wall"], "query"),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        with_prompts.embed(text, "passage"),
        without.embed(["stored passage: a cat on a wall"], "passage"),
        atol=1e-6,
    )


def test_the_name_changes_with_the_weights_and_not_with_the_reading_matter(tmp_path: Path) -> None:
    first = make_model(tmp_path / "one" / "tiny", {})
    name = load(first).name
    assert name.startswith("sentence-transformers:tiny/")
    (first / "README.md").write_text("something else")
    assert load(first).name == name
    assert load(make_model(tmp_path / "two" / "tiny", {})).name == name
    assert load(make_model(tmp_path / "three" / "tiny", {}, seed=2)).name != name
    assert load(make_model(tmp_path / "four" / "tiny", {"query": "find: "})).name != name


def test_long_texts_are_cut_and_joined_are_the_text(tmp_path: Path) -> None:
    embedder = load(make_model(tmp_path / "tiny", {}))
    text = "Ada went home to feed the cat. " * 200
    pieces = embedder.split(text)
    assert len(pieces) > 1
    assert "".join(pieces) == text
    assert embedder.split("") == [""]


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbedderInvalid, match=r"no modules\.json"):
        load(tmp_path)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "tiny", {})
    (folder / "modules.json").write_text("{ not json")
    with pytest.raises(EmbedderInvalid, match="cannot load"):
        load(folder)
