"""What `/infill` reads and answers."""

from __future__ import annotations

from typing import Any

import pytest

from nearfield.http.llama_cpp import DENIED, UNAVAILABLE, InfillBody, insertion, raise_for
from nearfield.http.wire import BadRequest
from nearfield.types import Reason, Span, Suggestion


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (None, {"content": "a", "timings": {"prompt_n": 1}}),
        ([""], {}),
        (["content", "timings/prompt_n"], {"content": "a", "timings/prompt_n": 1}),
        (["timings/nothing", "content/deeper", "a/b"], {}),
    ],
)
def test_only_the_fields_that_were_asked_for_are_answered(
    fields: list[str] | None, expected: dict[str, Any]
) -> None:
    answer = {"content": "a", "timings": {"prompt_n": 1}}
    assert InfillBody(response_fields=fields).chosen(answer) == expected


@pytest.mark.parametrize(
    ("replace", "text", "expected"),
    [
        (Span(3, 3), "print(", "print("),
        (Span(1, 3), "bcd", "d"),
        (Span(3, 4), "xy)", "xy"),
        # An insertion at the cursor cannot say these.
        (Span(1, 3), "xyz", ""),
        (Span(3, 4), "xyz", ""),
        (Span(0, 2), "abc", ""),
    ],
)
def test_a_suggestion_is_aninsertion_at_the_cursor_or_none(
    replace: Span, text: str, expected: str
) -> None:
    assert insertion(Suggestion("1", text, replace), "abc)", 3) == expected


def test_every_reason_is_a_silence_or_an_error_that_says_it() -> None:
    errors = {Reason.TOO_BIG, Reason.TOO_LONG} | DENIED | UNAVAILABLE
    for reason in errors:
        with pytest.raises(BadRequest) as raised:
            raise_for(reason)
        assert raised.value.status in (400, 403, 503)
        assert raised.value.message
    for reason in {Reason.SHOWN, Reason.UNSURE, Reason.EMPTY, Reason.SUPERSEDED}:
        raise_for(reason)
