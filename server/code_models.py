"""Arguments and results of run_code and sandbox_status."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Arguments, Result
from server.memory_tools import ChangesAgent

_KINDS = ("object", "array", "string", "number", "boolean", "null")

# Said in full: a schema that allows anything is one that some hosts do not take.
AnyJson = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": True},
                {"type": "array", "items": {"anyOf": [{"type": kind} for kind in _KINDS]}},
                *({"type": kind} for kind in _KINDS[2:]),
            ]
        }
    ),
]

Seconds = Annotated[float, WithJsonSchema({"type": "number"})]


class RunCode(ChangesAgent):
    """Arguments of run_code."""

    code: str = Field(description="Python.")
    wall_s: Seconds | None = Field(None, description="Seconds it may take; default: 30.")


class CodeRan(Result):
    """What came of code. status: ok, error, timeout, limit or killed. tier: what isolated it.

    result: the value of its last line where that is an expression; one that is no JSON comes as
    {"repr": …}. error: why there is none. result_text: the beginning of one that is too long to be
    data. cut: something is not shown whole.
    """

    agent_id: str
    status: str
    tier: str
    result: AnyJson = None
    result_text: str = ""
    error: str = ""
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0
    cut: bool = False


class AskSandbox(Arguments):
    """sandbox_status takes no arguments."""


class Attempt(Result):
    """An attempt to get out. what: completes "a tool could"."""

    name: str
    what: str
    held: bool


class SandboxLimits(Result):
    """What a run may use where nothing else is set."""

    wall_s: float
    cpu_s: int
    memory_mb: int
    workspace_mb: int
    workspace_files: int
    result_bytes: int
    output_bytes: int


class SandboxShown(Result):
    """What isolates code of tools here. tier null: none is run, for this cause, with this cure.

    user: whose processes they are. waiting: processes ready for a call. folder: of workspaces and
    packages; null: a temporary one.
    """

    tier: str | None
    cause: str
    cure: str
    attempts: list[Attempt]
    python: str = ""
    python_version: str = ""
    bubblewrap: str = ""
    bubblewrap_version: str = ""
    landlock_abi: int = 0
    user: int | None = None
    limits: SandboxLimits
    waiting: int = 0
    folder: str | None = None
