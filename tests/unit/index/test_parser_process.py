"""A text that ends the process that parses it costs that process alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from nearfield.index.builder import Builder, explain
from nearfield.index.parser_process import ENDS_PARSER, CannotStart, ParserProcess
from nearfield.index.store import SqliteStore
from nearfield.index.understand import understand

from .conftest import Place, everything

pytestmark = pytest.mark.slow

FRAGILE = """
import os, signal, sys, time
import nearfield.index.understand as module
true = module.understand
def understand(path, text):
    open({log!r}, "a", errors="surrogateescape").write(path + chr(10))
    if "CRASH" in text:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "RAISE" in text:
        raise RuntimeError("no")
    if "HANG" in text:
        time.sleep(600)
    return true(path, text)
module.understand = understand
module.MAX_SECONDS = {most}
module.IDLE_SECONDS = {idle}
module.main()
"""
TEXT = "class A:\n    def f(self):\n        return g()\n"


def fragile(folder: Path, idle: float = 60.0, most: float = 60.0) -> tuple[str, ...]:
    """The command of a process that some texts end, which gives each `most` seconds."""
    code = FRAGILE.format(log=str(folder / "log"), idle=idle, most=most)
    return (sys.executable, "-c", code)


def log(folder: Path) -> list[str]:
    return (folder / "log").read_text().split()


def _children(folder: Path) -> list[psutil.Process]:
    """The processes that `fragile(folder)` has started, among those of other tests."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # also for one that has ended and is not waited for
            if any(str(folder) in word for word in child.cmdline()):
                found.append(child)
    return found


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[ParserProcess]:
    with ParserProcess(fragile(tmp_path)) as held:
        yield held


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", TEXT),
        ("a.md", "# T\n\nx\n## U\n"),
        ("a.unknown", "x\n\ny\n"),
        ("a.py", ""),
        ("\udce9 \u00e9.py", "x = '\u4e2d\U0001f980'\n"),
        ("a.json", '{"a": 1}\r\n'),
    ],
)
def test_the_process_parses_as_this_one_does(apart: ParserProcess, path: str, text: str) -> None:
    assert apart.understand(path, text) == understand(path, text)


@pytest.mark.parametrize(("word", "most"), [("CRASH", 60.0), ("RAISE", 60.0), ("HANG", 5.0)])
def test_a_text_that_ends_it_has_that_as_its_reason(tmp_path: Path, word: str, most: float) -> None:
    with ParserProcess(fragile(tmp_path, most=most)) as apart:
        assert apart.understand("a.py", TEXT).reason == ""
        assert apart.understand("b.py", word).reason == ENDS_PARSER
        assert apart.understand("a.py", TEXT) == understand("a.py", TEXT)


def test_an_idle_process_that_ended_is_started_again(tmp_path: Path) -> None:
    with ParserProcess(fragile(tmp_path, idle=0.05)) as held:
        held.understand("a.py", TEXT)
        psutil.wait_procs(_children(tmp_path), timeout=60)
        assert _children(tmp_path) == []
        assert held.understand("b.py", TEXT) == understand("b.py", TEXT)


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    with ParserProcess(fragile(tmp_path)) as held:
        held.understand("a.py", TEXT)
        (child,) = _children(tmp_path)
    assert not child.is_running()


def test_a_failed_start_is_not_blamed_on_the_text() -> None:
    with pytest.raises(CannotStart):
        ParserProcess((sys.executable, "-c", "raise SystemExit(3)")).understand("a.py", TEXT)


def test_a_build_continues_and_remembers_the_file(place: Place, tmp_path: Path) -> None:
    files = {f"{n:02}.py": "CRASH" if n % 3 else TEXT for n in range(9)}
    place.write(files)
    bad = sorted(path for path, text in files.items() if text == "CRASH")
    store = SqliteStore(place.file)
    with ParserProcess(fragile(tmp_path)) as apart:
        report = Builder(place.tree, store, understand=apart.understand).build()
        assert (report.files, report.skipped[ENDS_PARSER]) == (3, 6)
        assert log(tmp_path) == sorted(files)
        again = Builder(place.tree, store, understand=apart.understand).build()
        assert (again.files, again.skipped[ENDS_PARSER]) == (3, 6)
        assert len(log(tmp_path)) == 9  # none was tried again
        (place.root / bad[0]).touch()
        Builder(place.tree, store, understand=apart.understand).build()
        assert len(log(tmp_path)) == 9  # nor because it only looks different
        place.write({bad[0]: TEXT})
        mended = Builder(place.tree, store, understand=apart.understand).build()
        assert (mended.files, mended.skipped[ENDS_PARSER]) == (4, 5)
        assert explain(place.tree, bad[1], apart.understand) == ENDS_PARSER
        assert explain(place.tree, bad[0], apart.understand) == ""
    store.close()
    assert everything(place.file)  # and what is there is whole


def test_a_buffer_that_ends_it_is_left_out_until_it_is_mended(place: Place, tmp_path: Path) -> None:
    place.write({"a.py": TEXT})
    store = SqliteStore(place.file)
    with ParserProcess(fragile(tmp_path)) as apart:
        builder = Builder(place.tree, store, understand=apart.understand)
        builder.build()
        assert builder.buffer("a.py", "CRASH")
        known = store.known_file("a.py")
        assert known is not None
        assert known.reason == ENDS_PARSER
        assert builder.buffer("a.py", TEXT + "h()\n")
        known = store.known_file("a.py")
        assert known is not None
        assert known.reason == ""
    store.close()
