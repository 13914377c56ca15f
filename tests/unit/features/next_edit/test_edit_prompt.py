"""Prompts of next-edit models as their authors write them, and what their answers propose."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.features.next_edit.edit_prompt import (
    FORMS,
    HUNK_STEP,
    EditQuestion,
    Hunk,
    block_starts,
    fitted,
    kept_window,
    read_answer,
    render,
    window_around,
    with_excerpts,
)
from nearfield.types import EditForm, Snippet, Span

TEXT = "import a\n\n\ndef f(x, y):\n    return x\n\n\nprint(f(1))\n"
CURSOR = TEXT.index("print(")
HUNK = Hunk("m.py", "def f(x):", "def f(x, y):", 4)


def question(form: EditForm, others: tuple[Snippet, ...] = ()) -> EditQuestion:
    """The window is the last five lines of `TEXT`."""
    window = Span(TEXT.index("def f"), len(TEXT) - 1)
    before = TEXT.replace("x, y", "x") if form is EditForm.SWEEP else ""
    return EditQuestion("m.py", TEXT, window, CURSOR, (HUNK,), before, others)


WINDOW = "def f(x, y):\n    return x\n\n\nprint(f(1))"
SWEEP = """\
<|file_sep|>other.py
g = 1
<|file_sep|>m.py
import a


def f(x):
    return x


print(f(1))
<|file_sep|>m.py.diff
original:
def f(x):
updated:
def f(x, y):
<|file_sep|>original/m.py:4:8
def f(x):
    return x


print(f(1))
<|file_sep|>current/m.py:4:8
def f(x, y):
    return x


<|cursor|>print(f(1))
<|file_sep|>updated/m.py:4:8
def f(x, y):
    return x


"""
HISTORY = """\
--- a/m.py
+++ b/m.py
@@ -4,1 +4,1 @@
-def f(x):
+def f(x, y):
"""
ZETA2 = f"""\
<[fim-suffix]>
<[fim-prefix]><filename>other.py
g = 1

<filename>edit_history
{HISTORY}
<filename>m.py
import a


<<<<<<< CURRENT
def f(x, y):
    return x


<|user_cursor|>print(f(1))
=======
<[fim-middle]>"""
ZETA2_1 = f"""\
<[fim-suffix]>
<[fim-prefix]><filename>other.py
g = 1

<filename>edit_history
{HISTORY}
<filename>m.py
import a


<|marker_1|>def f(x, y):
    return x


<|user_cursor|>print(f(1))<|marker_2|><[fim-middle]>"""
MERCURY = f"""\
<|recently_viewed_code_snippets|>
<|recently_viewed_code_snippet|>
code_snippet_file_path: other.py
g = 1
<|/recently_viewed_code_snippet|>
<|/recently_viewed_code_snippets|>

<|current_file_content|>
current_file_path: m.py
import a


<|code_to_edit|>
def f(x, y):
    return x


<|cursor|>print(f(1))
<|/code_to_edit|>
<|/current_file_content|>

