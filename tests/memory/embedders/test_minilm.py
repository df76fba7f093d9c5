"""The packaged embedder, by what it promises to the store that keeps its vectors."""

import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from memory.embedder import Vectors
from memory.embedders.errors import EmbedderInvalid
from memory.embedders.minilm import MAX_TOKENS, MODEL_FOLDER, MiniLM

TEXTS = (
    "Ada moved to Lisbon in spring.",
    "The cat sleeps on the warm windowsill.",
    "In spring Ada took up residence in the capital of Portugal.",
    "def add(a, b): return a + b",
    "",
    "   \n\t ",
    "A rather longer passage about the weather, the harbour and the price of fish. " * 4,
)


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


@pytest.fixture
def copied_model(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "model"
    shutil.copytree(MODEL_FOLDER, folder)
    yield folder
    shutil.rmtree(folder)


def test_vectors_are_float32_rows_of_length_one_in_the_order_of_the_texts(minilm: MiniLM) -> None:
    vectors = minilm.embed(TEXTS, "passage")
    assert vectors.shape == (len(TEXTS), minilm.dimensions) == (7, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    in_reverse = minilm.embed(TEXTS[::-1], "passage")
    np.testing.assert_array_equal(in_reverse[::-1], vectors)


def test_no_texts_give_no_rows(minilm: MiniLM) -> None:
    vectors = minilm.embed([], "passage")
    assert vectors.shape == (0, 384)
    assert vectors.dtype == np.float32


def test_texts_that_mean_the_same_are_nearer_than_others(minilm: MiniLM) -> None:
    moved, cat, residence = minilm.embed(TEXTS[:3], "passage")
    assert moved @ residence > 0.7
    assert moved @ cat < 0.3


def test_the_vector_of_a_text_does_not_depend_on_its_neighbours(minilm: MiniLM) -> None:
    together = minilm.embed(TEXTS, "passage")
    alone = np.concatenate([minilm.embed([text], "query") for text in TEXTS])
    np.testing.assert_array_equal(together, alone)


def test_the_vectors_are_those_of_every_other_machine(minilm: MiniLM) -> None:
    # A store moves between machines, and its name promises that the vectors stay comparable.
    recorded = [0.046077, -0.089427, -0.014674, 0.044180, 0.003364, 0.028629]
    vector = minilm.embed(["Ada moved to Lisbon last spring."], "query")[0]
    np.testing.assert_allclose(vector[:6], recorded, atol=2e-3)


def test_one_thread_and_several_give_the_same_vectors(minilm: MiniLM) -> None:
    one_thread = MiniLM(bulk_threads=1)
    np.testing.assert_array_equal(
        one_thread.embed(TEXTS, "passage"), minilm.embed(TEXTS, "passage")
    )


def test_several_threads_may_embed_and_split_at_once(minilm: MiniLM) -> None:
    expected = minilm.embed(TEXTS, "passage")
    found: list[Vectors] = []

    def work() -> None:
        for _ in range(5):
            minilm.split(" ".join(TEXTS) * 3)
            found.append(minilm.embed(TEXTS, "passage"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for vectors in found:
        np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize(
    "text", ["", "\0", "\ud800", "a\udfffb", "\ufffd", "[CLS] [PAD]", "\u0301"]
)
def test_odd_texts_have_a_vector_and_come_back_from_split(minilm: MiniLM, text: str) -> None:
    vector = minilm.embed([text], "passage")
    np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-6)
    assert minilm.split(text) == [text]


def test_the_name_tells_model_precision_pooling_length_and_weights() -> None:
    digest = hashlib.sha256((MODEL_FOLDER / "model.onnx").read_bytes()).hexdigest()
    assert MiniLM.name == f"all-MiniLM-L6-v2/int8/mean/256/{digest[:12]}"


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_an_altered_file_is_refused_by_name(copied_model: Path, file: str) -> None:
    content = bytearray((copied_model / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copied_model / file).write_bytes(content)
    with pytest.raises(EmbedderInvalid, match=r"altered.*install mnemon again") as caught:
        MiniLM(copied_model)
    assert caught.value.path == copied_model / file


def test_a_missing_file_is_refused_by_name(copied_model: Path) -> None:
    (copied_model / "model.onnx").unlink()
    with pytest.raises(EmbedderInvalid, match=r"missing.*install mnemon again") as caught:
        MiniLM(copied_model)
    assert caught.value.path == copied_model / "model.onnx"


def test_the_model_holds_no_path_of_the_machine_that_made_it() -> None:
    content = (MODEL_FOLDER / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b'File "' not in content


def test_loading_and_embedding_print_nothing() -> None:
    program = "from memory.embedders.minilm import MiniLM; MiniLM().embed(['a', 'b'], 'query')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*TEXTS, "supercalifragilistic", "漢字", "\n\n", "x" * 300])))
def test_each_piece_of_a_split_is_seen_whole(minilm: MiniLM, parts: list[str]) -> None:
    text = " ".join(parts * 4)
    independent = Tokenizer.from_file(str(MODEL_FOLDER / "tokenizer.json"))
    independent.no_truncation()
    independent.no_padding()
    pieces = minilm.split(text)
    assert "".join(pieces) == text
    for piece in pieces:
        assert len(independent.encode(piece).ids) <= MAX_TOKENS
    if len(independent.encode(text).ids) <= MAX_TOKENS:
        assert pieces == [text]
