"""Where two texts differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nearfield.syntax.differences import changed_span, common_prefix


@given(st.text("ab\n", max_size=12), st.text("ab\n", max_size=12))
def test_changed_span_makes_one_text_of_the_other(before: str, after: str) -> None:
    span, length = changed_span(before, after)
    assert (
        before[: span.start] + after[span.start : span.start + length] + before[span.end :] == after
    )
    assert 0 <= span.start <= span.end <= len(before)


@given(st.text(alphabet="ab"), st.text(alphabet="ab"))
def test_common_prefix(a: str, b: str) -> None:
    shared = common_prefix(a, b)
    assert a[:shared] == b[:shared]
    assert a[shared : shared + 1] != b[shared : shared + 1] or shared == len(a) == len(b)
