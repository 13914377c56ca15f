"""A model of several files: it is here when all of them are, and of one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from nearfield.catalog.choice import choose
from nearfield.catalog.download import pull, remove
from nearfield.catalog.models import HubSource, ModelEntry, PathSource
from nearfield.catalog.partial_file import PullStep
from nearfield.catalog.recommend import Machine
from nearfield.config.schema import Models
from nearfield.errors import CatalogError, DownloadFailed, HashMismatch, NoSpace

from . import gguf_files
from .conftest import catalog_of

FIRST, SECOND = "a" * 40, "b" * 40
FILES = {
    "model.gguf": gguf_files.model() + hashlib.shake_256(b"table").digest(300_000),
    "second.gguf": gguf_files.model() + b" " * 60_000,
    "third.gguf": gguf_files.model(),
}
ENTRY = ModelEntry(
    name="tiny-static",
    title="Tiny",
    sources=[HubSource("maker/static", "sub/model.gguf")],
    file="model.gguf",
    beside=["second.gguf", "third.gguf"],
    licence="MIT",
    context=0,
    roles=["complete"],
)


def blob(content: bytes) -> str:
    """Git's name for a content, as `git hash-object` says it."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


@dataclass
class Repository:
    """A repository on a hub. The fields may be changed between requests."""

    commits: dict[str, dict[str, bytes]]
    main: str = FIRST
    lies: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """What is sent instead of a file's content."""
    cut: dict[str, int] = field(default_factory=dict[str, int])
    """After how many bytes the connection ends when a file is fetched."""
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    says_commit: bool = True
    moves: bool = False
    large: str = "model.gguf"
    seen: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    """Method, revision, file and range of each request."""

    def answer(self, request: Request) -> Response:
        _, _, _, _, revision, _, name = request.path.split("/")
        asked = request.headers.get("Range", "")
        self.seen.append((request.method, revision, name, asked))
        commit = self.main if revision == "main" else revision
        if self.moves and request.path.startswith("/maker/") and not name.endswith(self.large):
            # As the hub does with small files: elsewhere under its own name.
            moved = f"/cached/static/resolve/{commit}/sub/{name}?etag=x"
            return Response(status=307, headers={"Location": moved, "X-Repo-Commit": commit})
        if name in self.refuse:
            status, code = self.refuse[name]
            return Response(status=status, headers={"X-Error-Code": code})
        if name not in self.commits[commit]:
            return Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        content = self.commits[commit][name]
        headers = {"X-Repo-Commit": commit} if self.says_commit else {}
        if request.method == "HEAD":
            if name.endswith(self.large):
                headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
                headers["X-Linked-Size"] = str(len(content))
            else:
                headers["ETag"] = f'W/"{blob(content)}"'
                headers["Content-Length"] = str(len(content))
            return Response(headers=headers)
        content = self.lies.get(name, content)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        headers["Content-Length"] = str(len(content) - start)
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        sent = content[start : self.cut.get(name, len(content))]
        return Response(iter([sent]), status=206 if asked else 200, headers=headers)

    def fetched(self) -> list[str]:
        """The files of which content was asked for."""
        return [name for method, _, name, _ in self.seen if method == "GET"]


@pytest.fixture
def repository(httpserver: HTTPServer, environ: dict[str, str]) -> Generator[Repository]:
    found = Repository({FIRST: dict(FILES)})
    environ["HF_ENDPOINT"] = httpserver.url_for("").rstrip("/")
    for revision in ("main", FIRST, SECOND):
        for name in FILES:
            for owner in ("maker", "cached"):
                address = f"/{owner}/static/resolve/{revision}/sub/{name}"
                httpserver.expect_request(address).respond_with_handler(found.answer)
    yield found
    httpserver.check_assertions()


