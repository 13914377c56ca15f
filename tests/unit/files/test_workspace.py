"""The one way to read a file of a workspace."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from nearfield.files.links import real_inside
from nearfield.files.read import UnreadableFile
from nearfield.files.workspace import WorkspaceFiles

MOST = 1_000
posix = pytest.mark.skipif(os.name == "nt", reason="files of POSIX")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "src").mkdir(parents=True)
    (folder / "src/a.py").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    (folder / "keys.env").write_text("the key")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.py").write_text("the key")
    return folder


def why(path: str, is_folder: bool) -> str:
    return "it holds keys" if path.endswith(".env") and not is_folder else ""


def test_a_file_is_read_by_any_of_its_names(root: Path, tmp_path: Path) -> None:
    (tmp_path / "via").symlink_to(root)
    (root / "link.py").symlink_to("src/a.py")
    for files in (WorkspaceFiles(root, why), WorkspaceFiles(tmp_path / "via", why)):
        whole = (root / "src/a.py", files.root / "link.py")
        for name in ("src/a.py", "./src/a.py", "link.py", *whole):
            assert files.read(name, MOST) == b"\xef\xbb\xbfa = 1\r\n"
            assert files.text(name, MOST).text == "a = 1\r\n"
            assert files.beginning(name, 4) == b"\xef\xbb\xbfa"
            assert files.inside(name) == "src/a.py"
    assert WorkspaceFiles(tmp_path / "via").read(tmp_path / "via/src/a.py", MOST)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))  # stays on the disk


ODD: dict[str, Callable[[Path], object]] = {
    "out.py": lambda at: at.symlink_to("../outside/b.py"),
    "folder/b.py": lambda at: at.parent.symlink_to("../outside"),
    "keys.py": lambda at: at.symlink_to("keys.env"),
    "zero.py": lambda at: at.symlink_to("/dev/zero"),
    "environ.py": lambda at: at.symlink_to("/proc/self/environ"),
    "fd.py": lambda at: at.symlink_to("/dev/fd/0"),
    "loop.py": lambda at: at.symlink_to("loop.py"),
    "fifo.py": os.mkfifo,
    "socket.py": listener,
    "a_folder.py": lambda at: at.mkdir(),
    "large.py": lambda at: at.write_bytes(b"x" * (MOST + 1)),
    "sparse.py": lambda at: os.truncate(at, 1 << 40) if not at.touch() else None,
    "data.py": lambda at: at.write_bytes(b"\x7fELF\0\0\1"),
    "closed/../src/../../outside/b.py": lambda at: None,
    "../outside/b.py": lambda at: None,
    "gone.py": lambda at: None,
    "nul\0.py": lambda at: None,
    "keys.env": lambda at: None,
    "\ud800.py": lambda at: None,
}


@posix
@pytest.mark.parametrize("name", ODD)
def test_nothing_else_is_read(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's path is short
    ODD[name](Path(name) if name == "socket.py" else root / name)
    files = WorkspaceFiles(root, why)
    for given in (name, root / name):
        with pytest.raises(UnreadableFile):
            files.text(given, MOST)


@posix
def test_a_path_that_became_a_link_is_not_followed(root: Path) -> None:
    files = WorkspaceFiles(root)
    assert files.read_plain("src/a.py", MOST)
    (root / "src/a.py").unlink()
    (root / "src/a.py").symlink_to("../keys.env")
    with pytest.raises(UnreadableFile):
        files.read_plain("src/a.py", MOST)
    (root / "src").rename(root / "lib")
    (root / "src").symlink_to("../outside")
    with pytest.raises(UnreadableFile):
        files.read_plain("src/b.py", MOST)


def test_writing_keeps_permissions_and_links(root: Path) -> None:
    (root / "run.sh").write_text("old")
    (root / "run.sh").chmod(0o755)
    files = WorkspaceFiles(root)
    with files.folder("") as place:
        place.replace("run.sh", b"new")
    assert (root / "run.sh").read_bytes() == b"new"
    assert os.name == "nt" or (root / "run.sh").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in root.iterdir()) == ["keys.env", "run.sh", "src"]
    with pytest.raises(UnreadableFile), files.folder("run.sh"):
        pass


@pytest.mark.parametrize(
    ("path", "out"),
    [
        *((path, False) for path in ("a.py", "missing/b.py", "", "inner", "inner/../x")),
        *((path, True) for path in ("../x", "outer", "outer/x", "/")),
    ],
)
def test_a_path_that_leads_out_of_the_folder_is_reported(
    tmp_path: Path, path: str, out: bool
) -> None:
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "inner").symlink_to("src")
    (root / "outer").symlink_to(tmp_path)
    (tmp_path / "named").symlink_to(root)
    for folder in (root, tmp_path / "named"):
        assert (real_inside(folder / path, folder) is None) is out
