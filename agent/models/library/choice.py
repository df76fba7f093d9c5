"""Which files of a repository are the model that was asked for. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from agent.models.library.errors import HubRefused
from agent.models.library.facts import quantisation_in
from agent.models.library.shards import shard_name
from agent.models.library.wanted import FromHub

PREFERRED: Final = (
    "Q4_K_M", "UD-Q4_K_XL", "Q4_K_L", "Q4_K_S", "IQ4_XS", "MXFP4", "Q4_0", "Q5_K_M", "Q5_K_S",
    "Q6_K", "Q8_0", "Q3_K_M", "BF16", "F16",
)  # fmt: skip
"""Quantisations in the order in which one is taken when none is named.

Q4_K_M is what publishers and llama.cpp take: some 60 % of the size of Q8_0 and a loss that few
tasks show. What is smaller costs more, what is larger fits fewer machines.
"""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: its path there, its size, and its SHA-256 where the hub knows it."""

    path: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model in a repository: one file, or all parts of a split one."""

    files: tuple[RemoteFile, ...]
    quantisation: str

    @property
    def size_bytes(self) -> int:
        """Of all files, as far as the hub says."""
        return sum(file.size_bytes or 0 for file in self.files)

    @property
    def label(self) -> str:
        """How to ask for it: by its quantisation, or by its file when it says none."""
        return self.quantisation or self.files[0].path


def remote_models(files: Sequence[RemoteFile]) -> list[RemoteModel]:
    """The whole models of a repository, smallest first; projectors and matrices are left out."""
    by_path = {file.path: file for file in files}
    return sorted(_models(by_path), key=lambda model: (model.size_bytes, model.label))


def choose(models: Sequence[RemoteModel], wanted: FromHub) -> RemoteModel:
    """The model that was asked for.

    Raises:
        HubRefused: there is none, or several; says which there are.
    """
    repository = wanted.repository
    if not models:
        raise HubRefused(
            f"{repository} has no GGUF files; look for a repository whose name ends in -GGUF"
        )
    if wanted.file:
        found = [m for m in models if any(_is(file.path, wanted.file) for file in m.files)]
        what = f"no file {wanted.file}"
    elif wanted.quantisation:
        found = [m for m in models if m.quantisation == wanted.quantisation]
        what = f"no {wanted.quantisation}"
    elif len(models) == 1:
        return models[0]
    else:
        found = _usual(models)
        what = "nothing that is taken without being named"
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(model.files[0].path for model in found)
        raise HubRefused(
            f"{repository} has several of them: {names}; name one: {repository}:FILE.gguf"
        )
    there = ", ".join(model.label for model in models)
    raise HubRefused(f"{repository} has {what}; it has {there}")


def _models(by_path: dict[str, RemoteFile]) -> Iterator[RemoteModel]:
    for path, file in by_path.items():
        name = PurePosixPath(path)
        if name.suffix.lower() != ".gguf" or name.stem.lower().startswith(("mmproj", "imatrix")):
            continue
        part = shard_name(name.name)
        quantisation = quantisation_in(part.stem)
        if not part.is_split:
            yield RemoteModel((file,), quantisation)
        elif part.number == 1:
            paths = [str(name.parent / shard) for shard in part.all_names()]
            if all(shard in by_path for shard in paths):
                yield RemoteModel(tuple(by_path[shard] for shard in paths), quantisation)


def _usual(models: Sequence[RemoteModel]) -> list[RemoteModel]:
    for quantisation in PREFERRED:
        found = [model for model in models if model.quantisation == quantisation]
        if found:
            return found
    return []


def _is(path: str, wanted: str) -> bool:
    return path == wanted or PurePosixPath(path).name.casefold() == wanted.casefold()
