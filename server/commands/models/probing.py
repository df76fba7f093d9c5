"""`mnemon models probe`: load a model, see what it can, and keep that."""

from typing import Any

import anyio

from agent.models.library.probe import probe_model
from agent.models.library.probes import Probe, ProbeStore
from agent.models.spec import Endpoint, parse_spec
from server.commands.models.tables import size
from server.config import ConfigError, Settings
from server.console import Console
from server.model_library import resolve

_LIMITS = {
    "setting": "as set",
    "default": "the default; raise it with `context_tokens`",
    "training": "all it was trained for",
    "memory": "all that free memory holds",
}


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Try it; exit 1 when an agent cannot think with it."""
    name = options["model_name"]
    if isinstance(parse_spec(name), Endpoint):
        raise ConfigError(
            f"{name} is a server's model, which is not loaded here; `mnemon doctor --model {name}`"
            " tries it"
        )
    model = resolve(settings, name)
    console.note(f"trying {model.name} ({size(model.size_bytes)}) ...")
    probe = anyio.run(
        probe_model, model, settings.context_tokens, settings.model_threads, settings.engine
    )
    value = {"name": model.name, "path": str(model.path), **probe.model_dump()}
    console.show({**value, "works": probe.works}, f"{model.name}\n" + "\n".join(_lines(probe)))
    if settings.directory is not None:
        ProbeStore(settings.directory).put(model, probe)
    return 0 if probe.works else 1


def _lines(probe: Probe) -> list[str]:
    if not probe.loads:
        return [f"  does not load: {probe.problem}"]
    said = [
        f"  window      {probe.window_tokens} tokens, {_LIMITS[probe.window_limit or 'default']}"
    ]
    said.append(f"  calls       {probe.calls_tools}, in {probe.mode} form")
    said.append(f"  answers     {'yes' if probe.answers_after_call else 'no'}")
    if probe.prefill_tokens_per_s and probe.generation_tokens_per_s:
        said.append(
            f"  speed       reads {probe.prefill_tokens_per_s:.0f}, writes"
            f" {probe.generation_tokens_per_s:.0f} tokens a second, about"
        )
    if probe.memory_bytes:
        said.append(f"  memory      {size(probe.memory_bytes)}")
    if probe.problem:
        said.append(f"  problem     {probe.problem}")
    return said
