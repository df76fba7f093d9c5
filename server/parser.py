"""The flags and commands of the command line; cli.py dispatches them.

`mnemon mcp` comes here only with arguments that the front does not read itself.
"""

import argparse
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any, Literal

from server.agents_parser import add_agents
from server.hosts.hosts import HOSTS
from server.mcp_servers_parser import add_mcp_servers
from server.runs_parser import add_approve, add_runs
from server.tools_parser import add_run_code, add_secrets, add_tools, add_workspace

_TOOLSETS = ["memory", "agents", "full"]
_TOOLSET_HELP = "tools to list: for a host that thinks, for one that delegates, or all (memory)"
_AGENT_HELP = "agent that is meant where a tool is told of none"


class _Parser(argparse.ArgumentParser):
    """Refuses a flag where it was given, with the usage of that command and what comes close."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, which would leave what nobody knows to the parser of all commands."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            close = get_close_matches(flag, self._option_string_actions, n=1)
            meant = f" (did you mean {close[0]}?)" if close else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return found, unknown


def build_parser() -> argparse.ArgumentParser:
    """The parser, with every command and flag."""
    parser = _Parser(
        prog="mnemon", description="Memory that lasts, for agents, over MCP.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"mnemon {version('mnemon')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    add = _Commands(commands)
    mcp = add("mcp", "serve MCP over stdin and stdout; for hosts to start")
    mcp.add_argument(
        "--idle-minutes", type=float, help="how long the owner outlives its last host (10)"
    )
    mcp.add_argument("--toolset", choices=_TOOLSETS, help=_TOOLSET_HELP)
    mcp.add_argument("--agent", help=_AGENT_HELP)
    _add_serve(
        add("serve", "serve MCP over HTTP on this machine, with a token, and all local hosts")
    )
    add("status", "say which process holds the memory, and which hosts use it")
    add("stop", "end the process that holds the memory, in order")
    add("doctor", "say whether everything works, and what to do if not")
    add_agents(add("agents", "list, create, change, clone or delete agents"), add_shared_flags)
    _add_tokens(add("tokens", "list, create or revoke HTTP tokens that are for some agents only"))
    _add_models(add("models", "list language models on this machine, get, try or delete one"))
    servers_help = "list MCP servers of others, add one, give its tools to agents"
    add_mcp_servers(add("mcp-servers", servers_help), add_shared_flags)
    chat = add("chat", "talk to an agent in the terminal")
    chat.add_argument("agent_id", metavar="agent", help="name or id")
    chat.add_argument("-m", "--message", help="say this, print the answer, and end")
    add_runs(add("runs", "list an agent's runs, show or stop one"), add_shared_flags)
    add_approve(add("approve", "show what waits for a person's approval, and decide it"))
    add_tools(add("tools", "list, add, change or run custom tools"), add_shared_flags)
    add_run_code(add("run-code", "run Python in the sandbox, in the workspace of an agent"))
    files_help = "list, read, write or delete the files of an agent"
    add_workspace(add("workspace", files_help), add_shared_flags)
    add_secrets(add("secrets", "set values that custom tools may be granted"), add_shared_flags)
    _add_import(add("import", "put files into an agent's archive; may be interrupted and repeated"))
    reindex = add("reindex", "embed everything again, for another embedder; may be interrupted")
    reindex.add_argument("--force", action="store_true", help="also with the same embedder")
    setup_help = "write mnemon into a host's configuration; without a host, list them"
    _add_setup(add("setup", setup_help, takes_flags_of=mcp))
    _add_place(add("unsetup", "take mnemon out of a host's configuration again"), nargs=None)
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    """Add the flags of `mnemon serve`."""
    serve.add_argument(
        "--http",
        action=_HttpAddress,
        metavar="HOST:PORT",
        help="where to listen (127.0.0.1:7077; port 0: a free one)",
    )
    serve.add_argument("--host", dest="http_host", help="the address alone")
    serve.add_argument("--port", dest="http_port", type=int, help="the port alone")
    serve.add_argument(
        "--allow-host",
        dest="http_allowed_hosts",
        action="append",
        metavar="NAME",
        help="name clients use; needed beyond loopback",
    )
    serve.add_argument("--toolset", choices=_TOOLSETS, help=_TOOLSET_HELP)
    serve.add_argument("--agent", help=_AGENT_HELP)
    serve.add_argument("--idle-minutes", type=float, help=argparse.SUPPRESS)  # with --background
    serve.add_argument("--background", type=int, metavar="LOCK_FD", help=argparse.SUPPRESS)
    # What Windows always does; for tests. With --background.
    serve.add_argument("--loopback", action="store_true", help=argparse.SUPPRESS)


class _HttpAddress(argparse.Action):
    """HOST:PORT as the two settings that it is short for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        host, colon, port = str(values).rpartition(":")
        if not (colon and port.isascii() and port.isdigit()) or (":" in host and host[:1] != "["):
            parser.error(f"--http takes HOST:PORT, such as 127.0.0.1:7077 or [::1]:0, not {values}")
        namespace.http_host, namespace.http_port = host.strip("[]") or None, int(port)


