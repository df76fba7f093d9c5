"""The subcommands of `mnemon`, a module each: `run(settings, options, console) -> exit code`."""
