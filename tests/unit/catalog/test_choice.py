"""Which model serves which role."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nearfield.catalog.choice import choose
from nearfield.catalog.disk import VerifiedFile, hash_file
from nearfield.catalog.models import Catalog, HubSource, ModelEntry
from nearfield.catalog.recommend import Machine
from nearfield.config.schema import Models
from nearfield.errors import CatalogError

from .conftest import catalog_of
from .gguf_files import model

MACHINE = Machine(memory=16 << 30, cores=4, free_disk=10**12)
TINY = ModelEntry(
    title="",
    sources=[HubSource("a/b", "m.gguf")],
    file="m.gguf",
    licence="MIT",
    context=512,
    roles=["complete"],
    fim="qwen",
    parameters_m=500,
    memory_mb=900,
)
KNOWN = {
    "base": {},
    "large-base": {"parameters_m": 7000, "memory_mb": 9000},
    "instruct": {"instruct": True, "roles": ["chat", "complete"], "chat": "gguf"},
    "chatty": {"instruct": True, "roles": ["chat"], "chat": "gguf", "fim": ""},
    "plain": {"roles": ["complete", "chat"], "chat": "gguf", "fim": "", "instruct": True},
    "own": {"roles": ["complete", "chat"], "chat": "gguf", "fim": "auto", "parameters_m": 0},
}
ENTRIES = [msgspec.structs.replace(TINY, name=name, **fields) for name, fields in KNOWN.items()]


def catalog_with(environ: dict[str, str], here: list[str]) -> Catalog:
    """A catalogue with these models on the machine, as a pull leaves them."""
    catalog = catalog_of(environ, *ENTRIES)
    for name in here:
        shelf = catalog.cached_file(catalog.get(name))
        shelf.folder.mkdir(parents=True)
        shelf.file.write_bytes(b"GGUF" + name.encode())
        shelf.remember(VerifiedFile.of(shelf.file, hash_file(shelf.file)))
    return catalog


@pytest.mark.parametrize(
    ("here", "complete", "chat"),
    [
        (["instruct"], "instruct", "instruct"),
        (["instruct", "base"], "base", "instruct"),
        (["plain"], "plain", "plain"),
        (["plain", "instruct"], "instruct", "instruct"),
        (["plain", "own"], "own", "own"),
        (["own", "instruct"], "instruct", "instruct"),
        (["base", "large-base"], "base", ""),
        (["large-base"], "large-base", ""),
        (["large-base", "plain"], "plain", "plain"),
        (["chatty"], "", "chatty"),
        ([], "", ""),
    ],
)
def test_the_best_that_is_here(
    environ: dict[str, str], here: list[str], complete: str, chat: str
) -> None:
    catalog = catalog_with(environ, here)
    for role, expected in (("complete", complete), ("chat", chat)):
        if expected:
            choice = choose(role, Models(), catalog, MACHINE)
            assert (choice.name, choice.problem) == (expected, "")
            assert choice.path == catalog.local_path(expected)
        else:
            with pytest.raises(CatalogError, match="nearfield models pull"):
                choose(role, Models(), catalog, MACHINE)


@pytest.mark.parametrize(
    ("settings", "complete", "chat"),
    [
        (Models(complete="instruct"), "instruct", "instruct"),
        (Models(complete="large-base"), "large-base", "instruct"),
        (Models(chat="chatty"), "base", "chatty"),
        (Models(complete="instruct", chat="chatty"), "instruct", "chatty"),
    ],
)
def test_settings_decide(
    environ: dict[str, str], settings: Models, complete: str, chat: str
) -> None:
    catalog = catalog_with(environ, ["base", "large-base", "instruct", "chatty"])
    for role, expected in (("complete", complete), ("chat", chat)):
        choice = choose(role, settings, catalog, MACHINE)
        assert (choice.name, choice.problem) == (expected, "")


def test_a_path_is_taken_as_it_is(environ: dict[str, str], tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(model())
    choice = choose("complete", Models(complete=str(own)), catalog_with(environ, []), MACHINE)
    assert (choice.path, choice.entry, choice.fim, choice.chat) == (own, None, "auto", "gguf")
    assert choice.name == "own"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("nosuch", "no model called 'nosuch'"),
        ("base", "not on this machine. Run `nearfield models pull base`"),
        ("/no/such/file.gguf", "There is no file"),
        ("{html}", "not a sound GGUF file: it does not begin with 'GGUF'"),
        ("{cut}", "the file is cut"),
    ],
)
def test_a_setting_that_cannot_be_used_is_said_once_and_another_serves(
    environ: dict[str, str], tmp_path: Path, setting: str, says: str
) -> None:
    (tmp_path / "page.gguf").write_text("<html>")
    (tmp_path / "cut.gguf").write_bytes(model()[:-1])
    paths = {"html": tmp_path / "page.gguf", "cut": tmp_path / "cut.gguf"}
    wish = Models(complete=setting.format_map(paths))
    catalog = catalog_with(environ, ["instruct"])
    choice = choose("complete", wish, catalog, MACHINE)
    assert choice.name == "instruct"
    assert says in choice.problem
    assert choice.problem.endswith("instruct is used.")
    assert choose("chat", wish, catalog, MACHINE).problem == ""
    with pytest.raises(CatalogError, match="models pull"):
        choose("complete", wish, catalog_of(environ, *ENTRIES[:1]), MACHINE)


def test_a_damaged_file_is_said(environ: dict[str, str]) -> None:
    catalog = catalog_with(environ, ["base", "instruct"])
    catalog.cached_file(catalog.get("base")).file.write_bytes(b"truncated")
    choice = choose("complete", Models(), catalog, MACHINE)
    assert choice.name == "instruct"
    assert "not a GGUF file" in choice.problem
