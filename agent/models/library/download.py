"""Fetching one file: resumed where it stopped, checked, and there only when it is whole.

Synchronous, since only the command line fetches, and Ctrl-C may end it anywhere: what came stays as
a part (part_file.py) and the next call goes on from it.
"""

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2

from agent.errors import ModelFileInvalid
from agent.models.library.errors import DownloadFailed, NoRoom
from agent.models.library.gguf import read_header
from agent.models.library.part_file import Note, PartFile
from agent.models.library.wanted import is_private

Report = Callable[[int, int | None], None]
"""Called with the bytes that are there and, where known, those of the whole file."""

RETRY_AFTER_S: Final = (1.0, 3.0, 10.0)
"""Waits before trying again when nothing came since the last try; after the last one, it fails."""

SPARE_BYTES: Final = 256 << 20
"""What a download leaves free: a full disk harms more than a missing model."""

_SHA256: Final = re.compile(r'"?([0-9a-fA-F]{64})"?')
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Order:
    """What to fetch. source: what a person types to get it. Size and digest: None when unknown."""

    url: str
    target: Path
    source: str
    size_bytes: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is there. checked: its digest is the one that was promised."""

    path: Path
    size_bytes: int
    sha256: str
    checked: bool
    resumed_from: int


class _Stale(Exception):
    """What was here is not of this file; it was dropped."""


class _Refused(Exception):
    """The server answered with this status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


def new_client() -> httpx2.Client:
    """A client for hubs and files; it follows redirects, for hubs keep the bytes elsewhere."""
    timeout = httpx2.Timeout(60.0, connect=15.0)
    # identity: a Range counts bytes of the file, not of a compressed form.
    headers = {"User-Agent": "mnemon", "Accept-Encoding": "identity"}
    return httpx2.Client(follow_redirects=True, timeout=timeout, headers=headers)


def fetch(
    client: httpx2.Client,
    order: Order,
    report: Report,
    retry_after_s: Sequence[float] = RETRY_AFTER_S,
) -> Fetched:
    """Fetch a file, or the rest of it.

    Raises:
        DownloadFailed: it did not come, or is no GGUF file, or not the one that was promised.
        NoRoom: before anything is fetched.
        PullBusy: another process fetches it.
    """
    try:
        with PartFile(order.target) as part:
            wanted = Note(
                source=order.source,
                url=order.url,
                size_bytes=order.size_bytes,
                sha256=order.sha256,
            )
            transfer = _Transfer(client, order, part, report)
            transfer.etag = part.take_up(wanted).etag
            resumed_from = part.size_bytes
            transfer.run(retry_after_s)
            return _finish(order, part, transfer, resumed_from)
    except OSError as error:
        raise DownloadFailed(
            f"{order.target} cannot be written: {error.strerror or error}"
        ) from error


