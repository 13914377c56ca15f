"""The vectors that are there before the real ones."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nearfield.index import embedder as embedder_module
from nearfield.index import worker as worker_module
from nearfield.index import workspace as workspace_module
from nearfield.index.chunks import Chunk
from nearfield.index.early_store import EarlyReader, EarlyWriter
from nearfield.index.embedder import NOT_INSTALLED, NotEmbedded
from nearfield.index.messages import Message, Start, Status
from nearfield.index.search import Searcher
from nearfield.index.search_store import SqliteReader
from nearfield.index.static_embedder import StaticEmbedder
from nearfield.index.understand import understand
from nearfield.index.worker import Indexer
from nearfield.index.workspace import Keeper

from .conftest import Place, WordEmbedder

FILES = {
    "archive.py": "def unpack(archive, folder):\n    extract_zip(archive, folder)\n",
    "net.py": "def connect(host, port):\n    return open_socket(host, port)\n",
    "page.py": "def render(template):\n    return html(template)\n",
}
QUESTION = "decompress some files into a directory"
"""Shares no word with the file that answers it."""
EMBEDDER = StaticEmbedder()


def written(place: Place) -> None:
    """Names, text and early vectors of the folder."""
    with Keeper(place.workspace) as keeper:
        keeper.build()


def add(place: Place, *texts: str) -> None:
    """Early vectors of chunks that no file has."""
    with closing(EarlyWriter(place.workspace.place.early, EMBEDDER)) as writer:
        writer.add([Chunk(0, 1, "function", "f", "f", text) for text in texts])


def reader(place: Place) -> EarlyReader:
    return EarlyReader(place.workspace.place.early, EMBEDDER, SqliteReader(place.file).connection)


def paths(found: Searcher, question: str = QUESTION) -> list[str]:
    return [hit.path for hit in found.search(question)]


def test_questions_are_answered_by_meaning_before_there_are_real_vectors(place: Place) -> None:
    place.write(FILES)
    written(place)
    assert paths(Searcher(place.root, SqliteReader(place.file), None)) == []
    assert paths(place.workspace.searcher())[0] == "archive.py"


def test_the_real_vectors_replace_the_early_file(place: Place) -> None:
    place.write(FILES)
    embedder = WordEmbedder()
    early = place.workspace.place.early
    with Keeper(place.workspace, embedder=embedder) as keeper:
        keeper.build()
        assert early.exists()
        keeper.embed(stop=lambda: True)
        assert early.exists(), "interrupted"
        keeper.embed()
        assert not early.exists()
        # What is written later is early again, until it has its real vector.
        place.write({"new.py": "def fresh():\n    return 1\n"})
        keeper.builder.refresh(["new.py"])
        assert early.exists()
        keeper.embed()
    assert not early.exists() and len(reader(place)) == 0


def test_a_few_early_vectors_do_not_replace_real_ones(place: Place) -> None:
    place.write(FILES)
    written(place)
    early = reader(place)
    embedder = WordEmbedder()
    with Keeper(place.workspace, embedder=embedder) as keeper:
        keeper.embed()
    add(place, "one")
    assert len(early) == 1, "fewer than there are real ones"
    found = Searcher(place.root, SqliteReader(place.file), embedder, early=early)
    found.search("unpack archive")
    assert embedder.seen[-1] == "unpack archive"


def test_a_reader_follows_the_writer(place: Place) -> None:
    place.write(FILES)
    written(place)
    early = reader(place)
    count = len(early)
    assert count == len(FILES) and early.nearest("a socket", 1)
    place.write({"more.py": "def listen(port):\n    return server_socket(port)\n"})
    written(place)
    assert len(early) == count + 1
    assert len(early.nearest("a socket", 10)) == count + 1
    EarlyWriter(place.workspace.place.early, EMBEDDER).remove()
    assert len(early) == 0 and early.nearest("a socket", 10) == []
    # Another file under the same name, longer than the first was.
    add(place, *(f"def other{number}(): pass" for number in range(9)))
    assert len(early) == 9 and early.nearest("a socket", 10) == [], "these chunks are in no file"


def test_a_chunk_is_written_once(place: Place) -> None:
    place.build()
    with closing(EarlyWriter(place.workspace.place.early, EMBEDDER)) as writer:
        for _ in range(3):
            writer.add([Chunk(0, 1, "function", "f", "f", text) for text in ("one", "one", "two")])
    assert len(reader(place)) == 2


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def of_another(file: Path) -> None:
    file.write_bytes(b"another 256 0123456789abcdef\n" + bytes(264 * 5))


def shorter_than_its_head(file: Path) -> None:
    file.write_bytes(b"static")


@pytest.mark.parametrize("spoil", [cut, of_another, shorter_than_its_head])
def test_a_file_that_is_not_whole_is_mended(place: Place, spoil: Callable[[Path], None]) -> None:
    place.write(FILES)
    written(place)
    file = place.workspace.place.early
    whole = file.stat().st_size
    spoil(file)
    assert isinstance(reader(place).nearest("a socket", 5), list)
    add(place, "def mended(): pass")
    assert (file.stat().st_size - whole) % (256 + 8) == 0
    place.write({"mended.py": "def unzip_again():\n    pass\n"})
    written(place)
    found = reader(place).nearest("unzip again", 1)
    assert found and found[0][1] > 0.5


def test_a_disk_that_refuses_costs_nothing_but_the_early_vectors(place: Place) -> None:
    place.write(FILES)
    place.workspace.place.early.mkdir(parents=True)
    with Keeper(place.workspace) as keeper:
        assert keeper.build().files == len(FILES)
        keeper.embed(stop=lambda: True)
    assert paths(place.workspace.searcher(), "connect")[0] == "net.py"


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of a file's size")
def test_a_disk_that_takes_half_a_record_spoils_none(place: Place) -> None:
    import resource

    place.write(FILES)
    written(place)
    file = place.workspace.place.early
    before = len(reader(place))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(EarlyWriter(file, EMBEDDER)) as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100, limits[1]))
        try:
            writer.add([Chunk(0, 1, "function", "f", "f", "lost")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        text = "def unzip_again():\n    pass\n"
        place.write({"zip.py": text})
        place.build()
        writer.add(understand("zip.py", text).chunks)
    assert len(reader(place)) == before + 1
    assert reader(place).nearest("unzip again", 1)[0][1] > 0.5


def test_static_vectors_answer_where_onnxruntime_is_missing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(FILES)
    with Keeper(place.workspace) as keeper:
        keeper.build()
        keeper.embed()
    assert not place.workspace.place.early.exists(), "complete, while it was installed"
    for module in (embedder_module, workspace_module):
        monkeypatch.setattr(module, "is_installed", lambda: False)
    with pytest.raises(NotEmbedded, match=r"pip install \"nearfield\[embedder\]\""):
        embedder_module.Embedder().embed(["a"])
    with Keeper(place.workspace) as keeper:
        keeper.build()
        assert keeper.embed() == 0
    assert paths(place.workspace.searcher())[0] == "archive.py"


def test_the_indexer_works_without_onnxruntime(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(FILES)
    for module in (embedder_module, worker_module, workspace_module):
        monkeypatch.setattr(module, "is_installed", lambda: False)
    inbox: queue.Queue[Message | None] = queue.Queue()
    said: list[Status] = []

    def say(status: Status) -> None:
        said.append(status)
        if status.state == "ready":
            inbox.put(None)

    workspace = place.workspace
    start = Start(
        root=str(place.root),
        place=str(place.file),
        kept=True,
        exclude=(),
        max_bytes=workspace.max_bytes,
        vectors=True,
        on_battery=True,
        holder=os.getpid(),
    )
    Indexer(workspace, start, inbox, say).run()
    assert (said[-1].state, said[-1].files) == ("ready", len(FILES))
    assert NOT_INSTALLED in said[-1].detail
    assert paths(workspace.searcher())[0] == "archive.py"


def test_early_vectors_of_another_table_are_made_again(place: Place) -> None:
    place.write(FILES)
    written(place)
    of_another(place.workspace.place.early)
    written(place)
    assert len(reader(place)) == len(FILES)
