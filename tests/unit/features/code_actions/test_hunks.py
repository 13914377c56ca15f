"""Minimal edits: applied they give exactly the intended text, also by a client that counts in bytes
or 16-bit units; rebased they give what both sides meant, or nothing."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from nearfield.features.code_actions.hunks import applied, hunks, rebased, unified
from nearfield.features.code_actions.proposal import FileChange, Proposal, ProposedEdit
from nearfield.files.lines import split_lines
from nearfield.lsp.documents import UTF8, UTF16, UTF32
from nearfield.lsp.workspace_edit import workspace_edit
from nearfield.types import Edit, Span

ENDS = ("\n", "\r\n", "\r")
CONTENTS = ["", "a", "b = 1", "  ü", "\U0001d4b3 = '\t'", "é\u0301", "\x0c", "\u2028x"]
LINES = st.lists(st.tuples(st.sampled_from(CONTENTS), st.sampled_from(ENDS)), max_size=8)


def text_of(lines: list[tuple[str, str]], last: str) -> str:
    return "".join(content + end for content, end in lines) + last


TEXTS = st.builds(text_of, LINES, st.sampled_from(["", "end", "\U0001d4b3"]))


def as_a_client(text: str, edit: types.WorkspaceEdit, encoding: str) -> str:
    """Apply an edit as a client does, with a model of positions of its own: lines split by the
    specification's rule, columns counted in encoded units, from the last edit to the first."""
    assert edit.changes is not None
    (edits,) = edit.changes.values()
    codec, width = {UTF8: ("utf-8", 1), UTF16: ("utf-16-le", 2), UTF32: ("utf-32-le", 4)}[encoding]

    def offset(position: types.Position) -> int:
        lines = text.replace("\r\n", "\n\0").replace("\r", "\n").split("\n")
        lines = [line.removeprefix("\0") if i else line for i, line in enumerate(lines)]
        start, line = 0, 0
        while line < position.line:
            start += len(lines[line])
            start += 2 if text.startswith("\r\n", start) else 1
            line += 1
        unit = lines[position.line].encode(codec)[: position.character * width]
        assert len(unit) == position.character * width, "the column is beyond the line"
        return start + len(unit.decode(codec))

    for one in reversed(edits):
        start, end = offset(one.range.start), offset(one.range.end)
        text = text[:start] + one.new_text + text[end:]
    return text


@given(TEXTS, TEXTS, st.sampled_from([UTF8, UTF16, UTF32]))
def test_a_client_gets_exactly_the_intended_text(before: str, after: str, encoding: str) -> None:
    changes = tuple(ProposedEdit(edit) for edit in hunks(before, after))
    assert applied(before, [change.edit for change in changes]) == after
    file = FileChange("file:///a", "/a", 1, before, changes)
    made = workspace_edit(Proposal("", (file,)), types.ClientCapabilities(), encoding)
    assert as_a_client(before, made, encoding) == after


@given(TEXTS, TEXTS)
def test_lines_that_are_the_same_are_in_no_hunk(before: str, after: str) -> None:
    edits = hunks(before, after)
    assert all(one.span.end <= other.span.start for one, other in itertools.pairwise(edits))
    for edit in edits:
        assert before[edit.span.start : edit.span.end] != edit.text
        for border in (edit.span.start, edit.span.end):
            assert before[max(border - 1, 0) : border + 1] != "\r\n"
    if before == after:
        assert edits == ()


@given(TEXTS, st.data())
def test_one_changed_line_is_one_small_hunk(text: str, data: st.DataObject) -> None:
    lines = split_lines(text, keepends=True)
    if not lines:
        return
    row = data.draw(st.integers(0, len(lines) - 1))
    content = lines[row].rstrip("\r\n")
    changed = [*lines]
    changed[row] = f"{content}!{lines[row][len(content) :]}"
    (edit,) = hunks(text, "".join(changed))
    assert edit.text == "!"
    assert edit.span.start == edit.span.end


@given(LINES, LINES, LINES, LINES)
def test_rebased_over_changes_elsewhere(
    head: list[tuple[str, str]],
    other: list[tuple[str, str]],
    tail: list[tuple[str, str]],
    rest: list[tuple[str, str]],
) -> None:
    def joined(first: str, middle: str, last: str) -> str:
        return f"{first}-- 1\n-- 2\n{middle}\n-- 3\n-- 4\n{last}"

    a, b, c, d = (text_of(one, "") for one in (head, other, tail, rest))
    before = joined(a, "x = 1", c)
    edits = hunks(before, joined(a, "y = 1", c))
    now = joined(b, "x = 1", d)
    moved = rebased(edits, before, now)
    # What was before may be equal to a part of what is now: then it cannot be told where it is.
    if moved is not None:
        assert applied(now, moved) == joined(b, "y = 1", d)


REBASES = {
    "below": ("a\nb\nc\n", "a\nB\nc\n", "a\nb\nc\nd\n", "a\nB\nc\nd\n"),
    "above": ("a\nb\nc\n", "a\nB\nc\n", "0\na\nb\nc\n", "0\na\nB\nc\n"),
    "above and below": ("a\nb\nc\n", "a\nB\nc\n", "A\nb\nC\n", "A\nB\nC\n"),
    "on the line": ("a\nb\nc\n", "a\nB\nc\n", "a\nb!\nc\n", None),
    "the line is gone": ("a\nb\nc\n", "a\nB\nc\n", "a\nc\n", None),
    "lines put in beside": ("a\nc\n", "a\nb\nc\n", "A\nc\n", "A\nb\nc\n"),
    "lines put in at the same place": ("a\nc\n", "a\nb\nc\n", "a\nx\nc\n", None),
    "nothing": ("a\nb\n", "a\nB\n", "a\nb\n", "a\nB\n"),
}


@pytest.mark.parametrize("case", REBASES.values(), ids=REBASES.keys())
def test_edits_are_rebased_on_a_changed_document(case: tuple[str, str, str, str | None]) -> None:
    before, after, now, expected = case
    moved = rebased(hunks(before, after), before, now)
    assert (None if moved is None else applied(now, moved)) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [("a\nb\nc\n", "a\nB\nc\n"), ("a\nb", "a\nc"), ("a\nb", "a\nb\n"), ("a\r\nb\r\n", "a\r\nc\r\n"),
     ("x\n" * 30, "y\n" + "x\n" * 28 + "z\n")],
)  # fmt: skip
def test_git_applies_the_diff(before: str, after: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(before.encode())
    diff = unified(before, after, "f").encode()
    subprocess.run(["git", "apply", "-p1"], cwd=tmp_path, input=diff, check=True)
    assert (tmp_path / "f").read_bytes() == after.encode()


def test_a_new_file_in_a_diff(tmp_path: Path) -> None:
    diff = unified("", "a\nb\n", "new/f", new=True).encode()
    subprocess.run(["git", "apply", "-p1"], cwd=tmp_path, input=diff, check=True)
    assert (tmp_path / "new" / "f").read_bytes() == b"a\nb\n"


def test_a_large_difference_is_one_hunk() -> None:
    before = "".join(f"{i}\n" for i in range(5000))
    after = "".join(f"{i * 2}\n" for i in range(5000))
    (edit,) = hunks(before, after)
    assert applied(before, [edit]) == after
    assert edit.span == Span(2, len(before))


def test_edits_at_one_place_go_in_order() -> None:
    assert applied("b", [Edit(Span(0, 0), "a"), Edit(Span(0, 1), "c")]) == "ac"
