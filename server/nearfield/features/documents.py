"""The open documents: their texts, their changes, and what is known of each between two requests.

An editor sends the cursor with a request only. Until the next one it moves along with the edits
that touch it, which is enough to tell typing from jumping.

A change costs one entry in a log. Features read it when the user rests, or before they are asked
anything (`take_log`). What a keystroke makes useless is recognised by its snapshot.

`DocumentFilter` says which of them Nearfield works on, by the settings.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.context.slice import SentPrompt
from nearfield.errors import NearfieldError
from nearfield.files.ignore import SettingsRules
from nearfield.routing.pause import UserPause
from nearfield.routing.router import Router, built
from nearfield.syntax.differences import changed_span
from nearfield.types import (
    Edit,
    Reason,
    Situation,
    Snapshot,
    Snippet,
    Span,
    Suggestion,
    Trace,
    Window,
)

T = TypeVar("T")

MAX_DOCUMENTS = 256
"""More than an editor keeps open; a frontend that never calls `closed` cannot fill the memory."""

MAX_PROMPTS = 4
"""Prompts of one document. The engine holds two at most; others are of interrupted requests or
older.
"""

MAX_UNREAD_CHARS = 4_000_000
"""Texts that the log of changes holds at most, before features have to read it: some hundred
keystrokes in a usual file."""

_WORDS = {Reason.TOO_BIG: "too large", Reason.EXCLUDED: "excluded by the settings"}


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A notification of the editor. `before` is None if the document was not known; each of
    `edits` counts offsets in the text that the one before it left. `at` is when it came, in seconds
    of the monotonic clock."""

    before: Snapshot | None
    after: Snapshot
    edits: Sequence[Edit]
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Answered:
    """A completion request that was answered with `suggestions`. `trace` is None if no record of it
    must be kept."""

    snapshot: Snapshot
    suggestions: tuple[Suggestion, ...]
    trace: Trace | None = None


