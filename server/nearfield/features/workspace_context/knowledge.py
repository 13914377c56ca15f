"""The code of the workspace beyond the current document.

There is one index per workspace folder, opened in the background shortly after the session starts
and closed with it. Without an index every answer is empty; no failure of an index is raised here,
and none delays the start or a request: completions take what is ready (`Document.snippets`).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.context.mentions import mentions
from nearfield.features.documents import (
    Document,
    DocumentChange,
    DocumentFilter,
    Documents,
    PerDocument,
)
from nearfield.features.feature import Feature
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.features.status import IndexState
from nearfield.features.workspace_context import name_facts
from nearfield.features.workspace_context.prepared import PreparedSnippets
from nearfield.features.workspace_context.recent_edits import RecentEdits
from nearfield.features.workspace_context.snippets import (
    ContextSnippet,
    RetrievalQuery,
    gather,
    given_pieces,
    location_of,
    snippets_of,
)
from nearfield.listeners import Listeners
from nearfield.routing.router import Router
from nearfield.syntax.parser import CursorOf
from nearfield.tasks import run_task
from nearfield.types import Reason, Snapshot, Snippet, SymbolLocation

if TYPE_CHECKING:
    from nearfield.index.interface import IndexReader
    from nearfield.index.search import Defined, Hit, Searcher
    from nearfield.index.service import Status as IndexStatus
    from nearfield.index.service import WorkspaceIndex

log = logging.getLogger(__name__)

START_SECONDS = 1.0
"""Delay before the indexes open: their imports take a quarter of a second of processor time, which
the first suggestions need more."""
AROUND_SECONDS = 1.0
"""Timeout of `around`, which then returns nothing."""
PREPARE_SECONDS = 2.0
"""Maximum time a manual completion waits for snippets. They take 0.03 to 0.13 s on an idle machine;
on a busy one ten times that, and so does the answer."""
REST_SECONDS = 0.25
"""Idle time before the context of the cursor is prepared: shorter than idle prefill's 0.4 s, which
then evaluates it.
"""
MAX_ALIKE = 1_000
"""Files of one name; there are hundreds of `__init__` in a large project."""
NEAR_FILES = 8
"""Number of recently used documents whose vectors are computed first."""


_WORST_FIRST = ("failed", "building", "starting", "embedding", "reading", "paused", "ready")


class Knowledge(Feature):
    """See the module's docstring. One event loop."""

    def __init__(
        self,
        config: FolderConfigs,
        documents: Documents,
        cursor_of: CursorOf,
        scheduler: IdleScheduler,
        activity: Activity,
        *,
        on_prepared: Callable[[str], None] = lambda uri: None,
        wait_seconds: float = START_SECONDS,
    ) -> None:
        """Cheap, no I/O. `on_prepared` gets the URI of a document for which other snippets are
        ready."""
        self._on_prepared = on_prepared
        self._scheduler = scheduler
        self._activity = activity
        self._documents = documents
        self._configs = config
        self._permitted = DocumentFilter(config)
        self._cursor_of = cursor_of
        self.wait_seconds = wait_seconds
        """Seconds that `run` waits before it opens anything."""
        self._roots: tuple[str, ...] = ()
        self._indexes: dict[str, WorkspaceIndex] = {}
        self._stop_telling: dict[str, Callable[[], None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._opened_by: dict[str, Config] = {}
        self._prepared = PerDocument[PreparedSnippets](documents)
        self._recent = RecentEdits()
        self._paused: set[str] = set()
        self._changed = asyncio.Event()
        self._listeners = Listeners[IndexState]()
        self._detail = ""

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

    def activity_changed(self) -> None:
        """Let the indexes work in the background, or not."""
        if not self._activity.allows_idle_work():
            self.suspend()
            return
        for root, index in self._indexes.items():
            if root not in self._paused:
                index.resume()

    def suspend(self) -> None:
        """Let the indexes do no work in the background."""
        for index in self._indexes.values():
            index.pause()

    def pause(self, root: str, on: bool) -> bool:
        """Let the index of a folder do no work in the background while `on`; return whether there
        is one."""
        index = self._indexes.get(root)
        if index is None:
            return False
        (self._paused.add if on else self._paused.discard)(root)
        if on:
            index.pause()
        else:
            self.activity_changed()
        return True

    async def rebuild(self, root: str, *, fresh: bool = False) -> bool:
        """Look at every file of a folder again, with `fresh` as if none had been indexed; return
        whether there is an index."""
        if root not in self._indexes:
            return False
        config = self._opened_by[root]
        await asyncio.shield(self._close(root))
        if fresh:
            await asyncio.to_thread(_forget_index, root, config)
        self._changed.set()
        return True

    async def aclose(self) -> None:
        """Close the indexes; `run` must have ended."""
        for root in tuple(self._indexes):
            self._close(root)
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, root: str) -> asyncio.Task[None]:
        """Close an index, even if the caller is cancelled."""
        self._stop_telling.pop(root)()
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
            index: WorkspaceIndex = (await asyncio.to_thread(_index_class))(config)
            self._indexes[root] = index
            self._opened_by[root] = config
            index.subscribe(lambda _: self._say())
            self._stop_telling[root] = self._scheduler.others.add(index.give_way)
            # Before it opens: opened again after a change of settings, it would read meanwhile.
            if root in self._paused or not self._activity.allows_idle_work():
                index.pause()
            await index.open(Path(root))
            for document in self._documents:
                self._pass_on(document.snapshot)
            self._say_near()
        self._say()

    # --- what the user does -----------------------------------------------------------------

    def opened(self, snapshot: Snapshot) -> None:
        """A document is there, or is replaced as a whole."""
        self._pass_on(snapshot)
        self._say_near()

    def changed(self, change: DocumentChange) -> None:
        """Pass an edit on to the index, and remember what was edited lately."""
        snapshot = change.after
        self._recent.edited(snapshot, change.edits, change.at)
        document = self._documents.get(snapshot.uri)
        if document is not None and document.snapshot is snapshot:
            self._pass_on(snapshot)

    def closed(self, uri: str) -> None:
        """Pass on that the document was closed."""
        document = self._documents.get(uri)
        snapshot = document.snapshot if document is not None else None
        if snapshot is not None and _is_file(snapshot) and (index := self._index_of(snapshot)):
            index.closed(snapshot.path or "")

    def idle(self, document: Document) -> None:
        """Prepare soon what a completion at the cursor will need."""
        if self._indexes:
            self._scheduler.at(REST_SECONDS, "prepare snippets", partial(self._prepare, document))

    # --- questions --------------------------------------------------------------------------

    def given(self, uri: str, snippets: Sequence[Snippet]) -> None:
        """Take what the client of an open document has chosen of other files, the most helpful
        last. It stays steady as what the index finds does."""
        prepared = self._prepared_of(uri)
        if snippets and not prepared.steady_seconds and prepared.adopt(given_pieces(snippets)):
            self._on_prepared(uri)

    def pieces(self, uri: str) -> tuple[ContextSnippet, ...]:
        """Return what prompts may show of other files, with the reasons."""
        prepared = self._prepared.get(uri)
        return prepared.snippets if prepared is not None else ()

    async def around(
        self, snapshot: Snapshot, offset: int, *, budget: int, meaning: bool = True
    ) -> tuple[Snippet, ...]:
        """Return code that helps to understand the position, at most `budget` characters, the most
        helpful last; () if that takes too long. With `meaning` vectors are searched too."""
        try:
            async with asyncio.timeout(AROUND_SECONDS):
                found = await self._gathered(snapshot, offset, budget, meaning=meaning)
        except TimeoutError:
            return ()
        return snippets_of(found)

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        """Return the definitions of `name`, with text and documentation, in the folder of
        `snapshot`, or in all folders."""
        found: list[SymbolLocation] = []
        for root, index in self._asked(snapshot):
            found += [location_of(root, one) for one in await index.definitions(name, limit)]
        return tuple(found[:limit])

    async def named(self, text: str, *, limit: int) -> tuple[SymbolLocation, ...]:
        """Return the definitions with the name `text`, then those with names like it."""

        def alike(searcher: Searcher) -> list[Defined]:
            names = dict.fromkeys((text, *searcher.reader.similar_names(text, limit)))
            found: dict[tuple[str, int, int], Defined] = {}
            for name in names:
                for one in searcher.defined(name, limit - len(found)):
                    found.setdefault((one.place.path, one.place.row, one.place.column), one)
                if len(found) >= limit:
                    break
            return list(found.values())

        found: list[SymbolLocation] = []
        for root, index in self._indexes.items():
            found += [location_of(root, one) for one in await index.ask(alike, [])]
        return tuple(found[:limit])

    async def defined_in(self, path: str) -> tuple[SymbolLocation, ...]:
        """Return the definitions in the file at an absolute path, in the order of its text; those
        of a file that has changed since it was indexed are left out."""
        for root, index in self._indexes.items():
            if not Path(path).is_relative_to(root):
                continue
            inside = Path(path).relative_to(root).as_posix()

            def defined(searcher: Searcher, inside: str = inside) -> list[Defined]:
                found = (searcher.at(one) for one in searcher.reader.defined_in(inside))
                return [one for one in found if one is not None]

            return tuple(location_of(root, one) for one in await index.ask(defined, []))
        return ()

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        """Return the references to `name`, without text."""
        found: list[SymbolLocation] = []
        for root, index in self._asked(snapshot):
            for one in await index.references(name, limit):
                path = str(Path(root, one.path))
                found.append(
                    SymbolLocation(path, one.path, name, one.kind, "", one.row, one.row, one.row)
                )
        return tuple(found[:limit])

    async def naming(
        self, name: str, stems: Sequence[str], snapshot: Snapshot
    ) -> tuple[list[str], list[str], list[str]]:
        """Return the files in the folder of `snapshot` that refer to `name`, those that an import
        may call by one of `stems`, and those with such an import: paths in the folder, with '/'."""
        index = self._index_of(snapshot)
        nothing: tuple[list[str], list[str], list[str]] = ([], [], [])

        def named(searcher: Searcher) -> tuple[list[str], list[str], list[str]]:
            reader = searcher.reader
            paths = dict.fromkeys(one.path for one in reader.references(name))
            alike = (path for stem in stems for path in reader.files_named(stem, MAX_ALIKE))
            importers = (path for stem in stems for path in sorted(reader.importers(stem)))
            return list(paths), list(dict.fromkeys(alike)), list(dict.fromkeys(importers))

        return nothing if index is None else await index.ask(named, nothing)

    async def unknown(self, names: Collection[str], snapshot: Snapshot) -> frozenset[str]:
        """Return those of `names` that no file in the folder of `snapshot` defines or refers to;
        none while the index has not all files."""
        return await self._of_all(snapshot, partial(name_facts.unknown, names=names))

    async def defined_around(
        self, places: Sequence[tuple[str, int]], snapshot: Snapshot
    ) -> frozenset[str]:
        """Return the names of the innermost definitions at rows (from 0) of files in the folder of
        `snapshot`, which are named by their absolute paths; none while the index has not all
        files."""
        root = Path(snapshot.root or "")
        inside = [
            (Path(path).relative_to(root).as_posix(), row)
            for path, row in places
            if Path(path).is_relative_to(root)
        ]
        return await self._of_all(snapshot, partial(name_facts.defined_around, places=inside))

    async def _of_all(
        self, snapshot: Snapshot, question: Callable[[IndexReader], frozenset[str]]
    ) -> frozenset[str]:
        index = self._index_of(snapshot)
        if index is None or not self.has_all(snapshot):
            return frozenset()
        return await index.ask(lambda searcher: question(searcher.reader), frozenset[str]())

    def has_all(self, snapshot: Snapshot) -> bool:
        """Return whether the index of the folder of `snapshot` has all its files by now."""
        index = self._index_of(snapshot)
        return index is not None and index.status.state in ("embedding", "ready")

    async def search(
        self, query: str, *, limit: int = 10, workspace: str = "", near: str = ""
    ) -> tuple[Hit, ...]:
        """Return the best chunks for a name, a question or a piece of code, with absolute paths: in
        the folder `workspace`, or in all. `near` is the path of the file that asks."""
        found: list[Hit] = []
        for root, index in self._indexes.items():
            if workspace and root != workspace:
                continue
            hits = await index.search(query, None, limit, near)
            found += [replace(hit, path=str(Path(root, hit.path))) for hit in hits]
        return tuple(sorted(found, key=lambda one: -one.score)[:limit])

    # --- state ------------------------------------------------------------------------------

    @property
    def state(self) -> IndexState:
        """The combined state of the indexes."""
        statuses = [index.status for index in self._indexes.values()]
        if not statuses:
            return IndexState(detail=self._detail)
        return _together(statuses, self._detail)

    def states(self) -> list[dict[str, Any]]:
        """Return the state of each folder's index, for the user."""
        return [
            {
                "root": root,
                "state": str(index.status.state),
                "detail": index.status.detail,
                "done": index.status.done,
                "total": index.status.total,
                "paused": root in self._paused,
            }
            for root, index in self._indexes.items()
        ]

    def subscribe(self, callback: Callable[[IndexState], None]) -> Callable[[], None]:
        """Call `callback` with every new state; return a function that unsubscribes."""
        return self._listeners.add(callback)

    def _say(self) -> None:
        state = self.state
        self._listeners.tell(state)

    # --- inside -----------------------------------------------------------------------------

    def _index_of(self, snapshot: Snapshot) -> WorkspaceIndex | None:
        return self._indexes.get(snapshot.root or "")

    def _asked(self, snapshot: Snapshot | None) -> list[tuple[str, WorkspaceIndex]]:
        """Return the index of the folder of `snapshot`, or all of them, with their roots."""
        root = snapshot.root if snapshot is not None else None
        return [(one, index) for one, index in self._indexes.items() if root in (None, one)]

    def _pass_on(self, snapshot: Snapshot) -> None:
        if _is_file(snapshot) and (index := self._index_of(snapshot)):
            index.buffer(snapshot.path or "", snapshot.text)

    def _say_near(self) -> None:
        latest = [document.snapshot for document in self._documents.recent(NEAR_FILES)]
        paths = tuple(snapshot.path for snapshot in latest if snapshot.path)
        for index in self._indexes.values():
            index.near(paths)

    async def prepare(
        self, snapshot: Snapshot, offset: int, seconds: float = PREPARE_SECONDS
    ) -> None:
        """Prepare the context of the cursor, for a user who waits at most `seconds`."""
        if self._index_of(snapshot) is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                found = await self._gathered(
                    snapshot, offset, PreparedSnippets.MAX_CHARS, meaning=False
                )
                self._prepared_of(snapshot.uri).adopt(found)

    def _prepared_of(self, uri: str) -> PreparedSnippets:
        if (prepared := self._prepared.get(uri)) is None:
            prepared = PreparedSnippets()
            self._prepared.set(uri, prepared)
            if (document := self._documents.get(uri)) is not None:
                document.snippets = prepared.ready
        return prepared

    async def _prepare(self, document: Document) -> None:
        snapshot, offset = document.snapshot, document.cursor
        uri, end = snapshot.uri, len(snapshot.text)
        held = self._prepared_of(uri)
        place = end if offset is None else min(offset, end)
        found = await self._gathered(snapshot, place, PreparedSnippets.MAX_CHARS, meaning=False)
        if held.lacks(found):
            await asyncio.sleep(held.steady_seconds)
        if held.adopt(found) and self._documents.get(uri) is document:
            self._on_prepared(uri)

    async def _gathered(
        self, snapshot: Snapshot, offset: int, budget: int, *, meaning: bool
    ) -> list[ContextSnippet]:
        index = self._index_of(snapshot)
        if index is None or not snapshot.root:
            return []
        cursor = await self._cursor_of(snapshot, offset)
        shown = {
            one.snapshot.uri: one.snapshot
            for one in self._documents
            if self._permitted.reason(one.snapshot) is not Reason.EXCLUDED
        }
        regions = self._recent.regions(snapshot, offset, shown)

        def gathered(searcher: Searcher) -> list[ContextSnippet]:
            names = mentions(cursor.parsed, snapshot.text, offset)
            return gather(
                searcher, RetrievalQuery(snapshot, offset, names, regions, meaning), budget
            )

        return await index.ask(gathered, list[ContextSnippet]())


def _is_file(snapshot: Snapshot) -> bool:
    """Return whether the document is the content of the file at its path. Of an open notebook the
    index keeps the version on disk."""
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
    """Return the settings that an index depends on."""
    return config.index, config.files.exclude, config.privacy.withhold


def _refused(root: str) -> str:
    """Return why a folder is not indexed, "" if it is."""
    path = Path(root)
    if path == path.parent or path == Path.home():
        return "A whole home or disk is not indexed: open the folder of a project."
    return "" if path.is_dir() else f"The folder {path.name} is not there, so it is not indexed."


def _forget_index(root: str, config: Config) -> None:
    """Delete the file of a folder's index, unless another process builds it."""
    from nearfield.catalog.disk import cache_dir
    from nearfield.index.workspace import Workspace

    Workspace.of(Path(root), config, cache_dir()).forget()


def _index_class() -> Any:
    """Return the index's class; the import is slow, so this runs in a thread."""
    return importlib.import_module("nearfield.index.service").WorkspaceIndex
