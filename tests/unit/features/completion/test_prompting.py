"""Which prompts are sent, and which of them an engine takes."""

from __future__ import annotations

from functools import partial

import pytest

from nearfield.config.schema import Completion
from nearfield.features.completion.prompting import (
    Allowance,
    PromptPlan,
    candidates,
    cut,
    infill_request,
    prefill_request,
    unchosen,
)
from nearfield.features.documents import Document
from nearfield.providers.estimate import CHARS_PER_TOKEN
from nearfield.syntax.differences import common_prefix
from nearfield.syntax.parser import Cursor
from nearfield.types import Cell, Snapshot, Snippet

TEXT = "".join(f"value_{i} = compute({i}, 'some words to make it a line')\n" for i in range(400))
OFFSET = TEXT.index("value_200")
ALLOWANCE = Allowance(fresh_tokens=300, prompt_tokens=1500)
SETTINGS = Completion()
MARKS = 3
"""Characters of control tokens."""


def at(text: str, offset: int) -> Cursor:
    return Cursor(Snapshot("file:///a.py", "python", 1, text), None, offset)


def sent(tokens: int) -> tuple[Document, PromptPlan]:
    """A document of which a slice of that size at `OFFSET` was sent."""
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    plan = cut(cursor, document, tokens, SETTINGS)
    document.window = plan.piece.window
    document.sent(plan.sent)
    return document, plan


def written(plan: PromptPlan) -> str:
    """The prompt as the engine sees it."""
    text = plan.sent.text
    snippets = "".join(one.path + one.text for one in text.snippets)
    return f"{snippets}<{text.head}<{text.suffix}<{text.written}"


def chosen(
    plans: list[PromptPlan], allowance: Allowance, *held: PromptPlan
) -> tuple[PromptPlan, int]:
    """What the engine takes (see `engine.job.choose_prompt`) when it holds these prompts, and how
    many characters it evaluates then."""
    kept = [written(plan) for plan in held]
    texts = [written(plan) for plan in plans]
    new = [len(t) - max((common_prefix(t, one) for one in kept), default=0) for t in texts]
    for plan, count in zip(plans, new, strict=True):
        most = min(new) + plan.max_extra_tokens * CHARS_PER_TOKEN
        if count <= min(most, allowance.fresh_chars + MARKS):
            return plan, count
    least = min(range(len(plans)), key=new.__getitem__)
    return plans[least], new[least]


@pytest.mark.parametrize("is_manual", [True, False])
def test_a_new_document_is_shown_as_far_as_time_allows(is_manual: bool) -> None:
    cursor = at(TEXT, OFFSET)
    plans = candidates(cursor, Document(cursor.snapshot), ALLOWANCE, SETTINGS, is_manual=is_manual)
    plan, new = chosen(plans, ALLOWANCE)
    assert new <= ALLOWANCE.fresh_chars + MARKS
    assert len(plan.piece.prefix) > 200
    assert plans[unchosen(plans, ALLOWANCE)] is plan


@pytest.mark.parametrize("tokens", [300, 1500], ids=["after a first answer", "after idle prefill"])
@pytest.mark.parametrize("typed", ["f", "for item in "])
def test_typing_continues_the_prompt_and_only_the_typed_is_new(tokens: int, typed: str) -> None:
    document, before = sent(tokens)
    text = TEXT[:OFFSET] + typed + TEXT[OFFSET:]
    plans = candidates(at(text, OFFSET + len(typed)), document, ALLOWANCE, SETTINGS)
    plan, new = chosen(plans, ALLOWANCE, before)
    assert new == plan.new_chars == len(typed)
    assert plan.sent.text.head == before.sent.text.head
    assert unchosen(plans, ALLOWANCE) == 0