class _Transfer:
    """The bytes of one order, over as many connections as it takes."""

    def __init__(self, client: httpx2.Client, order: Order, part: PartFile, report: Report) -> None:
        self._client, self._order, self._part, self._report = client, order, part, report
        self.total = order.size_bytes
        self.promised = order.sha256
        self.etag: str | None = None

    def run(self, retry_after_s: Sequence[float]) -> None:
        """Receive until everything is there."""
        failures = 0
        while not self._is_whole():
            before = self._part.size_bytes
            try:
                self._receive()
                return
            except _Stale:  # at most once, for nothing is asked to be resumed then
                self._part.restart()
            except _Refused as refused:
                raise DownloadFailed(self._explained(refused.status)) from None
            except (httpx2.RequestError, httpx2.InvalidURL) as error:
                failures = 0 if self._part.size_bytes > before else failures + 1
                # What never began is a matter of the address or of being offline.
                if self._part.size_bytes == 0 or failures > len(retry_after_s):
                    raise DownloadFailed(self._interrupted(error)) from error
                if failures:
                    time.sleep(retry_after_s[failures - 1])

    def _is_whole(self) -> bool:
        return self.total is not None and self._part.size_bytes == self.total

    def _receive(self) -> None:
        """One request, and what comes of it."""
        offset = self._part.size_bytes
        headers = dict(self._order.headers)
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self.etag and self._order.sha256 is None:
                headers["If-Range"] = self.etag
        with self._client.stream("GET", self._order.url, headers=headers) as response:
            status = response.status_code
            if status == 416 and offset:  # there is no such rest
                raise _Stale
            if status not in (200, 206):
                raise _Refused(status)
            self._look_at(response, offset)
            self._check_room()
            self._write_down(response)
            for data in response.iter_raw():
                self._take(data)
        if self.total is not None and self._part.size_bytes < self.total:
            raise httpx2.ReadError("the connection ended early")

    def _look_at(self, response: httpx2.Response, offset: int) -> None:
        """Learn size and digest, and whether this is the rest or the whole."""
        if not is_private(str(response.url)) and self._order.sha256 is None:
            raise DownloadFailed(
                f"{response.url} is not https, so anybody on the way could change the file;"
                " say what it must be with --sha256"
            )
        ranged = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status_code == 206:
            etag = response.headers.get("ETag")
            changed = self._order.sha256 is None and etag != self.etag
            if not ranged or int(ranged[1]) != offset or changed:
                raise _Stale if offset else httpx2.ReadError("a part came that nobody asked for")
            length = ranged[2]
        else:
            if offset:  # it knows no Range, or has another version of the file now
                self._part.restart()
            length = response.headers.get("Content-Length", "")
        total = int(length) if length.isascii() and length.isdigit() else None
        if None not in (total, self.total) and total != self.total:
            raise DownloadFailed(
                f"{self._order.url} has {total} bytes, not {self.total}; it is another file"
            )
        self.total = total if self.total is None else self.total
        for answer in (*response.history, response):
            self.promised = self.promised or _promised_by(answer)

    def _write_down(self, response: httpx2.Response) -> None:
        etag = response.headers.get("ETag", "")
        self.etag = etag if etag.startswith('"') else None  # a weak one vouches for no bytes
        self._part.describe(
            Note(
                source=self._order.source,
                url=self._order.url,
                size_bytes=self.total,
                sha256=self._order.sha256,
                etag=self.etag,
            )
        )

    def _check_room(self) -> None:
        if self.total is None:
            return
        free = shutil.disk_usage(self._order.target.parent).free
        needed = self.total - self._part.size_bytes
        if needed + SPARE_BYTES > free:
            raise NoRoom(
                f"{self._order.target.name} takes {needed / 1e9:.1f} GB more, and"
                f" {self._order.target.parent} has {free / 1e9:.1f} GB free, of which"
                f" {SPARE_BYTES / 1e9:.1f} stay so; free some, or take a smaller quantisation"
            )

    def _take(self, data: bytes) -> None:
        part = self._part
        if part.size_bytes == 0 and data[:4] != b"GGUF"[: len(data[:4])]:
            raise DownloadFailed(f"{self._order.url} is no GGUF file: it begins with {data[:16]!r}")
        if self.total is not None and part.size_bytes + len(data) > self.total:
            part.restart()
            raise DownloadFailed(f"{self._order.url} sends more than the {self.total} bytes it has")
        part.append(data)
        self._report(part.size_bytes, self.total)

    def _explained(self, status: int) -> str:
        means = {
            401: "it wants a login; for the hub set HF_TOKEN",
            403: "it may not be read; for the hub agree to its terms there and set HF_TOKEN",
            404: "there is no such file",
        }
        return f"{self._order.url} answers {status}: {means.get(status, 'try again later')}"

    def _interrupted(self, error: Exception) -> str:
        kept = self._part.size_bytes
        said = str(error) or type(error).__name__
        if not kept:
            return f"{self._order.url} does not answer ({said}); is this machine online?"
        return (
            f"the connection failed ({said}); {kept / 1e6:.1f} MB are kept: run the same command"
            " again to go on from there"
        )


def _promised_by(answer: httpx2.Response) -> str | None:
    """The SHA-256 that a hub names; other servers' ETags are digests of who knows what."""
    headers = answer.headers
    named = headers.get("X-Linked-ETag") or (
        headers.get("ETag") if "X-Repo-Commit" in headers else ""
    )
    found = _SHA256.fullmatch(named or "")
    return found[1].lower() if found else None


def _finish(order: Order, part: PartFile, transfer: _Transfer, resumed_from: int) -> Fetched:
    """Check what came, and let it be there."""
    digest = part.sha256
    if transfer.promised is not None and digest != transfer.promised:
        part.discard()
        raise DownloadFailed(
            f"{order.target.name} has the SHA-256 {digest}, not {transfer.promised}; it was"
            " deleted: pull it again, and if that ends the same way, do not trust its source"
        )
    try:
        read_header(part.path)
    except ModelFileInvalid as error:
        part.discard()
        raise DownloadFailed(
            f"what came from {order.url} {error.problem}; it was deleted"
        ) from None
    size = part.size_bytes
    part.finish()
    return Fetched(order.target, size, digest, transfer.promised is not None, resumed_from)
