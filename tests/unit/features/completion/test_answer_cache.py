"""The completion cache: what it finds is what was said, less what has been typed since."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.features.completion.answers import (
    AFTER_CHARS,
    BEFORE_CHARS,
    CachedCompletion,
    CompletionCache,
)
from nearfield.types import CompletionRequest, Snapshot, Surface

URI = "file:///a.py"


def at(text: str, offset: int, uri: str = URI) -> CompletionRequest:
    return CompletionRequest("", Surface.POPUP, Snapshot(uri, "python", 1, text), offset)


def found(cache: CompletionCache, text: str, offset: int, uri: str = URI) -> list[str]:
    return [hit.rest for hit in cache.find(at(text, offset, uri))]


def check(before: str, said: str, then: str, expected: list[str]) -> None:
    """`said` was said at the bar in `before`; what is found at the bar in `then`?"""
    cache = CompletionCache()
    cache.put(at(before.replace("|", ""), before.index("|")), CachedCompletion(said))
    assert found(cache, then.replace("|", ""), then.index("|")) == expected


FAR = "# far away\n" * 200

CASES = [
    ("the same place", "x = |", "1 + 2", "x = |", ["1 + 2"]),
    ("typed through", "x = |", "1 + 2", "x = 1 +|", [" 2"]),
    ("typed to the end", "x = |", "1 + 2", "x = 1 + 2|", []),
    ("typed something else", "x = |", "1 + 2", "x = 2|", []),
    ("deleted past the place", "x = |", "1 + 2", "x =|", []),
    ("through several lines", "f(|)", "\n    a,\n", "f(\n    a|)", [",\n"]),
    ("closed by the editor", "f|\n", "(a, b)", "f(|)\n", ["a, b)"]),
    ("closed twice", "f|\n", "([a])", "f([|])\n", ["a])"]),
    ("text behind the cursor", "x = |", "1 + 2", "x = |3", []),
    ("other text behind it", "x = |\ny", "1 + 2", "x = |\nz", []),
    ("the empty document", "|", "import os", "import|", [" os"]),
    ("a line above is gone", "a\nx = |", "1", "x = |", []),
    ("an edit far above", f"b\n{FAR}x = |", "1 + 2", f"{FAR}x = 1|", [" + 2"]),
    ("an edit far below", f"x = |\n{FAR}b", "1 + 2", f"x = 1|\n{FAR}", [" + 2"]),
    ("nothing was said, there", "x = |", "", "x = |", [""]),
    ("nothing was said, elsewhere", "x = |", "", "x = 1|", []),
    ("typed what stands before it", "aaaa|", "aaaab", "aaaaaa|", ["aab"]),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_cached_answers_fit_while_they_are_typed(
    case: tuple[str, str, str, str, list[str]],
) -> None:
    check(*case[1:])


documents = st.text(alphabet="ab \n(", max_size=40)


@given(
    asks=st.lists(
        st.tuples(documents, st.integers(0, 40), st.text(alphabet="ab \n(", max_size=12)),
        max_size=8,
    ),
    text=documents,
    cursor=st.integers(0, 40),
)
def test_equals_a_search_through_all_that_was_said(
    asks: list[tuple[str, int, str]], text: str, cursor: int
) -> None:
    """The oracle knows no anchors: it undoes the typing, one length after the other, and compares
    the texts. (Shorter than the anchors, so that they are whole; no closers, so that none is
    typed by itself.)"""
    cache = CompletionCache()
    cursor = min(cursor, len(text))
    latest: dict[tuple[str, int], str] = {}
    for asked, wish, said in asks:
        place = min(wish, len(asked))
        cache.put(at(asked, place), CachedCompletion(said))
        latest.pop((asked, place), None)
        latest[asked, place] = said
    expected = [
        said[typed:]
        for (asked, place), said in reversed(latest.items())
        for typed in range(max(len(said), 1))
        if text == asked[:place] + said[:typed] + asked[place:] and cursor == place + typed
    ]
    assert found(cache, text, cursor) == expected


def test_documents_do_not_answer_for_each_other() -> None:
    cache = CompletionCache()
    cache.put(at("x = ", 4), CachedCompletion("1"))
    assert found(cache, "x = ", 4, "file:///b.py") == []


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    cache = CompletionCache(max_entries=3)
    for number in range(5):
        cache.put(at(f"x{number} = ", 5), CachedCompletion("1"))
    assert [bool(found(cache, f"x{n} = ", 5)) for n in range(5)] == [False, False, True, True, True]
    assert len(cache) == 3
    cache.forget(URI)
    assert len(cache) == 0


def test_the_anchors_decide_what_counts_as_far() -> None:
    """One character inside the anchors is a difference, one outside is not."""
    before, after = "b" * BEFORE_CHARS, "a" * AFTER_CHARS
    cache = CompletionCache()
    cache.put(at(f"1{before}{after}2", BEFORE_CHARS + 1), CachedCompletion("x"))
    assert found(cache, f"9{before}{after}9", BEFORE_CHARS + 1) == ["x"]
    assert found(cache, f"1c{before[1:]}{after}2", BEFORE_CHARS + 1) == []
    assert found(cache, f"1{before}{after[1:]}c2", BEFORE_CHARS + 1) == []