@dataclass(slots=True)
class Document:
    """An open document.

    `cursor` is where the last request was, moved along with the edits since (None before the
    first). `touched` spans what those edits wrote around the cursor; `elsewhere` says that one was
    not at the cursor. `edited` is where the last edit ended (None before the first); `accepted`
    says that it inserted a suggestion. `prompts` are those that providers were sent, the last one
    last. `window` is what the last slice showed (see context/slice.py). `snippets` returns what is
    ready of other files for its prompts, at most that many characters; None where nothing is.
    `asked_at` is when the last request came, on the monotonic clock, `gap` the seconds between it
    and the one before. `focus` is where the last edit ended or the last request was. `states` is
    what features keep for the document (`PerDocument`). `is_open` is false once it was closed, or
    opened again as another one.
    """

    snapshot: Snapshot
    is_open: bool = True
    cursor: int | None = None
    focus: int | None = None
    edited: int | None = None
    states: dict[Any, Any] = field(default_factory=dict[Any, Any])
    touched: Span | None = None
    new_line: bool = False
    elsewhere: bool = False
    accepted: bool = False
    prompts: list[SentPrompt] = field(default_factory=list[SentPrompt])
    window: Window | None = None
    snippets: Callable[[int], tuple[Snippet, ...]] | None = None
    asked_at: float = -math.inf
    gap: float = math.inf

    def apply(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """Replace the text by that of `snapshot`. `edits` lead to it, each counted in the text
        after the one before."""
        self.snapshot = snapshot
        for edit in edits:
            self.focus = self.edited = edit.span.start + len(edit.text)
            self._follow(edit)
            for sent in self.prompts:
                sent.follow(edit)
        self.accepted = False

    def asked(self, offset: int) -> Situation:
        """Note a request at `offset`; return what the user has done since the last one."""
        found = self._situation(offset)
        now = time.monotonic()
        self.gap, self.asked_at = now - self.asked_at, now
        self.cursor = self.focus = offset
        self.touched = Span(offset, offset)
        self.new_line = self.elsewhere = self.accepted = False
        return found

    def sent(self, prompt: SentPrompt) -> None:
        """Note that a provider has evaluated `prompt`. It replaces an earlier one with the same
        beginning."""
        prompt.is_evaluated = True
        others = [one for one in self.prompts if not one.text.begins_as(prompt.text)]
        self.prompts = [*others, prompt][-MAX_PROMPTS:]

    def begun(self, prompt: SentPrompt) -> None:
        """Note that a provider begins to evaluate `prompt`, and may be interrupted."""
        if not any(one.text.begins_as(prompt.text) for one in self.prompts):
            self.prompts = [prompt, *self.prompts[-MAX_PROMPTS + 1 :]]

    def _follow(self, edit: Edit) -> None:
        if self.cursor is None or self.touched is None:
            return
        start, end, grown = edit.span.start, edit.span.end, len(edit.text)
        written = Span(start, start + grown)
        if end < self.touched.start:
            self.elsewhere = True
            self.cursor += grown - (end - start)
            self.touched = _moved(self.touched, grown - (end - start))
        elif start > self.touched.end:
            self.elsewhere = True
        else:
            self.new_line = self.new_line or "\n" in edit.text or "\r" in edit.text
            self.cursor = written.end
            left = min(start, self.touched.start)
            right = max(written.end, self.touched.end + grown - (end - start))
            self.touched = Span(left, right)

    def _situation(self, offset: int) -> Situation:
        if not self.prompts:
            return Situation.COLD
        if self.touched is None or self.elsewhere:
            return Situation.MOVED
        if not self.touched.start <= offset <= self.touched.end:
            return Situation.MOVED
        if self.accepted:
            return Situation.ACCEPTED
        return Situation.NEW_LINE if self.new_line else Situation.TYPING


def difference(before: str, after: str) -> list[Edit]:
    """Return the edit that leads from `before` to `after`, for a frontend that keeps no edits; none
    if they are equal."""
    if before == after:
        return []
    span, length = changed_span(before, after)
    return [Edit(span, after[span.start : span.start + length])]


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


class Documents:
    """The store of open documents: those that the client has opened, and those that only a request
    has shown. Features follow it by their hooks and keep their own state in `PerDocument`.

    `revision` counts the changes of all documents. `has_insertion` says that an unread change
    put in more than a key does, as accepting a suggestion would.
    """

    def __init__(self, kept: int = MAX_DOCUMENTS) -> None:
        self._kept = kept
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._unread: list[DocumentChange | Answered] = []
        self._unread_chars = 0
        self.revision = 0
        self.has_insertion = False

    def __iter__(self) -> Iterator[Document]:
        return iter(tuple(self._documents.values()))

    def get(self, uri: str) -> Document | None:
        """Return the document, None if it is not open."""
        return self._documents.get(uri)

    def opened(self, snapshot: Snapshot) -> Document:
        """Add a document, or replace all that was known of its uri."""
        self.closed(snapshot.uri)
        document = self._documents[snapshot.uri] = Document(snapshot)
        while len(self._documents) > self._kept:
            self.closed(next(iter(self._documents)))
        return document

    def changed(self, snapshot: Snapshot, edits: Sequence[Edit]) -> bool:
        """Apply a change (see `Document.apply`) and add it to the log; return whether the log has
        to be read now, because it is full."""
        document = self._documents.get(snapshot.uri)
        before = document.snapshot if document is not None else None
        self._unread.append(DocumentChange(before, snapshot, edits))
        self._unread_chars += len(snapshot.text)
        self.revision += 1
        for edit in edits:
            self.has_insertion |= len(edit.text) > 1
        if document is None:
            self.opened(snapshot)
        else:
            document.apply(snapshot, edits)
        return self._unread_chars > MAX_UNREAD_CHARS

    @property
    def has_unread(self) -> bool:
        """Return whether the log has changes or answers that are unread."""
        return bool(self._unread)

    def answered(self, answer: Answered) -> None:
        """Add the answer to a request to the log."""
        self._unread.append(answer)

    def take_log(self) -> list[DocumentChange | Answered]:
        """Return what the log has got since the last call, the oldest first."""
        entries, self._unread = self._unread, []
        self._unread_chars, self.has_insertion = 0, False
        return entries

    def closed(self, uri: str) -> None:
        """Forget the document."""
        if (document := self._documents.pop(uri, None)) is not None:
            document.is_open = False

    def at(self, snapshot: Snapshot) -> Document:
        """Return the document of `snapshot`, updated to it if the frontend sends no edits."""
        document = self._documents.get(snapshot.uri)
        if document is None:
            return self.opened(snapshot)
        self._documents.move_to_end(snapshot.uri)
        if not is_older(snapshot, document.snapshot):
            edits = difference(document.snapshot.text, snapshot.text)
            before = document.snapshot
            if edits or (snapshot.version, snapshot.above) != (before.version, before.above):
                document.apply(snapshot, edits)
        return document

    def is_stale(self, snapshot: Snapshot) -> bool:
        """Return whether the document was changed since `snapshot`, or closed."""
        document = self._documents.get(snapshot.uri)
        return document is None or document.snapshot.text != snapshot.text

    def recent(self, count: int) -> list[Document]:
        """Return the documents that were opened or named by a request last, the last one first."""
        return list(self._documents.values())[: -count - 1 : -1]


class PerDocument(Generic[T]):
    """A feature's state of type `T` for each open document. It is dropped with the document, and
    when the document is opened again."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, uri: str) -> T | None:
        """Return the state of a document, None if it has none."""
        document = self._documents.get(uri)
        return document.states.get(self) if document is not None else None

    def set(self, uri: str, state: T) -> None:
        """Keep `state` for a document; no-op for one that is not open."""
        if (document := self._documents.get(uri)) is not None:
            document.states[self] = state

    def drop(self, uri: str) -> None:
        """Drop the state of a document."""
        if (document := self._documents.get(uri)) is not None:
            document.states.pop(self, None)

    def values(self) -> list[T]:
        """Return the states of all documents."""
        return [one.states[self] for one in self._documents if self in one.states]


def is_older(snapshot: Snapshot, than: Snapshot) -> bool:
    """Return whether `snapshot` was made before `than`. Versions only grow; None is no older."""
    if snapshot.version is None or than.version is None:
        return False
    return snapshot.version < than.version


@dataclass(slots=True)
class _FolderRules:
    """The settings of one folder, compiled."""

    enabled: bool
    languages: frozenset[str]
    max_bytes: int
    excluded: SettingsRules

    @classmethod
    def of(cls, config: Config) -> _FolderRules:
        return cls(
            config.completion.enabled,
            frozenset(name.lower() for name in config.completion.disabled_languages),
            config.files.max_bytes,
            SettingsRules(config.files.exclude),
        )


class DocumentFilter:
    """`completion.enabled`, `completion.disabled_languages` and `[files]`, by folder."""

    def __init__(self, config: Config | FolderConfigs) -> None:
        self._configs = FolderConfigs.over(config)
        self._rules: dict[str, _FolderRules] = {}
        self._verdicts: dict[tuple[str, str | None], bool] = {}

    def reason(self, snapshot: Snapshot) -> Reason:
        """Return why `snapshot` gets no completion, `SHOWN` where it does."""
        rules = self._of(snapshot)
        if not rules.enabled:
            return Reason.DISABLED
        if snapshot.language.lower() in rules.languages:
            return Reason.LANGUAGE
        return self.kept_out(snapshot)

    def kept_out(self, snapshot: Snapshot) -> Reason:
        """Return why no part of `snapshot` enters any prompt, `SHOWN` where it may."""
        if _is_longer(snapshot.text, self._of(snapshot).max_bytes):
            return Reason.TOO_BIG
        return Reason.EXCLUDED if self._is_excluded(snapshot) else Reason.SHOWN

    def left_out(self, snapshot: Snapshot) -> str:
        """The same in words that follow "is", "" for nothing."""
        return _WORDS.get(self.kept_out(snapshot), "")

    def require(self, snapshot: Snapshot, router: Router | None, pause: UserPause) -> Router:
        """The router, when a model may be asked about `snapshot` now. Raises `NotReady` where that
        is so in a while, and `NearfieldError` where the settings keep the file out."""
        pause.check()
        if why := self.left_out(snapshot):
            raise NearfieldError(f"The file is {why}.", "See files.exclude and files.max_bytes.")
        return built(router)

    def _of(self, snapshot: Snapshot) -> _FolderRules:
        root = snapshot.root or ""
        if root not in self._rules:
            self._rules[root] = _FolderRules.of(self._configs.of(root))
        return self._rules[root]

    def _is_excluded(self, snapshot: Snapshot) -> bool:
        if not snapshot.path:
            return False
        key = (snapshot.path, snapshot.root)
        if key not in self._verdicts:
            excluded = self._of(snapshot).excluded
            self._verdicts[key] = bool(excluded) and excluded.match(_relative(*key))
        return self._verdicts[key]


def _relative(path: str, root: str | None) -> str:
    """`path` as patterns see it: from the workspace folder, else without the drive or root."""
    absolute = Path(path)
    if root and absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    return absolute.relative_to(absolute.anchor).as_posix()


def _is_longer(text: str, most: int) -> bool:
    """Return whether `text` is longer than `most` bytes of UTF-8; encodes only when it must."""
    if len(text) > most:
        return True
    if text.isascii() or len(text) * 4 <= most:
        return False
    return len(text.encode("utf-8", "surrogatepass")) > most
