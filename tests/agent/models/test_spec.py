from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ModelSpecInvalid
from agent.models.chat_api.quirks import QUIRKS, Kind
from agent.models.spec import KINDS, Endpoint, GgufFile, origin_of, parse_spec


@pytest.mark.parametrize(
    "text",
    [
        "/models/qwen.gguf",
        "~/qwen.gguf",
        "qwen.gguf",
        r"C:\models\qwen.gguf",
        "C:/models/qwen.gguf",
        "./ollama:odd.gguf",
        "/a:b/c.gguf",
        "qwen3:4b.gguf",
    ],
)
def test_a_path_is_a_path_on_every_system(text: str) -> None:
    assert parse_spec(text) == GgufFile(Path(text))


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("ollama:qwen3:4b", Endpoint("ollama", "qwen3:4b", "http://127.0.0.1:11434/v1")),
        ("OLLAMA:qwen3", Endpoint("ollama", "qwen3", "http://127.0.0.1:11434/v1")),
        ("lmstudio:qwen/qwen3-4b@q4_k_m",
         Endpoint("lmstudio", "qwen/qwen3-4b@q4_k_m", "http://127.0.0.1:1234/v1")),
        ("vllm:a/b", Endpoint("vllm", "a/b", "http://127.0.0.1:8000/v1")),
        ("llama-server:", Endpoint("llama-server", "", "http://127.0.0.1:8080/v1")),
        ("openai:gpt-5-mini", Endpoint("openai", "gpt-5-mini", "https://api.openai.com/v1")),
        ("openai:x@https://openrouter.ai/api/v1/",
         Endpoint("openai", "x", "https://openrouter.ai/api/v1")),
        ("vllm:x@http://[::1]:9000", Endpoint("vllm", "x", "http://[::1]:9000/v1")),
        ("vllm:x@HTTPS://Host.Example", Endpoint("vllm", "x", "https://host.example/v1")),
        ("vllm:x@http://h:1/v1/chat/completions", Endpoint("vllm", "x", "http://h:1/v1")),
    ],
)  # fmt: skip
def test_a_server_s_model_is_a_kind_a_name_and_a_base_url(text: str, endpoint: Endpoint) -> None:
    assert parse_spec(text) == endpoint


@pytest.mark.parametrize("written", ["", "/", "/v1", "/v1/", "/v1//"])
def test_a_base_url_keeps_every_character_of_its_host_and_port(written: str) -> None:
    found = parse_spec(f"lmstudio:x@http://localhost:1231{written}")
    assert isinstance(found, Endpoint)
    assert found.base_url == "http://localhost:1231/v1"
    assert found.url("chat/completions") == "http://localhost:1231/v1/chat/completions"
    assert found.url("/api/v0/models") == "http://localhost:1231/api/v0/models"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1 to 1000"),
        ("ollama:a\nb", "printable"),
        ("ollama:" + "x" * 1000, "1 to 1000"),
        ("olama:qwen3", "unknown kind 'olama'; there are ollama, lmstudio"),
        ("http://localhost:1234/v1", "is a URL; write KIND:NAME@URL"),
        ("ollama:", "names no model"),
        ("ollama:@http://localhost:1", "names no model"),
        ("ollama:qwen3@localhost:11434", "without http://"),
        ("ollama:qwen3@[::1]:11434/v1", "without http://"),
        ("ollama:x@ftp://h", "scheme 'ftp'"),
        ("ollama:x@http://", "without a host"),
        ("ollama:x@http://h:port", "a URL that is none"),
        ("ollama:x@http://h:99999", "a URL that is none"),
        ("ollama:x@http://[::1", "a URL that is none"),
        ("ollama:x@http://me:secret@h", "MNEMON_MODEL_KEY"),
        ("ollama:x@http://h/v1?key=1", "with a query"),
        ("ollama:x@http://bücher.example", "must be encoded"),
        ("ollama:a b", "cannot be one"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ModelSpecInvalid) as caught:
        parse_spec(text)
    assert problem in str(caught.value)


names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40)
hosts = st.sampled_from(["localhost", "10.0.0.5", "[::1]", "models.example.org"])
ports = st.sampled_from(["", ":1", ":8080", ":65535"])
paths = st.sampled_from(["", "/v1", "/api/v1", "/openai"])


urls = st.builds("{}://{}{}{}".format, st.sampled_from(["http", "https"]), hosts, ports, paths)


@given(st.sampled_from(KINDS), names, urls)
def test_a_spec_that_was_read_is_written_and_read_as_the_same(
    kind: Kind, name: str, url: str
) -> None:
    for text in (f"{kind}:{name}", f"{kind}:{name}@{url}"):
        try:
            found = parse_spec(text)
        except ModelSpecInvalid:
            continue
        assert parse_spec(str(found)) == found
        assert isinstance(found, Endpoint)


@given(st.text(max_size=60))
def test_any_text_is_a_spec_or_refused_as_one(text: str) -> None:
    try:
        found = parse_spec(text)
    except ModelSpecInvalid:
        return
    assert parse_spec(str(found)) == found or str(Path(text)) != text


def test_an_openai_spec_with_another_url_is_no_openai() -> None:
    own, other = parse_spec("openai:x"), parse_spec("openai:x@https://api.example/v1")
    assert isinstance(own, Endpoint) and isinstance(other, Endpoint)
    assert own.quirks is QUIRKS["openai"]
    assert other.quirks.max_tokens == "max_tokens"


def test_an_origin_has_its_port_also_where_it_is_implied() -> None:
    assert origin_of("https://h/v1") == origin_of("https://h:443/api/v1") == ("https", "h", 443)
    assert origin_of("http://h/v1") != origin_of("https://h/v1")
