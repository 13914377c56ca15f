"""Drafts of a copied text: they change what an answer costs, and never what it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nearfield.engine.drafts import MAX_DRAFT_TOKENS, CopyDrafts

TOKENS = st.lists(st.integers(0, 5), max_size=60)
END = -1


def generated(source: list[int], answer: list[int], room: int = 100) -> tuple[list[int], int]:
    """What is said by a model that says `answer`, and in how many steps."""
    drafts, said, steps = CopyDrafts(source), [], 0
    truth = [*answer, END]
    while END not in said:
        draft = drafts.next(room)
        assert len(draft) <= min(room, MAX_DRAFT_TOKENS)
        right = 0
        while right < len(draft) and draft[right] == truth[len(said) + right]:
            right += 1
        made = [*draft[:right], truth[len(said) + right]]
        drafts.settle(len(draft), [token for token in made if token != END])
        said += made
        steps += 1
    return said[:-1], steps


@given(TOKENS, TOKENS, st.integers(0, 20))
def test_an_answer_is_the_same_whatever_is_drafted(
    source: list[int], answer: list[int], room: int
) -> None:
    said, steps = generated(source, answer, room)
    assert said == answer
    assert 1 <= steps <= len(answer) + 1


def test_a_copy_takes_a_step_for_each_full_draft() -> None:
    text = list(range(64))
    assert generated(text, text)[1] == 5


def test_a_draft_goes_on_behind_what_was_replaced() -> None:
    text = list(range(64))
    answer = [*text[:20], 100, 101, *text[21:]]
    assert generated(text, answer)[1] <= 10


def test_a_draft_goes_on_behind_lines_that_were_deleted_or_put_in() -> None:
    text = list(range(80))
    assert generated(text, [*text[:20], *text[40:]])[1] <= 12
    assert generated(text, [*text[:20], 100, 101, 102, *text[20:]])[1] <= 16


def test_nothing_is_drafted_for_an_answer_that_copies_nothing() -> None:
    answer = list(range(100, 130))
    assert generated(list(range(64)), answer)[1] == len(answer) + 1
