"""A pull from the hub: whatever breaks, what has arrived is kept and only the right file counts."""

from __future__ import annotations

import hashlib
import logging
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from nearfield.catalog.download import pull, remove
from nearfield.catalog.models import HubSource, ModelEntry
from nearfield.catalog.partial_file import PullStep
from nearfield.errors import DownloadFailed, HashMismatch, NearfieldError, NoSpace

from .conftest import COMMIT, FakeHub, catalog_of, entry_of
from .gguf_files import model


class Puller:
    """Pulls the one file of the fake hub."""

    def __init__(self, hub: FakeHub, environ: dict[str, str], *, known: bool) -> None:
        self.hub = hub
        self.environ = environ
        self.entry = entry_of(hub.content, hub.source, known=known)
        self.catalog = catalog_of(environ, self.entry)
        self.shelf = self.catalog.cached_file(self.entry)
        self.steps: list[PullStep] = []
        self.waits: list[float] = []
        self.free = 10**12

    def pull(self) -> Path:
        return pull(
            self.catalog,
            "tiny",
            self.steps.append,
            environ=self.environ,
            free=lambda folder: self.free,
            sleep=self.waits.append,
        )

    def ranges(self) -> list[str]:
        return [headers.get("Range", "") for headers in self.hub.gets()]

    def check_here(self) -> None:
        path = self.catalog.local_path("tiny")
        assert path is not None
        assert path.read_bytes() == self.hub.content
        assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.gguf", "verified.json"]


@pytest.fixture(params=[True, False], ids=["hash known", "hash from the hub"])
def puller(hub: FakeHub, environ: dict[str, str], request: pytest.FixtureRequest) -> Puller:
    return Puller(hub, environ, known=request.param)


def test_fetches_at_the_resolved_commit_and_records_it(puller: Puller) -> None:
    path = puller.pull()
    puller.check_here()
    record = puller.shelf.verified()
    assert record is not None
    assert record.commit == COMMIT
    assert record.sha256 == hashlib.sha256(puller.hub.content).hexdigest()
    assert record.holds(path)
    methods = [(method, where) for method, where, _ in puller.hub.seen]
    assert methods[0] == ("HEAD", "/maker/tiny/resolve/main/sub/tiny.gguf")
    assert ("GET", f"/maker/tiny/resolve/{COMMIT}/sub/tiny.gguf") in methods
    done = [step.done for step in puller.steps if step.phase == "fetching"]
    assert done == sorted(done)
    assert puller.steps[-1] == PullStep(
        "done", "", len(puller.hub.content), len(puller.hub.content)
    )


def test_a_second_pull_makes_no_request(puller: Puller) -> None:
    puller.pull()
    puller.hub.seen.clear()
    puller.pull()
    assert puller.hub.seen == []


def test_a_cut_download_continues_within_one_pull(puller: Puller) -> None:
    puller.hub.cuts = [100_000, 50_000]
    puller.pull()
    puller.check_here()
    assert puller.ranges() == ["", "bytes=100000-", "bytes=150000-"]
    assert puller.waits == [1.0, 1.0]


def test_a_cut_download_continues_in_the_next_pull(puller: Puller) -> None:
    puller.hub.cuts = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed, match="goes on where it stopped"):
        puller.pull()
    assert puller.shelf.part.stat().st_size == 100_000
    assert not puller.shelf.file.exists()
    puller.hub.seen.clear()
    puller.pull()
    puller.check_here()
    assert puller.ranges() == ["bytes=100000-"]
    assert puller.hub.gets()[0]["If-Range"] == '"v1"'


@pytest.mark.parametrize(
    "change",
    [
        {"etag": '"v2"'},
        {"ranges": False},
        {"statuses": [416]},
    ],
    ids=["the server's file is another", "it knows no ranges", "it refuses the range"],
)
def test_a_download_that_cannot_continue_starts_over(
    puller: Puller, change: dict[str, Any]
) -> None:
    puller.hub.cuts = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        puller.pull()
    vars(puller.hub).update(change)
    puller.pull()
    puller.check_here()


def test_a_changed_file_on_the_hub_is_not_mixed_with_the_old_one(
    hub: FakeHub, environ: dict[str, str]
) -> None:
    puller = Puller(hub, environ, known=False)
    hub.cuts = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        puller.pull()
    hub.content = model() + bytes(200_000)
    hub.published_sha256 = hashlib.sha256(hub.content).hexdigest()
    hub.seen.clear()
    puller.pull()
    puller.check_here()
    assert puller.ranges() == [""]


def test_rotten_bytes_of_an_earlier_run_are_fetched_again(puller: Puller) -> None:
    puller.hub.cuts = [100_000, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        puller.pull()
    puller.shelf.part.write_bytes(bytes(100_000))
    puller.pull()
    puller.check_here()
    assert puller.ranges()[-2:] == ["bytes=100000-", ""]


def test_wrong_bytes_are_deleted(puller: Puller) -> None:
    puller.hub.content = puller.hub.content[:-1] + b"?"
    with pytest.raises(HashMismatch, match="it was deleted"):
        puller.pull()
    assert list(puller.shelf.folder.iterdir()) == []
    assert puller.catalog.local_path("tiny") is None


def test_a_hub_that_publishes_another_file_is_refused_before_fetching(
    hub: FakeHub, environ: dict[str, str]
) -> None:
    puller = Puller(hub, environ, known=True)
    hub.published_sha256 = "0" * 64
    with pytest.raises(HashMismatch, match="publishes the SHA-256 0000"):
        puller.pull()
    assert hub.gets() == []


def test_busy_answers_are_asked_again_and_then_given_up(puller: Puller) -> None:
    puller.hub.statuses = [503, 429]
    puller.pull()
    puller.check_here()
    assert puller.waits == [1.0, 2.0]
    remove(puller.catalog, "tiny")
    puller.hub.statuses = [503] * 4
    with pytest.raises(DownloadFailed, match="503"):
        puller.pull()


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, "GatedRepo", "Accept its licence .* HF_TOKEN"),
        (403, "", "Accept its licence .* HF_TOKEN"),
        (401, "RepoNotFound", "does not exist .* HF_TOKEN"),
        (404, "EntryNotFound", "has no file sub/tiny.gguf at revision main"),
        (404, "RevisionNotFound", "has no revision main"),
        (404, "", "does not exist"),
        (500, "", "answered 500"),
    ],
)
def test_refusals_say_what_to_do(puller: Puller, status: int, code: str, says: str) -> None:
    puller.hub.head_status, puller.hub.error_code = status, code
    with pytest.raises(DownloadFailed, match=says):
        puller.pull()


