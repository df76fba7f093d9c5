"""What a tool finds around it beside its arguments; each part is made elsewhere and handed in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory.tools import StoredTool

Secrets = Callable[[Sequence[str]], Mapping[str, str]]
"""The values of secrets by name; raises InvalidValue naming one that is missing."""

Packages = Callable[[StoredTool], Awaitable[Path | None]]
"""The folder of a tool's packages, which may have to be installed again, for minutes; None: it has
none. Raises InvalidValue where nobody agreed to them."""

Workspace = Callable[[str], Awaitable[Path | None]]
"""The folder of the agent with this id, made where there is none; None: agents have none."""

Redaction = Callable[[Mapping[str, str]], Callable[[str], str]]
"""What takes the values of these secrets out of a text."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where tools run. secrets reads files, so it is called on a thread."""

    secrets: Secrets
    workspace: Workspace
    packages: Packages
    redact: Redaction
