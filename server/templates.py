"""Templates of agents: plain files with what a new one is made of, in TOML, JSON or Markdown.

TOML and JSON hold the fields of AgentTemplate. A Markdown file begins with the same as TOML
between two lines of `+++`; the text after it is `system`. A caller names templates of one folder in
the data directory; only the command line reads other files.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from agent.memory_tools import Arguments
from agent.settings import merged
from memory.errors import InvalidValue
from memory.limits import check_object
from memory.records import DEFAULT_BLOCK_LIMIT_CHARS
from server.agent_models import AgentShown, Create, NewBlock
from server.toml_text import to_toml

SUFFIXES: Final = (".toml", ".json", ".md")

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}")
_MAX_BYTES: Final = 6_000_000
"""Fifty blocks of the longest text, and an instruction as long, in letters of one byte."""
_FENCE: Final = "+++"
_PARTS: Final = re.compile(r"\A\+\+\+\r?\n(.*?)^\+\+\+(?:\r?\n|\Z)(.*)\Z", re.DOTALL | re.MULTILINE)


class BadTemplate(InvalidValue):
    """A template is not there, or not as it must be; nothing was created."""


class AgentTemplate(Arguments):
    """What an agent is made of.

    blocks: None: the default ones. model: where it is, on one machine.
    """

    name: str | None = None
    description: str = ""
    system: str = ""
    timezone: str | None = None
    model: str | None = None
    tags: list[str] = Field(default_factory=list)
    blocks: list[NewBlock] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


def find_template(folder: Path | None, name: str) -> AgentTemplate:
    """Return the template of this name in the folder.

    Raises:
        BadTemplate: naming those that there are, or what is wrong with it.
    """
    known = sorted({path.stem for path in _files(folder)})
    if folder is not None and _NAME.fullmatch(name):
        for path in (folder / f"{name}{suffix}" for suffix in SUFFIXES):
            if path.is_file():
                return read_template(path)
    where = folder or "a memory that is kept nowhere"
    raise BadTemplate(
        f"there is no template {name[:80]!r} in {where}; there are: {', '.join(known) or 'none'}"
    )


def read_template(path: Path) -> AgentTemplate:
    """Read a template from a file.

    Raises:
        BadTemplate: it cannot be read, or is no template; the message names the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise BadTemplate(f"{path} has more than {_MAX_BYTES} bytes, more than an agent holds")
        return parse_template(content.decode("utf-8-sig"), path.suffix.lower())
    except OSError as error:
        raise BadTemplate(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also of TOML, JSON, UTF-8 and validation
        raise BadTemplate(f"{path} is no template: {_said(error)}") from error


def parse_template(text: str, suffix: str) -> AgentTemplate:
    """Return the template in a text.

    Raises:
        ValueError: the text is none.
    """
    match suffix:
        case ".toml":
            values = tomllib.loads(text)
        case ".json":
            values = json.loads(text)
        case ".md":
            parts = _PARTS.match(text)
            if parts is None:
                raise ValueError(f"it does not begin with TOML between two lines of {_FENCE}")
            values = {**tomllib.loads(parts[1]), "system": parts[2].removesuffix("\n")}
        case _:
            raise ValueError(f"its name ends in none of {', '.join(SUFFIXES)}")
    return AgentTemplate.model_validate(values)


def template_text(template: AgentTemplate, suffix: str) -> str:
    """A template as parse_template reads it, without what is as usual.

    Raises:
        BadTemplate: TOML has no null, and there is one in a list; or no such format is known.
    """
    values = template.model_dump(exclude_defaults=True)
    if suffix not in SUFFIXES:
        raise BadTemplate(f"a template's name ends in one of {', '.join(SUFFIXES)}")
    if suffix == ".json":
        return json.dumps(values, ensure_ascii=False, indent=2) + "\n"
    try:
        if suffix == ".toml":
            return to_toml(values)
        system = values.pop("system", "")
        return f"{_FENCE}\n{to_toml(values, never_at_line_start=_FENCE)}{_FENCE}\n{system}\n"
    except TypeError as error:
        raise BadTemplate(f"{error}; write the template as .json") from error


def template_of(agent: AgentShown) -> AgentTemplate:
    """What a new agent like this one is made of; its model stays out, which is of one machine."""
    return AgentTemplate(
        name=agent.name,
        description=agent.description,
        system=agent.system,
        timezone=None if agent.timezone == "UTC" else agent.timezone,
        tags=agent.tags,
        blocks=[NewBlock(**_block(block.model_dump())) for block in agent.blocks],
        settings=agent.settings,
        metadata=agent.metadata,
    )


def fill(given: Create, template: AgentTemplate) -> Create:
    """What is to be created: what was given, and the rest as in the template.

    Settings and metadata are merged, as when an agent is changed.
    """
    values = template.model_dump(exclude_unset=True)
    own = given.model_dump(include=given.model_fields_set - {"template"})
    for name in ("settings", "metadata"):
        if name in values and name in own:
            check_object(own[name], name)
            own[name] = merged(check_object(values[name], name), own[name])
    return Create.model_validate({**values, **own})


def _block(shown: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: shown[name] for name in NewBlock.model_fields}
    if kept["limit_chars"] == DEFAULT_BLOCK_LIMIT_CHARS:
        del kept["limit_chars"]
    return kept


def _files(folder: Path | None) -> list[Path]:
    try:
        return [] if folder is None else [p for p in folder.iterdir() if p.suffix in SUFFIXES]
    except OSError:
        return []


def _said(error: Exception) -> str:
    """What is wrong, in one line."""
    if not isinstance(error, ValidationError):
        return str(error).partition("\n")[0] or type(error).__name__
    known = ", ".join(AgentTemplate.model_fields)
    lines = []
    for detail in error.errors(include_url=False, include_input=False)[:3]:
        path = ".".join(map(str, detail["loc"]))[:80]
        if not path:
            return f"it is no object with fields ({known})"
        extra = detail["type"] == "extra_forbidden"
        lines.append(f"{path!r} is no field of it" if extra else f"{path!r}: {detail['msg']}")
    return "; ".join(lines) + f" (fields: {known})"
