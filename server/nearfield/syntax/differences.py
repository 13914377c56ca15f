"""Where two texts, or rows of words, differ: by bisection over slices, which of texts are a memcmp
each, whatever their length."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.types import Span


def changed_span(before: Sequence[str], after: Sequence[str]) -> tuple[Span, int]:
    """The smallest single replacement that makes `after` of `before`: what was replaced, and how
    many characters (or words) of `after` took its place."""
    start = common_prefix(before, after)
    low, high = 0, min(len(before), len(after)) - start
    while low < high:
        half = (low + high + 1) // 2
        if (
            before[len(before) - half : len(before) - low]
            == after[len(after) - half : len(after) - low]
        ):
            low = half
        else:
            high = half - 1
    return Span(start, len(before) - low), len(after) - low - start


def common_prefix(a: Sequence[str], b: Sequence[str]) -> int:
    """How many characters, or words, the beginnings of `a` and `b` share."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        half = (low + high + 1) // 2
        if a[low:half] == b[low:half]:
            low = half
        else:
            high = half - 1
    return low