class Puller:
    """Pulls the model of the repository."""

    def __init__(self, repository: Repository, environ: dict[str, str]) -> None:
        self.repository = repository
        self.environ = environ
        self.catalog = catalog_of(environ, ENTRY)
        self.folder = self.catalog.cached_file(ENTRY).folder
        self.steps: list[PullStep] = []
        self.free = 10**12

    def pull(self) -> Path:
        return pull(
            self.catalog, ENTRY.name, self.steps.append,
            environ=self.environ, free=lambda _: self.free, sleep=lambda _: None,
        )  # fmt: skip

    def here(self) -> Path | None:
        return self.catalog.local_path(ENTRY.name)

    def check_here(self, commit: str = FIRST) -> None:
        path = self.here()
        assert path == self.folder / "model.gguf"
        for name, content in self.repository.commits[commit].items():
            assert (self.folder / name).read_bytes() == content
        known = [shelf.verified() for shelf in self.catalog.cached_files(ENTRY)]
        assert [record.commit for record in known if record] == [commit] * 3
        records = ["third.gguf.verified.json", "second.gguf.verified.json", "verified.json"]
        assert sorted(p.name for p in self.folder.iterdir()) == sorted([*FILES, *records])


@pytest.fixture
def puller(repository: Repository, environ: dict[str, str]) -> Puller:
    return Puller(repository, environ)


def test_fetches_all_of_one_commit_and_counts_them_together(puller: Puller) -> None:
    puller.pull()
    puller.check_here()
    revisions = {revision for method, revision, _, _ in puller.repository.seen if method == "GET"}
    assert revisions == {FIRST}
    total = sum(map(len, FILES.values()))
    fetching = [step for step in puller.steps if step.phase == "fetching"]
    assert {step.total for step in fetching} == {total}
    done = [step.done for step in fetching]
    assert done == sorted(done) and done[-1] == total
    assert puller.steps[-1] == PullStep("done", "", total, total)
    puller.repository.seen.clear()
    puller.pull()
    assert puller.repository.seen == []


@pytest.mark.parametrize("name", FILES)
def test_a_part_alone_does_not_count_and_an_interrupted_pull_continues(
    puller: Puller, name: str
) -> None:
    puller.repository.cut[name] = 10
    with pytest.raises(DownloadFailed, match="goes on where it stopped"):
        puller.pull()
    assert puller.here() is None and puller.catalog.installed() == ()
    whole = {shelf.file.name for shelf in puller.catalog.cached_files(ENTRY) if shelf.file.exists()}
    assert name not in whole
    puller.repository.cut.clear()
    puller.repository.seen.clear()
    puller.pull()
    puller.check_here()
    assert set(puller.repository.fetched()) == set(FILES) - whole, "each is fetched once"
    assert ("GET", FIRST, name, "bytes=10-") in puller.repository.seen


def test_small_files_that_are_kept_elsewhere_on_the_hub(puller: Puller) -> None:
    puller.repository.moves = True
    puller.pull()
    puller.check_here()


@pytest.mark.parametrize("name", FILES)
def test_wrong_content_is_refused_and_deleted(puller: Puller, name: str) -> None:
    content = FILES[name]
    puller.repository.lies[name] = content[:-1] + b"?"
    says = "SHA-256" if name == "model.gguf" else "git's name"
    with pytest.raises(HashMismatch, match=f"{says}.* it was deleted"):
        puller.pull()
    assert puller.here() is None
    assert not (puller.folder / name).exists() and not (puller.folder / f"{name}.part").exists()


@pytest.mark.parametrize(
    ("name", "refusal", "says"),
    [
        ("second.gguf", (404, "EntryNotFound"), "has no file sub/second.gguf at revision"),
        ("third.gguf", (401, "GatedRepo"), "Accept its licence .* HF_TOKEN"),
        ("model.gguf", (401, "GatedRepo"), "models add tiny-static PATH"),
        ("second.gguf", (500, ""), "answered 500"),
    ],
)
def test_a_refusal_comes_before_any_download(
    puller: Puller, name: str, refusal: tuple[int, str], says: str
) -> None:
    puller.repository.refuse[name] = refusal
    with pytest.raises(DownloadFailed, match=says):
        puller.pull()
    assert puller.repository.fetched() == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"large": ".none"}, "publishes no SHA-256"),
        ({"says_commit": False}, "does not say of which commit"),
    ],
)
def test_a_hub_that_does_not_say_enough_is_refused(
    puller: Puller, change: dict[str, Any], says: str
) -> None:
    vars(puller.repository).update(change)
    with pytest.raises(DownloadFailed, match=says):
        puller.pull()
    assert puller.repository.fetched() == []


