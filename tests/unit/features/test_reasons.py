"""Every reason has its words, every error its reason, and status and commands say them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nearfield import errors
from nearfield.errors import NearfieldError, NoProvider, ProviderError
from nearfield.features.reasons import WORDS, last_completion, reason_of, words
from nearfield.features.trace import TraceLog
from nearfield.types import GIVEN_UP, Reason, Surface, Trace

TRACE = Trace("1", Surface.POPUP, "file:///a.py", 1, "", "", "", 1.0, False)

NEEDS_NO_ADVICE = {
    *GIVEN_UP,
    Reason.SHOWN,
    Reason.REPEATS,
    Reason.NOTHING,
    Reason.REFUSED,
    Reason.UNDOES,
    Reason.DELETES,
    Reason.UNRELATED,
    Reason.UNKNOWN_NAME,
    Reason.TOO_LARGE,
}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_a_sentence_and_says_what_to_do(reason: Reason) -> None:
    told = WORDS[reason]
    assert told.sentence[0].isupper() and told.sentence.endswith(".")
    assert bool(told.advice) is (reason not in NEEDS_NO_ADVICE)
    assert told.advice[-1:] in ("", ".")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.NotReady("x"), Reason.NOT_READY),
        (errors.EngineDied("x"), Reason.ENGINE_DIED),
        (errors.Unreachable("x"), Reason.UNREACHABLE),
        (errors.Unauthorised("x"), Reason.UNAUTHORISED),
        (errors.RateLimited("x"), Reason.RATE_LIMITED),
        (errors.LeftAlone("x"), Reason.LEFT_ALONE),
        (errors.ModelNotServed("x"), Reason.NOT_SERVED),
        (errors.ContextTooLong("x"), Reason.TOO_LONG),
        (errors.Unsupported("x"), Reason.UNSUPPORTED),
        (errors.BadAnswer("x"), Reason.BAD_ANSWER),
        (errors.DeadlineExceeded("x"), Reason.DEADLINE),
        (errors.NoConsent("x"), Reason.NO_CONSENT),
        (errors.OverBudget("x"), Reason.OVER_BUDGET),
        (errors.MayNotLeave("x"), Reason.WITHHELD),
        (NoProvider("x"), Reason.NO_PROVIDER),
        (None, Reason.NO_PROVIDER),
        (NoProvider("x", "", (errors.NoConsent("y"), errors.Unreachable("z"))), Reason.UNREACHABLE),
    ],
)
def test_the_reason_of_an_error(error: NearfieldError | None, reason: Reason) -> None:
    assert reason_of(error) is reason


def test_every_error_of_a_provider_has_a_reason_of_its_own() -> None:
    kinds = set(ProviderError.__subclasses__())
    assert {kind for kind in kinds if reason_of(kind("x")) is Reason.NO_PROVIDER} == set()


def test_the_sentence_holds_the_errors_message() -> None:
    trace = replace(
        TRACE, reason=Reason.UNREACHABLE, detail="desk (127.0.0.1:1) cannot be reached."
    )
    assert words(trace).sentence.endswith("cannot be reached. " + trace.detail)


def test_the_last_completion_is_one_that_was_waited_for() -> None:
    hover = replace(TRACE, surface=Surface.HOVER, reason=Reason.NOTHING)
    given_up = [replace(TRACE, reason=reason) for reason in GIVEN_UP]
    unsure = replace(TRACE, reason=Reason.UNSURE)
    traces = TraceLog()
    for trace in (*given_up, hover):
        traces.add(trace)
    assert last_completion(traces) is None
    for trace in (replace(TRACE, shown=True), unsure, hover, *given_up):
        traces.add(trace)
    assert last_completion(traces) is unsure
