"""The flags of `mnemon tools`, `run-code`, `workspace` and `secrets`."""

import argparse
from collections.abc import Callable
from typing import Any

AddFlags = Callable[[argparse.ArgumentParser], None]

_TOOLS = {
    "list": "custom tools in the order of their creation",
    "show": "a tool's settings, or its source",
    "add": "keep a Python function as a tool; once more with the same file changes nothing",
    "update": "change a tool for all its agents; its versions stay",
    "rm": "delete a tool and take it from its agents",
    "attach": "give a tool to an agent",
    "detach": "take a tool from an agent; it stays",
    "packages": "what is installed for tools; for one, agree to what it imports",
    "run": "run a tool in the sandbox, as an agent would",
}
_WORKSPACE = {
    "list": "what a folder of an agent's workspace holds, and how full the workspace is",
    "read": "print a file of the workspace",
    "write": "put a file into the workspace",
    "delete": "delete a file, or a folder with all that is in it",
}
_SECRETS = {
    "list": "names of secrets, and which tools are granted them",
    "set": "keep a value that tools can be granted; it is asked for, or read from stdin",
    "rm": "forget a value",
}


def add_tools(parser: argparse.ArgumentParser, add_shared_flags: AddFlags) -> None:
    """Add the actions of `mnemon tools`."""
    added = _actions(parser, add_shared_flags, _TOOLS)
    for name in ("attach", "detach"):
        added[name].add_argument("agent_id", metavar="agent", help="name or id")
    for name in ("show", "update", "rm", "attach", "detach", "run"):
        added[name].add_argument("tool_id", metavar="tool", help="name or id")
    _add_list(added["list"])
    added["show"].add_argument("--source", action="store_true", help="its source alone")
    added["show"].add_argument("--version", type=int, metavar="N", help="as it was then")
    added["add"].add_argument("file", metavar="FILE", help="Python; '-' for stdin")
    added["update"].add_argument("--file", metavar="FILE", help="another source; '-' for stdin")
    added["update"].add_argument(
        "--expected-version", type=int, metavar="N", help="change nothing if it is at another one"
    )
    for name in ("add", "update"):
        _add_settings(added[name])
        added[name].add_argument("-y", "--yes", action="store_true", help="agree to its packages")
    for flag, name in (("--no-tags", "tags"), ("--no-requirements", "requirements")):
        added["update"].add_argument(
            flag, dest=name, action="store_const", const=[], help=f"take its {name} away"
        )
    packages = added["packages"]
    packages.add_argument("tool_id", metavar="tool", nargs="?", help="name or id (all tools)")
    packages.add_argument("--upgrade", action="store_true", help="look for newer versions")
    packages.add_argument("-y", "--yes", action="store_true", help="agree to them")
    run = added["run"]
    run.add_argument("--agent", dest="agent_id", required=True, help="for whom: name or id")
    run.add_argument("--args", default="{}", metavar="JSON", help="its arguments, an object")
    run.add_argument("-y", "--yes", action="store_true", help="do not ask, where a tool wants it")


def add_secrets(parser: argparse.ArgumentParser, add_shared_flags: AddFlags) -> None:
    """Add the actions of `mnemon secrets`."""
    added = _actions(parser, add_shared_flags, _SECRETS)
    for name in ("set", "rm"):
        added[name].add_argument("name", help="as tools find it in their environment")


def add_workspace(parser: argparse.ArgumentParser, add_shared_flags: AddFlags) -> None:
    """Add the actions of `mnemon workspace`."""
    added = _actions(parser, add_shared_flags, _WORKSPACE)
    for action in added.values():
        action.add_argument("agent_id", metavar="agent", help="name or id")
    added["list"].add_argument("path", nargs="?", default="", help="a folder (all of it)")
    added["read"].add_argument("path", help="a file")
    added["read"].add_argument("--output", metavar="FILE", help="write it there instead")
    added["write"].add_argument("path", help="where, with the folders it is in")
    added["write"].add_argument("file", nargs="?", default="-", metavar="FILE", help="'-': stdin")
    added["delete"].add_argument("path", help="a file or folder; '.': all there is")


def add_run_code(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mnemon run-code`."""
    parser.add_argument("agent_id", metavar="agent", help="name or id")
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="'-', or none: stdin")
    parser.add_argument("--wall-s", type=float, help="seconds that it may take (30)")


def _actions(
    parser: argparse.ArgumentParser, add_shared_flags: AddFlags, actions: dict[str, str]
) -> dict[str, argparse.ArgumentParser]:
    group: Any = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    added = {}
    for name, help_text in actions.items():
        about = help_text[0].upper() + help_text[1:] + "."
        added[name] = group.add_parser(name, help=help_text, description=about, allow_abbrev=False)
        add_shared_flags(added[name])
    return added


def _add_list(action: argparse.ArgumentParser) -> None:
    action.add_argument("--name", help="only with this in the name")
    action.add_argument("--query", help="only with this in the name or description")
    _add_many(action, "--tag", "tags", "TAG", "only with this tag, or one of these")
    action.add_argument("--all-tags", action="store_true", help="only with all of these tags")
    action.add_argument("--agent", dest="attached_to", help="only those that this agent has")


def _add_settings(action: argparse.ArgumentParser) -> None:
    """What can be set on a tool, new or not."""
    action.add_argument("--name", help="its name (its function's)")
    action.add_argument("--description", help="what it does (its docstring)")
    action.add_argument("--schema", metavar="FILE", help="JSON Schema of its arguments")
    _add_many(action, "--tag", "tags", "TAG", "in place of those it has")
    _add_many(action, "--requirement", "requirements", "PKG", "a package that it imports")
    action.add_argument("--return-limit", type=int, metavar="CHARS", help="of its result (50000)")
    action.add_argument(
        "--approve",
        action=argparse.BooleanOptionalAction,
        help="whether a person is asked at each call",
    )
    action.add_argument("--wall-s", type=float, help="seconds that a call may take (30)")
    action.add_argument("--cpu-s", type=int, help="seconds of processor time (20)")
    action.add_argument("--memory-mb", type=int, help="memory that it may allocate (512)")
    _add_many(action, "--network", "network", "HOST:PORT", "what it may reach (nothing)")
    _add_many(action, "--secret", "secrets", "NAME", "a secret that it finds in its environment")
    _add_many(action, "--method", "methods", "NAME", "e.g. memory.search: what it may ask")
    action.add_argument(
        "--allow-subprocesses",
        dest="subprocesses",
        action=argparse.BooleanOptionalAction,
        help="whether it may start programs (no)",
    )
    action.add_argument(
        "--parallel",
        action=argparse.BooleanOptionalAction,
        help="whether its calls may run at once (no)",
    )
    action.add_argument(
        "--policy",
        metavar="JSON",
        help="an object; merged, null resets, e.g. '{\"network\": null}'",
    )


def _add_many(
    action: argparse.ArgumentParser, flag: str, name: str, metavar: str, help_text: str
) -> None:
    action.add_argument(
        flag, dest=name, action="append", metavar=metavar, help=f"{help_text}; may be repeated"
    )
