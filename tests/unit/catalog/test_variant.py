"""A variant counts for the file that it was made from, and for no other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.catalog.conftest import catalog_of, entry_of

from nearfield.catalog import download
from nearfield.catalog.choice import choose
from nearfield.catalog.disk import Verified, hash_file
from nearfield.catalog.models import Catalog, PathSource
from nearfield.catalog.variant import Bench, Variant
from nearfield.config.schema import Models
from nearfield.errors import CatalogError


@pytest.fixture
def source(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "own.gguf"
    path.write_bytes(content)
    return path


@pytest.fixture
def catalog(environ: dict[str, str], content: bytes, source: Path) -> Catalog:
    return catalog_of(environ, entry_of(content, PathSource(str(source)), known=False))


def kept(catalog: Catalog, source: Path) -> Variant:
    """A variant of `source`, as `optimise` leaves it."""
    bench = Bench(catalog.shelf(catalog.get("tiny")))
    bench.folder.mkdir(parents=True)
    bench.new.write_bytes(b"GGUF variant")
    made_from = Verified.of(source, hash_file(source))

    def describe(file: Verified) -> Variant:
        return Variant(
            source=made_from,
            file=file,
            kind="IQ4_NL",
            prefill=2.0,
            decode=1.1,
            lines=100,
            right_before=40,
            right_after=40,
        )

    return bench.keep(describe)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def rewrite(path: Path) -> None:
    path.write_bytes(b"GGUF" + bytes(path.stat().st_size - 4))
    touch(path)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize(
    ("change", "to_variant", "used"),
    [
        (Path.exists, False, True),
        (touch, False, True),
        (rewrite, False, False),
        (grow, False, False),
        (touch, True, False),
        (grow, True, False),
        (Path.unlink, True, False),
    ],
)
def test_it_is_used_while_both_files_are_what_they_were(
    catalog: Catalog, source: Path, change: Callable[[Path], object], to_variant: bool, used: bool
) -> None:
    variant = kept(catalog, source)
    change(variant.path if to_variant else source)
    choice = choose("complete", Models(), catalog)
    assert (choice.optimised, choice.path) == (used, variant.path if used else source)
    assert choice.name == "tiny"


def test_a_touched_source_is_hashed_once(
    catalog: Catalog, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(catalog, source)
    touch(source)
    assert choose("complete", Models(), catalog).optimised

    def hashed(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr("nearfield.catalog.variant.hash_file", hashed)
    assert choose("complete", Models(), catalog).optimised


def test_a_model_named_in_the_settings_is_used_in_its_variant(
    catalog: Catalog, source: Path
) -> None:
    variant = kept(catalog, source)
    assert choose("complete", Models(complete="tiny"), catalog).path == variant.path
    assert choose("complete", Models(complete=str(source)), catalog).path == source


def test_removing_the_model_removes_its_variant(catalog: Catalog, source: Path) -> None:
    variant = kept(catalog, source)
    assert download.remove(catalog, "tiny") > 0
    assert not variant.path.exists()
    assert source.exists()


def test_dropping_the_variant_leaves_the_model(catalog: Catalog, source: Path) -> None:
    variant = kept(catalog, source)
    bench = Bench(catalog.shelf(catalog.get("tiny")))
    assert bench.drop() == len(b"GGUF variant")
    assert not variant.path.parent.exists()
    assert choose("complete", Models(), catalog).path == source


def test_a_spoilt_record_is_as_none(catalog: Catalog, source: Path) -> None:
    kept(catalog, source)
    bench = Bench(catalog.shelf(catalog.get("tiny")))
    bench.record.write_text("{")
    assert not choose("complete", Models(), catalog).optimised


def test_only_one_process_works_on_a_model(catalog: Catalog) -> None:
    shelf = catalog.shelf(catalog.get("tiny"))
    with Bench(shelf).held(), pytest.raises(CatalogError, match="Another process"):
        Bench(shelf).held()
