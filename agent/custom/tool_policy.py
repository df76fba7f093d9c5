"""What a stored tool may use and is granted, as its author writes it: JSON, checked here.

What the sandbox makes of it is sandbox/policy.py's; secrets and methods are ours to hand out.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from memory.errors import InvalidValue
from sandbox.errors import InvalidRun
from sandbox.policy import MAX_MEMORY_BYTES, MAX_WALL_S, MIB, Policy, checked_environment
from sandbox.public_addresses import WHAT_TO_DO, never_reached

MAX_CPU_S: Final = 300
MAX_GRANTS: Final = 20

MethodName = Literal[
    "memory.read_block",
    "memory.search",
    "memory.append",
    "memory.replace",
    "memory.insert",
    "memory.archive",
]
Grants = Annotated[tuple[str, ...], Field(max_length=MAX_GRANTS, strict=False)]


class ToolPolicy(BaseModel):
    """Limits and grants of a tool; what is not given has the default.

    wall_s: from the call until it must have answered. cpu_s: of processor time. memory_mb: that a
    process may allocate, in MiB. subprocesses: whether it may start programs. network: each
    `host:port` that it may reach. secrets: names of those that it finds in its environment.
    methods: what it may ask of the agent's memory. parallel: its calls may run at once with others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    wall_s: float = Field(30.0, gt=0, le=MAX_WALL_S)
    cpu_s: int = Field(20, ge=1, le=MAX_CPU_S)
    memory_mb: int = Field(512, ge=16, le=MAX_MEMORY_BYTES // MIB)
    subprocesses: bool = False
    network: Grants = ()
    secrets: Grants = ()
    methods: Annotated[tuple[MethodName, ...], Field(max_length=MAX_GRANTS, strict=False)] = ()
    parallel: bool = False

    @field_validator("network")
    @classmethod
    def _reachable(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return Policy(network=given).network
        except InvalidRun as error:
            raise ValueError(str(error)) from None

    @field_validator("secrets")
    @classmethod
    def _named(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(checked_environment(dict.fromkeys(given, "")))
        except InvalidRun as error:
            raise ValueError(str(error)) from None

    def for_sandbox(self) -> Policy:
        """What the sandbox is told."""
        return Policy(
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            memory_bytes=self.memory_mb * MIB,
            subprocesses=self.subprocesses,
            network=self.network,
        )


def read_policy(stored: Mapping[str, Any]) -> ToolPolicy:
    """A policy as it is stored with a tool.

    Raises:
        InvalidValue: naming what is unknown or out of its bounds.
    """
    try:
        return ToolPolicy.model_validate(stored)
    except ValidationError as error:
        raise InvalidValue("; ".join(dict.fromkeys(_sentences(error)))) from None


def checked_policy(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be stored of a policy: what was given, as JSON has it.

    Raises:
        InvalidValue: naming what is unknown, out of its bounds, or granted and never reached.
    """
    policy = read_policy(given)
    for target in policy.network:
        if what := never_reached(target):
            raise InvalidValue(
                f"network of a policy cannot be {target!r}: it is {what}; {WHAT_TO_DO}"
            )
    return policy.model_dump(mode="json", exclude_unset=True)


def _sentences(error: ValidationError) -> list[str]:
    lines = []
    for detail in error.errors(include_url=False, include_context=False):
        path = ".".join(map(str, detail["loc"]))
        if detail["type"] == "extra_forbidden":
            known = ", ".join(ToolPolicy.model_fields)
            lines.append(f"a tool's policy has no {path[:80]!a}; known: {known}")
        else:
            said = detail["msg"].removeprefix("Value error, ").replace("Input should", "it should")
            lines.append(f"{path} of a policy cannot be {str(detail['input'])[:80]!a}: {said}")
    return lines
