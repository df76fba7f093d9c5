"""`mnemon doctor`: whether everything works, and what to do if not.

Changes nothing: the database is opened to be read, as it is, without a migration or a checkpoint.
"""

import os
import platform
import shutil
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import anyio

from agent.errors import EndpointFailed, ModelError
from agent.models.chat_api.http import EndpointOptions
from agent.models.endpoint import EndpointModel
from agent.models.model_file import check_model_file, choose_engine
from agent.models.spec import Endpoint, GgufFile
from memory.database import Database, describe_engine
from memory.embedders.factory import load_embedder
from memory.errors import DatabaseLocked
from memory.inspection import Inspection, inspect_file
from server.code_models import SandboxShown
from server.config import Settings
from server.console import Console
from server.counted import counted
from server.errors import describe_operator_error
from server.model_library import file_of
from server.owner_questions import ask_owner, describe_owner
from server.owner_session import CallFailed, OwnerSession
from server.sandbox_views import show, state_of, summary
from server.sandboxes import ProcessSandbox, chosen

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_ENOUGH_BYTES: Final = 10_000_000
"""Of the disk: the database and its log, which a checkpoint rewrites, begin with 4 MB."""

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. A note is worth knowing, a problem needs doing something.

    data: the same and more, for programs.
    """

    state: State
    what: str
    detail: str
    data: dict[str, Any] = field(default_factory=dict)


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Print every finding; exit 1 when there is a problem."""
    found = list(examine(settings, options["given"]))
    lines = [f"{finding.state:8}{finding.what}: {finding.detail}" for finding in found]
    data = [{k: v for k, v in asdict(finding).items() if v or k != "data"} for finding in found]
    console.show(data, "\n".join(lines))
    return 1 if any(finding.state == "problem" for finding in found) else 0


def examine(settings: Settings, given: Mapping[str, Any]) -> Iterator[Finding]:
    """Look at the program, the database, the embedder, the model and the sandbox, in order.

    Args:
        given: the settings that the command was told, which count even where an owner has others.
    """
    engine = describe_engine()
    yield Finding(
        "ok",
        "program",
        f"mnemon {version('mnemon')}, Python {platform.python_version()},"
        f" {engine['name']} {engine['version']}",
    )
    if settings.directory is not None:
        yield from _directory(settings.directory)
    status = ask_owner(settings.data, "status") if settings.directory else None
    if status is None:
        embedded_by = yield from _database(settings.database, settings.agent)
    else:
        embedded_by = None
        yield Finding("ok", "database", describe_owner(status))
        yield from _served_agent(settings)
        yield from _others(settings, given, status)
        in_force = {k: v for k, v in status["settings"].items() if k not in given}
        settings = settings.model_copy(update=in_force)
    yield _vss()
    yield _embedder(settings.embedder, embedded_by)
    yield _model(settings)
    yield _sandbox(settings)


def _others(
    settings: Settings, given: Mapping[str, Any], status: dict[str, Any]
) -> Iterator[Finding]:
    """Where the owner, and so all its hosts, has something else than what is looked at."""
    wanted = settings.model_dump(mode="json")
    for name, value in status["settings"].items():
        if name in given and wanted[name] != value:
            yield Finding(
                "note", name, f"{wanted[name]} is looked at; hosts have {value or 'none'}"
            )


def _directory(directory: Path) -> Iterator[Finding]:
    """Whether anything can be kept there."""
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
        said = f"{place} cannot be written; change its rights, or choose another with --data"
        yield Finding("problem", "directory", said)
        return
    free = shutil.disk_usage(place).free
    if free < _ENOUGH_BYTES:
        said = f"{free / 1e6:.1f} MB are free on the disk of {directory}; make room"
        yield Finding("problem", "directory", said)


def _agent_missing(agent: str) -> Finding:
    said = f"no agent {agent!r}, which the setting `agent` names; create it, or name another"
    return Finding("problem", "agent", said)


def _served_agent(settings: Settings) -> Iterator[Finding]:
    """Whether the agent of the connection exists, as its owner says."""
    session = OwnerSession.open(settings.data) if settings.agent else None
    if session is None:
        return
    with session:
        try:
            session.call("agent_get", {"agent_id": settings.agent})
        except CallFailed:
            yield _agent_missing(settings.agent)


