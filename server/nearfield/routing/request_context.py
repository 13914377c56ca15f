"""Facts about a request besides its text, and offers to the user.

Plain data. A `RequestContext` travels beside a request: the request holds the model's input, the
context its origin and permitted recipients.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from nearfield.routing.consent import Consent
from nearfield.types import Span


class Task(StrEnum):
    """Task that the user wants done."""

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


@dataclass(frozen=True, slots=True)
class Source:
    """A file that part of the request was taken from. `path` is relative to the workspace
    ('/'-separated) or absolute; `span` is the part taken, None for all of it. `text` is that part
    as the request contains it. With it a file that may not leave can be cut out; without it the
    whole request stays here.
    """

    path: str
    span: Span | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider outside this machine that could do this, and what it would receive.

    `bytes` is the size after redaction (UTF-8), `files` are the paths of the files with text in it,
    and `redactions` counts the replaced secrets by kind. `price` is the most it can cost in US
    dollars, None if unknown. `reason` says why it is offered, `warning` what else the user should
    know ("" for nothing). Answer it with `Router.answer`.
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


OWNER: ContextVar[str] = ContextVar("owner of a request", default="")
"""The key of the person whose request is being answered, on a server that a team shares; "" on
one's own machine."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Facts about a request besides its text.

    `workspace` is the absolute path of its folder; without one there is no consent, so the request
    stays on this machine. `accepted` names providers that the user has just allowed once: they are
    asked first. `checks` judge a local answer, `ask` is called in the mode "ask". `diagnostics`
    counts the problems that a fix is about. `complex` overrides the estimate. `document` is the
    whole text that the request is about, "" if there is none. It is not sent, but a control token
    in it counts as text in the answer too. `only` names the provider that alone may answer, as a
    trial decides, "" for none. What is evaluated or kept for an `owner` serves no other one.
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
    only: str = ""
    owner: str = field(default_factory=OWNER.get)
