"""`mnemon models pull`: fetch a model from the Hugging Face hub or from a URL.

The only command that goes out to the net.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2

from agent.models.library.catalogue import Catalogue, FoundModel
from agent.models.library.choice import RemoteModel, choose, remote_models
from agent.models.library.download import Order, fetch, new_client
from agent.models.library.errors import DownloadFailed, SourceUnclear
from agent.models.library.hub import Hub
from agent.models.library.memory_needs import (
    fit,
    machine_memory_bytes,
    needed_bytes,
    window_tokens,
)
from agent.models.library.wanted import FromHub, FromUrl, check_file_name, is_private, read_wanted
from server.commands.models.tables import size
from server.commands.models.transfer import TransferProgress
from server.config import Settings, variables_of_others
from server.console import Console
from server.model_library import MODELS_DIRECTORY, catalogue_of, kept_in


@dataclass(frozen=True, slots=True)
class _Plan:
    """Files to fetch into one directory, and what a person should know before."""

    orders: tuple[Order, ...]
    notes: tuple[str, ...] = ()
    licence: str = ""

    @property
    def target(self) -> Path:
        return self.orders[0].target

    @property
    def size_bytes(self) -> int | None:
        sizes = [order.size_bytes for order in self.orders]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Fetch what is not there yet."""
    data = kept_in(settings)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = data / MODELS_DIRECTORY
    wanted = read_wanted(options["source"])
    sha256 = _digest(options["sha256"])
    with new_client() as client:
        if isinstance(wanted, FromUrl):
            plan = _plan_url(wanted, own, sha256)
        else:
            plan = _plan_hub(client, wanted, own, sha256)
        if (there := _already(settings, plan)) is not None:
            _tell(settings, there, console, "already there", _verified(there, sha256))
            return 0
        for note in plan.notes:
            console.note(note)
        checked = _fetch(client, plan, console)
    _tell(settings, _found(settings, plan), console, "pulled", checked)
    return 0


def _digest(given: str | None) -> str | None:
    if given is None:
        return None
    digest = given.lower().removeprefix("sha256:")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise SourceUnclear(f"--sha256 takes 64 hexadecimal digits, not {given[:80]!r}")
    return digest


def _plan_url(wanted: FromUrl, own: Path, sha256: str | None) -> _Plan:
    if not is_private(wanted.url) and sha256 is None:
        raise SourceUnclear(
            f"{wanted.url} is not https, so anybody on the way could change the file; say what it"
            " must be with --sha256"
        )
    target = own / wanted.host / wanted.file_name
    return _Plan((Order(wanted.url, target, wanted.url, sha256=sha256),))


def _plan_hub(client: httpx2.Client, wanted: FromHub, own: Path, sha256: str | None) -> _Plan:
    hub = Hub(client, variables_of_others())
    listing = hub.list_files(wanted)
    models = remote_models(listing.files)
    chosen = choose(models, wanted)
    if sha256 is not None and len(chosen.files) > 1:
        raise SourceUnclear("--sha256 is of one file, and this model has several; leave it out")
    directory = own.joinpath(*wanted.repository.split("/"))
    source = f"{wanted.repository}:{chosen.files[0].path}"
    orders = tuple(
        Order(
            url=hub.url_of(listing, file),
            target=directory / check_file_name(PurePosixPath(file.path).name),
            source=source,
            size_bytes=file.size_bytes,
            sha256=sha256 or file.sha256,
            headers=hub.headers,
        )
        for file in chosen.files
    )
    return _Plan(orders, _notes(wanted, chosen, models, listing.licence), listing.licence)


def _notes(
    wanted: FromHub, chosen: RemoteModel, models: Sequence[RemoteModel], licence: str
) -> tuple[str, ...]:
    said = f"{wanted.repository}: {chosen.label}, {size(chosen.size_bytes)}"
    said += f", licence {licence}" if licence else ""
    others = [f"{m.label} ({size(m.size_bytes)})" for m in models if m is not chosen]
    if others and not (wanted.file or wanted.quantisation):
        said += f"\nothers there: {', '.join(others)}; take one with {wanted.repository}:NAME"
    return (said,)


def _already(settings: Settings, plan: _Plan) -> FoundModel | None:
    """The model when it is on this machine, whoever put it there: same name, same size."""
    catalogue = catalogue_of(settings)
    for model in catalogue.models:
        if model.path == plan.target:
            if plan.size_bytes not in (None, model.size_bytes):
                raise DownloadFailed(
                    f"{plan.target} is there, with {model.size_bytes} bytes; what would be pulled"
                    f" has {plan.size_bytes}: `mnemon models rm {model.name}` first"
                )
            return model
    return _elsewhere(catalogue, plan)


def _verified(model: FoundModel, sha256: str | None) -> bool:
    """Whether a file that is there is the one that a person named by its digest; reads it all."""
    if sha256 is None:
        return False
    with model.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise DownloadFailed(f"{model.path} is there, with the SHA-256 {digest}, not {sha256}")
    return True


def _elsewhere(catalogue: Catalogue, plan: _Plan) -> FoundModel | None:
    for model in catalogue.models:
        same_name = model.path.name == plan.target.name
        if same_name and plan.size_bytes is not None and model.size_bytes == plan.size_bytes:
            return model
    return None


def _fetch(client: httpx2.Client, plan: _Plan, console: Console) -> bool:
    """Fetch all files; whether the digest of each is the promised one."""
    progress = TransferProgress(console, plan.target.stem, plan.size_bytes)
    checked = True
    try:
        for order in plan.orders:
            if order.target.exists() and order.target.stat().st_size == order.size_bytes:
                progress.file_done(order.size_bytes)
                continue
            fetched = fetch(client, order, progress)
            progress.file_done(fetched.size_bytes)
            checked = checked and fetched.checked
    except KeyboardInterrupt:
        console.end_progress()
        console.note("interrupted; what came is kept: run the same command again to go on")
        raise
    console.end_progress()
    return checked


def _found(settings: Settings, plan: _Plan) -> FoundModel:
    for model in catalogue_of(settings).models:
        if model.path == plan.target:
            return model
    raise DownloadFailed(f"{plan.target} was fetched and is gone again")


def _tell(
    settings: Settings, model: FoundModel, console: Console, what: str, checked: object
) -> None:
    window = window_tokens(model.facts, settings.context_tokens)
    needed = needed_bytes(model.size_bytes, model.facts, window)
    fits = fit(needed, machine_memory_bytes())
    value = {
        "status": "pulled" if what == "pulled" else "there",
        "name": model.name,
        "path": str(model.path),
        "from": model.origin,
        "size_bytes": model.size_bytes,
        "quantisation": model.facts.quantisation,
        "kind": model.facts.kind,
        "checked": bool(checked),
        "memory_bytes": needed,
        "fits": fits,
    }
    text = f"{what}: {model.name} ({size(model.size_bytes)})\n  {model.path}"
    if what == "pulled" and not checked:
        text += "\n  nobody promised a checksum for it, so it could not be checked"
    if not model.can_chat:
        text += f"\n  it is no language model ({model.facts.kind}); agents cannot think with it"
    elif fits == "no":
        text += f"\n  it needs {size(needed)} of memory, more than this machine has to spare"
    else:
        text += f"\ntry it:  mnemon models probe {model.name}"
    console.show(value, text)
