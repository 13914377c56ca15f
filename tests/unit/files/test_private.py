"""Files that only their owner may read."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nearfield.files.private import (
    is_private,
    private_database,
    private_draft,
    private_file,
    private_folder,
    read_private,
    write_private,
)
from nearfield.files.read import UnreadableFile

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "below").mkdir()
    held = os.umask(request.param)
    yield
    os.umask(held)


def modes(folder: Path) -> set[tuple[str, str]]:
    found = {("folder", oct(stat.S_IMODE(folder.stat().st_mode)))}
    for path in folder.rglob("*"):
        kind = "folder" if path.is_dir() else "file"
        found.add((kind, oct(stat.S_IMODE(path.stat().st_mode))))
    return found


def database(path: Path) -> None:
    db = sqlite3.connect(private_database(path))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE a (b)")
    assert path.with_name(path.name + "-wal").exists()
    assert modes(path.parent) == {("folder", "0o700"), ("file", "0o600")}
    db.close()


def touch(path: Path) -> None:
    path.touch()
    path.chmod(0o644)


@pytest.mark.parametrize(
    "make",
    [
        private_file,
        private_draft,
        database,
    ],
)
def test_new_files_are_private(make: Callable[[Path], object], tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "new" / "deeper" / "still")
    write_private(folder / "content", b"code")
    make(folder if make is private_draft else folder / "file")
    assert modes(tmp_path / "new") <= {("folder", "0o700"), ("file", "0o600")}


def test_files_of_earlier_versions_become_private(tmp_path: Path) -> None:
    folder = tmp_path / "below"
    folder.chmod(0o755)
    for name in ("a.db", "a.db-wal", "a.db-shm", "a.db-journal"):
        touch(folder / name)
    private_database(folder / "a.db")
    assert modes(folder) == {("folder", "0o700"), ("file", "0o600")}
    touch(folder / "other")
    private_folder(folder)
    assert ("file", "0o644") in modes(folder)
    private_folder(folder, sweep=True)
    assert modes(folder) == {("folder", "0o700"), ("file", "0o600")}


def test_a_folder_that_others_work_in_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "below").chmod(0o1777)
    private_file(tmp_path / "below" / "a")
    assert modes(tmp_path / "below") == {("folder", "0o1777"), ("file", "0o600")}


def test_links_in_a_folder_are_left_alone(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere")
    (tmp_path / "below" / "link").symlink_to(tmp_path / "elsewhere")
    private_folder(tmp_path / "below", sweep=True)
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o644


def test_a_file_that_others_can_write_is_not_believed(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "below")
    write_private(folder / "a", b"mine")
    assert read_private(folder / "a", 4) == b"mine"
    with pytest.raises(UnreadableFile):
        read_private(folder / "a", 3)
    (folder / "a").chmod(0o620)
    (folder / "link").symlink_to("a")
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo", 0o600)
    for name in ("a", "link", "zero", "fifo"):
        with pytest.raises(UnreadableFile):
            read_private(folder / name, 100)
    assert is_private(folder)
    folder.chmod(0o770)
    assert not is_private(folder)
    assert not is_private(folder / "none")
