"""What can be set for one agent; memory keeps it as a JSON object and never interprets it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.rule_kinds import ToolRule
from memory.records import Agent

MAX_STEPS = 50
MAX_REPLY_TOKENS = 1_024


class CompactionSettings(BaseModel):
    """How messages leave the window."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["sliding_window", "all", "self_compact_sliding_window", "self_compact_all"] = (
        "self_compact_sliding_window"
    )
    keep_share: float = Field(0.5, ge=0.05, le=0.9)
    summarise: Literal["model", "extract"] = "model"
    prompt: str | None = Field(None, max_length=4_000)
    timeout_s: float = Field(120.0, gt=0, le=3_600)


class AgentSettings(BaseModel):
    """Settings of one agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tools: tuple[str, ...] | None = None
    tool_rules: tuple[ToolRule, ...] = ()
    context_tokens: int | None = Field(None, ge=512, le=1_000_000)
    max_reply_tokens: int = Field(MAX_REPLY_TOKENS, ge=16, le=32_768)
    max_steps: int = Field(MAX_STEPS, ge=1, le=50)
    temperature: float | None = Field(None, ge=0, le=2)
    compaction: CompactionSettings = CompactionSettings()
    approval_minutes: float | None = Field(None, gt=0, le=10_080)
    autoclear: bool = False


def settings_of(agent: Agent) -> AgentSettings:
    """The agent's settings."""
    return AgentSettings.model_validate(dict(agent.settings))
