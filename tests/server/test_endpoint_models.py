"""Agents on model servers: settings, the key, and several models at once."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client

from agent.loop import AgentLoop
from agent.models.endpoint import EndpointModel
from agent.models.llama import LlamaModel
from agent.models.spec import Endpoint, parse_spec
from memory.store import MemoryStore
from server.app import open_server
from server.config import ConfigError, Settings, load_settings
from server.endpoint_models import MAX_KEPT, EndpointModels
from server.greeting import GivenSettings, Greeting, welcome
from server.models import LoadedModel
from tests.agent.models.chat_server import chat_server, says
from tests.server.processes import Run

KEY = "sk-secret-0123456789"
ENTRIES = {"/v1/models": {"data": [{"id": "m", "context_length": 32_000}]}}


def endpoint(spec: str) -> Endpoint:
    found = parse_spec(spec)
    assert isinstance(found, Endpoint)
    return found


def settings_of(directory: Path, config: str = "", **environ: str) -> Settings:
    (directory / "config.toml").write_text(config, encoding="utf-8")
    return load_settings({"data": str(directory)}, environ)


def test_a_model_is_a_server_s_or_a_file_beside_its_config(tmp_path: Path) -> None:
    assert settings_of(tmp_path, 'model = "ollama:qwen3"').model == "ollama:qwen3"
    assert settings_of(tmp_path, 'model = "a/b.gguf"').model == str(tmp_path / "a/b.gguf")
    given = settings_of(tmp_path, 'model = "b.gguf"', MNEMON_MODEL="vllm:x@http://h:1/")
    assert given.model == "vllm:x@http://h:1/v1"
    assert settings_of(tmp_path).model is None


@pytest.mark.parametrize(
    ("config", "environ", "told"),
    [
        ('model = "olama:qwen3"', {}, "config.toml: model cannot be 'olama:qwen3': it names"),
        ("", {"MNEMON_MODEL": "http://h/v1"}, "the environment: model cannot be 'http://h/v1'"),
        ('model_key_url = "ftp://h"', {}, "model_key_url cannot be 'ftp://h'"),
        ("model_key = 7", {}, "model_key cannot be what it is"),
    ],
)
def test_nonsense_is_told_with_its_place(
    tmp_path: Path, config: str, environ: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, config, **environ)
    assert told in str(caught.value)


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, MNEMON_MODEL_KEY=KEY)
    assert KEY not in repr(settings) + settings.model_dump_json()
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, MNEMON_MODEL_KEY=f"{KEY} and more")
    assert KEY not in str(caught.value)
    own = settings_of(tmp_path)
    given = GivenSettings(environment={"MNEMON_MODEL_KEY": KEY})
    answer = welcome(Greeting(mnemon=1, front="f", settings=given), own, 1)
    assert answer.others and b"another model_key" in answer.line
    assert KEY.encode() not in answer.line


@pytest.mark.parametrize(
    ("model", "key_url", "other", "sent"),
    [
        ("openai:x", None, "openai:y", True),
        ("openai:x", None, "openai:x@https://api.openai.com:443/v2", True),
        ("openai:x", None, "openai:x@http://api.openai.com/v1", False),
        ("openai:x", None, "openai:x@https://api.openai.com.example/v1", False),
        ("vllm:x@http://h:1", None, "vllm:x@http://h:2", False),
        ("/a.gguf", None, "openai:x", False),
        ("/a.gguf", "https://api.openai.com", "openai:x", True),
        ("openai:x", "https://h", "openai:x", False),
    ],
)
def test_the_key_is_for_the_server_that_the_person_named(
    tmp_path: Path, model: str, key_url: str | None, other: str, sent: bool
) -> None:
    more = {} if key_url is None else {"MNEMON_MODEL_KEY_URL": key_url}
    settings = settings_of(tmp_path, MNEMON_MODEL=model, MNEMON_MODEL_KEY=KEY, **more)
    assert settings.key_for(endpoint(other)) == (KEY if sent else None)


async def test_an_agent_thinks_with_a_server_and_may_have_one_of_its_own(tmp_path: Path) -> None:
    async with (
        chat_server(says("From the default."), **ENTRIES) as usual,
        chat_server(says("From its own."), **ENTRIES) as own,
    ):
        settings = load_settings(
            {"data": str(tmp_path), "model": f"openai:m@{usual.url}", "embedder": "none"},
            {"MNEMON_MODEL_KEY": KEY},
        )
        async with open_server(settings) as server, Client(server) as client:
            await client.call_tool("agent_create", {"name": "Sam"})
            await client.call_tool("agent_create", {"name": "Eva", "model": f"openai:m@{own.url}"})
            said = [await _ask(client, name) for name in ("Sam", "Eva")]
            nonsense = {"agent_id": "Eva", "model": "olama:x"}
            refused = await client.call_tool("agent_update", nonsense)
    assert said == ["From the default.", "From its own."]
    assert refused.is_error and "unknown kind 'olama'" in str(refused.content)
    assert {request.headers.get("authorization") for request in usual.requests} == {f"Bearer {KEY}"}
    assert {request.headers.get("authorization") for request in own.requests} == {None}
    assert KEY.encode() not in _all_bytes(tmp_path)


def _all_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def _ask(client: Client, name: str) -> str:
    result = await client.call_tool("agent_message", {"agent_id": name, "message": "Hello"})
    assert result.structured_content is not None, result.content
    return str(result.structured_content["reply"])


async def test_endpoints_neither_wait_for_a_local_model_nor_take_its_place(
    model_file: Path,
) -> None:
    with MemoryStore(None, None) as store:
        local = LoadedModel(
            lambda path: LlamaModel(path, context_tokens=512), partial(AgentLoop, store)
        )
        endpoints = EndpointModels(EndpointModel, partial(AgentLoop, store))
        with anyio.fail_after(60):
            async with (
                local.use(model_file) as on_file,
                endpoints.use(endpoint("ollama:a")) as first,
                endpoints.use(endpoint("ollama:b")) as second,
                endpoints.use(endpoint("ollama:a")) as again,
                local.use(model_file) as still,
            ):
                assert first is again and first is not second
                assert on_file is still
        await endpoints.aclose()
        await local.aclose()


async def test_what_is_known_of_endpoints_is_kept_within_bounds() -> None:
    made: list[Endpoint] = []

    def make(wanted: Endpoint) -> EndpointModel:
        made.append(wanted)
        return EndpointModel(wanted)

    with MemoryStore(None, None) as store:
        endpoints = EndpointModels(make, partial(AgentLoop, store))
        for number in range(MAX_KEPT + 1):
            async with endpoints.use(endpoint(f"ollama:{number}")):
                pass
        async with endpoints.use(endpoint(f"ollama:{MAX_KEPT}")):
            assert len(made) == MAX_KEPT + 1
        async with endpoints.use(endpoint("ollama:0")):
            assert len(made) == MAX_KEPT + 2
        await endpoints.aclose()


async def test_the_doctor_asks_a_server_whether_it_has_the_model(run: Run) -> None:
    async def doctor(spec: str, **environ: str) -> Any:
        env = {**os.environ, **environ}
        found = partial(run, "doctor", "--embedder", "none", "--data", ":memory:", "--model", spec)
        return await anyio.to_thread.run_sync(partial(found, env=env))

    async with chat_server(says("Hi"), **ENTRIES) as server:
        there = await doctor(f"openai:m@{server.url}", MNEMON_MODEL_KEY=KEY)
        assert f"ok      model: openai:m@{server.url}" in there.stdout
        assert "window of 32000 tokens" in there.stdout
        assert KEY not in there.stdout + there.stderr
        assert server.completions == []
        missing = await doctor(f"vllm:other@{server.url}")
        assert missing.returncode == 1
        assert "does not have it; it has m" in missing.stdout
    away = await doctor(f"ollama:m@{server.url}")
    assert away.returncode == 1 and "start it with `ollama serve`" in away.stdout
