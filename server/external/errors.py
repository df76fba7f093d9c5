"""What goes wrong with MCP servers of others.

ExternalServerError
├── ServerUnreachable    it cannot be started or reached, or says no hello
├── ConnectionLost       it went away; whether it did what it was asked is not known
├── CallTimedOut         it did not answer in time
└── CallRefused          it answered with an error
"""


class ExternalServerError(Exception):
    """Base of all below; the message is for whoever called, and names the server."""

    def __init__(self, server: str, what: str) -> None:
        self.server = server
        super().__init__(f"MCP server {server!r} {what}")


class ServerUnreachable(ExternalServerError):
    """It cannot be used now; it was not asked to do anything."""


class ConnectionLost(ExternalServerError):
    """It went away while it was asked."""


class CallTimedOut(ExternalServerError):
    """It was asked and did not answer in time; it was told to stop."""


class CallRefused(ExternalServerError):
    """It answered with an error of the protocol."""
