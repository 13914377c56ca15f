"""The index's file: older, newer, damaged, and where it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import numpy as np
import pytest

from nearfield.index import schema_store
from nearfield.index.schema_store import MIGRATIONS, IndexUnusable, open_or_rebuild, place_of
from nearfield.index.search_store import SqliteReader
from nearfield.index.store import SqliteStore
from nearfield.index.vector_store import SqliteVectors, packed

from .conftest import Place


def built(place: Place) -> Path:
    place.write({"a.py": "def alpha(): pass\n"})
    place.build()
    return place.file


@pytest.mark.parametrize("steps", range(1, len(MIGRATIONS)))
def test_an_older_file_is_migrated_and_keeps_its_vectors(
    place: Place, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(schema_store, "MIGRATIONS", MIGRATIONS[:steps])
    place.write({"a.py": "def alpha(): pass\n"})
    old, said = open_or_rebuild(place.file)
    old.execute("INSERT INTO meta VALUES ('kept', 'yes')")
    if vectors := "vectors" in [step.__name__ for step in MIGRATIONS[:steps]]:
        old.execute("INSERT INTO embedder VALUES (1, 'some', 8)")
        old.execute("INSERT INTO vector VALUES (1, 1, X'01', X'0102030405060708')")
    old.execute(
        "INSERT INTO file (id, path, bytes, language, reason, changed)"
        " VALUES (1, X'61', 0, '', '', 0)"
    )
    old.close()
    monkeypatch.undo()
    store = SqliteStore(place.file)
    assert (store.said, said, store.fact("kept")) == ("", "", "yes")
    done = [row[0] for row in store.connection.execute("SELECT name FROM migration")]
    assert sorted(done) == sorted(step.__name__ for step in MIGRATIONS)
    assert store.counts()[2] == int(vectors)
    store.close()
    place.build()
    assert [one.path for one in place.searcher().reader.definitions("alpha")] == ["a.py"]


def newer(file: Path) -> None:
    connection = apsw.Connection(str(file))
    connection.execute("INSERT INTO migration VALUES ('from_the_future', '2999-01-01')")
    connection.close()


def overwritten(file: Path) -> None:
    file.write_bytes(b"no database at all" * 100)


def holed(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[4096 : 4096 * 6] = os.urandom(4096 * 5)
    file.write_bytes(raw)


def cut_short(file: Path) -> None:
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2])


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (newer, "comes from a newer Nearfield"),
        (overwritten, "is damaged"),
        (holed, "is damaged"),
        (cut_short, "is damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside_and_said_once(
    place: Place, harm: object, why: str
) -> None:
    file = built(place)
    assert callable(harm)
    harm(file)
    store = SqliteStore(file)
    assert why in store.said
    store.close()
    assert Path(f"{file}.old").exists()
    place.build()
    assert [one.path for one in place.searcher().reader.definitions("alpha")] == ["a.py"]
    again = SqliteStore(file)
    assert again.said == ""
    again.close()


def test_without_an_index_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(IndexUnusable, match="no index"):
        SqliteReader(tmp_path / "none.db")


def test_a_cache_that_cannot_be_written_gives_a_place_that_ends(tmp_path: Path) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the folder should be")
    place = place_of(tmp_path, blocked)
    assert not place.kept and place.file.parent.is_dir()
    place.discard()
    assert not place.file.parent.exists()
    kept = place_of(tmp_path, tmp_path / "good")
    kept.discard()
    assert kept.kept and kept.file.parent.is_dir()


def test_two_folders_of_one_name_have_places_of_their_own(tmp_path: Path) -> None:
    places = {place_of(tmp_path / part / "same", tmp_path / "cache").file for part in "ab"}
    assert len(places) == 2


def test_vectors_are_ranked_by_cosine(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(600, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    store = SqliteStore(tmp_path / "v.db")
    db = store.connection
    db.execute("INSERT INTO kind VALUES (1, 'block')")
    for number in range(len(rows)):
        db.execute(
            "INSERT INTO chunk VALUES (?, 0, 1, 1, 0, '', ?)",
            (number + 1, number.to_bytes(8, "big")),
        )
    vectors = SqliteVectors(db, "test", 384)
    assert vectors.is_empty and vectors.nearest(rows[0], 5) == []
    vectors.prepare()
    digests = [number.to_bytes(8, "big") for number in range(len(rows))]
    vectors.add(digests, rows)
    vectors.add(digests[:10], rows[:10])
    query = rows[7] + 0.5 * rows[9]
    query /= np.linalg.norm(query)
    best = vectors.nearest(query, 20)
    assert [chunk for chunk, _ in best[:2]] == [8, 10]
    exact = rows @ query
    assert all(abs(exact[chunk - 1] - cosine) < 0.01 for chunk, cosine in best)
    assert db.execute("SELECT count(*) FROM vector").get == 600
    db.execute("DELETE FROM chunk WHERE id > 300")
    assert vectors.tidy() == 300
    assert db.execute("SELECT count(*) FROM vector").get == 300
    assert [chunk for chunk, _ in vectors.nearest(rows[0], 1)] == [1]
    store.close()


def test_packing_keeps_the_direction() -> None:
    rows = np.random.default_rng(2).normal(size=(50, 384)).astype(np.float32)
    small = packed(rows).astype(np.float32)
    cosine = (rows * small).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(small, axis=1)
    assert cosine.min() > 0.999


def test_a_folder_whose_name_is_no_text_is_a_fact(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    store.say({"root": "/caf\udce9"})
    assert store.fact("root") == r"/caf\udce9"
    store.close()