def _database(path: Path | None, agent: str) -> Generator[Finding, None, str | None]:
    """Yield a finding; return the name of the embedder that owns the vectors, if any."""
    if path is None:
        yield Finding("ok", "database", "in memory; nothing is kept")
        return None
    if path.parent.exists() and not path.parent.is_dir():
        yield Finding("problem", "database", f"{path.parent} is a file; choose a directory")
        return None
    if not path.exists():
        yield Finding("ok", "database", f"none yet; the first use creates {path}")
        return None
    try:
        found = inspect_file(path, agent)
    except DatabaseLocked as error:
        holder = f"process {error.holder_pid}" if error.holder_pid else "another process"
        yield Finding("note", "database", f"{path} is in use by {holder} and was not looked at")
        return None
    except Exception as error:
        yield Finding("problem", "database", _explained(error))
        return None
    yield Finding("ok", "database", f"{path}, {_described(found)}")
    if agent and not found.has_agent:
        yield _agent_missing(agent)
    return found.embedder


def _described(found: Inspection) -> str:
    said = (
        f"{found.file_bytes / 1e6:.1f} MB, schema version {found.schema_version},"
        f" {counted(found.agents, 'agent')}"
    )
    if found.schema_version < found.known_version:
        said += f"; the next start brings the schema to version {found.known_version}"
    if found.log_bytes:
        said += f"; has a log of {found.log_bytes / 1e3:.1f} KB that the next start reads"
    return said


def _vss() -> Finding:
    """Whether large archives get an index."""
    with Database(None) as opened:
        error = opened.load_vss()
    if error is None:
        return Finding("ok", "vss", "loads; `hnsw_threshold` says what gets an HNSW index")
    return Finding("note", "vss", f"does not load ({error}); every search is exact")


def _embedder(spec: str, owner: str | None) -> Finding:
    if spec == "none":
        return Finding("note", "embedder", "none; search is by keyword only")
    try:
        embedder = load_embedder(spec)
    except Exception as error:
        return Finding("problem", "embedder", _explained(error))
    if owner is not None and owner != embedder.name:
        return Finding(
            "problem",
            "embedder",
            f"the vectors are {owner}'s, not {embedder.name}'s; run `mnemon reindex`",
        )
    return Finding("ok", "embedder", f"{embedder.name}, {embedder.dimensions} dimensions")


def _model(settings: Settings) -> Finding:
    match settings.model_spec:
        case None:
            return Finding(
                "note",
                "model",
                "none configured; agent_message needs `model`, a GGUF file or a server's model",
            )
        case GgufFile(path):
            return _model_file(settings, path)
        case Endpoint() as endpoint:
            return anyio.run(_endpoint, endpoint, settings)


async def _endpoint(endpoint: Endpoint, settings: Settings) -> Finding:
    """Whether the server answers and has the model; loads nothing."""
    key = settings.key_for(endpoint)
    options = EndpointOptions(connect_s=5, tries=1)
    wanted = settings.context_tokens
    async with EndpointModel(endpoint, key=key, context_tokens=wanted, options=options) as model:
        try:
            window = await model.look()
        except EndpointFailed as error:
            said = f"the server of model {error.model} {error.problem}"
            return Finding("problem", "model", said)
        except ModelError as error:
            return Finding("problem", "model", str(error))
    said = f"{endpoint} at {endpoint.base_url}"
    if key and endpoint.origin[0] == "http" and endpoint.origin[1] not in LOOPBACK:
        return Finding("note", "model", f"{said}; the key goes over the net unencrypted")
    if window.note:
        return Finding("note", "model", f"{said}; {window.note}")
    return Finding("ok", "model", f"{said}, window of {window.tokens} tokens")


def _model_file(settings: Settings, path: Path) -> Finding:
    try:
        path = file_of(settings, path)
        check_model_file(path)
        engine = choose_engine(settings.engine)
    except Exception as error:
        return Finding("problem", "model", _explained(error))
    return Finding("ok", "model", f"{path} (engine {engine})")


def _sandbox(settings: Settings) -> Finding:
    """What isolates tools: in the process that runs them, or where there is none, in this one."""
    try:
        shown = _owners_sandbox(settings) or anyio.run(_own_sandbox, settings)
    except Exception as error:
        return Finding("problem", "sandbox", _explained(error))
    return Finding(state_of(shown), "sandbox", summary(shown), shown.model_dump(mode="json"))


def _owners_sandbox(settings: Settings) -> SandboxShown | None:
    session = OwnerSession.open(settings.data) if settings.directory else None
    if session is None:
        return None
    with session:
        try:
            return SandboxShown.model_validate(session.call("sandbox_status", {}))
        except CallFailed:  # an older owner has no such tool
            return None


async def _own_sandbox(settings: Settings) -> SandboxShown:
    sandbox = ProcessSandbox(settings.directory, chosen(settings))
    async with anyio.create_task_group() as tasks:
        sandbox.begin(tasks)
        try:
            state = await sandbox.state()
        finally:
            await sandbox.aclose()
    return show(state)


def _explained(error: Exception) -> str:
    return describe_operator_error(error) or f"{type(error).__name__}: {error}"