def test_files_of_two_commits_are_never_mixed(puller: Puller) -> None:
    puller.repository.cut["model.gguf"] = 1_000
    with pytest.raises(DownloadFailed):
        puller.pull()
    assert (puller.folder / "second.gguf").exists()
    # The repository moves on: two of the files are others, one is the same.
    changed = {name: content[:-1] + b"2" for name, content in FILES.items()}
    changed["third.gguf"] = FILES["third.gguf"]
    puller.repository.commits[SECOND], puller.repository.main = changed, SECOND
    puller.repository.cut.clear()
    puller.repository.seen.clear()
    puller.pull()
    puller.check_here(SECOND)
    assert "third.gguf" not in puller.repository.fetched()


def test_records_of_two_commits_do_not_make_a_model(puller: Puller) -> None:
    puller.pull()
    shelf = puller.catalog.cached_files(ENTRY)[1]
    record = shelf.verified()
    assert record is not None
    shelf.remember(msgspec.structs.replace(record, commit=SECOND))
    assert puller.here() is None


@pytest.mark.parametrize("name", FILES)
def test_only_a_deleted_file_is_fetched_again(puller: Puller, name: str) -> None:
    puller.pull()
    (puller.folder / name).unlink()
    assert puller.here() is None
    puller.repository.seen.clear()
    puller.pull()
    puller.check_here()
    assert puller.repository.fetched() == [name]


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_said_and_fetched_again(puller: Puller, name: str) -> None:
    puller.pull()
    (puller.folder / name).write_bytes(b"GGUF, rotten")
    with pytest.raises(HashMismatch, match=f"{name} is not the file .* models pull tiny-static"):
        puller.here()
    assert puller.catalog.installed() == ()
    puller.repository.seen.clear()
    puller.pull()
    puller.check_here()
    assert puller.repository.fetched() == [name]


def test_files_put_there_by_hand_are_checked_and_kept(puller: Puller) -> None:
    puller.folder.mkdir(parents=True)
    for name, content in FILES.items():
        (puller.folder / name).write_bytes(content)
    assert puller.here() is None
    puller.pull()
    puller.check_here()
    assert puller.repository.fetched() == []


def test_too_little_disk_for_all_of_it_is_said_before_the_first(puller: Puller) -> None:
    puller.free = (64 << 20) + len(FILES["model.gguf"])
    with pytest.raises(NoSpace, match="are needed"):
        puller.pull()
    assert puller.repository.fetched() == []


def test_remove_deletes_all_of_it(puller: Puller) -> None:
    puller.pull()
    assert remove(puller.catalog, ENTRY.name) > sum(map(len, FILES.values()))
    assert not puller.folder.exists() and puller.here() is None


def test_a_model_of_several_files_serves_its_roles_alone(puller: Puller) -> None:
    puller.pull()
    machine = Machine(memory=1 << 34, cores=8, free_disk=1 << 40)
    assert choose("complete", Models(), puller.catalog, machine).path == puller.here()
    with pytest.raises(CatalogError, match="No model for"):
        choose("edit", Models(), puller.catalog, machine)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"beside": ["second.gguf", "../third.gguf"]}, "plain file names"),
        ({"beside": ["second.gguf", "sub/third.gguf"]}, "plain file names"),
        ({"beside": ["second.gguf", ".hidden"]}, "plain file names"),
        ({"beside": ["second.gguf", "SECOND.gguf"]}, "each another one"),
        ({"beside": ["second.gguf", "verified.json"]}, "each another one"),
        ({"beside": ["second.gguf", "model.gguf.part"]}, "each another one"),
        ({"beside": ["second.gguf", "staging"]}, "each another one"),
        ({"sources": [PathSource("/m/model.gguf")]}, "from the hub alone"),
    ],
)
def test_entries_that_cannot_be(change: dict[str, Any], says: str) -> None:
    assert says in "; ".join(msgspec.structs.replace(ENTRY, **change).problems())
