"""`mnemon tokens list | create | revoke`: bearer tokens of clients that see some agents only."""

from pathlib import Path
from typing import Any

from server.commands.agents import list_agents, show_agent
from server.config import ConfigError, Settings
from server.console import Console
from server.principals import TokenGrant, create_token, list_tokens, revoke_token
from server.tool_session import open_tools


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions; a running server follows at once."""
    directory = settings.directory
    if directory is None:
        raise ConfigError("':memory:' has one token, which `mnemon serve` prints")
    match options["action"]:
        case "list":
            return _list(settings, directory, console)
        case "create":
            return _create(settings, directory, options, console)
        case _:
            revoke_token(directory, options["name"])
            console.show({"revoked": options["name"]}, f"revoked {options['name']}")
            return 0


def _list(settings: Settings, directory: Path, console: Console) -> int:
    grants = list_tokens(directory)
    names = dict[str, str]()
    if grants:
        with open_tools(settings) as tools:
            names = {agent.id: agent.name for agent in list_agents(tools, {})}
    lines = [
        f"{g.name}  since {g.created_at}  toolset {g.toolset or 'as usual'}"
        f"  {', '.join(names.get(agent, agent) for agent in g.agents)}"
        for g in grants
    ]
    if not lines:
        lines = ["no tokens for some agents; create one with: mnemon tokens create NAME --agent A"]
    console.show([_shown(grant) for grant in grants], "\n".join(lines))
    return 0


def _create(settings: Settings, directory: Path, options: dict[str, Any], console: Console) -> int:
    with open_tools(settings) as tools:
        agents = [show_agent(tools, agent).id for agent in options["agents"]]
    toolset = options["given"].get("toolset")
    token, grant = create_token(directory, options["name"], agents, toolset)
    console.show({**_shown(grant), "token": token}, token)
    console.note("this is the only time it is shown; send it as: Authorization: Bearer TOKEN")
    return 0


def _shown(grant: TokenGrant) -> dict[str, Any]:
    return grant.model_dump(exclude={"sha256"})
