"""Next edits: after an edit that leaves other places of the document behind, what those have to
become, the nearest below the cursor first.

Found by the syntax tree (dependents.py) and by what the user has just changed (series.py), and,
where these are silent, by a model (model_offers.py). Nothing is offered while a name is still being
typed, or where it is not certain what is meant. Every offer is for the document as it is; a place
that was changed or dismissed is not offered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.features.accepted import Origin
from nearfield.features.diagnostics import LanguageServers
from nearfield.features.documents import (
    Document,
    DocumentChange,
    DocumentFilter,
    Documents,
    PerDocument,
    difference,
)
from nearfield.features.feature import Feature
from nearfield.features.idle import IdleScheduler
from nearfield.features.next_edit.dependents import (
    Dependents,
    dependents_of,
    edits_of,
    may_matter,
    names_of,
    renames,
)
from nearfield.features.next_edit.edit_history import (
    MAX_EDIT_CHARS,
    EditGroup,
    EditTarget,
    Followed,
    Group,
    OtherFile,
    word_around,
)
from nearfield.features.next_edit.edit_model import ASK_SECONDS, EditModel
from nearfield.features.next_edit.hunk_history import HunkHistory
from nearfield.features.next_edit.model_offers import ModelOffers
from nearfield.features.next_edit.other_files import Cause, Jump, OtherFiles, ProjectNames
from nearfield.features.next_edit.project_names import IndexedNames
from nearfield.features.next_edit.series import (
    edits_of_series,
    find_series,
    goes_further,
    may_go_on,
)
from nearfield.features.trace import TraceLog
from nearfield.routing.router import Router
from nearfield.syntax.languages import Language, language_for
from nearfield.syntax.parser import CursorOf, ParseCache, Parsed
from nearfield.syntax.scopes import SUPPORTED
from nearfield.types import Edit, Snapshot, Span, Trace

__all__ = ["NextEdit", "NextEdits"]

ASK_AFTER_SECONDS = 0.8
"""No model is asked before the user has done nothing for this long; later than idle prefill begins,
because what that evaluates is needed more often."""
ASK = "ask for the next edit"
"""The name of the idle job."""
FOLLOWED = SUPPORTED | {"rust"}
"""Languages whose rules are known."""
REST_SECONDS = 0.3
"""A name counts as complete after this time without typing."""
IN_THREAD_CHARS = 10_000
"""In a longer text the looking up is done off the event loop."""


@dataclass(frozen=True, slots=True)
class NextEdit:
    """An offer: in the document `uri`, `span` holds `old` and is to hold `new`. `origin` says which
    model wrote it, if one did."""

    id: str
    uri: str
    span: Span
    old: str
    new: str
    by: str = "tree"
    """The source of the offer: "tree", "series" (what was done to other lines), or "model"."""
    origin: Origin = field(default_factory=Origin)


class NextEdits(Feature):
    """The next edits of all documents. `cursor` gives a document's tree as it is now; `record`
    is told the trace of each question to a model, with the document's language. `names` finds the
    files that name something, and `facts` is what the index knows of names."""

    def __init__(
        self,
        documents: Documents,
        cursor: CursorOf,
        scheduler: IdleScheduler,
        clock: Callable[[], float] = time.monotonic,
        traces: TraceLog | None = None,
        names: ProjectNames | None = None,
        servers: LanguageServers | None = None,
        record: Callable[[str, Trace], object] | None = None,
        facts: IndexedNames | None = None,
    ) -> None:
        self._documents = documents
        self._cursor = cursor
        self._clock = clock
        self._scheduler = scheduler
        self._followed = PerDocument[Followed](documents)
        self._before = ParseCache(4)
        self._made = 0
        self._recent = HunkHistory()
        self.is_ghost_text = True
        """Whether an edit at the cursor is a completion, too; not where the client draws it."""
        traces = TraceLog() if traces is None else traces
        self.model = EditModel(self._recent, traces, record, facts)
        self._offers = ModelOffers(self.model, self._tree_of, self._named, scheduler)
        self._others = OtherFiles(
            documents,
            self._followed,
            names,
            LanguageServers() if servers is None else servers,
            self._look_up,
            self._tree_of,
            self._named,
        )
        self.configure(FolderConfigs(Config()))

    def activity_changed(self) -> None:
        """End a question to the model."""
        self.stop()

    def configure(self, config: FolderConfigs, router: Router | None = None) -> None:
        """Apply the settings; without a router no model is asked."""
        self.stop()
        self.model.configure(config, router)
        self._configs, self._permitted = config, DocumentFilter(config)
        self._others.configure(config)

    def _is_enabled(self, snapshot: Snapshot) -> bool:
        return self._configs.of(snapshot.root).completion.next_edit

    def opened(self, snapshot: Snapshot) -> None:
        """Follow a document from now on."""
        self._others.opened(snapshot)

    def changed(self, change: DocumentChange) -> None:
        """Follow an edit."""
        before, after, edits = change.before, change.after, change.edits
        self._others.changed(change)
        if before is None:
            self._recent.forget(after.uri)
        if not self._is_enabled(after) or before is None or not edits:
            return
        if len(edits) == 1 and _is_coarse(edits[0]):
            # A client that sends whole texts, or an editor that sends whole lines.
            edits = difference(before.text, after.text)
        self._recent.change(before, after, edits, change.at)
        language = language_for(after.language, after.path)
        if language is not None and language.name in FOLLOWED:
            followed = self._followed.get(after.uri)
            if followed is None or followed.text != before.text:
                followed = Followed(before.text, before.version)
                self._followed.set(after.uri, followed)
            followed.change(after.text, after.version, edits, change.at)

    def closed(self, uri: str) -> None:
        """Stop, and drop the tree of the text before."""
        self.stop()
        self._others.closed(uri)
        self._before.forget(uri)

    def dismiss(self, edit_id: str) -> bool:
        """Do not offer this again, and where it follows from one change, nothing else that does;
        a renaming is not offered again at all. False where there is no such offer."""
        for followed in self._followed.values():
            for burst in followed.bursts:
                for group in burst.groups or ():
                    if _close(group, edit_id):
                        if (names := names_of(followed.text, burst, group)) is not None:
                            followed.refused.add(names)
                        for site in group.sites:
                            site.open = False
                        return True
            if any(_close(group, edit_id) for group in followed.series):
                return True
        return self._others.dismiss(edit_id) or self._offers.dismiss(edit_id)

    def renames(self, edit_id: str) -> bool:
        """Return whether an offer is the new name at another place of what was renamed."""
        return any(renames(followed.bursts, edit_id) for followed in self._followed.values())

    def settle_seconds(self, snapshot: Snapshot, offset: int) -> float:
        """Return the seconds that the cursor at `offset` must still rest before an offer."""
        followed = self._followed.get(snapshot.uri)
        newest = followed.bursts[-1] if followed and followed.bursts else None
        if newest is None or not newest.now.start <= offset <= newest.now.end:
            return 0.0
        return max(0.0, newest.at + REST_SECONDS - self._clock())

    def is_typing(self, snapshot: Snapshot, offset: int) -> bool:
        """Return whether the cursor is where the last edit ended: the user goes on there."""
        followed = self._followed.get(snapshot.uri)
        return followed is not None and followed.last == offset

    def idle(self, document: Document) -> None:
        """Ask a model of this machine soon, where no rule has an offer."""
        snapshot = document.snapshot
        if self._is_enabled(snapshot) and self._recent.has(snapshot):
            work = partial(self._when_idle, snapshot)
            self._scheduler.at(ASK_AFTER_SECONDS, ASK, work)

    async def _when_idle(self, snapshot: Snapshot) -> None:
        # Not asked in `idle`, at each keystroke: the router takes a while to say.
        if not self._offers.can_rest(snapshot):
            return
        offset = self._recent.cursor(snapshot.uri)
        if await self.offered(snapshot, offset) or self._permitted.reason(snapshot):
            return
        if not (self.is_typing(snapshot, offset) and _is_within_word(snapshot.text, offset)):
            await self._offers.offered(snapshot, offset, ASK_SECONDS, is_wanted=False)

    def stop(self) -> None:
        """End a question to the model."""
        self._scheduler.cancel(ASK)
        self._offers.stop()

    async def aclose(self) -> None:
        """End a question to the model, and the reading of files, and wait for both."""
        await self._others.aclose()
        await self._offers.aclose()

    async def offered(
        self, snapshot: Snapshot, offset: int, seconds: float = 0.0
    ) -> tuple[NextEdit, ...]:
        """Return the next edits of `snapshot` for a cursor at `offset`, once it has rested; none
        for a document that was changed meanwhile. Where no rule has one, a model is waited for, at
        most `seconds`."""
        return (await self._offered(snapshot, offset, seconds))[0]

    async def offers(
        self, snapshot: Snapshot, offset: int, seconds: float = 0.0
    ) -> tuple[tuple[NextEdit, ...], Jump | None]:
        """Return what `offered` and `jump` do, for which other files are looked at once."""
        edits, causes = await self._offered(snapshot, offset, seconds)
        if self._documents.is_stale(snapshot):
            return (), None
        return edits, await self.jump(snapshot, causes)

    async def _offered(
        self, snapshot: Snapshot, offset: int, seconds: float
    ) -> tuple[tuple[NextEdit, ...], list[Cause] | None]:
        """The next edits, and the changes that other files have to follow, if looked up."""
        if self._permitted.reason(snapshot) or not self._is_enabled(snapshot):
            return (), None
        if (rest := self.settle_seconds(snapshot, offset)) > 0:
            await asyncio.sleep(rest)
        if self.is_typing(snapshot, offset) and _is_within_word(snapshot.text, offset):
            return (), None  # what is typed before a name may become another one
        if self._documents.is_stale(snapshot):
            return (), None
        causes = await self._others.causes()
        if found := await self._by_rules(snapshot, offset, causes):
            return found, causes
        if seconds:
            rest = self._recent.at(snapshot.uri) + REST_SECONDS - self._clock()
            await asyncio.sleep(max(0.0, rest))
            offer = await self._offers.offered(snapshot, offset, seconds)
        else:
            offer = self._offers.ready(snapshot, offset)
        if offer is None or not self._recent.has(snapshot):
            return (), causes
        edit = offer.edit
        one = NextEdit(
            offer.id, snapshot.uri, edit.span, offer.old, edit.text, "model", offer.origin
        )
        return (one,), causes

    async def jump(self, snapshot: Snapshot, causes: list[Cause] | None = None) -> Jump | None:
        """Return the offer to go to another file that has to follow the last changes (`causes`)."""
        if self._permitted.reason(snapshot) or not self._is_enabled(snapshot):
            return None
        causes = await self._others.causes() if causes is None else causes
        return await self._others.jump(snapshot, causes)

    def file_of(self, jump_id: str) -> OtherFile | None:
        """Return the file that a jump leads to, None for one that is not on offer."""
        return self._others.file_of(jump_id)

    async def _tree_of(self, snapshot: Snapshot, offset: int) -> Parsed | None:
        return (await self._cursor(snapshot, offset)).parsed

    async def _by_rules(
        self, snapshot: Snapshot, offset: int, causes: list[Cause]
    ) -> tuple[NextEdit, ...]:
        found: dict[Span, NextEdit] = {}
        sites = [
            *await self._within(snapshot, offset),
            *(("tree", *one) for one in await self._others.edits(snapshot, causes)),
        ]
        for by, site, edit in sites:
            old = snapshot.text[edit.span.start : edit.span.end]
            one = NextEdit(site.id, snapshot.uri, edit.span, old, edit.text, by)
            found.setdefault(edit.span, one)
        below_first = sorted(
            found.values(), key=lambda one: (one.span.end < offset, one.span.start)
        )
        return tuple(below_first)

    async def _within(self, snapshot: Snapshot, offset: int) -> list[tuple[str, EditTarget, Edit]]:
        """Return the edits that follow from changes of the document itself."""
        if not self._is_followed(snapshot):
            return []
        await self._look_up(snapshot)
        followed = self._followed.get(snapshot.uri)
        if followed is None or not (_has_sites(followed) or may_go_on(followed)):
            return []
        now = await self._tree_of(snapshot, offset)
        # Whatever was typed during the parse has moved the sites on.
        if now is None or not self._is_followed(snapshot):
            return []
        return self._edits(now, followed)

    def _edits(self, now: Parsed, followed: Followed) -> list[tuple[str, EditTarget, Edit]]:
        """Return the edits that are certain by the tree, or those that continue the last changes. A
        change of two whole lines counts more than a name in them that it changed."""
        certain = [
            ("tree", *found)
            for burst in reversed(followed.bursts)
            for group in burst.groups or ()
            if names_of(now.text, burst, group) not in followed.refused
            for found in edits_of(now, burst, group)
        ]
        find_series(now, followed, self._named)
        if certain and not goes_further(followed):
            return certain
        return edits_of_series(now, followed) or certain

    async def _look_up(self, snapshot: Snapshot) -> None:
        """Find what depends on the new bursts."""
        language = language_for(snapshot.language, snapshot.path)
        if language is None:
            return
        for burst in self._bursts(snapshot):
            if burst.groups is not None:
                continue
            was, before = burst.was, burst.before
            found: list[Dependents] = []
            if may_matter(before, was):
                if len(before) > IN_THREAD_CHARS:
                    found = await asyncio.to_thread(
                        self._dependents, snapshot.uri, language, before, was
                    )
                else:
                    found = self._dependents(snapshot.uri, language, before, was)
            if burst.was == was:
                groups = [self._group(burst, one) for one in found]
                burst.groups = [one for one in groups if one.sites or one.exported is not None]

    def _dependents(self, uri: str, language: Language, before: str, was: Span) -> list[Dependents]:
        parsed = self._before.parse(uri, language, before)
        return dependents_of(parsed, was) if parsed is not None else []

    def _group(self, burst: EditGroup, found: Dependents) -> Group:
        """The sites of `found` where they are now."""
        places = [now for span in found.spans if (now := burst.mapped(span)) is not None]
        sites = [EditTarget(self._named(), now) for now in places]
        return Group(found.cause, sites, found.exported)

    def _named(self) -> str:
        self._made += 1
        return f"next-{self._made}"

    def _bursts(self, snapshot: Snapshot) -> list[EditGroup]:
        followed = self._followed.get(snapshot.uri)
        return list(followed.bursts) if followed is not None else []

    def _is_followed(self, snapshot: Snapshot) -> bool:
        """Return whether the document still equals `snapshot`, and was changed before."""
        followed = self._followed.get(snapshot.uri)
        if followed is None or not followed.bursts:
            return False
        return followed.version == snapshot.version and followed.text == snapshot.text


def _close(group: Group, edit_id: str) -> bool:
    """Close the site of the offer `edit_id`; whether it is one of `group` that was open."""
    for site in group.sites:
        if site.id == edit_id and site.open:
            site.open = False
            return True
    return False


def _has_sites(followed: Followed) -> bool:
    return any(group.sites for burst in followed.bursts for group in burst.groups or ())


def _is_within_word(text: str, offset: int) -> bool:
    word = word_around(text, Span(offset, offset))
    return word.start < offset < word.end


def _is_coarse(edit: Edit) -> bool:
    return max(len(edit.text), edit.span.end - edit.span.start) > MAX_EDIT_CHARS
