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
    directory = settings.directory
    token = read_or_create_token(directory) if directory else new_token()
    # In memory there is no directory for the file, so the token itself must be told.
    where = str(directory / TOKEN_FILE) if directory else None

    def started(host: str, port: int) -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"
        value = {"url": url, "token_file": where} | ({} if where else {"token": token})
        bearer = f"token: the content of {where}" if where else f"token: {token}"
        console.show(value, f"mnemon serves {url}\n{bearer}")

    async with open_app(settings) as app:
        # Before the success is announced: here nobody waits for a first answer.
        await app.runtime()
        await serve_http(build_server(app.registry()), address, token, started, exit_after())