def test_a_prompt_that_the_engine_has_lost_is_not_evaluated_again() -> None:
    document, before = sent(1500)
    text = TEXT[:OFFSET] + "f" + TEXT[OFFSET:]
    plan, new = chosen(candidates(at(text, OFFSET + 1), document, ALLOWANCE, SETTINGS), ALLOWANCE)
    assert plan.sent.text.head != before.sent.text.head
    assert new <= ALLOWANCE.fresh_chars + MARKS


def test_a_provider_that_does_not_choose_gets_no_interrupted_prompt() -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    full = cut(cursor, document, 1500, SETTINGS).sent
    document.begun(full)
    plans = candidates(cursor, document, ALLOWANCE, SETTINGS)
    assert plans[0].sent.text == full.text
    assert plans[unchosen(plans, ALLOWANCE)].sent.text.chars < full.text.chars / 2
    document.sent(full)
    plans = candidates(cursor, document, ALLOWANCE, SETTINGS)
    assert unchosen(plans, ALLOWANCE) == 0


def test_a_new_line_keeps_the_top() -> None:
    document, before = sent(300)
    text = TEXT[:OFFSET] + "x = 1\n" + TEXT[OFFSET:]
    plans = candidates(at(text, OFFSET + 6), document, ALLOWANCE, SETTINGS)
    assert plans[0].piece.prefix == before.piece.prefix + "x = 1\n"


def test_a_manual_request_shows_more_than_was_sent() -> None:
    document, before = sent(100)
    plans = candidates(at(TEXT, OFFSET), document, ALLOWANCE, SETTINGS, is_manual=True)
    plan, new = chosen(plans, ALLOWANCE, before)
    assert len(plan.piece.prefix) > len(before.piece.prefix)
    assert new <= ALLOWANCE.fresh_chars + MARKS


SNIPPETS = (Snippet("b.py", "def compute(n: int, words: str) -> int: ...\n" * 8),)


def test_snippets_that_would_cost_too_much_are_left_to_idle_prefill() -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    tight = Allowance(fresh_tokens=100, prompt_tokens=1500)
    cold, _ = chosen(candidates(cursor, document, tight, SETTINGS, snippets=SNIPPETS), tight)
    assert cold.sent.text.snippets == ()
    document.sent(cold.sent)
    full = cut(cursor, document, 1200, SETTINGS, SNIPPETS)
    document.sent(full.sent)
    plans = candidates(cursor, document, tight, SETTINGS, snippets=SNIPPETS)
    assert chosen(plans, tight, cold, full)[0].sent.text.snippets == SNIPPETS
    assert chosen(plans, tight, cold)[0].sent.text.snippets == ()


def test_a_manual_request_shows_snippets_beside_as_much_of_the_file() -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    manual = partial(candidates, cursor, document, ALLOWANCE, SETTINGS, is_manual=True)
    plan, new = chosen(manual(snippets=SNIPPETS), ALLOWANCE)
    assert plan.sent.text.snippets == SNIPPETS
    assert new <= ALLOWANCE.fresh_chars + MARKS
    plans = manual(snippets=(Snippet("b.py", "x" * 5_000),))
    assert chosen(plans, ALLOWANCE)[0].sent.text.snippets == ()
    assert plans[unchosen(plans, ALLOWANCE)].sent.text.snippets == ()


def test_other_snippets_are_shown_at_once_only_to_a_manual_request() -> None:
    cursor = at(TEXT, OFFSET)
    document = Document(cursor.snapshot)
    full = cut(cursor, document, 1200, SETTINGS, SNIPPETS)
    document.sent(full.sent)
    newer = (*SNIPPETS, Snippet("c.py", "x" * 2_000))
    typing = at(TEXT[:OFFSET] + "f" + TEXT[OFFSET:], OFFSET + 1)
    plans = candidates(typing, document, ALLOWANCE, SETTINGS, snippets=newer)
    assert chosen(plans, ALLOWANCE, full)[0].sent.text.snippets == SNIPPETS
    roomy = Allowance(fresh_tokens=1500, prompt_tokens=1500)
    plans = candidates(typing, document, roomy, SETTINGS, is_manual=True, snippets=newer)
    assert chosen(plans, roomy, full)[0].sent.text.snippets == newer