def test_a_file_without_a_published_hash_is_refused(puller: Puller) -> None:
    puller.hub.published_sha256 = "abc"
    with pytest.raises(DownloadFailed, match="publishes no SHA-256"):
        puller.pull()


def test_too_little_disk_is_said_before_fetching(puller: Puller) -> None:
    puller.free = len(puller.hub.content)
    with pytest.raises(NoSpace, match="are needed"):
        puller.pull()
    assert puller.hub.gets() == []


def test_the_token_is_sent_to_the_hub_alone_and_never_logged(
    puller: Puller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    puller.environ["HF_TOKEN"] = "hf_sesame"
    puller.pull()
    for _, path, headers in puller.hub.seen:
        expected = None if path.startswith("/storage") else "Bearer hf_sesame"
        assert headers.get("Authorization") == expected
    assert "sesame" not in caplog.text


def check_unreachable(environ: dict[str, str], entry: ModelEntry, says: str) -> NearfieldError:
    waits: list[float] = []
    with pytest.raises(DownloadFailed, match=says) as caught:
        pull(catalog_of(environ, entry), "tiny", environ=environ, sleep=waits.append)
    # A hub that is not there is asked once: other sources should not have to wait for it.
    assert waits == []
    return caught.value


def test_offline_says_what_was_tried_and_what_to_do(
    content: bytes, environ: dict[str, str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        environ["HF_ENDPOINT"] = f"http://127.0.0.1:{taken.getsockname()[1]}"
        entry = entry_of(content, FakeHub.source, HubSource("maker/other", "tiny.gguf"))
        error = check_unreachable(environ, entry, "maker/tiny.*cannot be reached.*maker/other")
    assert "nearfield models add tiny PATH" in error.hint
    assert "HTTPS_PROXY" in error.hint


def test_hub_offline_is_obeyed(content: bytes, environ: dict[str, str]) -> None:
    environ["HF_HUB_OFFLINE"] = "1"
    check_unreachable(environ, entry_of(content, FakeHub.source), "HF_HUB_OFFLINE")


def test_a_file_put_into_the_cache_by_hand_is_checked_and_kept(
    hub: FakeHub, environ: dict[str, str]
) -> None:
    puller = Puller(hub, environ, known=False)
    puller.shelf.folder.mkdir(parents=True)
    puller.shelf.file.write_bytes(hub.content)
    assert puller.catalog.local_path("tiny") is None
    puller.pull()
    puller.check_here()
    assert hub.gets() == []


def test_a_damaged_file_is_fetched_again(puller: Puller) -> None:
    puller.pull()
    puller.shelf.file.write_bytes(b"GGUF, but not ours")
    with pytest.raises(HashMismatch):
        puller.catalog.local_path("tiny")
    puller.pull()
    puller.check_here()


def test_remove_deletes_the_file_and_what_a_pull_left(puller: Puller) -> None:
    puller.pull()
    assert remove(puller.catalog, "tiny") > len(puller.hub.content)
    assert not puller.shelf.folder.exists()
    assert remove(puller.catalog, "tiny") == 0


def test_a_stub_that_the_hub_publishes_is_no_model(hub: FakeHub, environ: dict[str, str]) -> None:
    """Its SHA-256 is right, and its tensors end beyond the file."""
    hub.content = model()[:-1]
    hub.published_sha256 = hashlib.sha256(hub.content).hexdigest()
    puller = Puller(hub, environ, known=False)
    with pytest.raises(HashMismatch, match="the file is cut"):
        puller.pull()
    assert puller.catalog.local_path("tiny") is None


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["sub/tiny.gguf", "README.md"], ""),
        (["sub/tiny.gguf", "sub/tinier.gguf"], "has 2 files called sub/tin[*].gguf"),
        (["sub/large.gguf"], "has 0 files called sub/tin[*].gguf.*it has: sub/large.gguf"),
        (None, "unknown form"),
    ],
)
def test_a_file_whose_name_is_not_known_is_the_only_one_that_matches(
    hub: FakeHub,
    environ: dict[str, str],
    httpserver: HTTPServer,
    names: list[str] | None,
    says: str,
) -> None:
    listed = None if names is None else [{"type": "file", "path": name} for name in names]
    httpserver.expect_request("/api/models/maker/tiny/tree/main").respond_with_json(listed)
    entry = entry_of(hub.content, HubSource("maker/tiny", "sub/tin*.gguf"), known=False)
    catalog = catalog_of(environ, entry)
    if not says:
        assert pull(catalog, "tiny", environ=environ).read_bytes() == hub.content
        return
    with pytest.raises(DownloadFailed) as refused:
        pull(catalog, "tiny", environ=environ)
    assert re.search(says, f"{refused.value.message} {refused.value.hint}")
