"""All models on this machine, under names that a person can type.

A model is listed once for each program that keeps it; nothing is copied, and mnemon uses the file
where it lies. A name is as short as can be told apart: the file's (`Qwen3-4B-Q4_K_M`), or the
repository and the file's, or the program's before that. Ollama's begin with `ollama/`.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.errors import ModelFileInvalid
from agent.models.library import huggingface, lm_studio, ollama, own_directory
from agent.models.library.candidates import Candidate, Origin
from agent.models.library.errors import AmbiguousModel, UnknownModel
from agent.models.library.facts import ModelFacts, facts_of
from agent.models.library.gguf import read_header
from agent.models.library.places import Places
from agent.models.library.shards import shard_name


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on this machine. files: all its parts, the first one first; that one is loaded."""

    name: str
    names: tuple[str, ...]
    origin: Origin
    source: str
    files: tuple[Path, ...]
    size_bytes: int
    facts: ModelFacts

    @property
    def path(self) -> Path:
        """The file to load."""
        return self.files[0]

    @property
    def can_chat(self) -> bool:
        """Whether it may be a language model; embedding models and the like are not."""
        return self.facts.kind in ("chat", "base")


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that looks like a model and is none."""

    path: Path
    origin: Origin
    problem: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is on this machine."""

    models: tuple[FoundModel, ...]
    unusable: tuple[Unusable, ...]

    def resolve(self, name: str) -> FoundModel:
        """The model of a name, in any of its forms, in capitals or not.

        Raises:
            ModelFileInvalid: it is the name of a file that is none.
            UnknownModel: names what comes close.
            AmbiguousModel: names what it may be.
        """
        wanted = name.strip().casefold().removesuffix(".gguf")
        usable = [model for model in self.models if model.can_chat]
        for found in (
            [model for model in usable if model.name.casefold() == wanted],
            [model for model in usable if wanted in map(str.casefold, model.names)],
        ):
            if len(found) == 1:
                return found[0]
            if found:
                raise AmbiguousModel(name, [model.name for model in found])
        for file in self.unusable:
            if file.path.name.casefold().removesuffix(".gguf") == wanted:
                raise ModelFileInvalid(file.path, file.problem)
        for model in self.models:
            if wanted in map(str.casefold, (model.name, *model.names)):
                raise ModelFileInvalid(model.path, "is no language model")
        known = {model.name.casefold(): model.name for model in usable}
        close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
        raise UnknownModel(name, [known[match] for match in close])


def find_models(places: Places) -> Catalogue:
    """Look through all caches. Reads headers only; a file that two links lead to counts once."""
    found = list[FoundModel]()
    unusable = list[Unusable]()
    for candidate in _first_parts(_candidates(places)):
        try:
            found.append(_found(candidate))
        except ModelFileInvalid as error:
            unusable.append(Unusable(candidate.path, candidate.origin, error.problem))
    return Catalogue(tuple(_with_names(found)), tuple(unusable))


def open_model(path: Path) -> FoundModel:
    """A file anywhere, as a model; its first part when it is split.

    Raises:
        ModelFileInvalid: it is none, or parts are missing.
    """
    return _found(Candidate(path, "mnemon"))


def _candidates(places: Places) -> Iterator[Candidate]:
    if places.own is not None:
        yield from own_directory.find(places.own)
    yield from huggingface.find(places.huggingface)
    for home in places.lm_studio_homes:
        yield from lm_studio.find(home)
    for root in places.ollama:
        yield from ollama.find(root)


def _first_parts(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Those that stand for a model, each file once. Ollama's tags may share a file: the first."""
    seen = set[tuple[int, int]]()
    for candidate in candidates:
        # A later part stands for its model only when the first one is not there, to be told of.
        part = shard_name(candidate.path.name)
        if part.number > 1 and (candidate.path.parent / part.all_names()[0]).exists():
            continue
        try:
            found = candidate.path.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            yield candidate


def _found(candidate: Candidate) -> FoundModel:
    path = candidate.path
    part = shard_name(path.name)
    files: tuple[Path, ...] = (path,)
    if part.is_split:
        files = tuple(path.parent / name for name in part.all_names())
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ModelFileInvalid(path, f"is a part of a model; {', '.join(missing)} is missing")
    headers = [read_header(file) for file in files]
    names = _names(candidate, part.stem)
    return FoundModel(
        name=names[0],
        names=names,
        origin=candidate.origin,
        source=candidate.source,
        files=files,
        size_bytes=sum(header.file_bytes for header in headers),
        facts=facts_of(headers, part.stem),
    )


def _names(candidate: Candidate, stem: str) -> tuple[str, ...]:
    """What a model may be called, from short to long."""
    if candidate.name:
        # With its program before it: `ollama:NAME` and `NAME:TAG` mean a server's model elsewhere.
        short = candidate.name.removesuffix(":latest")
        inside = f"{candidate.origin}/{short}"
        return tuple(dict.fromkeys((inside, short, candidate.name)))
    inside = f"{candidate.source}/{stem}" if candidate.source else stem
    return tuple(dict.fromkeys((stem, inside, f"{candidate.origin}/{inside}")))


def _with_names(models: Sequence[FoundModel]) -> list[FoundModel]:
    """Give each model the shortest of its names that no other has; at last, its path."""
    taken = Counter(name.casefold() for model in models for name in model.names)
    named = []
    for model in models:
        name = next((n for n in model.names if taken[n.casefold()] == 1), str(model.path))
        named.append(replace(model, name=name))
    return named
