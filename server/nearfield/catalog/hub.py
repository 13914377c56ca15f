"""Fetch a file from the Hugging Face hub, or from a server that speaks its protocol.

A HEAD of `ENDPOINT/REPO/resolve/REVISION/FILE` answers, before any redirect to the storage host,
what the hub publishes about the file: `X-Repo-Commit`, `X-Linked-Size` and `X-Linked-Etag`. The
last is a large file's SHA-256, or git's blob hash of a small one. The file is then fetched at that
very commit, with as many requests as it takes. The headers are those that
`huggingface_hub.get_hf_file_metadata` reads. The library itself is not used, as it neither resumes
into our own file, nor checks the SHA-256, nor uses the proxies and certificates of `network`.

Honoured variables: `HF_ENDPOINT`, `HF_TOKEN` (or `HUGGING_FACE_HUB_TOKEN`), `HF_HUB_OFFLINE`. The
token is sent to the endpoint alone, never to the host that it redirects to, and is never logged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import msgspec

from nearfield.catalog.models import HubSource
from nearfield.catalog.partial_file import Expected, PartialFile
from nearfield.errors import ConfigError, DownloadFailed
from nearfield.network.clients import ClientFactory
from nearfield.network.trouble import trouble

T = TypeVar("T")

DEFAULT_ENDPOINT = "https://huggingface.co"
# A network that answers does so well within this; one that drops packets should not delay the other
# sources. Applies to each address of the host.
CONNECT_SECONDS = 4.0
READ_SECONDS = 30.0
# Pauses before each retry; the count starts again whenever bytes have arrived.
RETRY_SECONDS = (1.0, 2.0, 4.0)
MAX_REDIRECTS = 5
MAX_NAMES_CHARS = 600
MAX_SEARCH_CHARS = 200

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOB = re.compile(r"[0-9a-f]{40}")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_OFFLINE_HINT = (
    "Check the network (and HTTPS_PROXY behind a proxy), "
    "or name a mirror of the hub in HF_ENDPOINT."
)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub publishes it; `url` addresses it at its commit."""

    url: str
    expected: Expected
    commit: str


class _TreeFile(msgspec.Struct):
    """A file in the hub's list of a repository."""

    path: str
    size: int = 0


class _Card(msgspec.Struct):
    """The part of a model's card that is data."""

    licence: str = msgspec.field(default="", name="license")
    licence_name: str = msgspec.field(default="", name="license_name")


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """A repository that a search has found."""

    repo: str
    downloads: int
    likes: int
    licence: str
    updated: str
    is_gated: bool


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A GGUF file of a repository, and its size."""

    file: str
    bytes: int


class _FoundModel(msgspec.Struct):
    """A repository in the hub's answer to a search."""

    id: str
    downloads: int = 0
    likes: int = 0
    tags: list[str] = msgspec.field(default_factory=list[str])
    updated: str = msgspec.field(default="", name="lastModified")
    gated: bool | str = False

    def found(self) -> FoundRepository:
        named = (tag.partition(":")[2] for tag in self.tags if tag.startswith("license:"))
        return FoundRepository(
            self.id,
            self.downloads,
            self.likes,
            next(named, ""),
            self.updated,
            bool(self.gated),
        )


class _ModelPage(msgspec.Struct):
    """A repository as the hub's API describes it."""

    card: _Card = msgspec.field(default_factory=_Card, name="cardData")


