"""What the sandbox raises.

SandboxError
├── SandboxUnavailable    nothing is run on this machine, or not with what was asked for
├── InvalidRun            what was to be run is not well-formed
├── InvalidRequirements   a list of packages is not one that may be installed
└── PackagesUnavailable   the packages could not be resolved or installed
"""


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
