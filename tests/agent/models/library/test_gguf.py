"""Headers of GGUF files, real ones and ones made to do harm."""

import ctypes
import os
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import llama_cpp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ModelFileInvalid
from agent.models.library.facts import facts_of, shown
from agent.models.library.gguf import TENSOR_BLOCKS, Header, read_header
from tests.agent.models.library.given import LLAMA, gguf_bytes, text, write_gguf


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf") / "model.gguf"


def read_bytes(file: Path, data: bytes) -> Header | str:
    """The header of these bytes, or what is wrong with them."""
    file.write_bytes(data)
    try:
        return read_header(file)
    except ModelFileInvalid as error:
        return error.problem


def test_a_trained_model_is_read_without_its_weights(model_path: Path) -> None:
    header = read_header(model_path)
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.context_length"] == 4096
    assert "<tool_call>" in str(header.metadata["tokenizer.chat_template"])
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert header.file_bytes == model_path.stat().st_size


def test_weights_are_counted_and_short_arrays_kept(file: Path) -> None:
    header = read_bytes(file, gguf_bytes({**LLAMA, "heads": [1, 0, 2]}, weights=100))
    assert isinstance(header, Header)
    assert header.weights == 100
    assert header.metadata["heads"] == (1, 0, 2)


def test_the_digest_is_of_what_the_header_says_and_of_nothing_else(file: Path) -> None:
    first = read_bytes(file, gguf_bytes())
    longer = read_bytes(file, gguf_bytes(filler=10))
    other = read_bytes(file, gguf_bytes({**LLAMA, "general.name": "Other"}))
    assert isinstance(first, Header) and isinstance(longer, Header) and isinstance(other, Header)
    assert first.digest == longer.digest != other.digest


@pytest.mark.parametrize("cut", range(0, len(gguf_bytes()) - 1, 7))
def test_a_file_cut_anywhere_is_said_to_be_cut(file: Path, cut: int) -> None:
    problem = read_bytes(file, gguf_bytes()[:cut])
    assert isinstance(problem, str)
    assert "cut off" in problem or problem in ("is empty",) or cut < 4


NUMBER = struct.Struct("<Q")
BEGINNING = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key")
HOSTILE = {
    "junk": b"PK\3\4" + bytes(100),
    "version 1": b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "a million entries": b"GGUF" + struct.pack("<IQQ", 3, 0, 10**6),
    "endless tensors": b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0),
    "endless key": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + NUMBER.pack(2**62),
    "endless text": BEGINNING + struct.pack("<IQ", 8, 2**60),
    "endless array": BEGINNING + struct.pack("<IIQ", 9, 4, 2**61),
    "endless texts": BEGINNING + struct.pack("<IIQ", 9, 8, 2**61),
    "texts within texts": BEGINNING + struct.pack("<IIQ", 9, 9, 2**61) + bytes(1 << 16),
    "deep": BEGINNING + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000,
    "unknown type": BEGINNING + struct.pack("<IQ", 77, 1),
    "alignment": gguf_bytes({**LLAMA, "general.alignment": 0}),
    "weights beyond the end": gguf_bytes(weights=1000)[:-1],
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_within_little_memory(file: Path, data: bytes) -> None:
    tracemalloc.start()
    problem = read_bytes(file, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(problem, str)
    assert peak < 4 << 20


@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_are_read_or_refused(file: Path, data: bytes) -> None:
    read_bytes(file, b"GGUF" + struct.pack("<I", 3) + data)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(gguf_bytes())
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(4, len(data) - 1))
        data[at] = draw(st.integers(0, 255))
    return bytes(data)


@given(damaged())
def test_a_damaged_file_is_read_or_refused_and_what_is_read_can_be_shown(
    file: Path, data: bytes
) -> None:
    header = read_bytes(file, data)
    if isinstance(header, Header):
        facts = facts_of([header], "stem")
        assert all(letter.isprintable() for letter in facts.title + facts.architecture)


VALUES = st.one_of(
    st.booleans(),
    st.integers(0, 2**32 - 1),
    st.floats(width=32, allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20),
)


@given(st.dictionaries(st.text(st.characters(codec="ascii"), max_size=20), VALUES, max_size=8))
def test_what_was_written_is_read(file: Path, metadata: dict[str, object]) -> None:
    metadata.pop("general.alignment", None)
    header = read_bytes(file, gguf_bytes(metadata))
    assert isinstance(header, Header)
    expected = {key: tuple(v) if isinstance(v, list) else v for key, v in metadata.items()}
    assert header.metadata == expected


