"""Choosing an embedder, and what it says when the choice cannot be met."""

import subprocess
import sys
import textwrap

import pytest

from memory.embedders.errors import EmbedderModelMissing, UnknownEmbedder
from memory.embedders.factory import load_embedder

RUNTIMES = ("onnxruntime", "torch", "sentence_transformers", "transformers", "tokenizers")


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_default_is_the_packaged_model() -> None:
    assert load_embedder().name == load_embedder("minilm").name
    assert load_embedder().name.startswith("all-MiniLM-L6-v2/int8/")


@pytest.mark.parametrize("spec", ["", "MiniLM", "openai:ada", "sentence-transformers:"])
def test_an_unknown_specification_is_refused_with_the_ones_that_work(spec: str) -> None:
    with pytest.raises(UnknownEmbedder) as caught:
        load_embedder(spec)
    assert repr(spec) in str(caught.value)
    assert "minilm or sentence-transformers:NAME_OR_PATH" in str(caught.value)


def test_importing_the_factory_loads_no_runtime() -> None:
    loaded = run(f"""
        import sys
        import memory.embedders.factory
        print([name for name in {RUNTIMES!r} if name in sys.modules])
    """)
    assert loaded.strip() == "[]"


def test_the_packaged_model_does_not_load_torch() -> None:
    loaded = run("""
        import sys
        from memory.embedders.factory import load_embedder
        load_embedder("minilm").embed(["a"], "query")
        print([name for name in ("torch", "sentence_transformers") if name in sys.modules])
    """)
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("library", ["sentence_transformers", "torch"])
def test_without_the_library_the_message_gives_the_line_that_installs_it(library: str) -> None:
    printed = run(f"""
        import sys

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == {library!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Absent())
        from memory.embedders.errors import EmbedderLibraryMissing
        from memory.embedders.factory import load_embedder
        try:
            load_embedder("sentence-transformers:any")
        except EmbedderLibraryMissing as error:
            print(error)
    """)
    assert 'pip install "mnemon[sentence-transformers]"' in printed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "model", ["nobody/no-such-model", "no-such-model", "/no/such/folder", "a b"]
)
def test_a_model_that_is_not_here_is_not_fetched(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(
        EmbedderModelMissing, match=r"download it first .* or give the path"
    ) as caught:
        load_embedder(f"sentence-transformers:{model}")
    assert caught.value.model == model
