"""Fetch a file from the Hugging Face hub, or from a server that speaks its protocol.

A HEAD of `ENDPOINT/REPO/resolve/REVISION/FILE` answers, before any redirect to the storage host,
what the hub publishes about the file: `X-Repo-Commit`, `X-Linked-Size` and `X-Linked-Etag`, which
is a large file's SHA-256, or git's name for the content of a small one. The file is then fetched at
that very commit, in as many pieces as it takes. (The headers are those that
`huggingface_hub.get_hf_file_metadata` reads. The library itself is not used: resuming into a file
of our own and failing fast when offline are not in its interface.)

Honoured variables: `HF_ENDPOINT`, `HF_TOKEN` (or `HUGGING_FACE_HUB_TOKEN`), `HF_HUB_OFFLINE`. The
token goes to the endpoint alone, never to the host that it redirects to, and is never logged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from nearfield.catalog.models import HubSource
from nearfield.catalog.part import Expected, Part
from nearfield.errors import ConfigError, DownloadFailed
from nearfield.network.clients import Network
from nearfield.network.trouble import trouble

DEFAULT_ENDPOINT = "https://huggingface.co"
# A network that answers at all does so well within this; one that drops packets should not hold the
# other sources up. Applies to each address of the host.
CONNECT_SECONDS = 4.0
READ_SECONDS = 30.0
# Waits before asking again after a break; the count starts anew whenever bytes have come.
RETRY_SECONDS = (1.0, 2.0, 4.0)
MAX_REDIRECTS = 5

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOB = re.compile(r"[0-9a-f]{40}")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_OFFLINE_HINT = "Check the network (and HTTPS_PROXY behind a proxy)."


@dataclass(frozen=True, slots=True)
class Remote:
    """What the hub says about a file; `url` names it at its commit."""

    url: str
    expected: Expected
    commit: str


class Hub:
    """A connection to the hub. Use it as a context manager.

    `sleep` is called with the seconds to wait between two attempts.
    """

    def __init__(
        self, environ: Mapping[str, str], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._address = (environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        self.endpoint = _without_password(self._address)
        """Its address as it is shown."""
        self._offline = environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
        self._sleep = sleep
        token = environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or ""
        headers = {"User-Agent": "nearfield", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token.strip()}"
        self._network = Network(environ)
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        self._client = self._network.client(timeout, headers)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def reach(self) -> None:
        """Ask whether the hub is there. Raises `DownloadFailed`."""
        if self._offline:
            raise DownloadFailed("HF_HUB_OFFLINE forbids it.", "Unset HF_HUB_OFFLINE.")
        try:
            self._client.head(self._address)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        except ConfigError as error:
            raise DownloadFailed(error.message, error.hint) from error

    def words(self) -> str:
        """By which way the hub is asked, for a person."""
        return self._network.words(self._address)

    def look_up(self, source: HubSource, *, small: bool = False) -> Remote:
        """What the hub publishes about the file, of which a `small` one may have no SHA-256 but
        git's name for its content. Raises `DownloadFailed`."""
        if self._offline:
            raise DownloadFailed("HF_HUB_OFFLINE forbids it.", "Unset HF_HUB_OFFLINE.")
        try:
            response = self._head(self._url(source, source.revision))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        except ConfigError as error:
            raise DownloadFailed(error.message, error.hint) from error
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
        return Remote(self._url(source, commit or source.revision), expected, commit)

    def fetch(self, remote: Remote, part: Part) -> None:
        """Append what is missing to `part`. Raises `DownloadFailed` when the connection stays
        broken, with everything that has come kept."""
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

    def _fetch_once(self, remote: Remote, part: Part) -> str:
        """One request for the rest of the file; the reason when it should be asked for again."""
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
            _remember_answer(response, part)
            before = part.position
            # As they come: blocks of a fixed size would lose the last one when the connection ends.
            for block in response.iter_bytes():
                part.write(block)
        return "" if part.position > before else "it sent nothing"

    def _head(self, url: str) -> httpx.Response:
        """HEAD, following redirects within the endpoint (renamed repositories) but not to the
        storage host, whose answer no longer says what the hub publishes."""
        home = _origin(httpx.URL(self._address))
        for _ in range(MAX_REDIRECTS):
            response = self._client.head(url)
            target = response.next_request
            if target is None or _origin(target.url) != home or "X-Linked-Etag" in response.headers:
                return response
            url = str(target.url)
        raise httpx.TooManyRedirects("it redirects in circles")

    def _unreachable(self, error: Exception) -> DownloadFailed:
        if found := trouble(error, self._network.proxy(self._address)):
            return DownloadFailed(f"{self.endpoint} cannot be reached: {found.what}.", found.hint)
        return DownloadFailed(
            f"{self.endpoint} cannot be reached ({_cause(error)}).", _OFFLINE_HINT
        )

    def _url(self, source: HubSource, revision: str) -> str:
        return (
            f"{self._address}/{quote(source.repo)}/resolve/"
            f"{quote(revision, safe='')}/{quote(source.file)}"
        )


def _continues(response: httpx.Response, part: Part) -> bool:
    """Return whether the answer goes on exactly where `part` stops, in a file of the same size."""
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return False
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return found is not None and (int(found[1]), int(found[2])) == (
        part.position,
        part.expected.bytes,
    )


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _remember_answer(response: httpx.Response, part: Part) -> None:
    """Keep a strong ETag for `If-Range`; a weak one may not be used there (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    part.journal.etag = "" if etag.startswith("W/") else etag
    part.save()


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
        raise DownloadFailed(f"{page} or its file {source.file} does not exist ({status}).")
    raise DownloadFailed(f"{endpoint} answered {status}.", "Try again later.")


def _cause(error: Exception) -> str:
    """An error of the network in words: some of them have none of their own."""
    return str(error) or type(error).__name__
