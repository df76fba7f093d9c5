"""What only the engine xllamacpp has: a server, which must answer nobody else, and its cache."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import agent
from agent.model import ChatMessage, Prompt, ToolCalls
from agent.models.gguf_vocabulary import read_header
from agent.models.llama import LlamaModel, LlamaOptions

ROOT = Path(agent.__file__).parents[1]
installed = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed"
)


@pytest.fixture
async def model(model_path: Path) -> AsyncIterator[LlamaModel]:
    options = LlamaOptions(engine="xllamacpp")
    async with LlamaModel(model_path, threads=1, options=options) as model:
        yield model


def asked(agent_id: str, *texts: str) -> Prompt:
    messages = tuple(ChatMessage("user", text * 200) for text in texts)
    return Prompt(messages, agent_id=agent_id)


@installed
async def test_what_was_computed_for_an_agent_is_there_after_another_had_the_model(
    model: LlamaModel,
) -> None:
    ada, bob = asked("ada", "cat "), asked("bob", "dog ")
    first = await model.complete(ada, 5)
    await model.complete(bob, 5)
    again = await model.complete(replace(ada, messages=(*ada.messages, *bob.messages)), 5)
    assert first.cached_tokens == 0
    assert again.cached_tokens > first.prompt_tokens * 0.9


@installed
def test_the_server_answers_nobody_without_the_key(model_path: Path) -> None:
    # In a process of its own: the engine is not loaded into that of the tests.
    script = (
        "import sys, urllib.request, urllib.error\n"
        "from pathlib import Path\n"
        "from agent.models.xllama_server import LlamaServer, ServerSettings\n"
        "server = LlamaServer(Path(sys.argv[1]), ServerSettings(512, 1, 16))\n"
        "assert server.ask('/tokenize', {'content': 'Hello'})['tokens']\n"
        "for route in ('/tokenize', '/completion', '/v1/chat/completions', '/slots', '/props'):\n"
        "    request = urllib.request.Request(server.address + route, b'{}')\n"
        "    try:\n"
        "        urllib.request.urlopen(request)\n"
        "        sys.exit(route)\n"
        "    except urllib.error.HTTPError as error:\n"
        "        assert error.code == 401, (route, error.code)\n"
        "print('refused', flush=True)\n"
        "import os; os._exit(0)\n"
    )
    command = [sys.executable, "-c", script, str(model_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "refused\n", done.stderr


@installed
async def test_a_second_try_at_some_temperature_is_another_one(model: LlamaModel) -> None:
    prompt = replace(asked("ada", "Tell me a joke. "), temperature=2.0)
    first, second = [(await model.complete(prompt, 20)).parsed for _ in range(2)]
    assert first != second


@installed
async def test_a_marker_that_ends_the_output_is_not_in_its_text(model: LlamaModel) -> None:
    completion = await model.complete(Prompt((ChatMessage("user", "Hello"),)), 30)
    assert not isinstance(completion.parsed, ToolCalls)
    assert completion.parsed.text == "Hello! How can I help?"


def test_the_header_of_a_file_says_what_the_vocabulary_is(model_path: Path) -> None:
    header = read_header(model_path)
    tokenizer = json.loads((model_path.parent / "tokenizer.json").read_text("utf-8"))
    added = {token["content"] for token in tokenizer["added_tokens"]}
    assert {*header.controls, *header.added} == added
    assert header.token_text("eos") == "<|im_end|>"
    assert header.number("context_length") == 4096
    assert header.text("tokenizer.chat_template") == (
        model_path.parent / "chat_template.jinja"
    ).read_text("utf-8")
