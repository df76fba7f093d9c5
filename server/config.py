"""Settings, and the only reader of the environment: flags, MNEMON_*, config.toml, defaults.

The first that says something wins. Unknown keys are refused, in config.toml and in the environment.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from agent.errors import ModelSpecInvalid
from agent.models.library.names import is_name
from agent.models.model_file import EngineChoice
from agent.models.spec import Endpoint, GgufFile, ModelSpec, normal_url, origin_of, parse_spec
from server.data_directory import IN_MEMORY, absolute, default_directory
from server.errors import OperatorError
from server.registry import DEFAULT_TOOLSET, Toolset

PREFIX = "MNEMON_"

OWN_SETTINGS = (
    "embedder",
    "model",
    "model_key_url",
    "engine",
    "context_tokens",
    "model_threads",
    "kv_cache_mb",
    "search_memory_mb",
    "hnsw_threshold",
    "sandbox_minimum",
    "sandbox_python",
    "seatbelt_beta",
    "allow_unsandboxed_tools",
)
"""Settings that an owner has for all its hosts, and tells."""

SECRETS = ("model_key",)
"""Settings of an owner that nobody is told."""

NOT_IN_FILES = {
    "data": "it cannot stand in the directory it would name; remove it",
    "allow_unsandboxed_tools": "a file may be copied to where nobody decided it; for one process"
    " set MNEMON_ALLOW_UNSANDBOXED_TOOLS=1 in its environment, and remove it here",
}
"""Settings that config.toml may not have, and why."""

_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
OTHERS_VARIABLES = (
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HOME",
    "XDG_CACHE_HOME",
    "OLLAMA_MODELS",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_HUB_OFFLINE",
)
"""Variables of Hugging Face's and Ollama's programs; agent/models/library says what they mean."""

INSTALLER_VARIABLES = re.compile(
    r"PATH|HOME|XDG_CONFIG_(HOME|DIRS)|APPDATA|PROGRAMDATA|USERPROFILE|SYSTEMROOT|NETRC"
    r"|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE"
    r"|PIP_(INDEX_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|CONFIG_FILE|CERT|CLIENT_CERT|PROXY"
    r"|TRUSTED_HOST|(DEFAULT_)?TIMEOUT)"
    r"|UV_((DEFAULT_|EXTRA_)?INDEX(_URL)?|INDEX_\w+|NO_INDEX|FIND_LINKS|(NO_)?CONFIG(_FILE)?|OFFLINE"
    r"|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|HTTP_(TIMEOUT|CONNECT_TIMEOUT|RETRIES)|EXCLUDE_NEWER)"
)
"""Variables that say where uv and pip find packages, and how they get there. Others of theirs say
what is done with them, which is not theirs to say here."""

_HUB = re.compile(r"sentence-transformers:.+")
EMBEDDERS = "'minilm', 'none', or 'sentence-transformers:NAME_OR_PATH'"


class ConfigError(OperatorError):
    """A setting is unknown or has a value that cannot be; the message names where it stands."""


class Settings(BaseModel):
    """What a person can set: each is a variable and a key, and a flag of the commands it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field("", description="Directory of the memory; ':memory:' keeps nothing.")
    embedder: str = Field("minilm", description=EMBEDDERS + ".")
    model: str | None = Field(
        None, description="Language model of the agents: a GGUF file, or KIND:NAME of a server."
    )
    model_key: SecretStr | None = Field(None, description="Key for that server.")
    model_key_url: str | None = Field(
        None, description="Another server that the key is for instead, by its base URL."
    )
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
    search_memory_mb: int = Field(
        1024, ge=0, description="Memory for what is searched, 1 MB for 1,000 texts; 0: none."
    )
    hnsw_threshold: int | None = Field(
        None, ge=1, description="Vectors from which what memory has no room for is indexed by VSS."
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
    agent: str = Field(
        "", max_length=200, description="Agent that is meant where a tool is told of none."
    )
    sandbox_minimum: Literal["namespaces", "landlock"] = Field(
        "namespaces", description="Weakest isolation in which code of tools is run."
    )
    sandbox_python: str | None = Field(
        None, description="Python that runs tools, an absolute path; default: one is found."
    )
    seatbelt_beta: bool = Field(
        False, description="On macOS, isolate code of tools by sandbox-exec where that holds."
    )
    allow_unsandboxed_tools: bool = Field(
        False, description="Run tools without isolation where there is none; by environment only."
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

    @field_validator("sandbox_python")
    @classmethod
    def _check_sandbox_python(cls, path: str | None) -> str | None:
        if path and not Path(path).is_absolute():
            raise ValueError("it takes an absolute path, such as '/usr/bin/python3'")
        return path or None

    @field_validator("model", mode="before")
    @classmethod
    def _check_model(cls, spec: Any) -> Any:
        if isinstance(spec, str | Path) and str(spec):
            try:
                return str(parse_spec(str(spec)))
            except ModelSpecInvalid as error:
                raise ValueError(f"it {error.problem}") from None
        return spec or None

    @field_validator("model_key")
    @classmethod
    def _check_model_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not _KEY.fullmatch(key.get_secret_value()):
            raise ValueError("it has characters that no key has: spaces, line ends or others")
        return key

    @field_validator("model_key_url")
    @classmethod
    def _check_model_key_url(cls, url: str | None) -> str | None:
        try:
            return url and normal_url(url, url)
        except ModelSpecInvalid as error:
            raise ValueError(f"it {error.problem}") from None

    @property
    def model_spec(self) -> ModelSpec | None:
        """The agents' model."""
        return parse_spec(self.model) if self.model else None

    def key_for(self, endpoint: Endpoint) -> str | None:
        """The key, if it is for this server.

        An agent's model may be named by a host, and hosts read texts of strangers: no name that
        they can give may carry the key to a server which the person has not named for it.
        """
        model = self.model_spec
        named = self.model_key_url or (model.base_url if isinstance(model, Endpoint) else None)
        if self.model_key is None or named is None or origin_of(named) != endpoint.origin:
            return None
        return self.model_key.get_secret_value()

    @property
    def directory(self) -> Path | None:
        """Where everything is kept; None: nowhere."""
        return None if self.data == IN_MEMORY else Path(self.data)

    @property
    def database(self) -> Path | None:
        """The database file; None: in memory."""
        return self.directory and self.directory / "mnemon.duckdb"

    @property
    def templates(self) -> Path | None:
        """Where the templates of agents are that a host can name; None: nowhere."""
        return self.directory and self.directory / "templates"


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
    given, environment, data = _told(flags, environ)
    layers = [_from_file(data), environment, given]
    for layer in layers:
        _check(layer)
    merged = {key: value for layer in layers for key, value in layer.values.items()}
    if merged.get("model"):
        merged["model"] = located(merged["model"])
    return Settings.model_validate({**merged, "data": _directory(data)})


def locate_memory(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Settings that say where the memory is, and nothing else that is set elsewhere than in flags.

    Raises:
        ConfigError: a flag has a value that cannot be.
    """
    given, _, data = _told(flags, environ)
    _check(given)
    return Settings.model_validate({**given.values, "data": _directory(data)})


def _told(flags: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[_Layer, _Layer, str]:
    """What flags and environment say, and where the memory is."""
    given = _Layer("the command line", {k: v for k, v in flags.items() if v is not None})
    environment = _Layer("the environment", _from_environment(environ))
    if given.values.get("data") == "":
        raise ConfigError(f"{given.place}: data is empty; name a directory, or leave it out")
    data = given.values.get("data") or environment.values.get("data") or default_directory()
    return given, environment, data


def _directory(data: str) -> str:
    return data if data == IN_MEMORY else absolute(data)


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
    if data == IN_MEMORY:
        return _Layer(str(path), {})
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _Layer(str(path), {})
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    for name, why in NOT_IN_FILES.items():
        if name in values:
            raise ConfigError(f"{path}: {name!r} is no setting of this file: {why}")
    model = values.get("model")
    if isinstance(model, str) and model:
        values["model"] = _beside(path, model)
    return _Layer(str(path), values)


def located(spec: str) -> str:
    """A model's spec that means the same wherever a process runs.

    Raises:
        ModelSpecInvalid: it names no model.
    """
    match parse_spec(spec):
        case GgufFile(path) if not is_name(str(path)):
            return str(expanded(path).absolute())
        case found:
            return str(found)


def _beside(config: Path, spec: str) -> str:
    """A spec in config.toml, where a path is relative to that file."""
    try:
        found = parse_spec(spec)
    except ModelSpecInvalid:
        return spec  # told about with the other settings
    if not isinstance(found, GgufFile) or is_name(str(found.path)):
        return spec
    return str(config.parent / expanded(found.path))


def variables_of_others() -> dict[str, str]:
    """Variables of other programs that mnemon follows: where they keep models, where the hub is."""
    return {name: os.environ[name] for name in OTHERS_VARIABLES if os.environ.get(name)}


def installer_variables() -> dict[str, str]:
    """The environment of uv and pip, when they install packages for tools."""
    return {k: v for k, v in os.environ.items() if INSTALLER_VARIABLES.fullmatch(k)}


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
        value = "what it is" if key in SECRETS else repr(problem["input"])
        raise ConfigError(
            f"{layer.place}: {key} cannot be {value}: {said[:1].lower()}{said[1:]}"
        ) from None
