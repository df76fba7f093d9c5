"""The hosts that `mnemon setup` knows, and how each writes down a server.

Only what a vendor documents is here (docs/hosts.md cites it); where the file lies is
locations.py's. Light: the command line reads the names.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """A program that starts MCP servers.

    section is the member of its configuration that has the servers, by name; typed says that an
    entry has a type; then is what a person does after a change.
    """

    id: str
    title: str
    section: str
    typed: bool
    then: str


GENERIC = Host("other", "Another host", "mcpServers", False, "Restart the host.")

HOSTS = {
    host.id: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            "mcpServers",
            False,
            "Quit Claude Desktop, also from the tray, and start it again.",
        ),
        Host(
            "claude-code",
            "Claude Code",
            "mcpServers",
            True,
            "Start a new session; /mcp shows the server.",
        ),
        Host(
            "cursor",
            "Cursor",
            "mcpServers",
            False,
            "Restart Cursor, or switch the server on in its MCP settings.",
        ),
        Host(
            "vscode",
            "VS Code",
            "servers",
            True,
            "Run 'MCP: List Servers' in VS Code, choose the server and start it.",
        ),
        Host(
            "windsurf",
            "Windsurf",
            "mcpServers",
            False,
            "Refresh the MCP servers in the Cascade panel, or restart Windsurf.",
        ),
        Host(
            "zed",
            "Zed",
            "context_servers",
            False,
            "Zed notices by itself; the settings of its agent panel show the server.",
        ),
        Host(
            "lm-studio",
            "LM Studio",
            "mcpServers",
            False,
            "Switch the server on in LM Studio's Program tab.",
        ),
    )
}
