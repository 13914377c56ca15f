"""How much of a document is shown: the most to whoever waits, what is held to whoever types."""

from __future__ import annotations

import pytest

from nearfield.config.schema import Completion
from nearfield.features.completion.budget import Allowance
from nearfield.features.completion.prompting import Plan, choose, cut
from nearfield.features.cursor import Cursor
from nearfield.features.documents import Document
from nearfield.types import Cell, Snapshot, Snippet

TEXT = "".join(f"value_{i} = compute({i}, 'some words to make it a line')\n" for i in range(400))
OFFSET = TEXT.index("value_200")
ALLOWANCE = Allowance(fresh_tokens=300, prompt_tokens=1500)
SETTINGS = Completion()


def at(text: str, offset: int) -> Cursor:
    return Cursor(Snapshot("file:///a.py", "python", 1, text), None, offset)


def held(tokens: int) -> tuple[Document, Plan]:
    """A document of which a slice of that size has been evaluated at `OFFSET`."""
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    plan = cut(cursor, document, tokens, SETTINGS)
    document.window = plan.piece.window
    document.evaluated(plan.held)
    return document, plan


@pytest.mark.parametrize("patient", [True, False])
def test_a_cold_document_is_shown_as_far_as_time_allows(patient: bool) -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    plan = choose(cursor, document, ALLOWANCE, SETTINGS, patient=patient)
    assert document.fresh_chars(plan.prompt) <= ALLOWANCE.fresh_chars
    assert len(plan.piece.prefix) > 200


@pytest.mark.parametrize("tokens", [300, 1500], ids=["after a first answer", "after idle prefill"])
@pytest.mark.parametrize("typed", ["f", "for item in "])
def test_typing_on_shows_what_is_held_and_only_the_typed_is_new(tokens: int, typed: str) -> None:
    document, before = held(tokens)
    text = TEXT[:OFFSET] + typed + TEXT[OFFSET:]
    plan = choose(at(text, OFFSET + len(typed)), document, ALLOWANCE, SETTINGS)
    assert document.fresh_chars(plan.prompt) == len(typed)
    assert plan.prompt.head == before.prompt.head


def test_a_new_line_keeps_the_top() -> None:
    document, before = held(300)
    text = TEXT[:OFFSET] + "x = 1\n" + TEXT[OFFSET:]
    plan = choose(at(text, OFFSET + 6), document, ALLOWANCE, SETTINGS)
    assert plan.piece.prefix == before.piece.prefix + "x = 1\n"


def test_whoever_waits_is_shown_more_than_is_held() -> None:
    document, before = held(100)
    plan = choose(at(TEXT, OFFSET), document, ALLOWANCE, SETTINGS, patient=True)
    assert len(plan.piece.prefix) > len(before.piece.prefix)
    assert document.fresh_chars(plan.prompt) <= ALLOWANCE.fresh_chars


SNIPPETS = (Snippet("b.py", "def compute(n: int, words: str) -> int: ...\n" * 8),)


def test_snippets_that_would_cost_too_much_are_left_to_idle_prefill() -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    tight = Allowance(fresh_tokens=100, prompt_tokens=1500)
    cold = choose(cursor, document, tight, SETTINGS, snippets=SNIPPETS)
    assert cold.prompt.snippets == ()
    document.evaluated(cold.held)
    document.evaluated(cut(cursor, document, 1200, SETTINGS, SNIPPETS).held)
    assert choose(cursor, document, tight, SETTINGS, snippets=SNIPPETS).prompt.snippets == SNIPPETS


def test_whoever_waits_gets_them_beside_as_much_of_the_file() -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    plan = choose(cursor, document, ALLOWANCE, SETTINGS, patient=True, snippets=SNIPPETS)
    assert plan.prompt.snippets == SNIPPETS
    assert document.fresh_chars(plan.prompt) <= ALLOWANCE.fresh_chars
    huge = (Snippet("b.py", "x" * 5_000),)
    assert (
        choose(cursor, document, ALLOWANCE, SETTINGS, patient=True, snippets=huge).prompt.snippets
        == ()
    )


def test_other_snippets_wait_until_they_are_held() -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    document.evaluated(cut(cursor, document, 1200, SETTINGS, SNIPPETS).held)
    newer = (*SNIPPETS, Snippet("c.py", "x" * 2_000))
    typing = at(TEXT[:OFFSET] + "f" + TEXT[OFFSET:], OFFSET + 1)
    assert choose(typing, document, ALLOWANCE, SETTINGS, snippets=newer).prompt.snippets == SNIPPETS
    # Whoever waits is shown them at once.
    roomy = Allowance(fresh_tokens=1500, prompt_tokens=1500)
    waiting = choose(typing, document, roomy, SETTINGS, patient=True, snippets=newer)
    assert waiting.prompt.snippets == newer


def test_snippets_and_the_file_share_the_prompt() -> None:
    cursor = at(TEXT, OFFSET)
    roomy = Allowance(fresh_tokens=1500, prompt_tokens=1500)
    for snippets in ((), SNIPPETS):
        document = Document(cursor.snapshot)
        plan = choose(cursor, document, roomy, SETTINGS, patient=True, snippets=snippets)
        assert plan.prompt.snippets == snippets
        assert document.fresh_chars(plan.prompt) <= 1500 * 3.0 + 100


def in_cell(text: str, *above: str, offset: int | None = None) -> Cursor:
    cells = tuple(Cell("python", code) for code in above)
    snapshot = Snapshot("cell:1", "python", 1, text, "/w/a.ipynb", "/w", cells)
    return Cursor(snapshot, None, len(text) if offset is None else offset)


LONG_CELL = "".join(f"row_{i} = read({i})\n" for i in range(200))


def test_typing_in_a_cell_evaluates_only_what_was_typed() -> None:
    cursor = in_cell("x = ", LONG_CELL)
    document = Document(cursor.snapshot)
    plan = choose(cursor, document, ALLOWANCE, SETTINGS)
    assert plan.piece.prefix.endswith("row_199 = read(199)\n\nx = ")
    document.evaluated(plan.held)
    for typed in ("x = rows", "x = rows\ny = ", "x = rows\ny = 1\n"):
        after = choose(in_cell(typed, LONG_CELL), document, ALLOWANCE, SETTINGS)
        assert after.prompt.head == plan.prompt.head
        assert after.piece.cells == plan.piece.cells > 0


def test_a_cell_that_grows_loses_those_above_in_few_steps() -> None:
    text, heads = "", set[int]()
    for number in range(120):
        text += f"x_{number} = call({number})\n"
        cursor = in_cell(text, LONG_CELL)
        plan = cut(cursor, Document(cursor.snapshot), 500, SETTINGS)
        assert len(plan.piece.prefix) <= 500 * 3.5
        heads.add(plan.piece.cells)
    assert 0 in heads
    assert len(heads) <= 5


def test_what_is_held_below_other_cells_is_not_gone_on_from() -> None:
    cursor = in_cell("x = ", "a = 1")
    document = Document(cursor.snapshot)
    document.evaluated(choose(cursor, document, ALLOWANCE, SETTINGS).held)
    after = choose(in_cell("x = y", "b = 2"), document, ALLOWANCE, SETTINGS)
    assert after.piece.prefix == "b = 2\n\nx = y"


def test_cells_get_no_more_lines_than_the_settings_say() -> None:
    cursor = in_cell("x = ", LONG_CELL)
    few = Completion(prefix_lines=8)
    plan = cut(cursor, Document(cursor.snapshot), 1500, few)
    assert plan.piece.prefix.count("\n") == 8
