"""A cache of its own for each test, a tiny model, and a server that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from nearfield.catalog.models import Catalog, HubSource, ModelEntry, Source

from .gguf_files import model

COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.fixture
def content() -> bytes:
    """The bytes of a whole model, long enough to arrive in pieces."""
    whole = model()
    return whole + hashlib.shake_256(b"weights").digest(300_004 - len(whole))


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of the test's own cache and settings, also set in this process."""
    moved = {
        "NEARFIELD_CACHE_DIR": str(tmp_path / "cache"),
        "NEARFIELD_CONFIG_DIR": str(tmp_path / "config"),
    }
    for name, value in moved.items():
        monkeypatch.setenv(name, value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return {**os.environ, **moved}


def entry_of(content: bytes, *sources: Source, known: bool = True) -> ModelEntry:
    """An entry for `content`; `known` says whether the catalogue knows hash and size."""
    return ModelEntry(
        name="tiny",
        title="Tiny",
        sources=list(sources),
        file="tiny.gguf",
        licence="MIT",
        context=512,
        roles=["complete"],
        bytes=len(content) if known else 0,
        sha256=hashlib.sha256(content).hexdigest() if known else "",
    )


def catalog_of(environ: dict[str, str], *entries: ModelEntry) -> Catalog:
    """A catalogue of these entries alone."""
    folder = Path(environ["NEARFIELD_CACHE_DIR"]) / "models"
    return Catalog({entry.name: entry for entry in entries}, folder, default=entries[0].name)


@dataclass
class FakeHub:
    """A hub with one file. The fields may be changed between requests to make it misbehave."""

    content: bytes
    published_sha256: str
    etag: str = '"v1"'
    ranges: bool = True
    head_status: int = 302
    error_code: str = ""
    cuts: list[int] = field(default_factory=list[int])
    """For each coming GET of the content, how many bytes are sent before the connection ends."""
    statuses: list[int] = field(default_factory=list[int])
    """For each coming GET of the content, a status to answer instead."""
    seen: list[tuple[str, str, dict[str, str]]] = field(
        default_factory=list[tuple[str, str, dict[str, str]]]
    )
    endpoint: str = ""
    storage: str = ""

    source = HubSource("maker/tiny", "sub/tiny.gguf")

    def gets(self) -> list[dict[str, str]]:
        """The headers of the requests for the content."""
        return [headers for _, path, headers in self.seen if path.startswith("/storage")]

    def resolve(self, request: Request) -> Response:
        """Answer for the hub itself."""
        self._note(request)
        if self.head_status >= 400:
            return Response(status=self.head_status, headers={"X-Error-Code": self.error_code})
        headers = {
            "Location": f"{self.storage}/storage/tiny",
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{self.published_sha256}"',
            "X-Linked-Size": str(len(self.content)),
        }
        return Response(status=302, headers=headers)

    def stored(self, request: Request) -> Response:
        """Answer for the storage host."""
        self._note(request)
        if self.statuses:
            return Response(status=self.statuses.pop(0))
        start = self._start(request)
        if start >= len(self.content):
            return Response(status=416)
        body = self.content[start:]
        headers = {"ETag": self.etag, "Content-Length": str(len(body))}
        if start:
            last = len(self.content) - 1
            headers["Content-Range"] = f"bytes {start}-{last}/{len(self.content)}"
        sent = body[: self.cuts.pop(0)] if self.cuts else body

        def pieces() -> Iterator[bytes]:
            for at in range(0, len(sent), 10_000):
                yield sent[at : at + 10_000]

        return Response(pieces(), status=206 if start else 200, headers=headers)

    def _start(self, request: Request) -> int:
        asked = request.headers.get("Range", "")
        condition = request.headers.get("If-Range", self.etag)
        if not asked or not self.ranges or condition != self.etag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _note(self, request: Request) -> None:
        self.seen.append((request.method, request.path, dict(request.headers)))


@pytest.fixture
def hub(httpserver: HTTPServer, content: bytes, environ: dict[str, str]) -> Generator[FakeHub]:
    """The hub, with its storage under another origin (the same server by another name)."""
    fake = FakeHub(content, hashlib.sha256(content).hexdigest())
    fake.endpoint = httpserver.url_for("").rstrip("/")
    fake.storage = f"http://127.0.0.1:{httpserver.port}"
    environ["HF_ENDPOINT"] = fake.endpoint
    for revision in ("main", COMMIT):
        address = f"/maker/tiny/resolve/{revision}/sub/tiny.gguf"
        httpserver.expect_request(address).respond_with_handler(fake.resolve)
    httpserver.expect_request("/storage/tiny").respond_with_handler(fake.stored)
    yield fake
    httpserver.check_assertions()