def test_snippets_and_the_file_share_the_prompt() -> None:
    cursor = at(TEXT, OFFSET)
    roomy = Allowance(fresh_tokens=1500, prompt_tokens=1500)
    for snippets in ((), SNIPPETS):
        document = Document(cursor.snapshot)
        plans = candidates(cursor, document, roomy, SETTINGS, is_manual=True, snippets=snippets)
        assert plans[0].sent.text.snippets == snippets
        assert plans[0].sent.text.chars <= 1500 * 3.0 + 100


def test_the_request_carries_every_prompt_and_its_own_is_one_of_them() -> None:
    document, _ = sent(300)
    cursor = at(TEXT, OFFSET)
    plans = candidates(cursor, document, ALLOWANCE, SETTINGS)
    request = infill_request(plans, 1, cursor, SETTINGS, single_line=True, deadline=None)
    assert [one.prefix for one in request.variants] == [plan.piece.prefix for plan in plans]
    assert (request.prefix, request.suffix) == (plans[1].piece.prefix, plans[1].piece.suffix)
    assert request.with_variant(request.variants[0]).written == plans[0].sent.text.written
    assert prefill_request(plans[0], cursor, SETTINGS).variants == ()


@pytest.mark.parametrize(
    ("snapshot", "path"),
    [
        (Snapshot("file:///r/pkg/a.py", "python", 1, TEXT, "/r/pkg/a.py", "/r"), "pkg/a.py"),
        (Snapshot("untitled:Untitled-1", "python", 1, TEXT), "Untitled-1"),
    ],
)
def test_the_request_names_the_document_as_users_see_it(snapshot: Snapshot, path: str) -> None:
    cursor = Cursor(snapshot, None, OFFSET)
    plan = cut(cursor, Document(snapshot), 300, SETTINGS)
    request = infill_request([plan], 0, cursor, SETTINGS, single_line=True, deadline=None)
    assert (request.path, request.language) == (path, "python")


def in_cell(text: str, *above: str, offset: int | None = None) -> Cursor:
    cells = tuple(Cell("python", code) for code in above)
    snapshot = Snapshot("cell:1", "python", 1, text, "/w/a.ipynb", "/w", cells)
    return Cursor(snapshot, None, len(text) if offset is None else offset)


LONG_CELL = "".join(f"row_{i} = read({i})\n" for i in range(200))


def test_typing_in_a_cell_evaluates_only_the_typed_text() -> None:
    cursor = in_cell("x = ", LONG_CELL)
    document = Document(cursor.snapshot)
    plan, _ = chosen(candidates(cursor, document, ALLOWANCE, SETTINGS), ALLOWANCE)
    assert plan.piece.prefix.endswith("row_199 = read(199)\n\nx = ")
    document.sent(plan.sent)
    for typed in ("x = rows", "x = rows\ny = ", "x = rows\ny = 1\n"):
        after = candidates(in_cell(typed, LONG_CELL), document, ALLOWANCE, SETTINGS)[0]
        assert after.sent.text.head == plan.sent.text.head
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


def test_a_prompt_below_other_cells_is_not_continued() -> None:
    cursor = in_cell("x = ", "a = 1")
    document = Document(cursor.snapshot)
    document.sent(candidates(cursor, document, ALLOWANCE, SETTINGS)[0].sent)
    after = candidates(in_cell("x = y", "b = 2"), document, ALLOWANCE, SETTINGS)[0]
    assert after.piece.prefix == "b = 2\n\nx = y"


def test_cells_get_no_more_lines_than_the_settings_say() -> None:
    cursor = in_cell("x = ", LONG_CELL)
    few = Completion(prefix_lines=8)
    plan = cut(cursor, Document(cursor.snapshot), 1500, few)
    assert plan.piece.prefix.count("\n") == 8
