"""The bookkeeping of KV sequences against a model of what llama.cpp holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.engine.frames import document_of, owner_of
from nearfield.engine.kv_cache import COMPARED, WORTH_KEEPING, SequenceTable, common_prefix

TOKENS = st.lists(st.integers(0, 3), max_size=40)


@given(TOKENS, TOKENS)
def test_common_prefix_equals_a_plain_loop(held: list[int], prompt: list[int]) -> None:
    expected = 0
    for a, b in zip(held, prompt, strict=False):
        if a != b:
            break
        expected += 1
    assert common_prefix(held, prompt) == expected


@pytest.mark.parametrize("more", [0, 1, COMPARED])
@pytest.mark.parametrize("n", [COMPARED - 1, COMPARED, COMPARED + 1, 3 * COMPARED])
def test_common_prefix_of_long_prompts(n: int, more: int) -> None:
    same = list(range(1000, 1000 + n))
    longer = [*same, *range(more)]
    assert common_prefix(same, longer) == common_prefix(longer, same) == n
    assert common_prefix([*same, -1, 5, *longer], [*longer, -2, 5]) == n


def filled(*contents: list[int]) -> SequenceTable:
    table = SequenceTable(len(contents))
    for job, (sequence, tokens) in enumerate(zip(table.all, contents, strict=True)):
        table.take(sequence, job, f"doc{job}", 0)
        sequence.tokens.extend(tokens)
        sequence.whole = len(tokens)
        table.release(job)
    return table


LONG = list(range(100))


def test_what_was_evaluated_for_one_owner_serves_no_other() -> None:
    table = SequenceTable(2)
    mine, others = document_of("ada", "doc"), document_of("bob", "doc")
    assert [owner_of(one) for one in (mine, others, "doc")] == ["ada", "bob", ""]
    table.take(table.all[0], 1, mine, 0)
    table.all[0].tokens.extend(LONG)
    table.release(1)
    for document, shared in ((mine, 100), (others, 0), ("doc", 0)):
        assert table.shared(table.all[0], [*LONG, 7], document) == shared
        chosen = table.choose([*LONG, 7], document)
        assert chosen is not None
        assert chosen[1] == shared


@pytest.mark.parametrize(
    ("contents", "prompt", "expected"),
    [
        pytest.param([[], []], LONG, (1, 0), id="empty table"),
        pytest.param([LONG, []], [*LONG, 7], (0, 100), id="continues what it holds"),
        pytest.param([LONG, []], [*LONG[:60], 7, 7], (0, 60), id="long common beginning"),
        pytest.param(
            [LONG, []],
            [*LONG[: WORTH_KEEPING - 1], *[7] * 200],
            (1, 0),
            id="short common beginning leaves the other document alone",
        ),
        pytest.param([[1, 2, 3, 9], []], [1, 2, 3, 4], (0, 3), id="most of a short prompt"),
        pytest.param([[5] * 9, [6] * 9], LONG, (0, 0), id="full table gives up the oldest"),
    ],
)
def test_the_sequence_with_the_longest_prefix_is_chosen(
    contents: list[list[int]], prompt: list[int], expected: tuple[int, int]
) -> None:
    chosen = filled(*contents).choose(prompt, "doc")
    assert chosen is not None
    assert (chosen[0].id, chosen[1]) == expected


def test_a_busy_sequence_is_only_taken_from_a_job_that_may_lose_it() -> None:
    table = filled(LONG)
    table.take(table.all[0], 5, "doc", 100)
    assert table.choose(LONG, "doc") is None
    chosen = table.choose(LONG, "doc", frozenset({5}))
    assert chosen is not None
    assert chosen[1] == 100


def test_a_job_that_has_only_begun_keeps_its_sequence_while_another_is_free() -> None:
    table = SequenceTable(2)
    table.take(table.all[0], 5, "doc", 0)
    chosen = table.choose(LONG, "other", frozenset({5}))
    assert chosen is not None
    assert chosen[0].id == 1


def begun(table: SequenceTable, place: int, tokens: list[int], document: str = "doc") -> None:
    """A job has begun to evaluate `tokens` there, and was given up."""
    sequence = table.all[place]
    table.take(sequence, 99, document, 0)
    sequence.tokens.extend(tokens)
    table.release(99)


def test_an_interrupted_prompt_is_replaced_before_a_whole_one() -> None:
    table = filled([5] * 90, [6] * 90, [7] * 90)
    begun(table, 2, [8] * 60)
    chosen = table.choose(LONG, "doc")
    assert chosen is not None and chosen[0].id == 2, "though it was used last"
    spare = table.spare("doc0", table.all[1])
    assert spare is not None and spare.id == 2, "though another is of the same document"
    spare = table.spare("doc0", table.all[2])
    assert spare is not None and spare.id == 1, "as doc0 may keep two"


def test_a_copy_does_not_take_the_place_of_a_documents_only_prompt() -> None:
    table = filled([5] * 90, [6] * 90, [7] * 90, [8] * 90)
    table.give(table.all[3], "doc3")
    spare = table.spare("doc3", table.all[0])
    assert spare is not None and spare.id == 1, "the least recently used of the others"
    table.give(table.all[2], "doc3")
    spare = table.spare("doc3", table.all[0])
    assert spare is not None and spare.id == 3, "of two the older one"
    table.all[1].whole = 0
    spare = table.spare("doc3", table.all[0])
    assert spare is not None and spare.id == 1, "before any whole one"


def test_the_prompt_that_is_asked_for_is_kept() -> None:
    head = [5] * 90
    table = filled([*head, *[6] * 40], [*head, *[7] * 40])
    table.all[1].document = "doc0"
    for end, place in ((6, 0), (7, 1)):
        found = table.holding([[*head, *[end] * 30, 1], [9] * 50], "doc0")
        assert found is not None and found.id == place, "though the other is as long"
    assert table.holding([[*head, 6]], "doc1") is None, "as it is another document's"
    assert table.holding([[5, 5, 9, 9]], "doc0") is None, "of which only the beginning is there"
    assert table.holding([], "doc0") is None


def test_a_copy_does_not_replace_the_most_recent_prompt() -> None:
    table = filled([5] * 90, [6] * 90, [7] * 90)
    for older, newer in ((0, 1), (1, 0)):
        for place in (older, newer):
            table.give(table.all[place], "doc")
        assert table.spare("doc", table.all[older]) is None, "it is overwritten itself"
        spare = table.spare("doc", table.all[newer])
        assert spare is not None and spare.id == older
    spare = table.spare("doc2", table.all[2])
    assert spare is not None and spare.id == 1, "the least recently used one of another document"


def test_a_shortened_prompt_is_no_longer_whole() -> None:
    table = filled([5] * 90)
    table.take(table.all[0], 1, "doc", 40)
    assert table.all[0].whole == 40
    table.clear()
    assert table.all[0].whole == 0


@given(st.lists(st.tuples(TOKENS, st.integers(0, 40)), max_size=30), st.integers(1, 4))
def test_tokens_always_equal_a_simulated_cache(
    prompts: list[tuple[list[int], int]], count: int
) -> None:
    """Every prompt continues its sequence from the shared part, as `Job.begin` and `Lane.decode`
    do, and may be cut short; afterwards the sequence must hold exactly that prompt's beginning."""
    table = SequenceTable(count)
    cache: dict[int, list[int]] = {s.id: [] for s in table.all}
    for job, (prompt, cut) in enumerate(prompts):
        choice = table.choose(prompt, "d")
        assert choice is not None
        sequence, shared = choice
        assert cache[sequence.id][:shared] == prompt[:shared]
        table.take(sequence, job, "d", shared)
        cache[sequence.id] = cache[sequence.id][:shared]
        evaluated = prompt[shared:][:cut]
        sequence.tokens.extend(evaluated)
        cache[sequence.id] += evaluated
        table.release(job)
        assert sequence.tokens == cache[sequence.id] == prompt[: shared + cut]
