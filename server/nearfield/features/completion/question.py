"""From a place in a document to what a model is asked there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Completion, Config
from nearfield.features.completion.budget import Allowance, Rates, allow
from nearfield.features.completion.debounce import wait_ms
from nearfield.features.completion.prompting import Cursor, Plan, choose, request_of
from nearfield.features.completion.shape import Shaper
from nearfield.features.documents import Document
from nearfield.providers.base import Provider
from nearfield.routing.router import Router
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import ParseCache, Parsed
from nearfield.types import (
    Capabilities,
    CompletionRequest,
    HealthState,
    InfillRequest,
    Selected,
    Snapshot,
    Snippet,
)

PARSE_IN_THREAD_CHARS = 10_000
"""A longer text is parsed off the event loop: 0.1 MB takes 7 ms the first time, and what is no code
a hundred times as long."""

SOON_SHARE = 0.4
"""After so much of the time for an answer, the lines that are there are shown to who types rather
than waited with for the end of their statement or block: 1 s of 2.5."""

SnippetsOf = Callable[[Snapshot, int, int], tuple[Snippet, ...]]
"""What helps at an offset of a document, in at most so many characters; without waiting."""

Prepare = Callable[[Snapshot, int], Awaitable[None]]


async def _nothing(_snapshot: Snapshot, _offset: int) -> None:
    """Nothing is known of other files."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked, and what judges its answer: of that nothing is wanted from the first
    token on whose log-probability is below `least`."""

    cursor: Cursor
    plan: Plan
    shaper: Shaper
    request: InfillRequest
    least: float


class Questions:
    """Makes them, by the settings and by what the provider affords; keeps the documents' trees.
    One event loop."""

    def __init__(self) -> None:
        self.rates = Rates()
        self.prepare: Prepare = _nothing
        """Sees to it that `snippets` fit the place, in a moment; asked where the user waits."""
        self.snippets: SnippetsOf = lambda snapshot, offset, budget: ()
        """What is ready to be shown of other files; asked at every question."""
        self._trees = ParseCache()
        self._configs = FolderConfigs(Config())

    def configure(self, config: FolderConfigs) -> None:
        """Apply settings from now on."""
        self._configs = config

    def settings(self, snapshot: Snapshot) -> Completion:
        """Return the settings of the folder that a document is in."""
        return self._configs.of(snapshot.root).completion

    def closed(self, uri: str) -> None:
        """The document is gone."""
        self._trees.forget(uri)

    async def cursor(
        self, snapshot: Snapshot, offset: int, selected: Selected | None = None
    ) -> Cursor:
        """The cursor with the document's tree; a long text is parsed in a thread."""
        return Cursor(snapshot, await self._parse(snapshot), offset, selected)

    async def make(
        self, ask: CompletionRequest, document: Document, router: Router, deadline: float
    ) -> Question:
        """What to ask for `ask`, so that the answer is there before the moment `deadline`."""
        settings = self.settings(ask.snapshot)
        cursor = await self.cursor(ask.snapshot, ask.offset, ask.selected)
        allowance = self.allowance(
            router, ask.snapshot, deadline - time.monotonic(), patient=ask.invoked
        )
        if ask.invoked:
            await self.prepare(ask.snapshot, ask.offset)
        snippets = self.snippets(ask.snapshot, ask.offset, allowance.snippet_chars)
        plan = choose(cursor, document, allowance, settings, patient=ask.invoked, snippets=snippets)
        soon = deadline - (1 - SOON_SHARE) * settings.deadline_ms / 1000
        shaper = self.shaper(cursor, ask.invoked, soon)
        request = request_of(
            plan,
            cursor,
            settings,
            single_line=shaper.single_line,
            deadline=deadline,
            patient=ask.invoked,
        )
        return Question(cursor, plan, shaper, request, self._least(ask, router, shaper))

    def shaper(self, cursor: Cursor, invoked: bool, soon: float = float("inf")) -> Shaper:
        """What judges and cuts an answer at `cursor`; from the moment `soon` on, whole lines are
        enough for who does not ask by a key."""
        settings = self.settings(cursor.snapshot)
        multiline = settings.multiline
        # Who asks by a key wants the hole filled, not the line.
        if invoked and multiline == "auto":
            multiline = "always"
        return Shaper(
            cursor.snapshot,
            cursor.parsed,
            cursor.offset,
            selected=cursor.selected,
            multiline=multiline,
            max_lines=settings.max_lines,
            soon=float("inf") if invoked else soon,
        )

    def _least(self, ask: CompletionRequest, router: Router, shaper: Shaper) -> float:
        """What follows an unlikely token is not decoded, as it would not be shown; unless a rest of
        the line could cut the token away, or others might be asked if the answer is poor."""
        alone = len(router.candidates("complete", ask.snapshot.root or "")) == 1
        if ask.invoked or not shaper.at_line_end or not alone:
            return float("-inf")
        return self.settings(ask.snapshot).min_token_confidence

    def allowance(
        self, router: Router, snapshot: Snapshot, seconds: float, *, patient: bool = False
    ) -> Allowance:
        """Return what the first candidate can be shown of a document within `seconds`."""
        can = self._first_can(router, snapshot)
        return allow(can, seconds, self.settings(snapshot).max_tokens, patient=patient)

    def wait_ms(self, ask: CompletionRequest, document: Document, router: Router) -> float:
        """How long `ask` waits for the next keystroke, in milliseconds."""
        can, settings = self._first_can(router, ask.snapshot), self.settings(ask.snapshot)
        allowance = self.allowance(router, ask.snapshot, settings.deadline_ms / 1000)
        return wait_ms(ask, document, can, allowance, settings)

    def _first_can(self, router: Router, snapshot: Snapshot) -> Capabilities:
        candidates = router.candidates("complete", snapshot.root or "")
        if not candidates:
            return Capabilities()
        return self.rates.fill_in(candidates[0].name, candidates[0].capabilities)

    async def _parse(self, snapshot: Snapshot) -> Parsed | None:
        language = language_for(snapshot.language, snapshot.path)
        if len(snapshot.text) > PARSE_IN_THREAD_CHARS:
            return await asyncio.to_thread(self._trees.parse, snapshot.uri, language, snapshot.text)
        return self._trees.parse(snapshot.uri, language, snapshot.text)


def on_this_machine(router: Router | None) -> Provider | None:
    """The first candidate, where that is on this machine, so that asking it costs nothing but
    time."""
    candidates = router.candidates("complete") if router is not None else ()
    return candidates[0] if candidates and candidates[0].capabilities.local else None


async def ready_here(router: Router) -> bool:
    """Return whether a model of this machine would answer at once."""
    provider = on_this_machine(router)
    return provider is not None and (await provider.health()).state is HealthState.READY


def sequences(router: Router) -> int | None:
    """How many prompts the first candidate holds."""
    candidates = router.candidates("complete")
    return candidates[0].capabilities.prompts if candidates else None
