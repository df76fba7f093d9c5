"""Requests to a model server: deadlines, retries, bounds, and no word to anybody else.

Redirects are not followed, proxies and credentials of the environment not used: what a prompt says
goes to the server that the spec names, or nowhere. Cancelling a request closes its connection,
which is how servers learn that nobody waits any more.
"""

import json
import math
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from random import uniform
from time import time
from typing import Any, Final

import anyio
import anyio.to_thread
import httpx2

from agent.errors import EndpointFailed, EndpointUnreachable
from agent.models.chat_api.refusals import Refusal, read_refusal
from agent.models.chat_api.sse import LineTooLong, SseDecoder
from agent.models.spec import Endpoint

MAX_STREAM_BYTES: Final = 32 * 1024 * 1024
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
MAX_REFUSAL_BYTES: Final = 64 * 1024
_DRAIN_S: Final = 0.5
"""For the last bytes of a stream, after which its connection serves the next request."""
_USER_AGENT: Final = "mnemon"

OnEvent = Callable[[str], Awaitable[bool]]
"""Takes the data of an event; returns whether the answer is complete."""


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """How long to wait, and how often to try.

    first_byte_s: a server may load a model and read a long prompt before it says anything.
    silence_s: between two events of a stream. question_s: for what is no completion. tries: in all,
    for as long as nothing of an answer came. backoff_s: before the second; doubled each time, with
    jitter. longest_wait_s: a server that asks for more patience than this has failed.
    """

    connect_s: float = 10.0
    first_byte_s: float = 600.0
    silence_s: float = 120.0
    question_s: float = 20.0
    tries: int = 4
    backoff_s: float = 0.5
    longest_wait_s: float = 30.0


class Refused(Exception):
    """The server answered with an error status, and trying again did not or would not help."""

    def __init__(self, status: int, refusal: Refusal, wait_s: float | None = None) -> None:
        self.status, self.refusal, self.wait_s = status, refusal, wait_s
        said = f": {refusal.message}" if refusal.message else ""
        super().__init__(f"answered {status}{said}")


class StreamBroken(Exception):
    """The connection ended, or went silent, in the middle of an answer."""


