"""From which cursors a held prompt can be gone on from, and with what."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nearfield.config.schema import Completion
from nearfield.features.completion.budget import Allowance
from nearfield.features.completion.cached_prompt import WRITTEN_LINES
from nearfield.features.completion.prompting import Cursor, choose, cut, go_on
from nearfield.features.documents import Document, Documents
from nearfield.types import Edit, Selected, Snapshot, Span

ABOVE = "import os\n\n\ndef area(width, height):\n"
BELOW = "\n\ndef other():\n    pass\n"
ALLOWANCE = Allowance(fresh_tokens=60, prompt_tokens=1500)
SETTINGS = Completion()


def cursor(text: str, offset: int, selected: Selected | None = None) -> Cursor:
    return Cursor(Snapshot("file:///a.py", "python", 1, text), None, offset, selected)


def held(text: str, offset: int) -> Document:
    """A document of which a slice at `offset` has been evaluated."""
    document = Document(Snapshot("file:///a.py", "python", 1, text))
    document.evaluated(cut(cursor(text, offset), document, 1000, SETTINGS).held)
    return document


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
    ("more lines than are kept", 0, 0, "x\n" * (WRITTEN_LINES + 1), None),
    ("more than the lines above", len(LEAD) + 3, 0, "", None),
    ("nothing", 0, 0, "", LEAD),
]


@pytest.mark.parametrize("case", DONE, ids=[case[0] for case in DONE])
def test_writing_on(case: tuple[str, int, int, str, str | None]) -> None:
    _, back, _, text, written = case
    at = len(ABOVE)
    document = held(ABOVE + BELOW, at)
    now = edited(document, at - back, at, text)
    plan = go_on(cursor(now, at - back + len(text)), document, ALLOWANCE)
    assert (plan.prompt.written if plan else None) == written
    if plan:
        assert plan.piece.prefix.endswith(plan.prompt.written)
        assert plan.prompt.begins_as(document.held[0].prompt)


def test_an_edit_above_the_window_moves_the_anchor() -> None:
    long = "".join(f"value_{i} = compute({i})\n" for i in range(300))
    at = long.index("value_250")
    document = Document(Snapshot("file:///a.py", "python", 1, long))
    document.evaluated(cut(cursor(long, at), document, 300, SETTINGS).held)
    assert document.held[0].anchor - len(document.held[0].above) > 1000
    now = edited(document, 0, 0, "import sys\n")
    assert go_on(cursor(now, at + 11), document, ALLOWANCE) is not None
    now = edited(document, now.index("value_249"), now.index("value_249") + 5, "other")
    assert go_on(cursor(now, at + 11), document, ALLOWANCE) is not None  # it is written anew
    now = edited(document, now.index("value_245"), now.index("value_245") + 5, "other")
    assert go_on(cursor(now, at + 11), document, ALLOWANCE) is None


@pytest.mark.parametrize(
    ("below", "goes_on"),
    [(")", True), ("')", True), (")))))", False), ("x", False), ("", True)],
)
def test_what_an_editor_closes_by_itself_is_no_new_suffix(below: str, goes_on: bool) -> None:
    at = len(ABOVE)
    document = held(ABOVE + BELOW, at)
    now = edited(document, at, at, "    print(" + below)
    assert (go_on(cursor(now, at + 10), document, ALLOWANCE) is not None) is goes_on


def test_what_is_new_below_the_end_is_seen() -> None:
    document = held(ABOVE, len(ABOVE))
    now = edited(document, len(ABOVE), len(ABOVE), "x = 1\n")
    assert go_on(cursor(now, len(ABOVE)), document, ALLOWANCE) is None
    assert go_on(cursor(now, len(now)), document, ALLOWANCE) is not None


def test_a_selected_item_is_written() -> None:
    at = len(ABOVE)
    document = held(ABOVE + BELOW, at)
    now = edited(document, at, at, "    pri")
    plan = go_on(cursor(now, at + 7, Selected(Span(at + 4, at + 7), "print")), document, ALLOWANCE)
    assert plan is not None
    assert plan.prompt.written == LEAD + "    print"


def test_whoever_waits_wants_all_of_it() -> None:
    long = "".join(f"value_{i} = compute({i})\n" for i in range(300))
    at = long.index("value_250")
    document = held(long[:at] + long[at:], at)
    small = cut(cursor(long, at), document, 200, SETTINGS).held
    document.held = [small]
    roomy = Allowance(fresh_tokens=1400, prompt_tokens=1500)
    typing = choose(cursor(long, at), document, roomy, SETTINGS)
    waiting = choose(cursor(long, at), document, roomy, SETTINGS, patient=True)
    assert typing.prompt == small.prompt
    assert len(waiting.piece.prefix) > len(typing.piece.prefix)


def test_what_the_provider_has_given_up_is_forgotten() -> None:
    documents = Documents()
    for i in range(3):
        text = f"x = {i}\n"
        document = documents.opened(Snapshot(f"file:///{i}.py", "python", 1, text))
        plan = cut(cursor(text, len(text)), document, 100, SETTINGS)
        documents.evaluated(document, plan.held, 2)
    held = [documents.get(f"file:///{i}.py") for i in range(3)]
    assert [len(one.held) for one in held if one] == [0, 1, 1]


TEXTS = st.text(alphabet="ab)\n\r", max_size=30)


@given(TEXTS, TEXTS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4), TEXTS), max_size=6))
# Above the cursor there is the same text as before, and a line above that.
@example("\n)\r\r", "", [(1, 1, "\n)")])
# Two line breaks become one.
@example("a\r\r", "", [(2, 0, "\n")])
def test_what_is_gone_on_from_is_the_document(
    above: str, below: str, edits: list[tuple[int, int, str]]
) -> None:
    """Whatever was edited, the model is shown the text left of the cursor, line by line."""
    document = held(above + below, len(above))
    text = above + below
    for at, removed, added in edits:
        start = min(at, len(text))
        text = edited(document, start, min(start + removed, len(text)), added)
    for offset in range(len(text) + 1):
        plan = go_on(cursor(text, offset), document, ALLOWANCE)
        if plan is not None:
            left = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
            assert left.endswith(plan.piece.prefix)
            assert plan.held.stale or plan.piece.prefix == left
