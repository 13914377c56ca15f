"""The snippets of a document stay as they are for as long as they serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nearfield.features.workspace_context import prepared
from nearfield.features.workspace_context.prepared import PreparedSnippets
from nearfield.features.workspace_context.snippets import ContextSnippet
from nearfield.types import SnippetKind


def piece(key: str, weight: float = 1.0, *, firm: bool = True, text: str = "") -> ContextSnippet:
    return ContextSnippet(
        key, f"{key}.py", text or key * 10, SnippetKind.DEFINITION, "", weight, firm=firm
    )


A, B, C = piece("a"), piece("b"), piece("c")
SOFT = piece("s", 0.1, firm=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    monkeypatch.setattr(prepared, "time", Time)
    return now


@pytest.mark.parametrize(
    ("before", "found", "after"),
    [
        ([], [SOFT, A], [SOFT, A]),
        ([A, B], [A, B], [A, B]),
        ([A, B], [B, A], [A, B]),
        ([A, B], [A], [A, B]),
        ([A, B], [SOFT, A], [A, B]),
        ([A, B], [C], [A, B, C]),
        ([A, B], [C, SOFT], [A, B, C]),
        ([A, B], [piece("a", text="changed"), B], [piece("a", text="changed"), B]),
        ([A, B], [], [A, B]),
    ],
)
def test_helpful_snippets_are_added_and_others_stay(
    before: Sequence[ContextSnippet],
    found: Sequence[ContextSnippet],
    after: Sequence[ContextSnippet],
    clock: Any,
) -> None:
    held = PreparedSnippets(tuple(before))
    changed = held.adopt(found)
    assert held.snippets == tuple(after)
    assert changed == (tuple(before) != tuple(after))


def test_unneeded_snippets_are_dropped_when_space_is_needed(clock: Any) -> None:
    old = [piece(str(i), text="x" * 1_000) for i in range(4)]
    held = PreparedSnippets(tuple(old))
    held.adopt([old[1], piece("new", text="y" * 900)])
    assert [one.key for one in held.snippets] == ["1", "2", "3", "new"]


def test_a_choice_tells_how_long_it_is_kept(clock: list[float]) -> None:
    held = PreparedSnippets()
    assert held.steady_seconds == 0
    held.adopt([A])
    assert held.steady_seconds == PreparedSnippets.CHANGE_SECONDS
    clock[0] += PreparedSnippets.CHANGE_SECONDS + 1
    assert held.steady_seconds == 0


def test_a_smaller_budget_keeps_the_weightiest_in_order() -> None:
    held = PreparedSnippets((piece("a", 0.5), piece("b", 2.0), piece("c", 1.0)))
    assert [one.key for one in held.within(20)] == ["b", "c"]
    assert [one.key for one in held.within(30)] == ["a", "b", "c"]
    assert held.within(5) == []
