"""What is known of the workspace beyond the document in front of the user.

One index a workspace folder, opened in the background a moment after the session has begun and
closed with it. Every answer is empty while there is nothing to answer from; nothing in here raises
because of an index, and nothing holds up a start or a request: the path of a completion calls
`ready`, which only looks at what was prepared.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.context.mentions import mentions
from nearfield.features.completion.prompting import Cursor
from nearfield.features.document_filter import DocumentFilter
from nearfield.features.feature import DocumentChange, Feature
from nearfield.features.status import IndexState
from nearfield.features.workspace_context.prepared import Prepared
from nearfield.features.workspace_context.recent_edits import Recent
from nearfield.features.workspace_context.snippets import (
    ContextSnippet,
    RetrievalQuery,
    gather,
    location_of,
    snippets_of,
)
from nearfield.listeners import Listeners
from nearfield.routing.router import Router
from nearfield.tasks import run_task, stop_task
from nearfield.types import Reason, Snapshot, Snippet, SymbolLocation

if TYPE_CHECKING:
    from nearfield.index.search import Hit, Searcher
    from nearfield.index.service import Index
    from nearfield.index.service import Status as IndexStatus

log = logging.getLogger(__name__)

START_SECONDS = 1.0
"""The indexes open so long after the session has begun: importing what they need takes a quarter of
a second of processor time, which the first suggestions need more."""
AROUND_SECONDS = 1.0
"""Whoever waits for `around` waits no longer than this, and goes on without it."""
PREPARE_SECONDS = 2.0
"""Whoever asks for a completion by a key waits at most so long for what it shall be shown. It takes
0.03 to 0.13 s on an idle machine, and a busy one takes ten times that for the answer too."""
REST_SECONDS = 0.25
"""After this long without a keystroke it is looked what the place needs: before idle prefill begins
at 0.4 s, which shall evaluate it."""
TYPING_SECONDS = 0.4
"""The indexes rest so long after a keystroke or an answer."""
NEAR_FILES = 8
"""So many of the documents that were worked on last get their vectors first."""


_WORST_FIRST = ("failed", "building", "starting", "embedding", "reading", "paused", "ready")

CursorOf = Callable[[Snapshot, int], Awaitable[Cursor]]
"""A document with its tree, as the completer has it."""


class Knowledge(Feature):
    """See the module's docstring. One event loop."""

    def __init__(
        self, config: FolderConfigs, cursor_of: CursorOf, wait_seconds: float = START_SECONDS
    ) -> None:
        """Cheap, no I/O."""
        self._configs = config
        self._permitted = DocumentFilter(config)
        self._cursor_of = cursor_of
        self.wait_seconds = wait_seconds
        """How long `run` waits before it opens anything."""
        self._roots: tuple[str, ...] = ()
        self._indexes: dict[str, Index] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._opened_by: dict[str, Config] = {}
        self._documents: dict[str, Snapshot] = {}
        self._prepared: dict[str, Prepared] = {}
        self._preparing: asyncio.Task[None] | None = None
        self._recent = Recent()
        self._changed = asyncio.Event()
        self._paused = False
        self._listeners = Listeners[IndexState]()
        self._detail = ""
        self.when_prepared: Callable[[str], None] = lambda uri: None
        """Hears of which document other snippets are ready."""

    # --- life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep an index open for each folder, as long as it runs."""
        await asyncio.sleep(self.wait_seconds)
        while True:
            self._changed.clear()
            await self._reconcile()
            await self._changed.wait()

    def configure(self, config: FolderConfigs, router: Router | None = None) -> None:
        """Apply `config`; the indexes are opened again when it concerns them."""
        self._configs = config
        self._permitted = DocumentFilter(config)
        self._changed.set()

    def folders(self, roots: Sequence[str]) -> None:
        """These are the workspace's folders now."""
        self._roots = tuple(dict.fromkeys(roots))
        self._changed.set()

    def suspend(self) -> None:
        """Do no work in the background until `resume`."""
        self._paused = True
        for index in self._indexes.values():
            index.pause()

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        for index in self._indexes.values():
            index.resume()

    def give_way(self, seconds: float = TYPING_SECONDS) -> None:
        """Leave the machine to whoever types or waits for so long from now."""
        for index in self._indexes.values():
            index.give_way(seconds)

    async def aclose(self) -> None:
        """Close the indexes; `run` must have ended."""
        await stop_task(self._preparing)
        for root in tuple(self._indexes):
            self._close(root)
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, root: str) -> asyncio.Task[None]:
        """Close an index, whoever is cancelled meanwhile."""
        task = run_task(self._indexes.pop(root).close(), "close an index")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def _reconcile(self) -> None:
        """Close what is not wanted any longer, open what is."""
        wanted = {root: self._configs.of(root) for root in self._roots}
        wanted = {root: config for root, config in wanted.items() if config.index.enabled}
        for root in tuple(self._indexes):
            kept = wanted.get(root)
            if kept is None or _indexed_by(kept) != _indexed_by(self._opened_by[root]):
                await asyncio.shield(self._close(root))
        self._detail = ""
        for root, config in wanted.items():
            if root in self._indexes:
                continue
            if refused := await asyncio.to_thread(_refused, root):
                self._detail = refused
                continue
            index: Index = (await asyncio.to_thread(_index_class))(config)
            self._indexes[root] = index
            self._opened_by[root] = config
            index.subscribe(lambda _: self._say())
            await index.open(Path(root))
            if self._paused:
                index.pause()
            for snapshot in self._documents.values():
                self._pass_on(snapshot)
            self._say_near()
        self._say()

    # --- what the user does -----------------------------------------------------------------

    def opened(self, snapshot: Snapshot) -> None:
        """A document is there, or is replaced as a whole."""
        self._documents.pop(snapshot.uri, None)
        self._documents[snapshot.uri] = snapshot
        self._pass_on(snapshot)
        self._say_near()
        self.rest(snapshot.uri, None)

    def changed(self, change: DocumentChange) -> None:
        """Pass an edit on to the index, and remember what was edited lately."""
        snapshot, edits = change.after, change.edits
        self.give_way()
        self._documents[snapshot.uri] = snapshot
        self._recent.edited(snapshot, edits)
        self._pass_on(snapshot)

    def closed(self, uri: str) -> None:
        """The document is gone."""
        snapshot = self._documents.pop(uri, None)
        self._prepared.pop(uri, None)
        if snapshot is not None and _is_file(snapshot) and (index := self._index_of(snapshot)):
            index.closed(snapshot.path or "")

    def rest(self, uri: str, offset: int | None) -> None:
        """The user rests in a document, the cursor at `offset` (None: nobody knows): prepare what
        a completion there will need, unless something else comes soon."""
        if self._preparing is not None:
            self._preparing.cancel()
        if self._indexes:
            self._preparing = run_task(self._prepare(uri, offset), "prepare snippets")

    # --- questions --------------------------------------------------------------------------

    def ready(self, snapshot: Snapshot, offset: int, budget: int) -> tuple[Snippet, ...]:
        """What is prepared for `snapshot`, at most `budget` characters; without any waiting. Stays
        the same while the user types; `offset` is where the cursor is."""
        prepared = self._prepared.get(snapshot.uri)
        return snippets_of(prepared.within(budget)) if prepared is not None else ()

    def pieces(self, uri: str) -> tuple[ContextSnippet, ...]:
        """What `ready` is made of, with the reasons."""
        prepared = self._prepared.get(uri)
        return prepared.pieces if prepared is not None else ()

    async def around(
        self, snapshot: Snapshot, offset: int, *, budget: int, meaning: bool = True
    ) -> tuple[Snippet, ...]:
        """What helps to understand the place, at most `budget` characters, the most helpful last;
        () when that would take too long."""
        try:
            async with asyncio.timeout(AROUND_SECONDS):
                found = await self._gathered(snapshot, offset, budget, meaning=meaning)
        except TimeoutError:
            return ()
        return snippets_of(found)

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        """Where `name` is defined, what stands there, and its documentation: in the folder of
        `snapshot`, else in all."""
        found: list[SymbolLocation] = []
        for root, index in self._asked(snapshot):
            found += [location_of(root, one) for one in await index.definitions(name, limit)]
        return tuple(found[:limit])

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        """Where `name` is referred to; these places have no text."""
        found: list[SymbolLocation] = []
        for root, index in self._asked(snapshot):
            for one in await index.references(name, limit):
                path = str(Path(root, one.path))
                found.append(
                    SymbolLocation(path, one.path, name, one.kind, "", one.row, one.row, one.row)
                )
        return tuple(found[:limit])

    async def search(
        self, query: str, *, limit: int = 10, workspace: str = "", near: str = ""
    ) -> tuple[Hit, ...]:
        """The best chunks for a name, a question or a piece of code; in the folder `workspace`, or
        in all. `near` is the path of the file that it is asked from."""
        found: list[Hit] = []
        for root, index in self._indexes.items():
            if workspace and root != workspace:
                continue
            hits = await index.search(query, None, limit, near)
            found += [replace(hit, path=str(Path(root, hit.path))) for hit in hits]
        return tuple(sorted(found, key=lambda one: -one.score)[:limit])

    # --- how things stand -------------------------------------------------------------------

    @property
    def state(self) -> IndexState:
        """How the indexes are."""
        statuses = [index.status for index in self._indexes.values()]
        if not statuses:
            return IndexState(detail=self._detail)
        return _together(statuses, self._detail)

    def subscribe(self, callback: Callable[[IndexState], None]) -> Callable[[], None]:
        """Hear how the indexes get on; returns the function that ends it."""
        return self._listeners.add(callback)

    def _say(self) -> None:
        state = self.state
        self._listeners.tell(state)

    # --- inside -----------------------------------------------------------------------------

    def _index_of(self, snapshot: Snapshot) -> Index | None:
        return self._indexes.get(snapshot.root or "")

    def _asked(self, snapshot: Snapshot | None) -> list[tuple[str, Index]]:
        """The index of the folder of `snapshot`, or all of them."""
        root = snapshot.root if snapshot is not None else None
        return [(one, index) for one, index in self._indexes.items() if root in (None, one)]

    def _pass_on(self, snapshot: Snapshot) -> None:
        if _is_file(snapshot) and (index := self._index_of(snapshot)):
            index.buffer(snapshot.path or "", snapshot.text)

    def _say_near(self) -> None:
        latest = list(self._documents.values())[-NEAR_FILES:]
        paths = tuple(snapshot.path for snapshot in reversed(latest) if snapshot.path)
        for index in self._indexes.values():
            index.near(paths)

    async def prepare(
        self, snapshot: Snapshot, offset: int, seconds: float = PREPARE_SECONDS
    ) -> None:
        """Have ready what the place needs, where somebody waits, so long at most."""
        if self._index_of(snapshot) is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                found = await self._gathered(snapshot, offset, Prepared.MOST_CHARS, meaning=False)
                self._prepared.setdefault(snapshot.uri, Prepared()).adopt(found)

    async def _prepare(self, uri: str, offset: int | None) -> None:
        await asyncio.sleep(REST_SECONDS)
        snapshot = self._documents.get(uri)
        if snapshot is None:
            return
        held = self._prepared.setdefault(uri, Prepared())
        place = min(len(snapshot.text) if offset is None else offset, len(snapshot.text))
        found = await self._gathered(snapshot, place, Prepared.MOST_CHARS, meaning=False)
        if held.lacks(found):
            await asyncio.sleep(held.steady_seconds)
        if held.adopt(found) and uri in self._documents:
            self.when_prepared(uri)

    async def _gathered(
        self, snapshot: Snapshot, offset: int, budget: int, *, meaning: bool
    ) -> list[ContextSnippet]:
        index = self._index_of(snapshot)
        if index is None or not snapshot.root:
            return []
        cursor = await self._cursor_of(snapshot, offset)
        shown = {
            uri: one
            for uri, one in self._documents.items()
            if self._permitted.reason(one) is not Reason.EXCLUDED
        }
        regions = self._recent.regions(snapshot, offset, shown)

        def gathered(searcher: Searcher) -> list[ContextSnippet]:
            names = mentions(cursor.parsed, snapshot.text, offset)
            return gather(
                searcher, RetrievalQuery(snapshot, offset, names, regions, meaning), budget
            )

        return await index.ask(gathered, list[ContextSnippet]())


