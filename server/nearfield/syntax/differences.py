"""Differences between two texts or word lists, by bisection over slices: each comparison of texts
is a memcmp."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.types import Span


def changed_span(before: Sequence[str], after: Sequence[str]) -> tuple[Span, int]:
    """Return the smallest single replacement that turns `before` into `after`: the replaced span,
    and the number of characters (or words) of `after` that replace it."""
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
    """Return the number of characters (or words) that `a` and `b` share at their start."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        half = (low + high + 1) // 2
        if a[low:half] == b[low:half]:
            low = half
        else:
            high = half - 1
    return low


def unspaced(text: str) -> str:
    """Return a text without its white space."""
    return "".join(text.split())