<|edit_diff_history|>
{HISTORY.replace("a/m", "m").replace("b/m", "m")}
<|/edit_diff_history|>
"""


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (EditForm.SWEEP, SWEEP),
        (EditForm.ZETA2, ZETA2),
        (EditForm.ZETA2_1, ZETA2_1),
        (
            EditForm.ZETA2_1_QWEN,
            ZETA2_1.replace("<[fim-suffix]>", "<|fim_suffix|>")
            .replace("<[fim-prefix]>", "<|fim_prefix|>")
            .replace("<[fim-middle]>", "<|fim_middle|>"),
        ),
        (EditForm.MERCURY, MERCURY),
    ],
)
def test_a_prompt_has_the_form_of_its_author(form: EditForm, expected: str) -> None:
    prompt = render(form, question(form, (Snippet("other.py", "g = 1\n"),)))
    assert prompt is not None
    assert prompt.text == expected
    assert prompt.is_chat == (form is EditForm.MERCURY)
    for segment in prompt.segments:
        assert TEXT[:20] not in segment.text or not segment.special


CHANGED = "def f(x, y):\n    return x\n\n\nprint(f(1, 2))"


@pytest.mark.parametrize(
    ("form", "answer", "expected"),
    [
        (EditForm.SWEEP, CHANGED + "\n", CHANGED),
        (EditForm.SWEEP, CHANGED + "\n<|file_sep|>x", CHANGED),
        (EditForm.SWEEP, WINDOW, None),
        (EditForm.SWEEP, "x<|cursor|>", None),
        (EditForm.SWEEP, "x\n\\ No newline at end of file", None),
        (EditForm.ZETA2, CHANGED + "\n>>>>>>> UPDATED\n", CHANGED),
        (EditForm.ZETA2, CHANGED.replace("2)", "2<|user_cursor|>)"), CHANGED),
        (EditForm.ZETA2, CHANGED.replace("print", "<|user_cursor|>\nprint"), CHANGED),
        (EditForm.ZETA2, "NO_EDITS\n>>>>>>> UPDATED", None),
        (EditForm.ZETA2_1, f"<|marker_1|>{CHANGED}<|marker_2|>", CHANGED),
        (EditForm.ZETA2_1, "<|marker_1|><|marker_1|><[end▁of▁sentence]>", None),
        (EditForm.ZETA2_1, "<|marker_2|>x<|marker_1|>", None),
        (EditForm.ZETA2_1, "<|marker_1|>x<|marker_7|>", None),
        (EditForm.ZETA2_1, CHANGED, None),
        (EditForm.MERCURY, f"```\n{CHANGED}\n```", CHANGED),
        (EditForm.MERCURY, f"```python\n{CHANGED}\n<|/code_to_edit|>", f"```python\n{CHANGED}"),
        (EditForm.INSTRUCT, f"Here:\n```py\n{CHANGED}\n```", CHANGED),
        (EditForm.INSTRUCT, "NO_EDITS", None),
    ],
)
def test_an_answer_becomes_the_new_text_of_the_window(
    form: EditForm, answer: str, expected: str | None
) -> None:
    assert read_answer(form, question(form), answer) == expected


def test_only_the_blocks_that_change_are_replaced() -> None:
    text = "".join(f"a{n} = {n}\n" for n in range(40))
    starts = block_starts(text)
    assert starts[0] == 0
    assert len(starts) == 3
    asked = EditQuestion("m.py", text, Span(0, len(text)), 0)
    answer = "<|marker_2|>b = 1\n<|marker_3|>"
    assert read_answer(EditForm.ZETA2_1, asked, answer) == (
        text[: starts[1]] + "b = 1\n" + text[starts[2] :]
    )


LINES = st.lists(st.sampled_from(["", "x = 1", "}", "    y()", "é🙂"]), max_size=80)


@given(lines=LINES)
def test_blocks_cover_the_window_and_none_is_short(lines: list[str]) -> None:
    text = "\n".join(lines)
    starts = block_starts(text)
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    bounds = [*starts, len(text)]
    lengths = [text[a:b].count("\n") for a, b in pairwise(bounds)]
    assert all(length >= 5 for length in lengths[:-1])
    assert max(lengths) <= 28


@pytest.mark.parametrize("form", [form for form in EditForm if form])
@pytest.mark.parametrize("where", ["text", "hunk"])
def test_a_document_that_holds_a_marker_is_not_asked_about(form: EditForm, where: str) -> None:
    for marker in FORMS[form].markers:
        text = f"a{marker}b" if where == "text" else TEXT
        hunks = (Hunk("m.py", "", f"a{marker}b"),) if where == "hunk" else ()
        assert render(form, EditQuestion("m.py", text, Span(0, len(text)), 0, hunks)) is None


@given(
    lines=LINES,
    form=st.sampled_from([form for form in EditForm if form]),
    data=st.data(),
)
def test_a_window_is_of_whole_lines_around_the_cursor(
    lines: list[str], form: EditForm, data: st.DataObject
) -> None:
    text = "\n".join(lines)
    cursor = data.draw(st.integers(0, len(text)))
    window = window_around(form, text, cursor)
    assert window.start <= cursor <= window.end
    assert window.start == 0 or text[window.start - 1] == "\n"
    assert window.end == len(text) or text[window.end] == "\n"
    asked = EditQuestion("m.py", text, window, cursor)
    prompt = render(form, asked)
    assert prompt is not None
    if prompt.prefill:
        assert asked.old.startswith(prompt.prefill)
    # A copy of the window proposes nothing.
    marked = f"<|marker_1|>{asked.old}<|marker_{len(block_starts(asked.old)) + 1}|>"
    copy = marked if form in (EditForm.ZETA2_1, EditForm.ZETA2_1_QWEN) else asked.old
    assert read_answer(form, asked, copy) is None


NUMBERS = [f"row {n}" for n in range(2000)]


def asked_at(row: int, lines: list[str], **fields: Any) -> EditQuestion:
    """A question with the cursor in a row of a text."""
    text = "\n".join(lines)
    cursor = sum(len(line) + 1 for line in lines[:row])
    window = window_around(EditForm.SWEEP, text, cursor)
    return EditQuestion("m.py", text, window, cursor, **fields)


def test_a_long_file_is_shown_on_a_stride() -> None:
    near, far = asked_at(1000, NUMBERS), asked_at(1010, NUMBERS)
    assert near.excerpts == far.excerpts
    (shown,) = near.excerpts
    assert "row 1000" in shown.split("\n")
    assert asked_at(1, ["a", "b"]).excerpts == ["a\nb"]


@given(first=st.integers(0, 1999), row=st.integers(0, 1999), chars=st.integers(2000, 40_000))
def test_the_excerpt_of_the_last_question_stays_and_the_cursor_is_shown(
    first: int, row: int, chars: int
) -> None:
    before = "\n".join(NUMBERS)
    last = with_excerpts(asked_at(first, NUMBERS, context_chars=chars), before, ())
    now = with_excerpts(asked_at(row, NUMBERS, context_chars=chars), before, last.excerpt_rows)
    assert now.excerpts[0] == last.excerpts[0]
    assert any(f"row {row}" in shown.split("\n") for shown in now.excerpts)
    assert sum(map(len, now.excerpts)) <= chars
    prompt = render(EditForm.SWEEP, now)
    assert prompt is not None
    assert prompt.text.startswith(f"<|file_sep|>m.py\n{last.excerpts[0]}\n")


def test_the_second_excerpt_is_around_what_the_cursors_line_was() -> None:
    before = "\n".join(NUMBERS)
    grown = ["new"] * 300 + NUMBERS
    now = with_excerpts(asked_at(1800, grown, context_chars=4000), before, (10,))
    assert now.excerpt_rows == (10, 1500)
    assert "row 1500" in now.excerpts[1].split("\n")


def test_a_window_has_lines_around_an_empty_one_too() -> None:
    text = "\n".join([*NUMBERS[:20], "", *NUMBERS[20:40]])
    window = window_around(EditForm.SWEEP, text, text.index("row 20") - 1)
    lines = text[window.start : window.end].split("\n")
    assert (lines[0], lines[2], lines[-1]) == ("row 18", "", "row 24")


@pytest.mark.parametrize("form", [EditForm.ZETA2, EditForm.ZETA2_1])
def test_a_new_window_has_room_for_more_lines_and_most_of_it_below(form: EditForm) -> None:
    text = "\n".join(f"{row:30}" for row in NUMBERS)
    cursor = text.index("row 1000")
    window = window_around(form, text, cursor)
    above, below = text[window.start : cursor], text[cursor : window.end]
    assert 2.5 < below.count("\n") / above.count("\n") < 3.5
    # So many lines can be written in it before it has to be another one.
    grown = text[:cursor] + "more\n" * 20 + text[cursor:]
    rows = text.count("\n", 0, window.start), text.count("\n", window.end)
    kept = kept_window(grown, cursor + 100, *rows, FORMS[form].window_bytes)
    assert kept is not None
    assert grown[kept.end :] == text[window.end :]


def test_a_window_is_kept_while_the_cursor_is_inside_it() -> None:
    text = "\n".join(NUMBERS[:100])
    row_15 = text.index("row 15")
    window = kept_window(text, row_15, 10, 70, 1000)
    assert window is not None
    lines = text[window.start : window.end].split("\n")
    assert (lines[0], lines[-1]) == ("row 10", "row 29")
    # The text around it is what it was while lines are written in it.
    grown = text.replace("row 15\n", "row 15\nnew\n")
    again = kept_window(grown, row_15, 10, 70, 1000)
    assert again is not None
    assert grown[: again.start] == text[: window.start]
    assert grown[again.end :] == text[window.end :]
    for row in (3, 10, 27, 60):
        assert kept_window(text, text.index(f"row {row}\n"), 10, 70, 1000) is None
    assert kept_window(text, row_15, 10, 70, 20) is None
    assert kept_window(text, 0, 0, 70, 1000) is not None
    assert kept_window(text, len(text), 50, 0, 1000) is not None


def test_changes_that_do_not_fit_are_left_out_in_steps() -> None:
    firsts: list[int] = []
    for count in range(1, 13):
        hunks = tuple(Hunk("m.py", "x" * 40, "y" * 40, number=number) for number in range(count))
        question = fitted(EditForm.SWEEP, asked_at(1000, NUMBERS, hunks=hunks), 700)
        assert question.hunks[-1].number == count - 1
        firsts.append(question.hunks[0].number)
    assert firsts == sorted(firsts)
    assert set(firsts) == set(range(0, 10, HUNK_STEP))
