"""The words of a conversation: what a function is, what a face is asked, what became of a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from nearfield.errors import NearfieldError
from nearfield.features.diagnostics import Diagnostic
from nearfield.types import Snapshot, Span


class Refused(NearfieldError):
    """A call is not carried out; the message says why, to the model and to the user."""


class Access(StrEnum):
    """What a function does, and so who must say yes."""

    READ = "read"
    """Looks at what the workspace shows anyway: nobody is asked."""
    EDIT = "edit"
    """Proposes an edit, which the user sees and applies."""
    CHANGE = "change"
    """Changes something small: asked, and a yes may hold for the session."""
    DANGER = "danger"
    """Deletes, or starts a program: asked each time."""


class Allow(StrEnum):
    """What the user says to a call."""

    ONCE = "once"
    SESSION = "session"
    NO = "no"


class CallState(StrEnum):
    """What is happening to a call."""

    ASKING = "asking"
    RUNNING = "running"
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    DEADLINE = "deadline"
    ROUNDS = "rounds"
    LOOP = "loop"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a turn. `path` is the file that `text` was taken from ("" for none), so that a
    file that may not leave this machine can be cut out; `span` what of it. `pinned` text is kept
    when old turns are summarised."""

    text: str
    path: str = ""
    span: Span | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a function answers. `parts` are what the model is told."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(part.text for part in self.parts)


def said(text: str) -> Outcome:
    """An outcome of our own words, from no file."""
    return Outcome((Part(text),))


Run = Callable[[Any, Any], Awaitable[Outcome]]
"""Carries a call out, given the `ToolContext` and the checked arguments as a struct."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that a model may call. `parameters` is the JSON schema of `arguments`."""

    name: str
    description: str
    access: Access
    arguments: type[msgspec.Struct]
    parameters: Mapping[str, Any]
    run: Run
    title: Callable[[Any], str]
    """One line for the user on what a call with these arguments would do."""


@dataclass(frozen=True, slots=True)
class Question:
    """A call that the user must allow."""

    session: str
    id: str
    name: str
    arguments: Mapping[str, Any]
    title: str
    each_time: bool
    """Whether a yes is good for this call only."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file as it is (`before`, None: not there) and as the model would have it. `encoding` is the
    one that its file is in where an editor could take it for another one."""

    path: str
    shown: str
    before: str | None
    after: str
    title: str
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class CallReport:
    """What is happening to a call, for whoever shows it. `result` is there at its end."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    state: CallState
    result: str = ""


class Host(Protocol):
    """Whoever the user talks to: an editor or a terminal."""

    async def allow(self, question: Question) -> Allow:
        """Ask the user; no answer is `NO`."""
        ...

    async def apply(self, change: Change) -> bool:
        """Show the change and let the user apply it; whether it was applied."""
        ...

    def open_text(self, path: str) -> str | None:
        """What an open document holds, None when it is not open."""
        ...

    def diagnostics(self, path: str) -> Sequence[tuple[int, Diagnostic]]:
        """Return the known diagnostics of a file, each with its row, counted from 0."""
        ...


class Listener(Protocol):
    """Whoever shows the answer while it comes."""

    def text(self, text: str) -> None:
        """A piece of the answer."""
        ...

    def restart(self) -> None:
        """Forget the text so far."""
        ...

    def call(self, report: CallReport) -> None:
        """Something happened to a call."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One message of the user. `selection` is None when nothing is selected; `functions` None: all
    that the settings allow. `accepted` are providers outside this machine that may answer once."""

    message: str
    session: str = ""
    workspace: str = ""
    snapshot: Snapshot | None = None
    selection: Span | None = None
    functions: tuple[str, ...] | None = None
    role: str = ""
    max_tokens: int = 1024
    accepted: tuple[str, ...] = ()


@dataclass(slots=True)
class Reply:
    """What came of it. `wrong` is what the quality gate has against the text, "" for nothing."""

    session: str
    text: str = ""
    provider: str = ""
    model: str = ""
    finish: Finish = Finish.STOP
    wrong: str = ""
    calls: list[CallReport] = field(default_factory=list[CallReport])
    notes: list[str] = field(default_factory=list[str])
    """Sentences for the user: what a reference did not find, what was left out."""
