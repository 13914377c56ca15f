"""The catalogue: the shipped one is sound, the user's come over it, a file counts when right."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import pytest

from nearfield.catalog import disk
from nearfield.catalog.models import (
    Catalog,
    HubSource,
    ModelEntry,
    PathSource,
    WheelsSource,
    user_catalogue_file,
)
from nearfield.errors import HashMismatch, UnknownModel

from .conftest import catalog_of, entry_of

SHIPPED = Catalog.load({"NEARFIELD_CONFIG_DIR": os.devnull, "NEARFIELD_CACHE_DIR": os.devnull})


@pytest.mark.parametrize("entry", SHIPPED.entries.values(), ids=lambda entry: entry.name)
def test_every_shipped_entry_is_sound(entry: ModelEntry) -> None:
    assert list(entry.problems()) == []
    assert entry.licence
    assert entry.context >= 2048
    assert entry.roles
    assert entry.file.endswith(".gguf")
    # A hash without a size, or the other way round, would be a figure from nowhere.
    assert bool(entry.sha256) == bool(entry.bytes)
    # The base models of a family fill in; who chats has a template for it.
    assert entry.instruct or entry.fills_in or entry.edit_form
    assert bool(entry.chat) == ("chat" in entry.roles)
    for source in entry.sources:
        if isinstance(source, HubSource):
            assert source.repo.count("/") == 1
            assert fnmatchcase(entry.file, Path(source.file).name)
            # A name that was not seen cannot have a hash.
            assert not (entry.sha256 and "*" in source.file)
            assert source.revision == "main" or len(source.revision) == 40
    weights_mb = (entry.bytes or entry.parameters_m * 1e6 * 4.5 / 8) / 2**20
    assert weights_mb < entry.memory_mb < weights_mb * 4 + 600


def test_the_two_known_files_are_those_of_the_project() -> None:
    default, small = SHIPPED.get(SHIPPED.default), SHIPPED.get(SHIPPED.small)
    assert (default.name, default.bytes, default.sha256) == (
        "qwen2.5-coder-0.5b-instruct",
        491_400_064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    )
    assert (small.name, small.bytes, small.sha256) == (
        "smollm2-135m-instruct",
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
    assert [type(source) for source in default.sources] == [HubSource, WheelsSource]
    assert not small.fills_in


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownModel, match=r"Did you mean .*qwen2\.5-coder-1\.5b"):
        SHIPPED.get("Qwen2.5-Coder-1.5")
    with pytest.raises(UnknownModel, match="models list"):
        SHIPPED.get("xyzzy")


def write_user_catalogue(environ: dict[str, str], text: str) -> None:
    path = user_catalogue_file(environ)
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


GOOD = """
[models.mine]
title = "Mine"
sources = [{ kind = "hub", repo = "me/mine", file = "mine.gguf" }]
file = "mine.gguf"
licence = "MIT"
context = 4096
roles = ["complete"]
"""


def test_the_users_entries_replace_shipped_ones(environ: dict[str, str]) -> None:
    replaced = GOOD.replace("models.mine", f'models."{SHIPPED.default}"')
    write_user_catalogue(environ, GOOD + replaced)
    catalog = Catalog.load(environ)
    assert catalog.problems == ()
    assert catalog.get("mine").origin == "user"
    assert catalog.get(SHIPPED.default).title == "Mine"
    assert len(catalog.entries) == len(SHIPPED.entries) + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models = 3", "must be a table"),
        ("[models", "cannot be read"),
        (GOOD + "[models.bad]\ntitle = 3\n", "models.bad: Expected `str`"),
        (GOOD.replace("models.mine", 'models."../up"'), "small letters"),
        (GOOD.replace('"mine.gguf"\nlicence', '"../../x.gguf"\nlicence'), "plain file name"),
        (GOOD + 'fim = "nosuch"\n', "is no template"),
        (GOOD + 'chat = "nosuch"\n', "is no template"),
        (GOOD.replace("complete", "cook"), "are unknown"),
        (GOOD + 'sha256 = "ABC"\n', "sha256"),
        (GOOD.replace('{ kind = "hub", repo = "me/mine", file = "mine.gguf" }', ""), "no source"),
        (
            GOOD.replace('{ kind = "hub", repo = "me/mine"', '{ kind = "wheels", wheels = []'),
            "needs sha256",
        ),
        (GOOD.replace('kind = "hub"', 'kind = "ftp"'), "Invalid value 'ftp'"),
    ],
)
def test_a_bad_entry_is_left_out_with_a_reason(
    environ: dict[str, str], text: str, says: str
) -> None:
    write_user_catalogue(environ, text)
    catalog = Catalog.load(environ)
    assert len(catalog.problems) == 1
    assert says in catalog.problems[0]
    assert set(SHIPPED.entries) <= set(catalog.entries) <= {*SHIPPED.entries, "mine"}


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were hashed, in order."""
    seen: list[Path] = []
    real = disk.hash_file

    def counting(path: Path) -> str:
        seen.append(path)
        return real(path)

    monkeypatch.setattr("nearfield.catalog.models.hash_file", counting)
    return seen


