"""The Hugging Face hub, as far as it is needed: the files of a repository, and where each one is.

One call of its API; `huggingface_hub` does the same and a hundred things besides (see
docs/decisions/0012). Nothing here runs unless a person pulls a model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, BeforeValidator, ValidationError

from agent.models.library.choice import RemoteFile
from agent.models.library.errors import HubRefused
from agent.models.library.wanted import FromHub, is_private

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
MAX_ANSWER_BYTES: Final = 32 << 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class _Lfs(BaseModel):
    sha256: str | None = None
    size: int | None = None


class _Sibling(BaseModel):
    rfilename: str
    size: int | None = None
    lfs: _Lfs | None = None


class _Card(BaseModel):
    license: Annotated[str, BeforeValidator(lambda v: v if isinstance(v, str) else "")] = ""


class _Repository(BaseModel):
    sha: str
    siblings: list[_Sibling] = []
    gated: bool | str = False
    cardData: _Card | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository at one commit."""

    repository: str
    commit: str
    files: tuple[RemoteFile, ...]
    licence: str


class Hub:
    """One hub."""

    def __init__(self, client: httpx2.Client, environ: Mapping[str, str]) -> None:
        """Touches nothing yet.

        Args:
            environ: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, as far as they are set.

        Raises:
            HubRefused: HF_HUB_OFFLINE is set.
        """
        if environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
            raise HubRefused("HF_HUB_OFFLINE is set, so nothing is pulled; unset it to pull")
        self._client = client
        self.endpoint = environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
        token = environ.get("HF_TOKEN", "").strip()
        # httpx2 does not send it on to another host, such as the one that has the bytes.
        usable = token and is_private(self.endpoint)
        self.headers = {"Authorization": f"Bearer {token}"} if usable else {}

    def list_files(self, wanted: FromHub) -> Listing:
        """The files of a repository.

        Raises:
            HubRefused: there is none, or it is not given, or nobody answers.
        """
        revision = quote(wanted.revision, safe="")
        url = f"{self.endpoint}/api/models/{wanted.repository}/revision/{revision}"
        try:
            answer = self._read(url, wanted)
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise HubRefused(
                f"{self.endpoint} does not answer ({said}); is this machine online?"
            ) from error
        try:
            found = _Repository.model_validate_json(answer)
        except ValidationError as error:
            raise HubRefused(f"{self.endpoint} gave no list of files: {error}") from None
        files = tuple(_remote_file(sibling) for sibling in found.siblings)
        licence = found.cardData.license if found.cardData else ""
        return Listing(wanted.repository, found.sha, files, licence)

    def url_of(self, listing: Listing, file: RemoteFile) -> str:
        """Where a file is."""
        commit, path = quote(listing.commit, safe=""), quote(file.path)
        return f"{self.endpoint}/{listing.repository}/resolve/{commit}/{path}"

    def _read(self, url: str, wanted: FromHub) -> bytes:
        params = {"blobs": "true"}
        with self._client.stream("GET", url, params=params, headers=self.headers) as response:
            if response.status_code != httpx2.codes.OK:
                raise HubRefused(self._explained(response.status_code, wanted))
            answer = b""
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > MAX_ANSWER_BYTES:
                    raise HubRefused(f"{self.endpoint} answered beyond all measure")
            return answer

    def _explained(self, status: int, wanted: FromHub) -> str:
        repository, endpoint = wanted.repository, self.endpoint
        if status in (401, 404):  # the hub does not say which of the two it is
            at = "" if wanted.revision == "main" else f" with a revision {wanted.revision}"
            return (
                f"{endpoint} has no repository {repository}{at}, or does not show it to everybody;"
                " look at its name, or set HF_TOKEN to a token that may read it"
            )
        return refusal(endpoint, repository, status)


def refusal(endpoint: str, repository: str, status: int) -> str:
    """What a status of the hub means for a person."""
    if status in (401, 403):
        return (
            f"{repository} is given only to those who agreed to its terms: do that at"
            f" {endpoint}/{repository} and set HF_TOKEN to your token"
        )
    if status == 429:
        return f"{endpoint} wants fewer requests (429); wait a while, or set HF_TOKEN"
    return f"{endpoint} answers {status} for {repository}; try again later"


def _remote_file(sibling: _Sibling) -> RemoteFile:
    lfs = sibling.lfs or _Lfs()
    sha256 = (lfs.sha256 or "").lower()
    size = lfs.size if lfs.size is not None else sibling.size
    return RemoteFile(sibling.rfilename, size, sha256 if _SHA256.fullmatch(sha256) else None)
