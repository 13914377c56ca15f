"""The text of an answer as its pieces arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nearfield.features.completion.answers import Generated
from nearfield.types import Delta


def generated(*pieces: str) -> Generated:
    found = Generated()
    for piece in pieces:
        found.add(Delta(piece, (-0.1,) if piece else ()))
    return found


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (("a\r\nb",), "a\nb"),
        (("a\r", "\nb"), "a\nb"),
        (("a\r", "", "\n", "\nb"), "a\n\nb"),
        (("a\r", "b\r"), "a\nb\n"),
        (("a\n", "\nb"), "a\n\nb"),
        (("a\r\n", "\r\n", "b"), "a\n\nb"),
    ],
)
def test_line_breaks_are_plain_however_they_come(pieces: tuple[str, ...], text: str) -> None:
    assert generated(*pieces).text == text


def test_the_offsets_of_tokens_are_those_of_the_plain_text() -> None:
    found = generated("ab\r\n", "cd\r", "\n", "ef")
    starts = [start for start, _ in found.logprobs]
    assert [found.text[a:b] for a, b in pairwise([*starts, None])] == ["ab\n", "cd\n", "", "ef"]


def test_another_provider_begins_with_nothing() -> None:
    found = generated("a\r")
    found.restart()
    found.add(Delta("\nb"))
    assert (found.text, found.logprobs, found.watch.tokens) == ("\nb", [], 1)