def test_a_file_is_hashed_once_and_again_when_it_changes(
    content: bytes, environ: dict[str, str], hashed: list[Path]
) -> None:
    entry = entry_of(content, HubSource("a/b", "tiny.gguf"))
    catalog = catalog_of(environ, entry)
    assert catalog.local_path("tiny") is None
    shelf = catalog.cached_file(entry)
    shelf.folder.mkdir(parents=True)
    shelf.file.write_bytes(content)
    assert catalog.local_path("tiny") == shelf.file
    assert catalog.local_path("tiny") == shelf.file
    assert len(hashed) == 1
    os.utime(shelf.file, ns=(1, 1))
    assert catalog.local_path("tiny") == shelf.file
    assert len(hashed) == 2
    for wrong in (content[:-1], content[:-1] + b"?"):
        shelf.file.write_bytes(wrong)
        with pytest.raises(HashMismatch, match=r"models remove tiny.*models pull tiny"):
            catalog.local_path("tiny")
        assert catalog.installed() == ()
    shelf.record.write_text("{}")
    shelf.file.write_bytes(content)
    assert [e.name for e in catalog.installed()] == ["tiny"]


def test_a_file_that_is_no_gguf_is_refused(content: bytes, environ: dict[str, str]) -> None:
    entry = entry_of(content, HubSource("a/b", "tiny.gguf"), known=False)
    catalog = catalog_of(environ, entry)
    shelf = catalog.cached_file(entry)
    shelf.folder.mkdir(parents=True)
    shelf.file.write_bytes(b"<html>")
    with pytest.raises(HashMismatch, match="not a GGUF file"):
        catalog.local_path("tiny")


def test_a_users_file_is_preferred_and_not_moved(
    content: bytes, environ: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(content)
    entry = entry_of(content, PathSource(str(own)), known=False)
    catalog = catalog_of(environ, entry)
    assert catalog.local_path("tiny") == own
    known = msgspec.structs.replace(entry, sha256="0" * 64)
    with pytest.raises(HashMismatch, match="Register the right file"):
        catalog_of(environ, known).local_path("tiny")
    own.unlink()
    assert catalog.local_path("tiny") is None


def test_the_size_of_a_file_is_estimated_near_those_that_were_seen() -> None:
    entries = Catalog.load().entries
    seen = [entry for entry in entries.values() if entry.bytes and entry.parameters_m]
    assert len(seen) >= 3
    for entry in seen:
        guess = msgspec.structs.replace(entry, bytes=0).about_bytes
        assert 0.85 < guess / entry.bytes < 1.15, (entry.name, guess)
        assert entry.about_bytes == entry.bytes
    unseen = [entry for entry in entries.values() if entry.parameters_m and not entry.bytes]
    assert unseen and all(entry.about_bytes for entry in unseen if entry.quantisation)
