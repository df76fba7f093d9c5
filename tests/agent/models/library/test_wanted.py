"""What can be asked for, and which files of a repository are meant."""

import pytest

from agent.models.library.choice import RemoteFile, choose, remote_models
from agent.models.library.errors import HubRefused, SourceUnclear
from agent.models.library.recommended import RECOMMENDED, Recommended
from agent.models.library.wanted import FromHub, FromUrl, is_private, read_wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/repo", FromHub("org/repo")),
        ("org/repo:q4_k_m", FromHub("org/repo", quantisation="Q4_K_M")),
        ("org/repo:UD-Q4_K_XL", FromHub("org/repo", quantisation="UD-Q4_K_XL")),
        ("org/repo:sub/m.gguf", FromHub("org/repo", file="sub/m.gguf")),
        ("org/repo/m.gguf", FromHub("org/repo", file="m.gguf")),
        ("hf.co/org/repo:Q8_0", FromHub("org/repo", quantisation="Q8_0")),
        ("https://huggingface.co/org/repo", FromHub("org/repo")),
        (
            "https://huggingface.co/org/repo/resolve/main/m.gguf?download=true",
            FromHub("org/repo", file="m.gguf"),
        ),
        (
            "https://huggingface.co/org/repo/blob/abc123/sub/m.gguf",
            FromHub("org/repo", file="sub/m.gguf", revision="abc123"),
        ),
        (
            "https://example.org/a/m%20b.gguf?x=1",
            FromUrl("https://example.org/a/m%20b.gguf?x=1", "example.org", "m b.gguf"),
        ),
        (
            "http://127.0.0.1:80/m.gguf",
            FromUrl("http://127.0.0.1:80/m.gguf", "127.0.0.1-80", "m.gguf"),
        ),
    ],
)
def test_what_was_typed_is_read(text: str, expected: FromHub | FromUrl) -> None:
    assert read_wanted(text) == expected


@pytest.mark.parametrize("short", RECOMMENDED, ids=lambda model: model.name)
def test_recommended_models_have_short_names(short: Recommended) -> None:
    wanted = read_wanted(short.name.upper())
    assert wanted == FromHub(short.repository, quantisation=short.quantisation)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qwen",
        "../..",
        "org/..",
        "a/b/c",
        "org/repo:what",
        "org/repo:../m.txt",
        "org/repo/.hidden.gguf",
        "ftp://example.org/m.gguf",
        "https://example.org/",
        "https://example.org/m.zip",
        "https://example.org/..%2Fm.gguf",
        "https:///m.gguf",
        "https://[::1/m.gguf",
    ],
)
def test_what_cannot_be_pulled_is_refused(text: str) -> None:
    with pytest.raises(SourceUnclear):
        read_wanted(text)


def test_only_tls_and_this_machine_are_private() -> None:
    assert is_private("https://example.org/m") and is_private("http://localhost:1/m")
    assert not is_private("http://example.org/m") and not is_private("http://127.0.0.1.org/m")


def files(*names: str) -> list[RemoteFile]:
    return [RemoteFile(name, 100 + number) for number, name in enumerate(names)]


ORDINARY = files(
    "README.md", "m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-F16.gguf", "m.imatrix"
)
SPLIT = files("BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf")


@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        (ORDINARY, FromHub("o/r"), ["m-Q4_K_M.gguf"]),
        (ORDINARY, FromHub("o/r", quantisation="Q8_0"), ["m-Q8_0.gguf"]),
        (ORDINARY, FromHub("o/r", file="M-q2_k.gguf"), ["m-Q2_K.gguf"]),
        (files("a.Q6_K.gguf", "a.Q5_K_M.gguf"), FromHub("o/r"), ["a.Q5_K_M.gguf"]),
        (files("only.gguf"), FromHub("o/r"), ["only.gguf"]),
        (files("only-mxfp4.gguf"), FromHub("o/r", quantisation="MXFP4"), ["only-mxfp4.gguf"]),
        (ORDINARY + SPLIT, FromHub("o/r", quantisation="BF16"), [file.path for file in SPLIT]),
        (ORDINARY + SPLIT, FromHub("o/r", file=SPLIT[1].path), [file.path for file in SPLIT]),
    ],
)
def test_the_model_that_is_meant_is_chosen(
    there: list[RemoteFile], wanted: FromHub, expected: list[str]
) -> None:
    assert [file.path for file in choose(remote_models(there), wanted).files] == expected


@pytest.mark.parametrize(
    ("there", "wanted", "said"),
    [
        (files("model.safetensors"), FromHub("o/r"), "o/r has no GGUF files"),
        (ORDINARY, FromHub("o/r", quantisation="Q6_K"), "no Q6_K; it has Q2_K, Q4_K_M, Q8_0"),
        (ORDINARY, FromHub("o/r", file="x.gguf"), "no file x.gguf; it has"),
        (files("a-Q8_0.gguf", "b-Q8_0.gguf"), FromHub("o/r"), "several of them: a-Q8_0.gguf, b-Q8"),
        (files("a.gguf", "b.gguf"), FromHub("o/r"), "it has a.gguf, b.gguf"),
        (SPLIT[:1], FromHub("o/r"), "o/r has no GGUF files"),
    ],
)
def test_what_is_not_there_or_not_clear_is_refused_with_what_there_is(
    there: list[RemoteFile], wanted: FromHub, said: str
) -> None:
    with pytest.raises(HubRefused) as caught:
        choose(remote_models(there), wanted)
    assert said in str(caught.value)