class Hub:
    """A connection to the hub. Use it as a context manager.

    `sleep` is called with the seconds to wait between two attempts.
    """

    def __init__(
        self, environ: Mapping[str, str], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._address = (environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        parts = urlsplit(self._address)
        self.endpoint = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        """Its address without a password, for messages."""
        self._offline = environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
        self._sleep = sleep
        token = environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or ""
        headers = {"User-Agent": "nearfield", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token.strip()}"
        self._network = ClientFactory(environ)
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        self._client = self._network.client(timeout, headers)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def reach(self) -> None:
        """Send one request to the hub. Raises `DownloadFailed` when it does not answer."""
        with self._errors():
            self._client.head(self._address)

    def words(self) -> str:
        """Describe the proxy and certificates on the way to the hub."""
        return self._network.words(self._address)

    def look_up(self, source: HubSource, *, small: bool = False) -> HubFile:
        """Return what the hub publishes about the file; a `small` one may have a git blob hash
        instead of a SHA-256. Raises `DownloadFailed`."""
        if "*" in source.file:
            source = self._named(source)
        with self._errors():
            response = self._head(self._url(source, source.revision))
        _check_status(response, source, self.endpoint)
        etag = response.headers.get("X-Linked-Etag", response.headers.get("ETag", ""))
        found = etag.removeprefix("W/").strip('"').lower()
        size = response.headers.get("X-Linked-Size", response.headers.get("Content-Length", ""))
        large = _SHA256.fullmatch(found) is not None
        if not (large or (small and _BLOB.fullmatch(found))) or not size.isdecimal():
            raise DownloadFailed(
                f"{self.endpoint} publishes no SHA-256 and size for {source.repo}/{source.file}.",
                "Nothing is used unchecked: fetch it yourself and `nearfield models add` it.",
            )
        commit = response.headers.get("X-Repo-Commit", "")
        expected = Expected(found, int(size)) if large else Expected("", int(size), found)
        return HubFile(self._url(source, commit or source.revision), expected, commit)

    def licence(self, repo: str) -> str:
        """Return the licence that the repository's card names, "" for none. Raises
        `DownloadFailed`."""
        card = self._described(HubSource(repo, ""), _ModelPage).card
        return card.licence_name or card.licence

    def search(self, text: str, limit: int = 20) -> list[FoundRepository]:
        """Return repositories with GGUF files that the hub finds for `text`, which is sent to it,
        the most used first. Raises `DownloadFailed`."""
        wanted = {"search": text, "filter": "gguf", "sort": "downloads", "limit": str(limit)}
        with self._errors():
            response = self._client.get(
                f"{self._address}/api/models", params={**wanted, "full": "true"}
            )
        if not response.is_success:
            raise DownloadFailed(f"{self.endpoint} answered {response.status_code}.")
        found = self._decoded(response, list[_FoundModel])
        return [one.found() for one in found[:limit]]

    def files(self, repo: str) -> list[PublishedFile]:
        """Return the GGUF files of a repository. Raises `DownloadFailed`."""
        source = HubSource(repo, "")
        found = self._described(source, list[_TreeFile], "/tree/main?recursive=true")
        return [PublishedFile(one.path, one.size) for one in found if one.path.endswith(".gguf")]

    def _named(self, source: HubSource) -> HubSource:
        """Return the source with the only name that its pattern matches. Raises
        `DownloadFailed`."""
        tree = f"/tree/{quote(source.revision, safe='')}"
        names = [one.path for one in self._described(source, list[_TreeFile], tree)]
        found = [name for name in names if fnmatchcase(name, source.file)]
        if len(found) != 1:
            models = ", ".join(name for name in names if name.endswith(".gguf"))[:MAX_NAMES_CHARS]
            raise DownloadFailed(
                f"{self.endpoint}/{source.repo} has {len(found)} files called {source.file}.",
                f"Name one with `nearfield models add NAME {source.repo}/FILE`; it has: {models}.",
            )
        return HubSource(source.repo, found[0], source.revision)

    def _described(self, source: HubSource, kind: type[T], part: str = "") -> T:
        """Return what the hub's API says of the repository, or of a part. Raises
        `DownloadFailed`."""
        with self._errors():
            response = self._client.get(f"{self._address}/api/models/{quote(source.repo)}{part}")
        _check_status(response, source, self.endpoint)
        return self._decoded(response, kind)

    def _decoded(self, response: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as error:
            raise DownloadFailed(f"{response.url.host} answered in an unknown form.") from error

    def fetch(self, remote: HubFile, part: PartialFile) -> None:
        """Append what is missing to `part`. Raises `DownloadFailed` when the connection stays
        broken; what has arrived is kept."""
        attempts = 0
        while part.position < part.expected.bytes:
            before = part.position
            try:
                broken = self._fetch_once(remote, part)
            except httpx.HTTPError as error:
                found = trouble(error, self._network.proxy(self._address))
                broken = found.what if found else _cause(error)
            if not broken:
                continue
            attempts = 1 if part.position > before else attempts + 1
            if attempts > len(RETRY_SECONDS):
                raise DownloadFailed(
                    f"The connection to {self.endpoint} broke ({broken}).",
                    "Run it again: it goes on where it stopped.",
                )
            self._sleep(RETRY_SECONDS[attempts - 1])

    def _fetch_once(self, remote: HubFile, part: PartialFile) -> str:
        """Request the rest of the file once; returns why to retry, "" for no reason."""
        headers: dict[str, str] = {}
        if part.position:
            headers["Range"] = f"bytes={part.position}-"
            # The server then sends the whole file if it is no longer the one that we began.
            if part.journal.etag:
                headers["If-Range"] = part.journal.etag
        with self._client.stream(
            "GET", remote.url, headers=headers, follow_redirects=True
        ) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.restart()
                return "it does not know the range that was asked for"
            if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
                return f"status {response.status_code}"
            if not response.is_success:
                raise DownloadFailed(f"{self.endpoint} answered {response.status_code}.")
            if part.position and not _continues(response, part):
                part.restart()
            etag = response.headers.get("ETag", "")
            # A weak ETag may not be used in `If-Range` (RFC 9110, 13.1.5).
            part.journal.etag = "" if etag.startswith("W/") else etag
            part.save()
            before = part.position
            # As they arrive: of blocks of a fixed size a broken connection loses the last one.
            for block in response.iter_bytes():
                part.write(block)
        return "" if part.position > before else "it sent nothing"

    def _head(self, url: str) -> httpx.Response:
        """HEAD, following redirects within the endpoint (renamed repositories) but not to the
        storage host, whose answer lacks what the hub publishes."""
        home = _origin(httpx.URL(self._address))
        for _ in range(MAX_REDIRECTS):
            response = self._client.head(url)
            target = response.next_request
            if target is None or _origin(target.url) != home or "X-Linked-Etag" in response.headers:
                return response
            url = str(target.url)
        raise httpx.TooManyRedirects("it redirects in circles")

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Turn what a request raises into `DownloadFailed`."""
        if self._offline:
            raise DownloadFailed("HF_HUB_OFFLINE forbids it.", "Unset HF_HUB_OFFLINE.")
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            unreachable = f"{self.endpoint} cannot be reached"
            if found := trouble(error, self._network.proxy(self._address)):
                raise DownloadFailed(f"{unreachable}: {found.what}.", found.hint) from error
            raise DownloadFailed(f"{unreachable} ({_cause(error)}).", _OFFLINE_HINT) from error
        except ConfigError as error:
            raise DownloadFailed(error.message, error.hint) from error

    def _url(self, source: HubSource, revision: str) -> str:
        return (
            f"{self._address}/{quote(source.repo)}/resolve/"
            f"{quote(revision, safe='')}/{quote(source.file)}"
        )


def _continues(response: httpx.Response, part: PartialFile) -> bool:
    """Return whether the answer continues exactly where `part` stops, in a file of its size."""
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return False
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return found is not None and (int(found[1]), int(found[2])) == (
        part.position,
        part.expected.bytes,
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _check_status(response: httpx.Response, source: HubSource, endpoint: str) -> None:
    """Raise `DownloadFailed` that says what the hub's answer means."""
    if response.is_success or response.is_redirect:
        return
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    page = f"{endpoint}/{source.repo}"
    if code == "GatedRepo" or status == HTTPStatus.FORBIDDEN:
        raise DownloadFailed(
            f"{page} is gated ({status}).",
            "Accept its licence on that page, then set HF_TOKEN to a token of your account.",
        )
    if status == HTTPStatus.UNAUTHORIZED:
        raise DownloadFailed(
            f"{page} is private, gated or does not exist ({status}).",
            "Check the name; if it is right, set HF_TOKEN to a token that may read it.",
        )
    if code == "EntryNotFound":
        raise DownloadFailed(
            f"{page} has no file {source.file} at revision {source.revision} ({status}).",
            "See its files on that page.",
        )
    if code == "RevisionNotFound":
        raise DownloadFailed(f"{page} has no revision {source.revision} ({status}).")
    if status == HTTPStatus.NOT_FOUND:
        what = f"{page} or its file {source.file}" if source.file else page
        raise DownloadFailed(f"{what} does not exist ({status}).")
    raise DownloadFailed(f"{endpoint} answered {status}.", "Try again later.")


def _cause(error: Exception) -> str:
    """Describe a network error; some have no message of their own."""
    return str(error) or type(error).__name__
