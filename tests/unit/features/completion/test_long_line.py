"""A line of a megabyte costs no more than a line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nearfield.features.code_actions.check import is_elided
from nearfield.features.completion.cursor_context import LINE_CHARS, CursorContext
from nearfield.features.completion.postprocess import Shaper
from nearfield.index.chunks import chunked, doc_of
from nearfield.syntax.brackets import Scanner
from nearfield.syntax.languages import language_for
from nearfield.types import Snapshot

ROW = "function f(a,b){var c=a+b;if(c>1){return c}else{return[b,a,{k:'x'}]}};"
LONG = ROW * (2_000_000 // len(ROW))


@pytest.mark.parametrize("cursor", [0, 10, len(LONG) // 2, len(LONG)])
def test_only_text_near_the_cursor_is_examined(
    cursor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    feed = Scanner.feed

    def counted(scanner: Scanner, text: str) -> Scanner:
        nonlocal looked
        looked += len(text)
        return feed(scanner, text)

    monkeypatch.setattr(Scanner, "feed", counted)
    snapshot = Snapshot("file:///a.min.js", "javascript", 1, LONG)
    shaper = Shaper(snapshot, None, cursor)
    shaper.finish("call();\nmore();\n")
    assert looked < 20 * LINE_CHARS


def test_the_text_around_the_cursor_is_unchanged() -> None:
    place = CursorContext(LONG, len(LONG) // 2, None, language_for("javascript"))
    assert place.left == LONG[place.cursor - LINE_CHARS : place.cursor]
    assert place.rest == LONG[place.cursor : place.cursor + LINE_CHARS]
    assert (place.line_start, place.line_end) == (0, len(LONG))
    short = CursorContext("a\n  b(c)\nd", 6, None, None)
    assert (short.left, short.rest) == ("  b(", "c)")


WHITE: list[tuple[Callable[[str], object], str]] = [
    (lambda text: is_elided("", text), " "),
    (lambda text: is_elided("", text), "\n" + " " * 50),
    (lambda text: chunked("# a" + text + "b", "a.md", None), " "),
    (lambda text: chunked("# a" + text + "b", "a.md", None), " #"),
    (lambda text: doc_of("def f():" + text + "x", 0), "\n"),
    (lambda text: doc_of("# a" + text + "x\ndef f(): pass", 1), " "),
]


@pytest.mark.parametrize(("work", "piece"), WHITE)
def test_white_space_takes_linear_time(work: Callable[[str], object], piece: str) -> None:
    """Quadratic time would be hours for a text of this size."""
    work(piece * (2_000_000 // len(piece)))
