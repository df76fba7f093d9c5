"""`mnemon models list`: what is on this machine, what it needs, and what is worth getting."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.models.library.candidates import TITLES
from agent.models.library.catalogue import FoundModel, Unusable
from agent.models.library.facts import shown
from agent.models.library.memory_needs import (
    fit,
    machine_memory_bytes,
    needed_bytes,
    window_tokens,
)
from agent.models.library.part_file import read_note
from agent.models.library.probes import Probe, ProbeStore, fingerprint
from agent.models.library.recommended import SOURCE, Recommended, recommended_for
from server.commands.models.tables import size, table
from server.config import Settings
from server.console import Console
from server.model_library import catalogue_of, own_directory

_HEAD = ("name", "size", "quantisation", "trained for", "memory", "fits", "from", "probed")
_RECOMMENDED_HEAD = ("name", "size", "memory", "licence", "")


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Print what there is; with nothing there, what is worth getting."""
    memory = machine_memory_bytes()
    if options["recommended"]:
        found = recommended_for(None)
        console.show([asdict(model) for model in found], "\n".join(_recommended(found)))
        return 0
    catalogue = catalogue_of(settings)
    probes = ProbeStore(settings.directory).all() if settings.directory else {}
    listed = [model for model in catalogue.models if model.can_chat or options["all"]]
    rows = [_described(model, settings.context_tokens, memory, probes) for model in listed]
    lines = list(_lines(rows, memory))
    unfinished = list(_unfinished(own_directory(settings)))
    if options["all"]:
        lines += [f"not usable: {_place(lost)} {lost.problem}" for lost in catalogue.unusable]
        rows += [_problem(lost) for lost in catalogue.unusable]
    elif catalogue.unusable:
        lines.append(f"{len(catalogue.unusable)} more cannot be used; --all says why")
    lines += unfinished
    console.show(rows, "\n".join(lines))
    return 0


def _described(
    model: FoundModel, wanted: int | None, memory: int | None, probes: Mapping[str, Probe]
) -> dict[str, Any]:
    """One model as JSON; the table shows some of it."""
    facts = model.facts
    window = window_tokens(facts, wanted)
    needed = needed_bytes(model.size_bytes, facts, window)
    probe = probes.get(fingerprint(model))
    return {
        "name": model.name,
        "path": str(model.path),
        "from": model.origin,
        "source": model.source,
        "kind": facts.kind,
        "title": facts.title,
        "architecture": facts.architecture,
        "parameters": facts.parameters,
        "quantisation": facts.quantisation,
        "licence": facts.licence,
        "size_bytes": model.size_bytes,
        "trained_tokens": facts.trained_tokens,
        "window_tokens": window,
        "memory_bytes": needed,
        "fits": fit(needed, memory),
        "template_knows_tools": facts.knows_tools,
        "probe": probe.model_dump() if probe else None,
    }


def _lines(rows: Sequence[dict[str, Any]], memory: int | None) -> Iterator[str]:
    if not rows:
        yield "no language models on this machine; these run on it:"
        yield from _recommended(recommended_for(memory))
        return
    yield from table(_HEAD, [_row(row) for row in rows])
    if memory is not None:
        window = max(row["window_tokens"] for row in rows)
        yield f"memory: weights and a window of {window} tokens; this machine has {size(memory)}"
    best = next((row for row in rows if row["fits"] != "no"), rows[0])
    yield f"use one:  mnemon chat AGENT --model {shlex.quote(best['path'])}"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    kind = "" if row["kind"] == "chat" else f" ({_KINDS[row['kind']]})"
    return (
        shown(row["name"]) + kind,
        size(row["size_bytes"]),
        shown(row["quantisation"]),
        str(row["trained_tokens"] or "unknown"),
        size(row["memory_bytes"]),
        row["fits"],
        TITLES[row["from"]],
        _probed(row["probe"]),
    )


_KINDS = {
    "base": "no chat template",
    "embedding": "embedding model",
    "projector": "projector",
    "adapter": "adapter",
}


def _probed(probe: Mapping[str, Any] | None) -> str:
    if probe is None:
        return "-"
    if not probe["loads"]:
        return "does not load"
    if probe["calls_tools"] == "no":
        return "calls no tools"
    speed = probe["generation_tokens_per_s"]
    return f"{probe['mode']}, {speed:.0f} tokens/s" if speed else str(probe["mode"])


def _problem(lost: Unusable) -> dict[str, Any]:
    return {"path": str(lost.path), "from": lost.origin, "problem": lost.problem}


def _place(lost: Unusable) -> str:
    return f"{shown(str(lost.path), most=4096)} ({TITLES[lost.origin]})"


def _recommended(models: Sequence[Recommended]) -> Iterator[str]:
    rows = [
        (
            model.name,
            f"{model.size_gb:.1f} GB",
            f"{model.memory_gb} GB",
            model.licence,
            f"{model.repository}: {model.why}",
        )
        for model in models
    ]
    yield from table(_RECOMMENDED_HEAD, rows)
    yield f"get one:  mnemon models pull {models[0].name}   ({SOURCE})"


def _unfinished(own: Path | None) -> Iterator[str]:
    """Downloads that stopped on the way."""
    for part in sorted(own.rglob("*.gguf.part")) if own else ():
        target = part.with_suffix("")
        note = read_note(target)
        if note is not None:
            whole = f" of {size(note.size_bytes)}" if note.size_bytes else ""
            yield (
                f"unfinished: {shown(target.name)}, {size(part.stat().st_size)}{whole};"
                f" go on with: mnemon models pull {shlex.quote(note.source)}"
            )
