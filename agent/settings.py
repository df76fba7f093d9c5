"""What an agent is set to beside its identity: the one reader of `Agent.settings`.

Memory keeps a JSON object of what was set and never looks into it; what was not set has the default
here. A setting that cannot be read, as after a change of version, counts as not set: it is named
where the agent is shown (problems_of), and the agent goes on.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.refusals import refusal, rule_problem
from agent.rule_kinds import ToolRule
from memory.errors import InvalidValue
from memory.records import Agent

ToolName = Annotated[str, Field(min_length=1, max_length=64)]

MAX_STEPS = 50
"""Letta's default. A turn that takes more goes round in circles more often than it gets there."""

CompactionMode = Literal["sliding_window", "all", "self_compact_sliding_window", "self_compact_all"]


class _Settings(BaseModel):
    """Base: what does not exist is refused; built when first used, as tool arguments are."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class CompactionSettings(_Settings):
    """How messages leave the context window.

    mode: which leave, and who writes the summary; "self_compact": the agent itself, with its whole
    prompt. keep_share: of the window that stays with a sliding window. summarise: "extract" asks no
    model. prompt: what the summary is asked for with; None: the default. timeout_s: then an
    extract takes the place of the model's summary.
    """

    mode: CompactionMode = "self_compact_sliding_window"
    keep_share: float = Field(0.5, ge=0.0, le=0.9)
    summarise: Literal["model", "extract"] = "model"
    prompt: str | None = Field(None, min_length=1, max_length=8_000)
    timeout_s: float = Field(120.0, gt=0, le=3_600)

    @property
    def keeps_some(self) -> bool:
        """Whether more than the newest turn stays, if it fits."""
        return self.mode.endswith("sliding_window")

    @property
    def by_itself(self) -> bool:
        """Whether the agent is asked at the end of its own prompt."""
        return self.mode.startswith("self_compact")


class AgentSettings(_Settings):
    """The settings of an agent, all optional.

    tools: names of those offered to its model; None: the default ones. context_tokens,
    max_reply_tokens, temperature: None: the model's. approval_minutes: then a call that waits for a
    person is denied. autoclear: every run begins without the messages of earlier ones in the
    window; they stay in recall memory.
    """

    tools: tuple[ToolName, ...] | None = Field(None, max_length=200)
    tool_rules: tuple[ToolRule, ...] = Field((), max_length=200)
    context_tokens: int | None = Field(None, ge=512, le=1_000_000)
    max_reply_tokens: int | None = Field(None, ge=16, le=100_000)
    max_steps: int = Field(MAX_STEPS, ge=1, le=MAX_STEPS)
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    compaction: CompactionSettings = CompactionSettings()
    approval_minutes: float = Field(60.0, gt=0, le=43_200)
    autoclear: bool = False


def settings_of(agent: Agent) -> AgentSettings:
    """The settings of an agent; one that cannot be read has its default."""
    return read_settings(agent.settings)


def read_settings(stored: Mapping[str, Any]) -> AgentSettings:
    """Settings as they are stored; one that cannot be read has its default."""
    settings, _ = _read(stored)
    return settings


def problems_of(agent: Agent) -> list[str]:
    """What is stored for an agent and cannot be read, a sentence for each setting."""
    _, said = _read(agent.settings)
    return [f"agent {agent.name!r}: {line}; the default is used" for line in said]


def checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be stored of settings: those given, as JSON has them.

    Raises:
        InvalidValue: naming what is unknown or cannot be.
    """
    try:
        settings = AgentSettings.model_validate(given)
    except ValidationError as error:
        raise InvalidValue("; ".join(_sentences(error, given))) from None
    return settings.model_dump(mode="json", exclude_unset=True)


def merged(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a merge patch applied: null removes a key, objects merge, others replace.

    Source: RFC 7396.
    """
    result = dict(stored)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            old = result.get(key)
            result[key] = merged(old if isinstance(old, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def _read(stored: Mapping[str, Any]) -> tuple[AgentSettings, list[str]]:
    """The settings that can be read, and what is to be said of the others."""
    try:
        return AgentSettings.model_validate(stored), []
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors(include_url=False)}
        said = _sentences(error, stored)
    kept = {name: value for name, value in stored.items() if name not in wrong}
    return AgentSettings.model_validate(kept), said


def _sentences(error: ValidationError, given: Mapping[str, Any]) -> list[str]:
    lines = []
    for detail in error.errors(include_url=False, include_context=False):
        name, *inside = map(str, detail["loc"])
        if name == "tool_rules" and inside:
            lines.append(rule_problem(int(inside[0]), inside[1:], detail))
            continue
        path = ".".join((name, *inside))
        if detail["type"] == "extra_forbidden":
            model = CompactionSettings if name == "compaction" else AgentSettings
            known = ", ".join(model.model_fields)
            lines.append(f"there is no setting {path[:80]!r}; known: {known}")
        else:
            lines.append(f"setting {path[:80]!r} {refusal(detail)}")
    return list(dict.fromkeys(lines))