def test_long_vocabularies_are_passed_over(file: Path) -> None:
    tokens = [f"token {number}" * (number % 5) for number in range(60_000)]
    header = read_bytes(file, gguf_bytes({"t": tokens, **LLAMA, "s": list(range(3000))}))
    assert isinstance(header, Header)
    assert header.metadata["general.name"] == "Toy"
    assert not {"t", "s"} & set(header.metadata)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileInvalid, match="is not a plain file"):
        read_header(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileInvalid, match="is not a plain file"):
        read_header(tmp_path)
    with pytest.raises(ModelFileInvalid, match="does not exist"):
        read_header(tmp_path / "none.gguf")


def test_sizes_of_tensor_types_are_those_of_ggml(file: Path) -> None:
    libraries = sorted((Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.*"))
    ggml = ctypes.CDLL(str(libraries[0]))
    ggml.ggml_type_size.restype = ctypes.c_size_t
    ggml.ggml_blck_size.restype = ctypes.c_int64
    for kind, sizes in TENSOR_BLOCKS.items():
        assert sizes == (ggml.ggml_blck_size(kind), ggml.ggml_type_size(kind)), kind


def named_file_types() -> Iterator[tuple[str, int]]:
    for name, number in vars(llama_cpp).items():
        if name.startswith("LLAMA_FTYPE_") and not name.endswith("GUESSED"):
            yield name.removeprefix("LLAMA_FTYPE_").partition("_")[2], number


@pytest.mark.parametrize(("name", "number"), list(named_file_types()))
def test_quantisations_have_the_names_of_llama_cpp(file: Path, name: str, number: int) -> None:
    header = read_bytes(file, gguf_bytes({**LLAMA, "general.file_type": number}))
    assert isinstance(header, Header)
    assert facts_of([header], "model").quantisation == name.removesuffix("_MOE")


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        (LLAMA, "chat"),
        ({**LLAMA, "tokenizer.chat_template": ""}, "base"),
        ({**LLAMA, "llama.pooling_type": 3}, "embedding"),
        ({**LLAMA, "general.architecture": "nomic-bert"}, "embedding"),
        ({**LLAMA, "general.architecture": "clip"}, "projector"),
        ({**LLAMA, "general.type": "adapter"}, "adapter"),
    ],
)
def test_what_a_model_is_for(file: Path, metadata: dict[str, object], kind: str) -> None:
    header = read_bytes(file, gguf_bytes(metadata))
    assert isinstance(header, Header)
    assert facts_of([header], "model").kind == kind


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 2 * 2 * (2 * 2) * 16),  # bytes, keys and values, two layers of two heads, head size
        ({"llama.attention.head_count_kv": [1, 0]}, 2 * 2 * 1 * 16),
        ({"llama.attention.key_length": 32}, 2 * (2 * 2) * (32 + 16)),
        ({"llama.full_attention_interval": 2}, 2 * 2 * 2 * 16),
    ],
    ids=["plain", "by layer", "own head size", "hybrid"],
)
def test_the_cache_of_a_token_takes_keys_and_values_of_each_layer(
    file: Path, changed: dict[str, object], expected: int
) -> None:
    header = read_bytes(file, gguf_bytes({**LLAMA, **changed}))
    assert isinstance(header, Header)
    assert facts_of([header], "model").kv_bytes_per_token == expected


def test_the_cache_of_the_trained_model_is_what_its_engine_opens(model_path: Path) -> None:
    params = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(os.fsencode(model_path), params)
    heads = llama_cpp.llama_model_n_head_kv(model) * llama_cpp.llama_model_n_layer(model)
    size = llama_cpp.llama_model_n_embd(model) // llama_cpp.llama_model_n_head(model)
    weights = llama_cpp.llama_model_n_params(model)
    llama_cpp.llama_model_free(model)
    facts = facts_of([read_header(model_path)], model_path.stem)
    assert facts.kv_bytes_per_token == 4 * heads * size
    assert facts.parameters == weights


def test_what_a_file_says_cannot_drive_a_terminal() -> None:
    assert shown("a\x1b[2Jb\n") == "a�[2Jb�"
    assert len(shown("x" * 1000)) == 80


def test_a_file_written_for_tests_is_whole(tmp_path: Path) -> None:
    assert read_header(write_gguf(tmp_path / "a" / "b.gguf")).weights == 64
