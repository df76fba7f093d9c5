"""Settings, and the only reader of the environment: flags, MNEMON_*, config.toml, defaults.

The first that says something wins. Unknown keys are refused, in config.toml and in the environment.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agent.models.model_file import EngineChoice
from server.data_directory import IN_MEMORY, absolute, default_directory
from server.errors import OperatorError
from server.registry import DEFAULT_TOOLSET, Toolset

PREFIX = "MNEMON_"

OWN_SETTINGS = (
    "embedder",
    "model",
    "engine",
    "context_tokens",
    "model_threads",
    "kv_cache_mb",
    "hnsw_threshold",
)
"""Settings that an owner has for all its hosts."""

_HUB = re.compile(r"sentence-transformers:.+")
EMBEDDERS = "'minilm', 'none', or 'sentence-transformers:NAME_OR_PATH'"


class ConfigError(OperatorError):
    """A setting is unknown or has a value that cannot be; the message names where it stands."""


class Settings(BaseModel):
    """What a person can set: each is a variable and a key, and a flag of the commands it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field("", description="Directory of the memory; ':memory:' keeps nothing.")
    embedder: str = Field("minilm", description=EMBEDDERS + ".")
    model: Path | None = Field(None, description="GGUF file of the agents' language model.")
    engine: EngineChoice = Field(
        "auto", description="What computes it: 'auto', 'llama-cpp' or 'xllamacpp'."
    )
    context_tokens: int | None = Field(
        None, ge=512, le=1_000_000, description="Context window to use; default 8192."
    )
    model_threads: int | None = Field(
        None, ge=1, le=256, description="Threads of the language model; default half the cores."
    )
    kv_cache_mb: int = Field(
        2048, ge=0, description="Disk for computed prompts, which keep restarts warm; 0: none."
    )
    hnsw_threshold: int | None = Field(
        None, ge=1, description="Vectors from which an archive gets an HNSW index; default 20000."
    )
    http_host: str = Field("127.0.0.1", description="Address that `mnemon serve` listens on.")
    http_port: int = Field(7077, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    http_allowed_hosts: list[str] = Field(
        default_factory=list, description="Names clients use; needed beyond loopback."
    )
    idle_minutes: float = Field(
        10, ge=0, description="How long the owner outlives its last host; 0: for ever."
    )
    toolset: Toolset = Field(
        DEFAULT_TOOLSET, description="Tools that hosts list: 'memory', 'agents' or 'full'."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="What goes to stderr."
    )

    @field_validator("embedder")
    @classmethod
    def _check_embedder(cls, spec: str) -> str:
        if spec in ("minilm", "none") or _HUB.fullmatch(spec):
            return spec
        raise ValueError(f"it can be {EMBEDDERS}")

    @property
    def directory(self) -> Path | None:
        """Where everything is kept; None: nowhere."""
        return None if self.data == IN_MEMORY else Path(self.data)

    @property
    def database(self) -> Path | None:
        """The database file; None: in memory."""
        return self.directory and self.directory / "mnemon.duckdb"


@dataclass(frozen=True, slots=True)
class _Layer:
    """Settings from one place, which is named in complaints."""

    place: str
    values: Mapping[str, Any]


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Merge flags (None: not given), environment and config.toml.

    Raises:
        ConfigError: naming the place, the key and what is wrong.
    """
    given = _Layer("the command line", {k: v for k, v in flags.items() if v is not None})
    environment = _Layer("the environment", _from_environment(environ))
    data = given.values.get("data") or environment.values.get("data") or default_directory()
    layers = [_from_file(data), environment, given]
    for layer in layers:
        _check(layer)
    merged = {key: value for layer in layers for key, value in layer.values.items()}
    if merged.get("model"):
        merged["model"] = expanded(Path(merged["model"])).absolute()
    directory = data if data == IN_MEMORY else absolute(data)
    return Settings.model_validate({**merged, "data": directory})


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in environ.items()
        if key.startswith(PREFIX) and value
    }
    hosts = values.get("http_allowed_hosts")
    if hosts is not None:
        values["http_allowed_hosts"] = [host.strip() for host in hosts.split(",")]
    return values


def _from_file(data: str) -> _Layer:
    path = expanded(Path(data)) / "config.toml"
    if data == IN_MEMORY or not path.is_file():
        return _Layer(str(path), {})
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if "data" in values:
        raise ConfigError(f"{path}: 'data' cannot stand in the directory it would name; remove it")
    model = values.get("model")
    if isinstance(model, str) and model:
        values["model"] = str(path.parent / expanded(Path(model)))  # relative to the file
    return _Layer(str(path), values)


def expanded(path: Path) -> Path:
    """The path with ~ resolved; as it is when there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _check(layer: _Layer) -> None:
    """Validate one layer by itself, so that a complaint can name its place."""
    try:
        Settings.model_validate(dict(layer.values))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            raise ConfigError(
                f"{layer.place}: there is no setting {key!r}; known: {known}"
            ) from None
        said = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"{layer.place}: {key} cannot be {problem['input']!r}: {said[:1].lower()}{said[1:]}"
        ) from None
