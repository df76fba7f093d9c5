"""Running a command: arguments parsed, settings loaded, errors told in a line and an exit code.

The commands themselves are imported when called; what a command costs is its own imports.
"""

import importlib
import keyword
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from server.console import Console
from server.imports import paused_collection
from server.parser import build_parser
from server.standard_streams import reserve_stdio

USAGE_ERROR = 2
INTERRUPTED = 130


def run_command(given: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 it failed, 2 it was not possible."""
    if list(given[:1]) == ["mcp"] and not {"-h", "--help"} & set(given):
        reserve_stdio()
    parser = build_parser()
    if not given:
        parser.print_help()
        return USAGE_ERROR
    options = vars(parser.parse_args(given))
    if options["command"] in {"agents", "doctor", "runs", "status", "stop", "tokens", "tools"}:
        # Short and safe to end anywhere; Python's own handling leaves tracebacks of native code.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    console = Console(options.pop("json", False))
    try:
        return _dispatch(options, console)
    except KeyboardInterrupt:
        console.end_progress()
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left, e.g. `mnemon agents list | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(options: dict[str, Any], console: Console) -> int:
    # Late: pydantic and the rest cost more than the parser, and --help needs neither.
    with paused_collection():
        config = importlib.import_module("server.config")
        errors = importlib.import_module("server.errors")
        name = options.pop("command")
        module = name.replace("-", "_") + "_" * keyword.iskeyword(name)
        command = importlib.import_module(f"server.commands.{module}")
    flags = {name: options.pop(name, None) for name in config.Settings.model_fields}
    options["given"] = {name: value for name, value in flags.items() if value is not None}
    try:
        # What is wrong with other settings must not keep an owner from being stopped.
        needs_all = name not in ("status", "stop")
        load = config.load_settings if needs_all else config.locate_memory
        settings = load(flags, os.environ)
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
        )
        return int(command.run(settings, options, console))
    except Exception as error:
        message = errors.describe_operator_error(error)
        if message is None:
            raise
        console.fail(message)
        return USAGE_ERROR
