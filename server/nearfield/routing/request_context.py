"""What is known about a request besides its text, and what the user is offered.

Plain data. A `RequestContext` travels beside a request: the request holds what the model is told,
the context where that comes from and who may receive it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from nearfield.routing.consent import Consent
from nearfield.types import Span


class Task(StrEnum):
    """What the user wants done."""

    COMPLETE = "complete"
    EDIT = "edit"
    EXPLAIN = "explain"
    DOCUMENT = "document"
    SNIPPET = "snippet"
    CODE = "code"
    FIX = "fix"
    REFACTOR = "refactor"
    TEST = "test"
    REVIEW = "review"
    CHAT = "chat"
    EMBED = "embed"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that part of the request was taken from. `path` is relative to the workspace
    ('/'-separated) or absolute; `span` what was taken, None for all of it. `text` is that piece as
    it stands in the request: with it a file that may not leave can be cut out, without it the
    whole request stays here."""

    path: str
    span: Span | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider outside this machine that could do this, and what it would be told.

    `bytes` is the size of what would be sent after redaction (UTF-8), `files` the paths of whose
    text it holds some, `redactions` how often each kind of secret was replaced, `price` the most
    it can cost in US dollars, None where the price is not known. `reason` says why it is offered,
    `warning` what else the user should know ("" for nothing). Answer it with `Router.answer`.
    """

    id: str
    provider: str
    model: str
    task: Task
    workspace: str
    reason: str
    bytes: int
    files: tuple[str, ...]
    redactions: tuple[tuple[str, int], ...]
    price: Decimal | None
    warning: str = ""


Check = Callable[[str], str]
"""Says what is wrong with an answer's text ("does not parse", "does not apply"), "" for nothing."""

AskUser = Callable[[Offer], Awaitable[Consent | None]]
"""Puts an offer to the user; None when there was no answer."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What is known about a request besides its text.

    `workspace` is the absolute path of the folder it belongs to; without one nothing can have been
    consented to, so it stays on this machine. `accepted` names providers the user has just said
    "once" to: they go first. `checks` judge a local answer, `ask` is called in the mode "ask".
    `diagnostics` counts the problems that a fix is about. `complex` overrides the estimate.
    `document` is the whole text that the request is about, "" where there is none: it is not sent,
    but a control token that it holds is text in the answer too.
    """

    task: Task = Task.CHAT
    workspace: str = ""
    sources: tuple[Source, ...] = ()
    checks: tuple[Check, ...] = ()
    accepted: tuple[str, ...] = ()
    ask: AskUser | None = None
    diagnostics: int = 0
    complex: bool | None = None
    document: str = field(default="", repr=False)
