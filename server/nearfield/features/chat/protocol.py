"""Types of a conversation: a function, a frontend's answers, the state of a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from nearfield.errors import NearfieldError
from nearfield.features.diagnostics import Diagnostic
from nearfield.types import Snapshot, Span


class ToolRefused(NearfieldError):
    """A call is not carried out; the message says why, to the model and to the user."""


class Access(StrEnum):
    """Effect of a function, which decides whether the user is asked."""

    READ = "read"
    """Reads what the workspace shows anyway, without a question."""
    EDIT = "edit"
    """Proposes an edit, which the user sees and applies."""
    CHANGE = "change"
    """Changes something small: asked, and a yes may hold for the session."""
    DANGER = "danger"
    """Deletes, or starts a program: asked each time."""


class Allow(StrEnum):
    """The user's answer to a call."""

    ONCE = "once"
    SESSION = "session"
    NO = "no"


class CallState(StrEnum):
    """State of a call."""

    ASKING = "asking"
    RUNNING = "running"
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


class ChatFinish(StrEnum):
    """Reason why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    DEADLINE = "deadline"
    ROUNDS = "rounds"
    LOOP = "loop"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class TurnPart:
    """A piece of a turn. `path` is the file that `text` was taken from ("" for none), so that a
    file that may not leave this machine can be cut out; `span` is the part taken. `pinned` text is
    kept when old turns are summarised.
    """

    text: str
    path: str = ""
    span: Span | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """Result of a function. `parts` are shown to the model."""

    parts: tuple[TurnPart, ...]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(part.text for part in self.parts)


def said(text: str) -> ToolOutcome:
    """An outcome of our own words, from no file."""
    return ToolOutcome((TurnPart(text),))


Run = Callable[[Any, Any], Awaitable[ToolOutcome]]
"""Carries a call out, given the `ToolContext` and the checked arguments as a struct."""
Refuse = Callable[[Any, Any], None]
"""Takes the same, and blocks."""


@dataclass(frozen=True, slots=True)
class ChatFunction:
    """A function that a model may call. `arguments` is the type that they are read as, a struct or
    `dict[str, Any]`, and `parameters` its JSON schema."""

    name: str
    description: str
    access: Access
    arguments: Any
    parameters: Mapping[str, Any]
    run: Run
    title: Callable[[Any], str]
    """Returns one line for the user on the effect of a call with these arguments."""
    refuse: Refuse | None = None
    """Raises `ToolRefused` for arguments that the settings rule out, before the user is asked."""


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
class ProposedFile:
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
    """State of a call for the display. `result` is set at its end."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    state: CallState
    result: str = ""


class ChatHost(Protocol):
    """The user's end of the chat: an editor or a terminal."""

    async def allow(self, question: Question) -> Allow:
        """Ask the user; no answer is `NO`."""
        ...

    async def apply(self, change: ProposedFile) -> bool:
        """Show the change and let the user apply it; whether it was applied."""
        ...

    async def open_text(self, path: str) -> str | None:
        """Return the text of an open document, None if it is not open."""
        ...

    def diagnostics(self, path: str) -> Sequence[tuple[int, Diagnostic]]:
        """Return the known diagnostics of a file, each with its row, counted from 0."""
        ...


class WithoutEditor:
    """The part of a `ChatHost` where no document is open and no language server tells of
    problems."""

    async def open_text(self, path: str) -> str | None:
        """Return None: the files on the disk count."""
        del path
        return None

    def diagnostics(self, path: str) -> Sequence[tuple[int, Diagnostic]]:
        """Return nothing."""
        del path
        return ()


class Unattended(WithoutEditor):
    """A `ChatHost` where no user can be asked: nothing that would need a question is done. `why`
    ends the sentence that says so."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def allow(self, question: Question) -> Allow:
        """Refuse."""
        del question
        return Allow.NO

    async def apply(self, change: ProposedFile) -> bool:
        """Refuse. Raises `ToolRefused`."""
        raise ToolRefused(f"{change.shown} is not changed: {self._why}.")


class Listener(Protocol):
    """Receiver of the answer while it is written."""

    def text(self, text: str) -> None:
        """A piece of the answer."""
        ...

    def restart(self) -> None:
        """Discard the text received before."""
        ...

    def thinking(self, text: str) -> None:
        """Take a piece of what a reasoning model thinks; it is no part of the answer."""
        ...

    def call(self, report: CallReport) -> None:
        """Something happened to a call."""
        ...


MAX_INSTRUCTION_CHARS = 4000
MIN_CONTEXT_TOKENS = 1024
MAX_TEMPERATURE = 2.0


@dataclass(frozen=True, slots=True)
class ChatWishes:
    """The user's wishes for a whole conversation: `instructions` for the model, its `temperature`
    (None: the provider's), and the most tokens that the conversation may take (0: what the model
    has, and never more than that)."""

    instructions: str = ""
    temperature: float | None = None
    context_tokens: int = 0

    def check(self) -> ChatWishes:
        """Return it. Raises `ToolRefused` for what cannot be meant."""
        if len(self.instructions) > MAX_INSTRUCTION_CHARS:
            raise ToolRefused(f"Instructions have {MAX_INSTRUCTION_CHARS} characters at most.")
        if self.temperature is not None and not 0 <= self.temperature <= MAX_TEMPERATURE:
            raise ToolRefused(f"The temperature is between 0 and {MAX_TEMPERATURE:g}.")
        if self.context_tokens and self.context_tokens < MIN_CONTEXT_TOKENS:
            raise ToolRefused(f"A conversation needs {MIN_CONTEXT_TOKENS} tokens of context.")
        return self

    def over(self, before: ChatWishes) -> ChatWishes:
        """Return these wishes, and those of `before` where there is none."""
        return ChatWishes(
            self.instructions or before.instructions,
            before.temperature if self.temperature is None else self.temperature,
            self.context_tokens or before.context_tokens,
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """A message of the user. `selection` is None when nothing is selected; `functions` None: all
    that the settings allow. `accepted` are providers outside this machine that may answer once.
    `wishes` hold from this message on. With `code_only` the answer should be code alone. With
    `goes_on` the session is one that an earlier answer has named.
    """

    message: str
    session: str = ""
    workspace: str = ""
    snapshot: Snapshot | None = None
    selection: Span | None = None
    functions: tuple[str, ...] | None = None
    role: str = ""
    max_tokens: int = 1024
    accepted: tuple[str, ...] = ()
    wishes: ChatWishes = ChatWishes()
    code_only: bool = False
    goes_on: bool = False


@dataclass(slots=True)
class Reply:
    """The answer to a message. `wrong` is the quality gate's objection to the text, "" for none."""

    session: str
    text: str = ""
    provider: str = ""
    model: str = ""
    finish: ChatFinish = ChatFinish.STOP
    wrong: str = ""
    calls: list[CallReport] = field(default_factory=list[CallReport])
    notes: list[str] = field(default_factory=list[str])
    """Sentences for the user: what a reference did not find, what was left out."""
