"""`mnemon serve`: streamable HTTP on this machine."""

from functools import partial
from typing import Any

import anyio

from server.app import open_app
from server.config import Settings
from server.console import Console
from server.http import HttpAddress, serve_http
from server.protocol import build_server
from server.shutdown import exit_after
from server.token_file import TOKEN_FILE, new_token, read_or_create_token


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Serve until a signal comes."""
    anyio.run(partial(_serve, settings, console))
    return 0


async def _serve(settings: Settings, console: Console) -> None:
    address = HttpAddress(
        settings.http_host, settings.http_port, frozenset(settings.http_allowed_hosts)
    )
    async with open_app(settings) as app:
        # Before the success is announced: here nobody waits for a first answer.
        await app.runtime()
        directory = settings.directory
        token = read_or_create_token(directory) if directory else new_token()
        # In memory there is no directory for the file, so the token itself must be told.
        where = directory and directory / TOKEN_FILE

        def started(host: str, port: int) -> None:
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"
            value = {"url": url, "token_file": where and str(where)}
            secret = f"the content of {where}" if where else token
            console.show(
                value if where else {**value, "token": token},
                f"mnemon serves {url}\nheader: Authorization: Bearer TOKEN; TOKEN is {secret}",
            )

        await serve_http(build_server(app.registry()), address, token, started, exit_after())
