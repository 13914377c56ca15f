"""Document sync, against a model of the text that shares nothing with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol.types import (
    Position,
    Range,
    TextDocumentContentChangePartial,
    TextDocumentContentChangeWholeDocument,
)

from nearfield.coerce import clean
from nearfield.lsp.documents import (
    FOLLOWED_CHARS,
    UTF8,
    UTF16,
    UTF32,
    TextDocument,
    TextDocuments,
    offset_at,
    position_at,
)
from nearfield.types import Cell, Span

URI = "file:///w/a.py"
ENCODINGS = (UTF8, UTF16, UTF32)


# --- the model: a list of lines, each a list of units, as the specification tells it -------------


def units_of(character: str, encoding: str) -> int:
    code = ord(character)
    if encoding == UTF32:
        return 1
    if encoding == UTF16:
        return 2 if code > 0xFFFF else 1
    return 1 + (code > 0x7F) + (code > 0x7FF) + (code > 0xFFFF)


def model_lines(text: str) -> list[tuple[str, str]]:
    """(content, line end) of each line; the last one has no line end."""
    lines: list[tuple[str, str]] = []
    content = ""
    i = 0
    while i < len(text):
        if text[i] == "\r" and text[i + 1 : i + 2] == "\n":
            lines.append((content, "\r\n"))
            content, i = "", i + 2
        elif text[i] in "\r\n":
            lines.append((content, text[i]))
            content, i = "", i + 1
        else:
            content, i = content + text[i], i + 1
    return [*lines, (content, "")]


def model_offset(text: str, position: Position, encoding: str) -> int:
    lines = model_lines(text)
    if position.line >= len(lines):
        return len(text)
    offset = sum(len(content) + len(end) for content, end in lines[: position.line])
    seen = 0
    for character in lines[position.line][0]:
        seen += units_of(character, encoding)
        if seen > position.character:
            break
        offset += 1
    return offset


def model_position(text: str, offset: int, encoding: str) -> Position:
    before = text[:offset]
    # Between CR and LF is on the line that they end.
    joined = text[offset - 1 : offset + 1] == "\r\n"
    lines = model_lines(before[:-1] if joined else before)
    content = lines[-1][0] + ("\r" if joined else "")
    return Position(len(lines) - 1, sum(units_of(c, encoding) for c in content))


# --- texts and edits -----------------------------------------------------------------------------

PIECES = [
    "a",
    "é",
    "e\u0301",
    "漢",
    "😀",
    "👩‍👩‍👧",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\u2028",
    "\x0c",
    "\x85",
    " ",
]
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
any_position = st.builds(Position, st.integers(0, 12), st.integers(0, 12))


@dataclass(frozen=True)
class Partial:
    start: Position
    end: Position
    text: str


partials = st.builds(Partial, any_position, any_position, texts)
notifications = st.lists(st.lists(partials | texts, min_size=1, max_size=4), max_size=6)


@settings(max_examples=400, deadline=None)
@given(texts, notifications, st.sampled_from(ENCODINGS))
def test_the_text_is_always_the_client_s(
    first: str, sent: list[list[Partial | str]], encoding: str
) -> None:
    document = TextDocument(URI, "python", 0, first)
    text = first
    for version, changes in enumerate(sent, 1):
        before = text
        wire: list[TextDocumentContentChangePartial | TextDocumentContentChangeWholeDocument] = []
        for change in changes:
            if isinstance(change, str):
                wire.append(TextDocumentContentChangeWholeDocument(change))
                text = change
                continue
            wire.append(
                TextDocumentContentChangePartial(Range(change.start, change.end), change.text)
            )
            ends = [model_offset(text, p, encoding) for p in (change.start, change.end)]
            text = text[: min(ends)] + change.text + text[max(ends) :]
        edits = document.change(version, wire, encoding)

        snapshot = document.snapshot()
        assert (snapshot.text, snapshot.version) == (text, version)
        for edit in edits:
            before = before[: edit.span.start] + edit.text + before[edit.span.end :]
        assert before == text
        starts = [document.lines.start(i) for i in range(len(document.lines))]
        lengths = [len(content) + len(end) for content, end in model_lines(text)]
        assert starts == [sum(lengths[:i]) for i in range(len(lengths))]


@settings(max_examples=300, deadline=None)
@given(texts, any_position, st.sampled_from(ENCODINGS))
def test_positions_are_clamped_as_the_specification_says(
    text: str, position: Position, encoding: str
) -> None:
    document = TextDocument(URI, "", 0, text)
    assert document.offset_at(position, encoding) == model_offset(text, position, encoding)


@settings(max_examples=200, deadline=None)
@given(texts, st.sampled_from(ENCODINGS))
def test_every_offset_has_its_position(text: str, encoding: str) -> None:
    lines = TextDocument(URI, "", 0, text).lines
    for offset in range(len(text) + 1):
        position = position_at(text, lines, offset, encoding)
        assert position == model_position(text, offset, encoding)
        if text[offset - 1 : offset + 1] != "\r\n":
            assert offset_at(text, lines, position, encoding) == offset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("half \ud83d.", "half \ufffd."),
        ("other half \ude00", "other half \ufffd"),
        ("whole \ud83d\ude00", "whole 😀"),
    ],
)
def test_lone_surrogates_are_replaced(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///w/a.py", "/w/a.py"),
        ("file:///w/a%20b%23;c.py", "/w/a b#;c.py"),
        ("file://localhost/w/a.py", "/w/a.py"),
        ("file:///c%3A/w/a.py", "/c:/w/a.py"),
        ("untitled:Untitled-1", None),
        ("vscode-notebook-cell:/w/a.ipynb#c1", None),
        ("file://[broken", None),
        ("file:", None),
        ("file:///a%00b", None),
        ("", None),
    ],
)
def test_paths_of_uris(uri: str, path: str | None) -> None:
    assert TextDocument(uri, "", None, "").snapshot().path == path


CELL = "vscode-notebook-cell:/w/a.ipynb#W{}sZmlsZQ%3D%3D"


def _above(documents: TextDocuments, uri: str) -> list[str] | None:
    document = documents.get(uri)
    assert document is not None
    above = document.snapshot().above
    return None if above is None else [cell.text for cell in above]


def test_a_cell_is_below_those_that_were_opened_before() -> None:
    documents = TextDocuments()
    documents.set_roots(["file:///w"])
    first, second, third = map(CELL.format, range(3))
    for uri, text in ((first, "a"), (second, "b"), (third, "c")):
        documents.open(uri, "python", 1, text)
    documents.open("file:///w/a.ipynb", "json", 1, "{}")
    assert _above(documents, "file:///w/a.ipynb") is None
    assert [_above(documents, uri) for uri in (first, second, third)] == [[], ["a"], ["a", "b"]]
    cell = documents.get(third)
    assert cell is not None
    assert (cell.path, cell.file, cell.root) == ("/w/a.ipynb", None, "/w")
    documents.close(first)
    assert _above(documents, third) == ["b"]


def test_the_order_that_a_client_tells_counts() -> None:
    documents = TextDocuments()
    cells = ["cell:3", "cell:1", "cell:2"]
    book = documents.notebooks.open("file:///w/a.ipynb", cells)
    for uri in sorted(cells):
        documents.open(uri, "python", 1, uri)
    assert _above(documents, "cell:2") == ["cell:3", "cell:1"]
    documents.notebooks.splice(book, 0, 1, [])
    documents.notebooks.splice(book, 2, 0, ["cell:3"])
    assert _above(documents, "cell:3") == ["cell:1", "cell:2"]
    documents.close("cell:1")
    assert _above(documents, "cell:3") == ["cell:2"]


def test_a_snapshot_is_kept_until_something_above_changes() -> None:
    documents = TextDocuments()
    first, second = (documents.open(CELL.format(n), "python", 1, "x") for n in range(2))
    before = second.snapshot()
    assert second.snapshot() is before
    first.change(2, [TextDocumentContentChangeWholeDocument("y")], "utf-16")
    assert second.snapshot() != before
    assert (second.snapshot().version, before.above) == (1, (Cell("python", "x"),))


def test_the_nearest_of_many_cells_are_used() -> None:
    documents = TextDocuments()
    for number in range(49):
        documents.open(CELL.format(number), "python", 1, f"{number} " + "x" * 10_000)
    last = documents.open(CELL.format(49), "python", 1, "")
    above = last.snapshot().above or ()
    assert [cell.text.split()[0] for cell in above] == [str(n) for n in range(39, 49)]


@pytest.mark.parametrize(
    ("roots", "uri", "root"),
    [
        (["file:///w"], "file:///w/a.py", "/w"),
        (["file:///w/"], "file:///w/a.py", "/w/"),
        (["file:///w", "file:///w/in"], "file:///w/in/a.py", "/w/in"),
        (["file:///w"], "file:///world/a.py", None),
        (["file:///"], "file:///a.py", "/"),
        (["file:///w"], "untitled:1", None),
        ([], "file:///w/a.py", None),
    ],
)
def test_the_innermost_folder_is_the_root(roots: list[str], uri: str, root: str | None) -> None:
    documents = TextDocuments()
    documents.set_roots(roots)
    assert documents.open(uri, "", 1, "").snapshot().root == root


def insert(line: int, character: int, text: str) -> TextDocumentContentChangePartial:
    at = Position(line, character)
    return TextDocumentContentChangePartial(Range(at, at), text)


def test_a_document_too_long_to_hold_is_let_go_until_it_is_replaced() -> None:
    document = TextDocument(URI, "", 1, "x" * (FOLLOWED_CHARS + 1))
    assert (document.followed, document.text) == (False, "")
    assert document.change(2, [insert(0, 0, "y")], UTF16) == []
    assert document.snapshot().version == 2
    document.change(3, [TextDocumentContentChangeWholeDocument("short")], UTF16)
    document.change(4, [insert(0, 5, "er")], UTF16)
    assert (document.followed, document.text) == (True, "shorter")


def test_a_document_that_outgrows_us_is_let_go() -> None:
    document = TextDocument(URI, "", 1, "x")
    document.change(2, [insert(0, 0, "x" * FOLLOWED_CHARS)], UTF16)
    assert (document.followed, document.text) == (False, "")


def test_a_snapshot_does_not_change() -> None:
    document = TextDocument(URI, "", 1, "one")
    snapshot = document.snapshot()
    document.change(2, [insert(0, 3, " more")], UTF16)
    assert (snapshot.text, snapshot.version) == ("one", 1)
    assert document.snapshot().text == "one more"
    assert document.snapshot() is document.snapshot()


class CountedStarts(list[int]):
    """Starts of lines that count how many of them are replaced."""

    replaced = 0

    def __setitem__(self, at: Any, value: Any) -> None:
        self.replaced += max(len(self[at]), len(value)) if isinstance(at, slice) else 1
        super().__setitem__(at, value)


def test_a_keystroke_replaces_few_line_starts_of_a_long_file() -> None:
    """Typing in the middle of 20,000 lines must not touch the 10,000 numbers below it."""
    lines = 20_000
    document = TextDocument(URI, "", 0, "    value = compute(left, right)  # 漢\n" * lines)
    table = document.lines
    table._starts = counted = CountedStarts(table._starts)  # pyright: ignore[reportPrivateUsage]
    document.change(0, [insert(lines // 2, 0, "x")], UTF16)
    assert counted.replaced <= lines
    counted.replaced = 0
    for character in range(60):
        document.change(character, [insert(lines // 2, character, "y")], UTF16)
    assert counted.replaced <= 60
    assert document.lines is table


def test_reversed_ranges_become_ordered_spans() -> None:
    document = TextDocument(URI, "", 0, "ab\ncd")
    backwards = Range(Position(1, 1), Position(0, 1))
    assert document.span_of(backwards, UTF16) == Span(1, 4)
