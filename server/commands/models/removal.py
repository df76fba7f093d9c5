"""`mnemon models rm`: delete a model of mnemon's own; those of other programs are theirs."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.models.library.candidates import TITLES
from agent.models.library.catalogue import Catalogue, FoundModel
from agent.models.library.errors import AmbiguousModel
from agent.models.library.part_file import note_path
from agent.models.library.probes import ProbeStore, fingerprint
from server.commands.agents import answer, list_agents, show_agent
from server.commands.models.tables import size
from server.config import Settings, expanded
from server.console import Console
from server.errors import OperatorError
from server.model_library import MODELS_DIRECTORY, catalogue_of, kept_in
from server.tool_session import open_tools


class ModelKept(OperatorError):
    """A model was not deleted; the message says why."""


@dataclass(frozen=True, slots=True)
class _Doomed:
    """What would go: a model, a damaged file, or the part of a download."""

    name: str
    names: tuple[str, ...]
    files: tuple[Path, ...]
    fingerprint: str = ""


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Delete it, when nobody uses it and the person agrees."""
    own = kept_in(settings) / MODELS_DIRECTORY
    doomed = _find(options["model_name"], catalogue_of(settings), own)
    if not options["force"]:
        _refuse_in_use(settings, doomed)
    freed = sum(file.stat().st_size for file in doomed.files)
    what = f"{doomed.name} ({size(freed)})"
    if not options["yes"]:
        if not sys.stdin.isatty():
            console.fail(f"this deletes {what}; add --yes to do it")
            return 2
        if answer(f"Delete {what}? [y/N] ") not in {"y", "yes"}:
            console.note("nothing was deleted")
            return 1
    _delete(doomed, own)
    if doomed.fingerprint:
        ProbeStore(kept_in(settings)).forget(doomed.fingerprint)
    console.show({"deleted": doomed.name, "freed_bytes": freed}, f"deleted {what}")
    return 0


def _find(text: str, catalogue: Catalogue, own: Path) -> _Doomed:
    """The one thing of mnemon's own that has this name or path.

    Raises:
        ModelKept: it is another program's.
        UnknownModel: there is no such model.
        AmbiguousModel: there are several.
    """
    wanted = text.strip().casefold().removesuffix(".gguf")
    found = [
        doomed
        for doomed in _own(catalogue, own)
        if wanted in map(str.casefold, doomed.names) or Path(text) in doomed.files
    ]
    exact = [doomed for doomed in found if doomed.name.casefold() == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise AmbiguousModel(text, [str(doomed.files[0]) for doomed in found])
    raise ModelKept(_elsewhere(catalogue.resolve(text)))


def _own(catalogue: Catalogue, own: Path) -> Iterator[_Doomed]:
    for model in catalogue.models:
        if model.origin == "mnemon":
            yield _Doomed(model.name, model.names, model.files, fingerprint(model))
    for lost in catalogue.unusable:
        if lost.origin == "mnemon":
            yield _Doomed(lost.path.stem, (lost.path.stem,), (lost.path,))
    for part in own.rglob("*.gguf.part"):
        name = part.with_suffix("").stem
        files = [file for file in (part, note_path(part.with_suffix(""))) if file.is_file()]
        yield _Doomed(f"the unfinished {name}", (name, f"{name}.gguf.part"), tuple(files))


def _elsewhere(model: FoundModel) -> str:
    ways = {
        "ollama": f"remove it with: ollama rm {model.source}",
        "huggingface": f"remove it with: hf cache rm model/{model.source}",
        "lm-studio": f"remove it in LM Studio (My Models), or delete {model.path}",
    }
    return f"{model.name} is {TITLES[model.origin]}'s, not mnemon's; {ways[model.origin]}"


def _refuse_in_use(settings: Settings, doomed: _Doomed) -> None:
    names = {name.casefold() for name in doomed.names}

    def is_it(model: str | Path | None) -> bool:
        if model is None:
            return False
        return expanded(Path(model)) in doomed.files or str(model).casefold() in names

    users = []
    if is_it(settings.model):
        users.append("the setting `model`")
    with open_tools(settings) as tools:
        agents = [show_agent(tools, agent.id) for agent in list_agents(tools, {})]
    users += [f"agent {agent.name}" for agent in agents if is_it(agent.model)]
    if users:
        shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        raise ModelKept(f"{doomed.name} is used by {shown}; give them another model, or --force it")


def _delete(doomed: _Doomed, own: Path) -> None:
    """Delete the files, the last part first, and directories that are empty then."""
    try:
        for file in reversed(doomed.files):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise ModelKept(f"{error.filename} cannot be deleted: {error.strerror}") from error
    directory = doomed.files[0].parent
    with suppress(OSError):  # not empty
        while directory != own and own in directory.parents:
            directory.rmdir()
            directory = directory.parent
