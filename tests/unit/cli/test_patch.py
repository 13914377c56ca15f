"""Writing what an action proposes: as the file is written, and all files or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.cli.patch import Patch, apply
from nearfield.errors import NearfieldError
from nearfield.files.encoding import Unwritable

BEFORE, AFTER = "# Zoë\r\nsize = 1\nend", "import os\r\n# Zoë\r\nsize = 2\nend"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_file_keeps_how_it_is_written(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(BEFORE.encode(encoding))
    file.chmod(0o750)
    apply({file: Patch(BEFORE, AFTER)})
    assert file.read_bytes() == AFTER.encode(encoding)
    assert os.name == "nt" or file.stat().st_mode & 0o777 == 0o750
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("there", ["file", "folder", "nothing"])
def test_nothing_is_written_through_a_link_that_was_not_seen(there: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.py").write_text("a\n")
    folder = tmp_path / "in"
    if there == "folder":
        folder.symlink_to("out")
    else:
        folder.mkdir()
        (folder / "a.py").symlink_to("../out/a.py" if there == "file" else "../out/b.py")
    with pytest.raises(NearfieldError, match="become a link meanwhile"):
        apply({folder / "a.py": Patch(None if there == "nothing" else "a\n", "b\n")})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.py"]
    assert (tmp_path / "out" / "a.py").read_text() == "a\n"


def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    file, other = tmp_path / "a.py", tmp_path / "b.py"
    for one in (file, other):
        one.write_text("a\n")
    file.chmod(0o444)
    with pytest.raises(NearfieldError, match=r"a\.py could not be written: Permission denied"):
        apply({other: Patch("a\n", "b\n"), file: Patch("a\n", "b\n")})
    assert file.read_text() == other.read_text() == "a\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_patch_is_written_to_all_files_or_none(tmp_path: Path) -> None:
    one, other, new = tmp_path / "one.py", tmp_path / "other.py", tmp_path / "sub/new.py"
    one.write_text("a\n")
    other.write_bytes("é\n".encode("latin-1"))
    with pytest.raises(Unwritable, match="latin-1"):
        apply({one: Patch("a\n", "b\n"), other: Patch("é\n", "€\n")})
    with pytest.raises(NearfieldError, match="has changed meanwhile"):
        apply({one: Patch("a\n", "b\n"), other: Patch("e\n", "f\n")})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.py", "other.py"]
    assert one.read_text() == "a\n"
    apply({one: Patch("a\n", "b\n"), new: Patch(None, "é\n")})
    assert new.read_bytes() == "é\n".encode()
    with pytest.raises(NearfieldError, match="was made meanwhile"):
        apply({new: Patch(None, "x\n")})


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    held = os.umask(0o027)
    try:
        apply({tmp_path / "new.py": Patch(None, "x\n")})
    finally:
        os.umask(held)
    assert (tmp_path / "new.py").stat().st_mode & 0o777 == 0o640
