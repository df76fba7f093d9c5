"""The flags of `mnemon agents` and its actions."""

import argparse
from collections.abc import Callable
from typing import Any

_ACTIONS = {
    "list": "agents in the order of their creation",
    "create": "create an agent, by default with the blocks persona and human",
    "show": "an agent's settings and blocks",
    "update": "change an agent's settings or blocks",
    "clone": "create an agent with the settings of another and copies of its memory",
    "reset": "forget an agent's messages; blocks and archive stay",
    "delete": "delete an agent and its memory",
    "orphans": "list the blocks and archives that no agent has, or delete some",
    "export-template": "print what a new agent like this one is made of",
}


def add_agents(
    parser: argparse.ArgumentParser, add_shared_flags: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Add the actions, each with the shared flags and its own."""
    actions: Any = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    added = {}
    for name, help_text in _ACTIONS.items():
        about = help_text[0].upper() + help_text[1:] + "."
        action = actions.add_parser(name, help=help_text, description=about, allow_abbrev=False)
        add_shared_flags(action)
        if name not in ("list", "create", "orphans"):
            action.add_argument("agent_id", metavar="agent", help="name or id")
        added[name] = action
    _add_list(added["list"])
    _add_create(added["create"])
    _add_update(added["update"])
    _add_clone(added["clone"])
    _add_yes(added["reset"])
    _add_yes(added["delete"])
    added["delete"].add_argument(
        "--keep-orphans", action="store_true", help="leave the blocks and the archive it alone has"
    )
    added["orphans"].add_argument(
        "--delete", dest="ids", action="append", default=[], metavar="ID", help="delete this one"
    )
    _add_yes(added["orphans"])
    added["export-template"].add_argument(
        "--output", metavar="FILE", help="a new file, .toml, .json or .md, instead of the terminal"
    )


def _add_list(action: argparse.ArgumentParser) -> None:
    action.add_argument("--name", help="only with this in the name")
    action.add_argument("--query", help="only with this in the name or description")
    _add_tags(action, "only with this tag, or one of these; may be repeated")
    action.add_argument("--all-tags", action="store_true", help="only with all of these tags")


def _add_create(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", nargs="?", help="name; may be left out if the template has one")
    action.add_argument("--template", metavar="FILE", help="a .toml, .json or .md file")
    _add_settings(action)
    action.add_argument("--persona", help="text of its persona block")
    action.add_argument("--human", help="text of its human block")


def _add_update(action: argparse.ArgumentParser) -> None:
    action.add_argument("--name", dest="new_name", help="new name")
    tags = _add_settings(action)
    tags.add_argument("--no-tags", action="store_true", help="take all tags away")
    action.add_argument(
        "--no-model", action="store_true", help="take its own model away: it has the configured one"
    )
    action.add_argument(
        "--block",
        dest="blocks",
        action="append",
        default=[],
        metavar="LABEL=TEXT",
        help="rewrite a block, or create it; may be repeated",
    )
    action.add_argument(
        "--attach",
        dest="attach_blocks",
        action="append",
        metavar="BLOCK_ID",
        help="share another agent's block, or take one that no agent has",
    )
    action.add_argument(
        "--detach",
        dest="detach_blocks",
        action="append",
        metavar="LABEL",
        help="take a block away, which stays",
    )
    action.add_argument(
        "--archive", dest="archive_id", metavar="ARCHIVE_ID", help="use it in place of its own"
    )


def _add_clone(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", help="name of the new agent")
    action.add_argument(
        "--include",
        action="append",
        choices=["blocks", "passages", "messages"],
        help="what is copied; may be repeated (blocks and passages)",
    )
    action.add_argument(
        "--share-blocks", action="store_true", help="let both have the same blocks, no copies"
    )


def _add_settings(action: argparse.ArgumentParser) -> Any:
    """What can be set on an agent, new or not; --model is among the shared flags.

    Returns:
        The group of the flags about tags, of which one can be given.
    """
    action.add_argument("--description", help="what the agent is for")
    action.add_argument("--system", help="instructions to its model")
    action.add_argument("--timezone", help="e.g. Europe/Berlin")
    tags = action.add_mutually_exclusive_group()
    _add_tags(tags, "may be repeated; in place of those it has")
    action.add_argument("--metadata", metavar="JSON", help="an object; merged, null removes a key")
    action.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting, such as max_steps=20 or compaction.mode=all; null resets it",
    )
    return tags


def _add_tags(action: Any, help_text: str) -> None:
    action.add_argument("--tag", dest="tags", action="append", metavar="TAG", help=help_text)


def _add_yes(action: argparse.ArgumentParser) -> None:
    action.add_argument("-y", "--yes", action="store_true", help="do not ask")
