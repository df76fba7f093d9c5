"""The flags of `mnemon runs` and `mnemon approve`."""

import argparse
from collections.abc import Callable
from typing import Any


def add_runs(
    parser: argparse.ArgumentParser, add_shared_flags: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Add the actions of `mnemon runs`."""
    actions: Any = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_text in (
        ("list", "an agent's runs, newest first"),
        ("show", "what came of a run"),
        ("cancel", "stop a run, also while its model is writing"),
    ):
        about = help_text[0].upper() + help_text[1:] + "."
        action = actions.add_parser(name, help=help_text, description=about, allow_abbrev=False)
        add_shared_flags(action)
        if name == "list":
            action.add_argument("agent_id", metavar="agent", help="name or id")
            action.add_argument("--limit", type=int, default=20, help="how many (20)")
        else:
            action.add_argument("run_id", metavar="run", help="id of the run")
        if name == "show":
            action.add_argument("--steps", action="store_true", help="also its newest steps")
            action.add_argument(
                "--prompt", type=int, metavar="N", help="exactly what the model was sent in step N"
            )


def add_approve(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `mnemon approve`."""
    parser.add_argument("run_id", nargs="?", metavar="run", help="id of the run; else what waits")
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument("-y", "--yes", action="store_true", help="approve, and do not ask")
    decision.add_argument("--deny", action="store_true", help="deny, and do not ask")
    parser.add_argument("--reason", default="", help="told to the agent when denied")
    parser.add_argument("--call", metavar="ID", help="this call alone; the others are denied")