def _is_file(snapshot: Snapshot) -> bool:
    """Whether the document is what will be in the file at its path. Of a notebook whose cells are
    open, the index keeps what is on the disk."""
    return bool(snapshot.path) and not snapshot.is_cell


def _together(statuses: Sequence[IndexStatus], detail: str) -> IndexState:
    states = {str(status.state) for status in statuses}
    details = [status.detail for status in statuses if status.detail]
    return IndexState(
        state=next((state for state in _WORST_FIRST if state in states), "ready"),
        detail=details[0] if details else detail,
        done=sum(status.done for status in statuses),
        total=sum(status.total for status in statuses),
        files=sum(status.files for status in statuses),
        chunks=sum(status.chunks for status in statuses),
        vectors=sum(status.vectors for status in statuses),
    )


def _indexed_by(config: Config) -> tuple[object, ...]:
    """The settings that an index is built by."""
    return config.index, config.files.exclude, config.privacy.withhold


def _refused(root: str) -> str:
    """Why a folder is not indexed, "" when it is."""
    path = Path(root)
    if path == path.parent or path == Path.home():
        return "A whole home or disk is not indexed: open the folder of a project."
    return "" if path.is_dir() else f"The folder {path.name} is not there, so it is not indexed."


def _index_class() -> Any:
    """The index's class; importing it takes a while, so this runs in a thread."""
    return importlib.import_module("nearfield.index.service").Index
