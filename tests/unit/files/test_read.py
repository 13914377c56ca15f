"""Reading files that nobody vouches for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.files.read import UnreadableFile, read_regular, read_text


def test_a_regular_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    assert read_regular(tmp_path / "a", 10) == b"x" * 10
    with pytest.raises(UnreadableFile, match="more than 9 bytes"):
        read_regular(tmp_path / "a", 9)


@pytest.mark.parametrize(
    "raw",
    [
        "a = 'ä'\r\n".encode(), "a = 'ä'\r\n".encode("utf-8-sig"),
        "\ufeffa = 'ä'\r\n".encode("utf-16-le"), "\ufeffa = 'ä'\r\n".encode("utf-16-be"),
    ],
)  # fmt: skip
def test_text_that_people_write_has_no_mark_and_keeps_its_line_ends(
    tmp_path: Path, raw: bytes
) -> None:
    (tmp_path / "a").write_bytes(raw)
    assert read_text(tmp_path / "a", 100) == "a = 'ä'\r\n"


@pytest.mark.parametrize("raw", [b"a\nb\xff", b"\xff\xfea", b"\xff\xfe\x00\xd8"])
def test_a_file_that_is_not_text_is_reported_with_its_line(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(UnreadableFile, match=r"a is not UTF-8 text \(line [12]\)"):
        read_text(tmp_path / "a", 100)


def test_a_missing_file_is_told_apart_from_an_unreadable_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")
def test_fifos_devices_folders_and_loops_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("fifo", "zero", "folder", "loop", "fifo/below", "nul\0"):
        with pytest.raises((UnreadableFile, FileNotFoundError)):
            read_regular(tmp_path / name, 100)
