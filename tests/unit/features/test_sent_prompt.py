"""From which cursors a prompt that was sent can be continued, and with what."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nearfield.config.schema import Completion
from nearfield.context.slice import MAX_WRITTEN_LINES
from nearfield.features.completion.prompting import (
    Allowance,
    PromptPlan,
    candidates,
    continued,
    cut,
)
from nearfield.features.documents import Document
from nearfield.syntax.parser import Cursor
from nearfield.types import Edit, Selected, Snapshot, Span

ABOVE = "import os\n\n\ndef area(width, height):\n"
BELOW = "\n\ndef other():\n    pass\n"
ALLOWANCE = Allowance(fresh_tokens=60, prompt_tokens=1500)
SETTINGS = Completion()


def cursor(text: str, offset: int, selected: Selected | None = None) -> Cursor:
    return Cursor(Snapshot("file:///a.py", "python", 1, text), None, offset, selected)


def sent(text: str, offset: int) -> Document:
    """A document of which a slice at `offset` was sent."""
    document = Document(Snapshot("file:///a.py", "python", 1, text))
    document.sent(cut(cursor(text, offset), document, 1000, SETTINGS).sent)
    return document


def continuation(cursor: Cursor, document: Document) -> PromptPlan | None:
    return next(iter(continued(cursor, document, ALLOWANCE)), None)


def edited(document: Document, start: int, end: int, text: str) -> str:
    """The text after an edit, which the document follows."""
    before = document.snapshot.text
    after = before[:start] + text + before[end:]
    document.apply(Snapshot("file:///a.py", "python", 2, after), [Edit(Span(start, end), text)])
    return after


# what is done at the end of ABOVE: start and end before it, text; what stands behind the middle
# token then, None where a prompt is made anew
LEAD = "def area(width, height):\n"
DONE = [
    ("a keystroke", 0, 0, "    r", LEAD + "    r"),
    ("a line", 0, 0, "    return 1\n", LEAD + "    return 1\n"),
    ("carriage returns", 0, 0, "    a\r\n    b", LEAD + "    a\n    b"),
    ("a deletion in the line above", 3, 0, "", "def area(width, height"),
    ("more lines than are kept", 0, 0, "x\n" * (MAX_WRITTEN_LINES + 1), None),
    ("more than the lines above", len(LEAD) + 3, 0, "", None),
    ("nothing", 0, 0, "", LEAD),
]


@pytest.mark.parametrize("case", DONE, ids=[case[0] for case in DONE])
def test_writing_continues_the_prompt(case: tuple[str, int, int, str, str | None]) -> None:
    _, back, _, text, written = case
    at = len(ABOVE)
    document = sent(ABOVE + BELOW, at)
    now = edited(document, at - back, at, text)
    plan = continuation(cursor(now, at - back + len(text)), document)
    assert (plan.sent.text.written if plan else None) == written
    if plan:
        assert plan.piece.prefix.endswith(plan.sent.text.written)
        assert plan.sent.text.begins_as(document.prompts[0].text)


def test_an_edit_above_the_window_moves_the_anchor() -> None:
    long = "".join(f"value_{i} = compute({i})\n" for i in range(300))
    at = long.index("value_250")
    document = Document(Snapshot("file:///a.py", "python", 1, long))
    document.sent(cut(cursor(long, at), document, 300, SETTINGS).sent)
    assert document.prompts[0].anchor - len(document.prompts[0].above) > 1000
    now = edited(document, 0, 0, "import sys\n")
    assert continuation(cursor(now, at + 11), document) is not None
    now = edited(document, now.index("value_249"), now.index("value_249") + 5, "other")
    assert continuation(cursor(now, at + 11), document) is not None  # it is written anew
    now = edited(document, now.index("value_245"), now.index("value_245") + 5, "other")
    assert continuation(cursor(now, at + 11), document) is None


@pytest.mark.parametrize(
    ("below", "is_continued"),
    [(")", True), ("')", True), (")))))", False), ("x", False), ("", True)],
)
def test_brackets_that_an_editor_closes_are_no_new_suffix(below: str, is_continued: bool) -> None:
    at = len(ABOVE)
    document = sent(ABOVE + BELOW, at)
    now = edited(document, at, at, "    print(" + below)
    assert (continuation(cursor(now, at + 10), document) is not None) is is_continued


def test_text_after_the_former_end_is_a_new_suffix() -> None:
    document = sent(ABOVE, len(ABOVE))
    now = edited(document, len(ABOVE), len(ABOVE), "x = 1\n")
    assert continuation(cursor(now, len(ABOVE)), document) is None
    assert continuation(cursor(now, len(now)), document) is not None


def test_a_selected_item_counts_as_written() -> None:
    at = len(ABOVE)
    document = sent(ABOVE + BELOW, at)
    now = edited(document, at, at, "    pri")
    plan = continuation(cursor(now, at + 7, Selected(Span(at + 4, at + 7), "print")), document)
    assert plan is not None
    assert plan.sent.text.written == LEAD + "    print"


def test_a_manual_request_prefers_a_full_prompt_to_continuing_a_small_one() -> None:
    long = "".join(f"value_{i} = compute({i})\n" for i in range(300))
    at = long.index("value_250")
    document = sent(long[:at] + long[at:], at)
    small = cut(cursor(long, at), document, 200, SETTINGS).sent
    document.prompts = [small]
    roomy = Allowance(fresh_tokens=1400, prompt_tokens=1500)
    typing = candidates(cursor(long, at), document, roomy, SETTINGS)
    manual = candidates(cursor(long, at), document, roomy, SETTINGS, is_manual=True)
    assert typing[0].sent.text == small.text
    assert len(manual[0].piece.prefix) > len(typing[0].piece.prefix)
    document.prompts = [cut(cursor(long, at), document, 1400, SETTINGS, full=True).sent]
    manual = candidates(cursor(long, at), document, roomy, SETTINGS, is_manual=True)
    assert manual[0].sent.text == document.prompts[0].text


def test_an_interrupted_prompt_is_continued_after_those_that_were_evaluated() -> None:
    text = "".join(f"value_{i} = compute({i})\n" for i in range(300))
    at = text.index("value_250")
    document = sent(text, at)
    evaluated = document.prompts[0].text
    begun = cut(cursor(text, at), document, 300, SETTINGS).sent
    document.begun(begun)
    plans = continued(cursor(text, at), document, ALLOWANCE)
    assert [plan.sent.text for plan in plans] == [evaluated, begun.text]
    assert [plan.new_chars for plan in plans] == [0, begun.text.chars]
    document.sent(begun)
    plans = continued(cursor(text, at), document, ALLOWANCE)
    assert plans[0].sent.text == begun.text
    assert len(document.prompts) == 2


TEXTS = st.text(alphabet="ab)\n\r", max_size=30)


@given(TEXTS, TEXTS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4), TEXTS), max_size=6))
# Above the cursor there is the same text as before, and a line above that.
@example("\n)\r\r", "", [(1, 1, "\n)")])
# Two line breaks become one.
@example("a\r\r", "", [(2, 0, "\n")])
# The cursor is inside a line break.
@example("\r", "\n\ra", [(3, 1, "\n\ra")])
def test_a_continued_prompt_shows_the_document_as_it_is(
    above: str, below: str, edits: list[tuple[int, int, str]]
) -> None:
    """Whatever was edited, the model is shown the text left of the cursor, line by line."""
    document = sent(above + below, len(above))
    text = above + below
    for at, removed, added in edits:
        start = min(at, len(text))
        text = edited(document, start, min(start + removed, len(text)), added)
    for offset in range(len(text) + 1):
        plan = continuation(cursor(text, offset), document)
        if plan is not None:
            left = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
            assert left.endswith(plan.piece.prefix)
            assert plan.sent.stale or plan.piece.prefix == left
