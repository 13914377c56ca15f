"""The user's own static embedding makes the first vectors, or it is said why not."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nearfield.catalog.disk import VerifiedFile, hash_file
from nearfield.catalog.models import Catalog
from nearfield.config.schema import Config
from nearfield.config.schema import Index as IndexSettings
from nearfield.index import early_again
from nearfield.index.early_store import EarlyWriter
from nearfield.index.service import Index, Status
from nearfield.index.static_choice import StaticChoice, chosen
from nearfield.index.static_embedder import SHIPPED
from nearfield.index.workspace import Keeper, Workspace

from .conftest import Place, WordEmbedder, static_folder

FILES = {
    "archive.py": "def unpack(archive, folder):\n    extract_zip(archive, folder)\n",
    "net.py": "def connect(host, port):\n    return open_socket(host, port)\n",
    "page.py": "def render(template):\n    return html(template)\n",
}
QUESTION = "what is a quaggle"
"""Means something to the embedding of `OWN_WORDS` alone."""
OWN_WORDS = ["[UNK]", "quaggle", "html", "extract_zip", "open_socket"]
OWN_ROWS = np.array([[9, 9, 9], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NEARFIELD_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return static_folder(tmp_path / "own" / "model", OWN_WORDS, embeddings=OWN_ROWS)


def settings(wish: str | Path, *, vectors: bool = True) -> Config:
    return Config(index=IndexSettings(static_model=str(wish), vectors=vectors))


def with_wish(place: Place, wish: str | Path) -> Workspace:
    return Workspace.of(place.root, settings(wish), place.root.parent / "cache")


def build(workspace: Workspace) -> str:
    """Build; what was said."""
    with Keeper(workspace, embedder=WordEmbedder()) as keeper:
        assert not keeper.build().stopped
        return keeper.said


def written_by(workspace: Workspace) -> str:
    """The embedder that the file of early vectors names."""
    return workspace.place.early.read_bytes().split(b" ", 1)[0].decode()


def held(workspace: Workspace) -> int:
    with closing(EarlyWriter(workspace.place.early, workspace.static.embedder())) as writer:
        return len(writer.held())


def paths(workspace: Workspace) -> list[str]:
    with closing(workspace.searcher()) as searcher:
        return [hit.path for hit in searcher.search(QUESTION)]


def test_a_folder_of_the_users_own_answers_first(place: Place, own: Path) -> None:
    place.write(FILES)
    workspace = with_wish(place, own)
    assert (workspace.static.dimensions, workspace.static.problem) == (3, "")
    assert build(workspace) == ""
    assert written_by(workspace) == workspace.static.name != SHIPPED
    assert paths(workspace) == ["page.py"]


def test_another_one_makes_them_anew(place: Place, own: Path) -> None:
    place.write(FILES)
    shipped = with_wish(place, "")
    build(shipped)
    assert written_by(shipped) == SHIPPED
    # Nothing has changed in the folder, so the build reads nothing; the vectors are others.
    changed = with_wish(place, own)
    assert paths(changed) == [], "those that are there are not the ones to ask"
    build(changed)
    assert written_by(changed) == changed.static.name and held(changed) == len(FILES)
    assert paths(changed) == ["page.py"]
    size = changed.place.early.stat().st_size
    build(changed)
    assert changed.place.early.stat().st_size == size, "once is enough"
    build(shipped)
    assert written_by(shipped) == SHIPPED and held(shipped) == len(FILES)


def test_making_them_anew_can_be_stopped_and_goes_on(
    place: Place, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_again, "FILES_AT_ONCE", 1)
    place.write(FILES)
    build(with_wish(place, ""))
    changed = with_wish(place, own)
    early = changed.place.early

    def has_begun() -> bool:
        return written_by(changed) == changed.static.name

    with Keeper(changed, embedder=WordEmbedder(), stop=has_begun) as keeper:
        assert keeper.build().stopped
    assert held(changed) == 1
    with early.open("ab") as file:
        file.write(b"cut off")
    build(changed)
    assert held(changed) == len(FILES)
    assert paths(changed) == ["page.py"]


def test_nothing_is_made_anew_where_the_real_ones_are(place: Place, own: Path) -> None:
    place.write(FILES)
    with Keeper(with_wish(place, ""), embedder=WordEmbedder()) as keeper:
        keeper.build()
        keeper.embed()
    changed = with_wish(place, own)
    build(changed)
    assert not changed.place.early.exists()
    # But what is new is the new one's.
    place.write({"new.py": "def fresh():\n    return html()\n"})
    build(changed)
    assert written_by(changed) == changed.static.name and held(changed) == 1


def test_a_file_that_was_lost_is_made_again(place: Place) -> None:
    place.write(FILES)
    workspace = with_wish(place, "")
    build(workspace)
    workspace.place.early.unlink()
    build(workspace)
    assert held(workspace) == len(FILES)


def test_turned_off_with_the_vectors(place: Place, own: Path) -> None:
    place.write(FILES)
    config = settings(own / "nowhere", vectors=False)
    workspace = Workspace.of(place.root, config, place.root.parent / "cache")
    assert workspace.static == StaticChoice()
    assert build(workspace) == "" and not workspace.place.early.exists()


def no_table(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def no_words(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def no_table_of_ours(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"GGUF" + bytes(100))


def empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])


def no_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def no_settings(folder: Path) -> None:
    (folder / "config.json").write_text("[")


def of_other_words(folder: Path) -> None:
    words = static_folder(folder / "other", [*OWN_WORDS, "more"], embeddings=OWN_ROWS)
    shutil.move(words / "tokenizer.json", folder / "tokenizer.json")


def no_numbers(folder: Path) -> None:
    static_folder(folder, OWN_WORDS, embeddings=np.zeros((5, 0), np.float32))


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (gone, "There is no folder"),
        (no_table, "has no model.safetensors"),
        (no_words, "has no tokenizer.json"),
        (no_table_of_ours, "holds no static embedder"),
        (empty, "holds no static embedder"),
        (cut, "holds no static embedder"),
        (no_json, "holds no static embedder"),
        (no_settings, "holds no static embedder"),
        (of_other_words, "fewer rows than there are tokens"),
        (no_numbers, "holds no static embedder"),
    ],
)
def test_a_folder_that_cannot_be_used_is_said_and_the_shipped_one_used(
    place: Place, own: Path, spoil: Callable[[Path], None], says: str
) -> None:
    place.write(FILES)
    spoil(own)
    workspace = with_wish(place, own)
    assert (workspace.static.folder, workspace.static.name) == ("", SHIPPED)
    said = build(workspace)
    assert said == workspace.static.problem
    assert said.startswith(f"index.static_model = {str(own)!r} cannot be used: ")
    assert says in said and said.endswith("The shipped one is used.")
    assert written_by(workspace) == SHIPPED and held(workspace) == len(FILES)


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("potion-code-16m", "not on this machine. Run `nearfield models pull potion-code-16m`"),
        ("potion-code", "no model called 'potion-code'"),
        ("qwen2.5-coder-0.5b-instruct", "no static embedding. Choose one of"),
        ("./model", "no whole path"),
        ("~/nowhere", "There is no folder"),
    ],
)
def test_names_that_cannot_be_used(wish: str, says: str) -> None:
    choice = chosen(wish)
    assert says in choice.problem and choice.name == SHIPPED


def test_a_model_of_the_catalogue(place: Place, own: Path) -> None:
    place.write(FILES)
    catalog = Catalog.load()
    entry = catalog.get("potion-code-16m")
    (own / "config.json").write_text('{"normalize": true}')
    for shelf in catalog.cached_files(entry):
        shelf.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(own / shelf.file.name, shelf.file)
        shelf.remember(VerifiedFile.of(shelf.file, hash_file(shelf.file), commit="c0ffee"))
    workspace = with_wish(place, "potion-code-16m")
    assert workspace.static.problem == "" and workspace.static.name.startswith("potion-code-16m-")
    build(workspace)
    assert paths(workspace) == ["page.py"]
    # Damaged files are said, and never read.
    catalog.cached_files(entry)[1].file.write_text("{}")
    damaged = with_wish(place, "potion-code-16m").static
    assert damaged.name == SHIPPED and "tokenizer.json is not the file of" in damaged.problem


def test_every_folder_and_every_content_has_a_name_of_its_own(tmp_path: Path) -> None:
    folders = [static_folder(tmp_path / one / "model") for one in ("a", "b")]
    stamp = (folders[0] / "tokenizer.json").stat()
    for folder in folders:
        for file in folder.iterdir():
            os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    first, second = (chosen(str(folder)) for folder in folders)
    assert first.name != second.name, "the same files under the same name, elsewhere"
    assert chosen(str(folders[0])).name == first.name
    os.utime(folders[0] / "model.safetensors", ns=(1, 1))
    assert chosen(str(folders[0])).name != first.name


def changed_length(folder: Path) -> None:
    static_folder(folder, OWN_WORDS, embeddings=OWN_ROWS[:, :2].copy())


@pytest.mark.parametrize("spoil", [gone, cut, no_words, changed_length])
def test_files_that_break_after_they_were_chosen_cost_the_early_vectors_alone(
    place: Place, own: Path, spoil: Callable[[Path], None]
) -> None:
    place.write(FILES)
    build(with_wish(place, own))
    workspace = with_wish(place, own)
    spoil(own)
    place.write({"new.py": "def fresh():\n    return html()\n"})
    build(workspace)
    assert held(workspace) == len(FILES)
    with closing(workspace.searcher()) as searcher:
        assert searcher.search("unpack archive")[0].path == "archive.py"


async def test_an_indexer_of_its_own_uses_it_or_it_is_said(
    place: Place, own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.write(FILES)
    cache = place.root.parent / "cache"

    async def said(wish: Path) -> str:
        """Index it; what is wrong with the setting."""
        told: list[Status] = []
        index = Index(settings(wish), cache)
        index.subscribe(told.append)
        await index.open(place.root)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (told and told[-1].state == "ready" and told[-1].vectors == len(FILES)):
                    await asyncio.sleep(0.02)
        finally:
            await index.close()
        assert not any(status.detail for status in told)
        return index.problem

    assert await said(own) == ""
    with caplog.at_level(logging.WARNING, "nearfield"):
        problem = await said(own.with_name("nowhere"))
    assert "There is no folder" in problem
    assert [record.message for record in caplog.records] == [problem]
