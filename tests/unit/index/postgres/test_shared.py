"""Which workspace is which on another machine, and how the way to a database is made safe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nearfield.config.schema import Config, Index
from nearfield.index.interface import IndexUnusable
from nearfield.index.postgres.session_store import SYSTEM_ROOTS, DatabaseSession, secured
from nearfield.index.shared import Shared, plain, shared_of, shown


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://github.com/Team/shop.git", "github.com/Team/shop"),
        ("https://token:x-oauth@GitHub.com/Team/shop", "github.com/Team/shop"),
        ("ssh://git@github.com:2222/Team/shop.git/", "github.com/Team/shop"),
        ("git@github.com:Team/shop.git", "github.com/Team/shop"),
        ("build.example:deep/er/shop", "build.example/deep/er/shop"),
        ("/srv/git/shop.git", ""),
        ("../shop", ""),
        ("C:\\git\\shop", ""),
        ("file:///srv/git/shop", ""),
        ("", ""),
    ],
)
def test_a_repository_has_one_name_everywhere(origin: str, name: str) -> None:
    assert plain(origin) == name


def named(root: Path, name: str = "") -> str:
    found = shared_of(root, Config(index=Index(store="postgresql://db/x", name=name)))
    return found.name if found is not None else ""


def test_the_name_is_the_repositorys_origin(tmp_path: Path) -> None:
    assert named(tmp_path) == ""
    assert named(tmp_path, "shop") == "shop"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for words in (
        ("init", "-q"),
        ("remote", "add", "origin", "https://me:secret@git.example/team/shop.git"),
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert named(tmp_path) == "git.example/team/shop"
    assert named(tmp_path / "deep" / "er") == "git.example/team/shop/deep/er"
    assert shared_of(tmp_path, Config()) is None


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://me:word@db.example:5433/index?sslmode=require", "postgresql://db.example:5433/index"),
        ("postgres:///index?host=/run/pg&password=word", "postgresql:///index"),
        ("postgresql://me:wo:rd/x@db.example:port/index", "the store"),
        ("host=db password=word", "the store"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_password(url: str, text: str) -> None:
    shared = Shared(url, "shop")
    assert shown(url) == shared.where == text
    assert "word" not in repr(shared)


def test_schemas_are_names_that_postgresql_takes() -> None:
    names = ["github.com/team/shop", "github.com/Team/shop", "caf\u00e9", "x" * 500, "a'; DROP"]
    schemas = {Shared("", name).schema for name in names}
    assert len(schemas) == len(names)
    for schema in schemas:
        assert len(schema) < 64 and schema.isascii() and schema.replace("_", "").isalnum()


FULL = {"sslmode": "verify-full", "sslrootcert": "system"}


@pytest.mark.parametrize(
    ("given", "environ", "libpq", "added"),
    [
        ({}, {}, SYSTEM_ROOTS, {}),
        ({"host": "/run/postgresql"}, {}, SYSTEM_ROOTS, {}),
        ({"host": "localhost"}, {}, SYSTEM_ROOTS, {}),
        ({"host": "127.0.0.1,::1"}, {}, SYSTEM_ROOTS, {}),
        ({"host": "db.example"}, {}, SYSTEM_ROOTS, FULL),
        ({"host": "localhost,db.example"}, {}, SYSTEM_ROOTS, FULL),
        ({"host": "localhost", "hostaddr": "10.0.0.1"}, {}, SYSTEM_ROOTS, FULL),
        ({}, {"PGHOST": "db.example"}, SYSTEM_ROOTS, FULL),
        ({}, {"PGSERVICE": "team"}, SYSTEM_ROOTS, FULL),
        ({"host": "db.example"}, {}, SYSTEM_ROOTS - 1, {"sslmode": "verify-full"}),
        ({"host": "db.example", "sslrootcert": "x"}, {}, SYSTEM_ROOTS, {"sslmode": "verify-full"}),
        ({"host": "db.example", "sslmode": "disable"}, {}, SYSTEM_ROOTS, {}),
        ({"host": "db.example"}, {"PGSSLMODE": "require"}, SYSTEM_ROOTS, {}),
    ],
)
def test_the_way_to_another_machine_is_encrypted(
    tmp_path: Path,
    given: dict[str, str],
    environ: dict[str, str],
    libpq: int,
    added: dict[str, str],
) -> None:
    assert secured(given, environ, libpq, tmp_path) == added


def test_roots_of_the_users_own_are_taken(tmp_path: Path) -> None:
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("")
    found = secured({"host": "db.example"}, {}, SYSTEM_ROOTS, tmp_path)
    assert found == {"sslmode": "verify-full"}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://me:word@localhost/index", "holds a password"),
        ("postgresql://localhost/index?password=word", "holds a password"),
        ("postgresql://localhost/index?smell=word", "cannot be read as an address"),
        ("mysql://me:word@localhost/index", "no address of a PostgreSQL"),
        ("postgresql://localhost:1/index", "out of reach"),
    ],
)
def test_an_address_that_cannot_be_used_is_not_repeated(url: str, why: str) -> None:
    with pytest.raises(IndexUnusable, match=why) as raised:
        DatabaseSession(Shared(url, "shop"), write=False)
    assert "word" not in str(raised.value).replace("password", "")


def test_without_psycopg_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(IndexUnusable, match="needs psycopg") as raised:
        DatabaseSession(Shared("postgresql://localhost/index", "shop"), write=False)
    assert "nearfield[postgres]" in raised.value.hint