class _Commands:
    """Adds commands with the flags that all of them share."""

    def __init__(self, commands: Any) -> None:
        self._commands = commands

    def __call__(
        self, name: str, help_text: str, takes_flags_of: argparse.ArgumentParser | None = None
    ) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = self._commands.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            allow_abbrev=False,  # --y must not pass for --yes
            parents=[takes_flags_of] if takes_flags_of else [],
            conflict_handler="resolve" if takes_flags_of else "error",  # both have a --help
        )
        if takes_flags_of is None:
            add_shared_flags(parser)
        return parser


def add_shared_flags(parser: argparse.ArgumentParser) -> None:
    """Flags every command and action takes; they may stand before or after the action."""
    absent = argparse.SUPPRESS  # an action must not undo with a default what came before it
    parser.add_argument(
        "--data", default=absent, help="directory of the memory; ':memory:' keeps nothing"
    )
    parser.add_argument(
        "--embedder", default=absent, help="minilm, none, or sentence-transformers:NAME"
    )
    parser.add_argument(
        "--model",
        default=absent,
        help="agents' language model: a GGUF file, or ollama:NAME etc.; empty: as configured",
    )
    parser.add_argument(
        "--context-tokens", default=absent, type=int, help="context window to use (8192)"
    )
    parser.add_argument(
        "--model-threads", default=absent, type=int, help="threads of the language model"
    )
    parser.add_argument(
        "--search-memory-mb", default=absent, type=int, help="memory for what is searched (1024)"
    )
    parser.add_argument(
        "--hnsw-threshold",
        default=absent,
        type=int,
        help="vectors from which what memory has no room for is indexed",
    )
    parser.add_argument(
        "--log-level", default=absent, choices=["debug", "info", "warning", "error"]
    )
    parser.add_argument(
        "--json", action="store_true", default=absent, help="print JSON, one value a line"
    )


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent_id", metavar="agent", help="name or id")
    parser.add_argument("files", nargs="+", metavar="FILE", help="- is standard input")
    parser.add_argument(
        "--format", choices=["jsonl", "text"], help="a passage a line, or a text (by the name)"
    )
    for note in ("author", "source", "session"):
        parser.add_argument(f"--{note}", help=f"{note} of all passages that name none")
    parser.add_argument(
        "--tag", dest="tags", action="append", help="tag of all that have none; may be repeated"
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="end when all is stored, before it is embedded"
    )


def _add_setup(parser: argparse.ArgumentParser) -> None:
    only = _add_place(parser, nargs="?")
    only.add_argument("--print", action="store_true", help="print the entry, for any host")
    only.add_argument("--list", action="store_true", help="list the hosts, which is the default")


def _add_place(parser: argparse.ArgumentParser, nargs: Literal["?"] | None) -> Any:
    """Which entry of which file; the group returned is of flags that change nothing."""
    parser.add_argument("host", nargs=nargs, metavar="HOST", choices=HOSTS, help=", ".join(HOSTS))
    parser.add_argument("--name", default="mnemon", help="name of the entry (mnemon)")
    parser.add_argument("--config", metavar="FILE", help="the file, where the host has another one")
    parser.add_argument(
        "--force", action="store_true", help="also another program's entry, or a missing host"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="say what would be done")
    return only


def _add_tokens(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_text in (
        ("list", "tokens that are for some agents only"),
        ("create", "make a token and print it, once"),
        ("revoke", "refuse a token from now on"),
    ):
        action = actions.add_parser(name, help=help_text, allow_abbrev=False)
        add_shared_flags(action)
        if name != "list":
            action.add_argument("name", help="the token's name")
        if name == "create":
            action.add_argument(
                "--agent",
                dest="agents",
                action="append",
                default=[],
                metavar="AGENT",
                help="an agent it is for, by name or id; may be repeated",
            )
            action.add_argument("--toolset", choices=_TOOLSETS, help=_TOOLSET_HELP)


def _add_models(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_text in (
        ("list", "models that mnemon, Hugging Face, LM Studio and Ollama keep here"),
        ("pull", "fetch a model from the Hugging Face hub or a URL; may be interrupted"),
        ("probe", "load a model, see what it can, and keep that"),
        ("rm", "delete a model that mnemon pulled"),
    ):
        action = actions.add_parser(name, help=help_text, allow_abbrev=False)
        add_shared_flags(action)
        if name in ("probe", "rm"):
            path = ", or a path" if name == "probe" else ""
            action.add_argument("model_name", metavar="NAME", help=f"a name of the list{path}")
        if name == "list":
            action.add_argument("--all", action="store_true", help="also what is no language model")
            action.add_argument("--recommended", action="store_true", help="what is worth getting")
        if name == "pull":
            action.add_argument("source", help="ORG/REPO[:QUANTISATION or :FILE], a URL, or a name")
            action.add_argument("--sha256", metavar="DIGEST", help="what the file must have")
        if name == "rm":
            action.add_argument("-y", "--yes", action="store_true", help="do not ask")
            action.add_argument("--force", action="store_true", help="also when it is used")
