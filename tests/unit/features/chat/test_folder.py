"""What a path may lead to: tricks, any path at all, and folders that are swapped for links."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfield.features.chat.folder import Folder, lexical
from nearfield.features.chat.protocol import ToolRefused

posix = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "key.txt").write_text("the key")
    return place


ALWAYS: dict[str, str] = {
    "../outside/key.txt": "'..'",
    "src/../../outside/key.txt": "'..'",
    "./..": "'..'",
    "/etc/passwd": "absolute",
    "~/.ssh/id_rsa": "absolute",
    "//server/share/x": "network",
    "\\\\server\\share\\x": "network",
    "\\\\?\\C:\\x": "network",
    "\\x": "absolute",
    "C:\\x": "absolute",
    "C:x": "absolute",
    "a\0b": "control",
    "a\nb": "control",
    "a" * 300: "too long",
    "\ud800": "no text",
    ".env": "not shown",
    ".ENV": "not shown",
    ".Env.local": "not shown",
    "src/ID_RSA": "not shown",
    ".git/config": "not shown",
    ".GIT/config": "not shown",
    "build/out.py": "not shown",
    "debug.log": "not shown",
    "src/new.log": "not shown",
}


@pytest.mark.parametrize("name", ALWAYS)
def test_refused_for_reading_and_writing(name: str, workspace: Path) -> None:
    folder = Folder(str(workspace))
    tries: list[Callable[[], object]] = [
        lambda: folder.read(name, 1000),
        lambda: folder.write(name, None, "x"),
        lambda: folder.make(name),
        lambda: folder.delete(name),
        lambda: folder.entries(name),
        lambda: folder.look(name),
    ]
    for attempt in tries:
        with pytest.raises(ToolRefused) as refused:
            attempt()
        assert ALWAYS[name] in str(refused.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("src\\..\\..\\x", "'..'"),
        ("a.txt:stream", "special"),
        ("con", "special"),
        ("x/NUL.txt", "special"),
        ("a.", "special"),
        ("a /b", "special"),
        ("D:x", "absolute"),
        ("src\\shop.py", ""),
    ],
)
def test_on_windows(name: str, why: str) -> None:
    if not why:
        assert lexical(name, windows=True) == "src/shop.py"
        return
    with pytest.raises(ToolRefused, match=why):
        lexical(name, windows=True)


@posix
def test_links_never_lead_out_of_the_folder(workspace: Path, outside: Path) -> None:
    folder = Folder(str(workspace))
    (workspace / "out").symlink_to(outside)
    (workspace / "key").symlink_to(outside / "key.txt")
    (workspace / "hidden.txt").symlink_to(workspace / ".env")
    (workspace / "fine.py").symlink_to(workspace / "src/shop.py")
    for name in ("out/key.txt", "key", "out", "out/new.txt"):
        with pytest.raises(ToolRefused, match="out of the workspace by a link"):
            folder.read(name, 1000)
        with pytest.raises(ToolRefused, match="out of the workspace by a link"):
            folder.write(name, None, "x")
    with pytest.raises(ToolRefused, match="not shown"):
        folder.read("hidden.txt", 1000)
    assert folder.read("fine.py", 1000)[0] == "src/shop.py"
    assert "key" not in [Path(path).name for path in folder.files()]
    # A link itself may go; what it leads to stays.
    folder.delete("key")
    folder.delete("out")
    assert (outside / "key.txt").read_text() == "the key"


@posix
def test_special_files_are_no_files(workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    with pytest.raises(ToolRefused, match="not a regular file"):
        Folder(str(workspace)).read("pipe", 1000)


def test_sizes_and_kinds(workspace: Path) -> None:
    folder = Folder(str(workspace))
    (workspace / "large.txt").write_text("x" * 2000)
    (workspace / "data.txt").write_bytes(b"\x00\x01\x02")
    for name, why in (("large.txt", "2000 bytes"), ("data.txt", "not text"), ("src", "a folder")):
        with pytest.raises(ToolRefused, match=why):
            folder.read(name, 1000)
    with pytest.raises(ToolRefused, match="is not a folder"):
        folder.entries("readme.md")


def test_writing_refuses_a_changed_file(workspace: Path) -> None:
    folder = Folder(str(workspace))
    folder.write("a/b/new.py", None, "x = 1\n")
    assert (workspace / "a/b/new.py").read_text() == "x = 1\n"
    with pytest.raises(ToolRefused, match="changed meanwhile"):
        folder.write("a/b/new.py", "x = 0\n", "x = 2\n")
    folder.write("a/b/new.py", "x = 1\n", "x = 2\n")
    assert [p.name for p in (workspace / "a/b").iterdir()] == ["new.py"]


NAMES = st.sampled_from(
    ["..", ".", "", "src", "shop.py", "out", "key.txt", ".env", ".git", "~", "C:", "\\", "a b", "ä"]
)


@posix
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(NAMES | st.text(max_size=6), max_size=6), head=st.sampled_from(["", "/", "//"])
)
def test_no_path_leads_out(parts: list[str], head: str, workspace: Path, outside: Path) -> None:
    if not (workspace / "out").is_symlink():
        (workspace / "out").symlink_to(outside)
    folder = Folder(str(workspace))
    name = head + "/".join(parts)
    try:
        path, text = folder.read(name, 1000)
    except ToolRefused:
        return
    assert (folder.root / path).is_relative_to(folder.root)
    assert "key" not in text.text and "hunter2" not in text.text


TRIES: dict[str, Callable[[Folder], object]] = {
    "read": lambda folder: folder.read("place/key.txt", 1000)[1],
    "list": lambda folder: folder.entries("place"),
    "write": lambda folder: folder.write("place/new.txt", None, "harmless"),
    "make": lambda folder: folder.make("place/new/er"),
    "delete": lambda folder: folder.delete("place/key.txt"),
}


@posix
@pytest.mark.parametrize("way", TRIES)
def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(
    way: str, workspace: Path, outside: Path
) -> None:
    """Somebody swaps the folder for a link, and back, as fast as they can."""
    folder = Folder(str(workspace))
    (outside / "secret").mkdir()
    before = sorted(outside.rglob("*"))
    place, aside = workspace / "place", workspace / "aside"
    place.mkdir()
    (place / "key.txt").write_text("harmless")
    (workspace / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with suppress(OSError):
                place.rename(aside)
            shutil.rmtree(place, ignore_errors=True)  # what a call has made there meanwhile
            with suppress(OSError):
                (workspace / "link").rename(place)
                place.rename(workspace / "link")
            shutil.rmtree(place, ignore_errors=True)
            with suppress(OSError):
                aside.rename(place)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        seen: set[str] = set()
        for _ in range(200):
            try:
                seen.add(str(TRIES[way](folder)))
            except ToolRefused:
                seen.add("refused")
    finally:
        stop.set()
        swapping.join()
    assert not [one for one in seen if "the key" in one or "secret" in one]
    assert seen
    assert sorted(outside.rglob("*")) == before
    assert (outside / "key.txt").read_text() == "the key"
