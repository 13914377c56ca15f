"""Which edits are taken for an acceptance."""

from __future__ import annotations

import pytest

from nearfield.features.completion.acceptance import MAX_OFFERED, Acceptance, Taken
from nearfield.features.documents import Documents
from nearfield.types import Edit, Span, Suggestion

URI = "file:///a.py"


def suggestion(text: str, at: int = 10, end: int | None = None, id: str = "1") -> Suggestion:
    return Suggestion(id, text, Span(at, at if end is None else end))


# the suggestion at 10, edits as (start, end, text), how far it came
INFERRED: list[tuple[str, Suggestion, list[tuple[int, int, str]], Taken]] = [
    ("all of it", suggestion("abc(x)"), [(10, 10, "abc(x)")], Taken.ACCEPTED),
    ("a word of it", suggestion("abc(x)"), [(10, 10, "abc")], Taken.PARTIAL),
    ("word by word", suggestion("abc(xy)"), [(10, 10, "abc("), (14, 14, "xy)")], Taken.ACCEPTED),
    ("typed", suggestion("abc"), [(10, 10, "a"), (11, 11, "b")], Taken.OFFERED),
    ("typed, then taken", suggestion("abc"), [(10, 10, "a"), (11, 11, "bc")], Taken.ACCEPTED),
    ("something else", suggestion("abc"), [(10, 10, "abd")], Taken.OFFERED),
    ("elsewhere", suggestion("abc"), [(3, 3, "abc")], Taken.OFFERED),
    ("else, then it", suggestion("abc"), [(3, 3, "z"), (10, 10, "abc")], Taken.OFFERED),
    ("a pair of brackets", suggestion("()"), [(10, 10, "()")], Taken.ACCEPTED),
    ("brackets that the editor closes", suggestion("() + 1"), [(10, 10, "()")], Taken.OFFERED),
    ("one character, all of it", suggestion(")"), [(10, 10, ")")], Taken.ACCEPTED),
    (
        "the item it replaces too",
        suggestion("sqrt(x)", 10, 13),
        [(10, 13, "sqrt(x)")],
        Taken.ACCEPTED,
    ),
]


@pytest.mark.parametrize("case", INFERRED, ids=[c[0] for c in INFERRED])
async def test_an_edit_that_inserts_the_suggestion_is_an_acceptance(
    case: tuple[str, Suggestion, list[tuple[int, int, str]], Taken],
) -> None:
    _, offered, edits, expected = case
    acceptance = Acceptance(Documents())
    acceptance.offered(URI, [offered])
    last = False
    for start, end, text in edits:
        last = acceptance.infer(URI, [Edit(Span(start, end), text)])
    assert last == (expected is not Taken.OFFERED)
    assert acceptance.counts[Taken.ACCEPTED] == (expected is Taken.ACCEPTED)


async def test_what_the_client_says_and_what_is_seen_count_once() -> None:
    acceptance = Acceptance(Documents())
    acceptance.offered(URI, [suggestion("abc")])
    assert acceptance.report("1", Taken.SHOWN) == URI
    assert acceptance.infer(URI, [Edit(Span(10, 10), "abc")])
    assert acceptance.report("1", Taken.ACCEPTED) == URI
    assert acceptance.report("1", Taken.SHOWN) == URI
    assert acceptance.report("unknown", Taken.ACCEPTED) is None
    assert acceptance.counts == {Taken.OFFERED: 1, Taken.SHOWN: 1, Taken.ACCEPTED: 1}


async def test_an_offer_is_closed_by_the_next_and_by_closing_the_document() -> None:
    acceptance = Acceptance(Documents())
    acceptance.offered(URI, [suggestion("abc")])
    acceptance.offered(URI, [suggestion("xyz", id="2")])
    assert not acceptance.infer(URI, [Edit(Span(10, 10), "abc")])
    acceptance.offered(URI, [suggestion("abc", id="3")])
    acceptance.closed(URI)
    assert not acceptance.infer(URI, [Edit(Span(10, 10), "abc")])
    assert acceptance.report("3", Taken.ACCEPTED) == URI


async def test_offers_are_bounded() -> None:
    acceptance = Acceptance(Documents())
    for number in range(MAX_OFFERED + 1):
        acceptance.offered(URI, [suggestion("abc", id=str(number))])
    assert acceptance.report("0", Taken.SHOWN) is None
    assert acceptance.report("1", Taken.SHOWN) == URI