class EndpointHttp:
    """A connection pool to one server."""

    def __init__(self, endpoint: Endpoint, key: str | None, options: EndpointOptions) -> None:
        self._endpoint, self._key, self._options = endpoint, key, options
        self._client: httpx2.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def ask(
        self, path: str, body: bytes | None = None, deadline_s: float | None = None
    ) -> Any:
        """Ask for JSON; None when the answer is none.

        Raises:
            Refused: with the status.
            EndpointUnreachable: there is no answer.
        """
        deadline_s = deadline_s or self._options.question_s
        async with self._answer(path, body, deadline_s) as response:
            try:
                with anyio.fail_after(deadline_s):
                    body = await self._body(response, MAX_BODY_BYTES)
            except (TimeoutError, httpx2.TransportError) as error:
                raise self._unreachable(f"did not end its answer ({_named(error)})") from None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    async def stream(self, path: str, body: bytes, on_event: OnEvent) -> None:
        """Post a request and pass on the events of its answer, until one completes it.

        An answer that is one JSON value and no stream is passed on as one event.

        Raises:
            Refused: with the status; nothing was passed on.
            EndpointUnreachable: there is no answer; nothing was passed on.
            StreamBroken: after at least the beginning of an answer.
        """
        async with self._answer(path, body, self._options.first_byte_s) as response:
            try:
                if "event-stream" in response.headers.get("content-type", ""):
                    await self._pass_on(response, on_event)
                    return
                with anyio.fail_after(self._options.first_byte_s):
                    whole = await self._body(response, MAX_BODY_BYTES)
                await on_event(self._without_key(whole.decode("utf-8", "replace")))
            except httpx2.TransportError as error:
                raise StreamBroken(f"broke the connection ({_named(error)})") from None
            except TimeoutError:
                raise StreamBroken("fell silent in the middle of an answer") from None
            except LineTooLong as error:
                raise self._failed(f"sends too much: {error}") from None

    async def _pass_on(self, response: httpx2.Response, on_event: OnEvent) -> None:
        """Pass on events until one completes the answer or the stream ends."""
        decoder, size = SseDecoder(), 0
        chunks = response.aiter_raw()
        with anyio.fail_after(self._options.first_byte_s) as scope:
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_STREAM_BYTES:
                    raise self._failed(f"sends more than {MAX_STREAM_BYTES} bytes in one answer")
                for data in decoder.feed(chunk):
                    scope.deadline = math.inf  # what is done with an event is not the server's time
                    complete = await on_event(self._without_key(data))
                    # Counted from events, not bytes: comments keep a connection open, no more.
                    scope.deadline = anyio.current_time() + self._options.silence_s
                    if complete:
                        await _drain(chunks)
                        return
        for data in decoder.end():
            if await on_event(self._without_key(data)):
                return

    @asynccontextmanager
    async def _answer(
        self, path: str, body: bytes | None, deadline_s: float
    ) -> AsyncIterator[httpx2.Response]:
        """The answer to a request, when its status says that it is one."""
        client = await self._open_client()
        request = partial(
            client.build_request,
            "GET" if body is None else "POST",
            self._endpoint.url(path),
            content=body,
            headers=self._headers(body is not None),
        )
        response = await self._send(client, request, deadline_s)
        try:
            yield response
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _send(
        self,
        client: httpx2.AsyncClient,
        request: Callable[[], httpx2.Request],
        deadline_s: float,
    ) -> httpx2.Response:
        """Send a request, again where that can help."""
        for again in range(self._options.tries - 1, -1, -1):
            wait_s = self._backoff(self._options.tries - 1 - again)
            try:
                with anyio.fail_after(deadline_s):
                    response = await client.send(request(), stream=True)
                    await self._refuse_errors(response)
                    return response
            except TimeoutError:
                raise self._unreachable(f"did not answer within {deadline_s:g} s") from None
            except (httpx2.InvalidURL, UnicodeError):
                raise self._failed("has a URL that cannot be used") from None
            except httpx2.TransportError as error:
                if not again:
                    raise self._unreachable(_explained(error)) from None
            except Refused as refused:
                wait_s = wait_s if refused.wait_s is None else refused.wait_s
                if not (again and _passes(refused) and wait_s <= self._options.longest_wait_s):
                    raise
            await anyio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    async def _refuse_errors(self, response: httpx2.Response) -> None:
        """Let only a usable answer pass; others are read, within bounds, and closed."""
        if response.is_success and response.headers.get("content-encoding", "identity") in (
            "identity",
            "",
        ):
            return
        try:
            if response.is_redirect:
                where = _shown(response.headers.get("location", "nowhere"))
                raise self._failed(f"redirects to {where}, which is not followed; name that URL")
            if response.is_success:
                raise self._failed("compresses its answer, which it was asked not to")
            body = await self._body(response, MAX_REFUSAL_BYTES, whole=False)
            wait_s = _retry_after(response.headers.get("retry-after"))
            said = read_refusal(self._without_key(body.decode("utf-8", "replace")))
            raise Refused(response.status_code, said, wait_s)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _body(self, response: httpx2.Response, limit_bytes: int, whole: bool = True) -> bytes:
        """The body; of a longer one the beginning, unless it must be whole."""
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit_bytes and whole:
                raise self._failed(f"sends more than {limit_bytes} bytes in one answer")
            if len(body) > limit_bytes:
                break
        return bytes(body[:limit_bytes])

    async def _open_client(self) -> httpx2.AsyncClient:
        if self._client is None:
            # Certificates take 60 ms to load; without TLS none are needed, and none are trusted.
            secure = self._endpoint.origin[0] == "https"
            verify = True if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            make = partial(
                httpx2.AsyncClient,
                verify=verify,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(None, connect=self._options.connect_s),
            )
            client = await anyio.to_thread.run_sync(make) if secure else make()
            if self._client is not None:  # another task was quicker
                await client.aclose()
                return self._client
            self._client = client
        return self._client

    def _headers(self, with_body: bool) -> dict[str, str]:
        headers = {"accept-encoding": "identity", "user-agent": _USER_AGENT}
        if with_body:
            headers["content-type"] = "application/json"
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        return headers

    def _without_key(self, text: str) -> str:
        """What a server said, which may repeat the key it was shown."""
        return text.replace(self._key, "[the key]") if self._key else text

    def _backoff(self, tried: int) -> float:
        return self._options.backoff_s * float(1 << tried) * uniform(0.5, 1.5)  # noqa: S311 - jitter

    def _unreachable(self, problem: str) -> EndpointUnreachable:
        return EndpointUnreachable(str(self._endpoint), problem, self._endpoint.quirks.hint)

    def _failed(self, problem: str) -> EndpointFailed:
        return EndpointFailed(str(self._endpoint), problem)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    with anyio.move_on_after(_DRAIN_S):
        async for _ in chunks:
            pass


def _passes(refused: Refused) -> bool:
    """Whether the same request may be answered in a while."""
    return not refused.refusal.too_long and (refused.status == 429 or refused.status >= 500)


def _retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to wait: it gives them, or a date."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value.strip()):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None


def _explained(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.ConnectTimeout):
        return "does not take connections"
    if isinstance(error, httpx2.ConnectError):
        return "cannot be reached"
    return f"broke the connection before it answered ({_named(error)})"


def _named(error: Exception) -> str:
    return type(error).__name__


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    return "".join(c for c in url.partition("?")[0][:200] if c.isprintable())
