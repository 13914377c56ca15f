"""What a repository's settings file may cost: 50 ms and 10 MB, whatever it holds.

Memory is asserted here. `python tests/unit/config/test_bounds.py` measures the time as well.
"""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from nearfield.config.check import MAX_FINDINGS
from nearfield.config.load import MAX_WORKSPACE_BYTES, Loaded, load

MAX_MEMORY_BYTES = 10_000_000
SIZE = MAX_WORKSPACE_BYTES


def repeated(piece: str, before: str = "", after: str = "") -> str:
    return before + piece * ((SIZE - len(before) - len(after)) // len(piece)) + after


def numbered(piece: str, before: str = "", after: str = "") -> str:
    """`piece` with another number for `%` each time, as often as it fits."""
    text, left = before, SIZE - len(after)
    for number in count():
        one = piece.replace("%", f"{number:x}")
        if len(text) + len(one) > left:
            return text + after
        text += one
    raise AssertionError


HOSTILE = {
    "a dotted key": repeated(".a", "a", "=1"),
    "a deep table and many keys": numbered("k%=1\n", "[" + "a." * (SIZE // 4) + "a]\n"),
    "keys of twelve parts": numbered("a%.b.c.d.e.f.g.h.i.j.k.l=1\n"),
    "tables": numbered("[%]\n"),
    "tables in tables": numbered("[a.b.c.d.e.f.g.h.i.j.k.%]\n"),
    "lists of tables": repeated("[[a]]\n"),
    "keys": numbered("%=1\n"),
    "keys like ours": numbered("deadlin%=1\n", "[completion]\n"),
    "sections like ours": numbered("[completio%]\n"),
    "prices": numbered("m%=[1.0,1.0]\n", "[budget.prices]\n"),
    "roles": numbered("complet%=['a']\n", "[routing.roles]\n"),
    "providers": numbered("[providers.m%]\nkind='olama'\n"),
    "options": numbered("%=1\n", "[providers.a.options]\n"),
    "patterns": numbered("'%',", "[files]\nexclude=[", "]"),
    "numbers": repeated("1,", "a=[", "]"),
    "nested lists": repeated("[", "a="),
    "nested tables": repeated("{a=", "a="),
    "empty lists": repeated("[],", "a=[", "]"),
    "empty tables": repeated("{},", "a=[", "]"),
    "dotted inline tables": repeated("{a.b.c.d=1},", "a=[", "]"),
    "a huge number": repeated("f", "[completion]\ndeadline_ms=0x"),
    "a huge confidence": repeated("f", "[completion]\nmin_confidence=0x"),
    "digits": repeated("1", "a="),
    "a huge word": repeated("a", "[completion]\nmultiline='", "'"),
    "a huge key": repeated("a", "", "=1"),
    "escapes": repeated("\\u0041", 'a="', '"'),
    "quotes": repeated("'"),
    "double quotes": repeated('"'),
    "open strings": repeated("'''\n\""),
    "comments": repeated("#\n"),
    "dots": repeated("."),
    "words and spaces": repeated("a \t"),
    "NUL": repeated("\0"),
}


def costs(text: str, folder: Path) -> tuple[Loaded, float, int]:
    """The settings, seconds of the processor and bytes at the most."""
    (folder / ".nearfield.toml").write_text(text)
    environ = {"NEARFIELD_CONFIG_DIR": str(folder / "none")}
    load(folder, None, environ)  # the schema is read once
    began = time.process_time()
    loaded = load(folder, None, environ)
    seconds = time.process_time() - began
    tracemalloc.start()
    load(folder, None, environ)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return loaded, seconds, peak


@pytest.mark.parametrize("what", HOSTILE)
def test_a_workspace_file_costs_little_whatever_it_holds(what: str, tmp_path: Path) -> None:
    assert len(HOSTILE[what]) <= SIZE
    loaded, _, peak = costs(HOSTILE[what], tmp_path)
    assert peak < MAX_MEMORY_BYTES
    assert len(loaded.problems) <= MAX_FINDINGS + 1
    assert all(len(str(problem)) < 500 for problem in loaded.problems)
    harmless = what in ("comments", "patterns")
    assert bool(loaded.problems) is not harmless


Trap = Callable[[Path], object]
TRAPS: dict[str, tuple[Trap, str]] = {
    "too large": (lambda at: at.write_text("#" * (SIZE + 1)), "holds more than 16384 bytes"),
    "a folder": (lambda at: at.mkdir(), "is not a regular file"),
    "a pipe": (os.mkfifo, "is not a regular file"),
    "a device": (lambda at: at.symlink_to("/dev/zero"), "leads elsewhere"),
    "a link outside": (lambda at: at.symlink_to("/etc/hostname"), "leads elsewhere"),
    "a link to itself": (lambda at: at.symlink_to(at.name), "cannot be read"),
    "no TOML": (lambda at: at.write_text("a = "), "not valid TOML at line 1"),
    "no UTF-8": (lambda at: at.write_bytes(b"# \xff"), "line 1 is not UTF-8"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("what", TRAPS)
def test_a_workspace_file_that_is_none_is_named(what: str, tmp_path: Path) -> None:
    trap, said = TRAPS[what]
    file = tmp_path / ".nearfield.toml"
    trap(file)
    (problem,) = load(tmp_path, None, {"NEARFIELD_CONFIG_DIR": str(tmp_path / "none")}).problems
    assert said in problem.wrong
    assert (problem.source, problem.used) == (str(file), "it is ignored")


def test_a_link_within_the_workspace_counts(tmp_path: Path) -> None:
    (tmp_path / "shared.toml").write_text("[completion]\nenabled = false\n")
    (tmp_path / ".nearfield.toml").symlink_to("shared.toml")
    loaded = load(tmp_path, None, {"NEARFIELD_CONFIG_DIR": str(tmp_path / "none")})
    assert loaded.problems == ()
    assert not loaded.config.completion.enabled


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        rows = [(*costs(text, Path(name))[1:], what) for what, text in HOSTILE.items()]
    for seconds, peak, what in sorted(rows, reverse=True):
        print(f"{seconds * 1000:6.1f} ms {peak / 1e6:6.2f} MB  {what}")
