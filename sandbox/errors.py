"""What the sandbox raises.

SandboxError
├── SandboxUnavailable    nothing is run on this machine, or not with what was asked for
├── InvalidRun            what was to be run is not well-formed
├── InvalidRequirements   a list of packages is not one that may be installed
├── PackagesUnavailable   the packages could not be resolved or installed
├── FileRefused           a path of a workspace is no file that may be touched
├── FileMissing           nothing is there
└── WorkspaceFull         it would grow over its limits
"""

from typing import Final

DELETING: Final = "workspace_delete; an agent: file_delete"
"""What deletes files of a workspace, for whoever called a tool."""


class SandboxError(Exception):
    """Base of all below; the message is for whoever called."""


class SandboxUnavailable(SandboxError):
    """The isolation that a run needs cannot be had here, so it was refused."""

    def __init__(self, cause: str, cure: str) -> None:
        self.cause, self.cure = cause, cure
        super().__init__(f"no tool code is run: {cause}. {cure}")


class InvalidRun(SandboxError):
    """A run asks for what does not exist or is not allowed."""


class InvalidRequirements(SandboxError):
    """A list of packages has what is no name with versions, or leads to what is no wheel."""


class PackagesUnavailable(SandboxError):
    """Packages could not be resolved or installed; the message has the installer's last words."""


class FileRefused(SandboxError):
    """A path leads nowhere that may be opened, or to what is no plain file."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(f"{path[:120]!a} {why}")


class FileMissing(SandboxError):
    """The workspace has nothing at this path."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"there is no {path[:120]!a} in the workspace; its listing shows what is")


class WorkspaceFull(SandboxError):
    """A write would take the workspace, or one file, over a limit; nothing was written."""

    def __init__(self, why: str, cure: str = f"delete what is not needed ({DELETING})") -> None:
        super().__init__(f"nothing was written: {why}; {cure}")
