"""Reasons why nothing was shown, for the user: a sentence, and what to do about it.

One table for the trace, the status, the editors and `nearfield doctor --why`. A test holds it to
every `Reason`.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.errors import (
    BadAnswer,
    ContextTooLong,
    DeadlineExceeded,
    EditRefused,
    EngineDied,
    LeftAlone,
    MayNotLeave,
    ModelNotServed,
    NearfieldError,
    NoConsent,
    NoProvider,
    NotPermitted,
    NotReady,
    OverBudget,
    RateLimited,
    RequestStopped,
    Unauthorised,
    Unreachable,
    Unsupported,
)
from nearfield.features.trace import TraceLog
from nearfield.types import GIVEN_UP, Reason, Surface, Trace

COMPLETIONS = (Surface.GHOST_TEXT, Surface.POPUP, Surface.COMMAND_LINE, Surface.INFILL)
"""The surfaces of completions."""


KEPT_FOR_LAST = 100
"""How far back the last completion is looked for, among hovers and what was given up."""


@dataclass(frozen=True, slots=True)
class Words:
    """`sentence` says why nothing was shown, `advice` what to do ("" for nothing)."""

    sentence: str
    advice: str = ""


_KEY = "Ask by the key for a suggestion: then it is shown all the same."
_DOCTOR = "Run `nearfield doctor`."
_TYPED_ON = "You went on typing, so the request was given up."

WORDS: dict[Reason, Words] = {
    Reason.SHOWN: Words("A suggestion was shown."),
    Reason.PAUSED: Words(
        "Nearfield is paused.",
        "Resume it from the status item or its menu, or by `nearfield resume`.",
    ),
    Reason.DISABLED: Words("Suggestions are turned off.", "Set completion.enabled = true."),
    Reason.LANGUAGE: Words(
        "Suggestions are turned off in this language.",
        "Remove it from completion.disabled_languages.",
    ),
    Reason.TOO_BIG: Words(
        "The file is larger than the settings allow.", "Raise files.max_bytes, or split the file."
    ),
    Reason.EXCLUDED: Words(
        "The settings keep this file out.",
        "See files.exclude, also in the folder's .nearfield.toml.",
    ),
    Reason.LOST: Words(
        "A change of the document could not be read, so its text is not known.",
        "Close the file and open it again.",
    ),
    Reason.CANCELLED: Words("The editor took the request back."),
    Reason.STOPPED: Words("You stopped the request."),
    Reason.SUPERSEDED: Words("A newer request took the place of this one."),
    Reason.STALE: Words(_TYPED_ON),
    Reason.LATE: Words("The answer came after the editor had stopped waiting for it."),
    Reason.NOT_READY: Words(
        "The model is still being loaded.", "Wait a moment; the status says how far it is."
    ),
    Reason.NO_PROVIDER: Words(
        "No model is there that could complete code.",
        "Run `nearfield models pull`, or name a server under [providers].",
    ),
    Reason.UNREACHABLE: Words("The model's server cannot be reached.", _DOCTOR),
    Reason.UNAUTHORISED: Words(
        "The model's server refused the key.", "Run `nearfield keys set NAME` for that provider."
    ),
    Reason.RATE_LIMITED: Words(
        "The model's server takes no more requests for now.",
        "Wait, or use a model of this machine.",
    ),
    Reason.LEFT_ALONE: Words(
        "The model's server failed several times and is left alone for a while.",
        "It is tried again by itself; `nearfield doctor` says what is wrong with it.",
    ),
    Reason.ENGINE_DIED: Words(
        "The engine ended while it answered; it is being started again.",
        "If that goes on, run `nearfield doctor`.",
    ),
    Reason.NOT_SERVED: Words(
        "The server does not have the model that was asked for.",
        "Correct the provider's model; `nearfield providers models NAME` lists what there is.",
    ),
    Reason.TOO_LONG: Words(
        "The prompt is longer than what the model can read.",
        "Serve it with a larger context, or lower completion.prefix_lines.",
    ),
    Reason.UNSUPPORTED: Words(
        "The model's server cannot do that.",
        "Choose another model or provider for completions; `nearfield doctor` helps.",
    ),
    Reason.BAD_ANSWER: Words("The model's server answered with an error.", "Its own log says why."),
    Reason.NO_CONSENT: Words(
        "Only a model outside this machine could answer, and you have not allowed that.",
        "Run `nearfield consent allow NAME`, or `nearfield models pull` for a model here.",
    ),
    Reason.OVER_BUDGET: Words(
        "It could cost more than your budget allows.", "See [budget] and `nearfield stats`."
    ),
    Reason.WITHHELD: Words(
        "This file never leaves the machine, and no model here could answer.",
        "Run `nearfield models pull` for a model here; see privacy.withhold.",
    ),
    Reason.DEADLINE: Words(
        "The model had not written a whole line when the time was up.",
        "Raise completion.deadline_ms, or choose a smaller model: `nearfield models recommend`.",
    ),
    Reason.LENGTH: Words(
        "The model had not written a whole line when its tokens were used up.",
        "Raise completion.max_tokens.",
    ),
    Reason.UNSURE: Words(
        "The model was not sure enough of it.", f"{_KEY} Or lower completion.min_confidence."
    ),
    Reason.TOO_SHORT: Words("The suggestion was so short that taking it saves no key.", _KEY),
    Reason.EMPTY: Words("The model had nothing to add here.", _KEY),
    Reason.WHITESPACE: Words("The model wrote nothing but blanks.", _KEY),
    Reason.REPEATS: Words("The suggestion would have repeated what is there already."),
    Reason.SYNTAX: Words("The suggestion would have broken the syntax.", _KEY),
    Reason.CONTROL_TOKEN: Words(
        "The model wrote control tokens instead of code.",
        "Set the provider's option fim_template, or use a model that can fill in.",
    ),
    Reason.UNDOES: Words("The next edit would have taken back what you just did."),
    Reason.DELETES: Words("The next edit would have deleted what your edits do not explain."),
    Reason.UNRELATED: Words("The next edit had nothing to do with your edits."),
    Reason.UNKNOWN_NAME: Words("The next edit would have called what nothing here defines."),
    Reason.TOO_LARGE: Words("The next edit was too large."),
    Reason.NOTHING: Words("There was nothing to say."),
    Reason.REFUSED: Words(
        "The request was refused, as what it would do is not allowed or useless."
    ),
    Reason.FAILED: Words("The request failed.", _DOCTOR),
    Reason.ERROR: Words("Something went wrong in Nearfield itself.", "Its log says where."),
}

_OF_ERRORS: tuple[tuple[type[NearfieldError], Reason], ...] = (
    (NotReady, Reason.NOT_READY),
    (EngineDied, Reason.ENGINE_DIED),
    (Unreachable, Reason.UNREACHABLE),
    (Unauthorised, Reason.UNAUTHORISED),
    (RateLimited, Reason.RATE_LIMITED),
    (LeftAlone, Reason.LEFT_ALONE),
    (ModelNotServed, Reason.NOT_SERVED),
    (ContextTooLong, Reason.TOO_LONG),
    (Unsupported, Reason.UNSUPPORTED),
    (BadAnswer, Reason.BAD_ANSWER),
    (DeadlineExceeded, Reason.DEADLINE),
    (OverBudget, Reason.OVER_BUDGET),
    (MayNotLeave, Reason.WITHHELD),
    (NoConsent, Reason.NO_CONSENT),
    (NotPermitted, Reason.NO_CONSENT),
    (EditRefused, Reason.REFUSED),
    (RequestStopped, Reason.STOPPED),
)


def reason_of(error: NearfieldError | None) -> Reason:
    """Return why an error left nothing to show: by the error of the last candidate."""
    if isinstance(error, NoProvider) and error.causes:
        error = error.causes[-1]
    found = (reason for kind, reason in _OF_ERRORS if isinstance(error, kind))
    return next(found, Reason.NO_PROVIDER)


def words(trace: Trace) -> Words:
    """Return the words for a request: the table's, with the error's own message if it has one."""
    told = WORDS[trace.reason]
    return Words(f"{told.sentence} {trace.detail}".strip(), told.advice)


def last_completion(traces: TraceLog) -> Trace | None:
    """Return the last completion that a user waited for, None if there is none."""
    for trace in traces.last(KEPT_FOR_LAST):
        if trace.surface in COMPLETIONS and trace.reason not in GIVEN_UP:
            return trace
    return None


def last_told(traces: TraceLog, *, is_paused: bool, is_ready: bool) -> Trace | None:
    """Return the same while its reason for showing nothing still holds, else None."""
    last = last_completion(traces)
    if last is None or (last.reason is Reason.PAUSED and not is_paused):
        return None
    return None if last.reason is Reason.NOT_READY and is_ready else last
