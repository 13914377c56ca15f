"""The places in other files that follow from a change of a document's names and parameters.

The index says which files name the definition; each is read by the rules of the workspace, or taken
from the open document, and its tree has to prove that the same definition is meant (imported.py).
The places then follow the edits of their document as those in the changed one do. An offer is a
jump to the nearest such file, and there, once it is open, one edit after the other.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.features.diagnostics import LanguageServers
from nearfield.features.documents import DocumentChange, Documents, PerDocument
from nearfield.features.next_edit.calls import calls_at
from nearfield.features.next_edit.dependents import Renamed, Signed, foreign_edits, names_of
from nearfield.features.next_edit.edit_history import (
    EditGroup,
    EditTarget,
    Followed,
    Group,
    OtherFile,
)
from nearfield.features.next_edit.imported import (
    ECMA,
    ForeignUses,
    Sources,
    foreign_uses,
    go_module,
    go_package,
)
from nearfield.features.next_edit.rust_imports import crate_name, inner_homes
from nearfield.files.read import UnreadableFile
from nearfield.files.workspace import WorkspaceFiles
from nearfield.index.around import module_word
from nearfield.index.files import readable
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import ParseCache, Parsed
from nearfield.tasks import run_task
from nearfield.types import Edit, Snapshot, Span

__all__ = ["Cause", "Jump", "OtherFiles", "ProjectNames"]

MAX_FILES = 60
"""Files that are read for one change; a name that more files use is changed by a tool."""
MAX_ROUNDS = 4
"""How often a name may be passed on from file to file."""
LOOK_UP_SECONDS = 2.0
"""Longest wait of a request for the files to be read; the reading goes on."""
RENAME_ADVICE = "Your editor's own rename changes these too."
PASSES_ALL_ON = re.compile(r"export \*|pub use [\w:]+::\*")
"""A statement that passes on names that it does not name."""
_ROOTS = {"rust": ("lib", "main")}
_MANIFESTS = {"go": "go.mod", "rust": "Cargo.toml"}


@dataclass(frozen=True, slots=True)
class Jump:
    """An offer to go to another file: `edits` are what it needs, in order, counted in `text`.
    `files` is the number of further files. With `advice` it is no offer."""

    id: str
    path: str
    uri: str
    text: str
    edits: tuple[Edit, ...]
    files: int
    advice: str = ""

    @property
    def title(self) -> str:
        """The words for the user."""
        return f"{len(self.edits)} more in {posixpath.basename(self.path)}"


class ProjectNames(Protocol):
    """Finder of the files that name something."""

    async def naming(
        self, name: str, stems: Sequence[str], snapshot: Snapshot
    ) -> tuple[list[str], list[str], list[str]]:
        """Return the files in the folder of `snapshot` that refer to `name`, those that an import
        may call by one of `stems`, and those with such an import: paths in the folder, with '/'."""
        ...

    def has_all(self, snapshot: Snapshot) -> bool:
        """Return whether the index of the folder of `snapshot` has all its files by now."""
        ...


Cause = tuple[Snapshot, EditGroup, Group]
"""A change that other files may have to follow, with the document in which it was made."""
TreeOf = Callable[[Snapshot, int], Awaitable[Parsed | None]]
LookUp = Callable[[Snapshot], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Search:
    """The reading of files for a group; requests wait `until` then, by the event loop's clock."""

    task: asyncio.Task[None]
    until: float


class OtherFiles:
    """See the module. `look_up` finds what depends on the changes of a document, within it;
    `tree_of` returns a document's tree, `new_id` a name for an offer."""

    def __init__(
        self,
        documents: Documents,
        followed: PerDocument[Followed],
        names: ProjectNames | None,
        servers: LanguageServers,
        look_up: LookUp,
        tree_of: TreeOf,
        new_id: Callable[[], str],
    ) -> None:
        self._documents = documents
        self._followed = followed
        self._names = names
        self._servers = servers
        self._look_up = look_up
        self._tree_of = tree_of
        self._new_id = new_id
        self._trees = ParseCache(8)
        self._configs = FolderConfigs(Config())
        self._searches: dict[int, _Search] = {}

    def configure(self, configs: FolderConfigs) -> None:
        """Apply the settings of files."""
        self._configs = configs

    # --- what the user does ---

    def opened(self, snapshot: Snapshot) -> None:
        """A file is a document now."""
        for _, _, file in self._files():
            if file.path == snapshot.path and not snapshot.is_cell:
                file.uri = snapshot.uri
                if file.text != snapshot.text:
                    file.text = None

    def changed(self, change: DocumentChange) -> None:
        """Let the places follow the edits of their document."""
        before, after = change.before, change.after
        for _, _, file in self._files():
            if file.uri == after.uri and before is not None:
                file.change(before.text, after.text, change.edits)

    def closed(self, uri: str) -> None:
        """A document is a file again, without what was not saved."""
        for _, _, file in self._files():
            if file.uri == uri:
                file.uri, file.text = "", None

    def dismiss(self, offer_id: str) -> bool:
        """Offer nothing in the file of this jump, or of this place, any longer; False where there
        is none."""
        for _, group, file in self._files():
            if file.id == offer_id:
                was, file.is_refused = file.is_refused, True
                return not was
            for site in file.sites:
                if site.id == offer_id and site.open:
                    site.open = False
                    if isinstance(group.cause, Renamed):  # not wanted here, so nowhere
                        for other in group.others or ():
                            other.is_refused = True
                    return True
        return False

    def file_of(self, jump_id: str) -> OtherFile | None:
        """Return the file that a jump leads to."""
        return next((file for _, _, file in self._files() if file.id == jump_id), None)

    async def aclose(self) -> None:
        """End the reading of files."""
        searches = [search.task for search in self._searches.values()]
        for search in searches:
            search.cancel()
        if searches:
            await asyncio.wait(searches)

    def _files(self) -> Iterator[tuple[EditGroup, Group, OtherFile]]:
        for followed in self._followed.values():
            for burst in followed.bursts:
                for group in burst.groups or ():
                    for file in group.others or ():
                        yield burst, group, file

    # --- offers ---

    async def edits(
        self, snapshot: Snapshot, causes: Sequence[Cause]
    ) -> list[tuple[EditTarget, Edit]]:
        """Return the edits of an open document that follow from changes of others."""
        found: list[tuple[EditTarget, Edit]] = []
        for source, burst, group in causes:
            if source.uri == snapshot.uri or self._advice(group, source):
                continue
            for file in group.others or ():
                if file.uri == snapshot.uri and not file.is_refused:
                    text, edits = await self._edits(source, burst, group, file)
                    found += edits if text == snapshot.text else []
        return found

    async def jump(self, snapshot: Snapshot, causes: Sequence[Cause]) -> Jump | None:
        """Return the offer to go to the nearest file that has to change besides `snapshot`."""
        for source, burst, group in causes:
            files = [
                file
                for file in group.others or ()
                if not file.is_refused and file.uri != snapshot.uri and file.path != snapshot.path
            ]
            for index, file in enumerate(files):
                text, edits = await self._edits(source, burst, group, file)
                if not edits:
                    continue
                in_order = sorted((edit for _, edit in edits), key=lambda one: one.span.start)
                further = sum(any(one.open for one in other.sites) for other in files[index + 1 :])
                return Jump(
                    file.id, file.path, file.uri, text, tuple(in_order), further,
                    self._advice(group, source),
                )  # fmt: skip
        return None

    def _advice(self, group: Group, source: Snapshot) -> str:
        """Return what the user is told in place of an offer, "" for nothing."""
        renames = isinstance(group.cause, Renamed) and self._servers.serve(source.language)
        return RENAME_ADVICE if renames else ""

    async def causes(self) -> list[Cause]:
        """Return the changes that other files may have to follow, the last one first. The files are
        looked up first; of a change for which that takes too long they may come later."""
        changes: list[tuple[Snapshot, Followed, EditGroup]] = []
        for document in self._documents if self._names is not None else ():
            snapshot = document.snapshot
            followed = self._followed.get(snapshot.uri)
            if followed is not None and not snapshot.is_cell and snapshot.root and snapshot.path:
                changes += [(snapshot, followed, burst) for burst in followed.bursts]
        changes.sort(key=lambda one: -one[2].at)
        found: list[Cause] = []
        for snapshot, followed, burst in changes:
            now = snapshot.text[burst.now.start : burst.now.end]
            if now == burst.before[burst.was.start : burst.was.end]:
                continue  # as it was; then no file has to be read
            if burst.groups is None:
                await self._look_up(snapshot)
            for group in burst.groups or ():
                names = names_of(followed.text, burst, group)
                if group.exported is None or names in followed.refused:
                    continue
                if not group.is_searched:
                    await self._search(snapshot, burst, group)
                found.append((snapshot, burst, group))
        return found

    async def _edits(
        self, source: Snapshot, burst: EditGroup, group: Group, file: OtherFile
    ) -> tuple[str, list[tuple[EditTarget, Edit]]]:
        """Return the text of a file as it is now, and what it needs."""
        now = await self._tree_of(source, burst.now.start)
        document = self._documents.get(file.uri) if file.uri else None
        if document is not None:
            text, language = document.snapshot.text, document.snapshot.language
        else:
            place = file.place
            text = await asyncio.to_thread(
                lambda: self._read(source, self._readable(source), place)
            )
            language = ""
        row = language_for(language, file.path)
        if now is None or text is None or row is None:
            return "", []
        if text == file.text and not any(site.open for site in file.sites):
            return text, []
        parsed = await asyncio.to_thread(self._trees.parse, file.path, row, text)
        known = self._documents.get(source.uri)
        if parsed is None or known is None or known.snapshot is not source:
            return text, []  # typed on meanwhile: the next question is about that
        if file.text != text:
            # Written by others meanwhile: which calls were corrected is not known any longer.
            spans = _sites(parsed, file.place, group, file.sources)[0]
            if isinstance(group.cause, Signed) and file.sites:
                spans = ()
            file.sites = [EditTarget(self._new_id(), span) for span in spans]
            file.text = text
        return text, foreign_edits(now, burst, group, parsed, file.sites)

    # --- finding the files ---

    async def _search(self, snapshot: Snapshot, burst: EditGroup, group: Group) -> None:
        key = id(group)
        now = asyncio.get_running_loop().time()
        search = self._searches.get(key)
        if search is None:
            work = self._find(snapshot, burst, group)
            task = run_task(work, "look up the uses in other files")
            task.add_done_callback(lambda _: self._searches.pop(key, None))
            search = self._searches[key] = _Search(task, now + LOOK_UP_SECONDS)
        # One request asks for the edits and for the jump, and waits once for both.
        await asyncio.wait({search.task}, timeout=max(0.0, search.until - now))

    async def _find(self, snapshot: Snapshot, burst: EditGroup, group: Group) -> None:
        names = self._names
        if names is None or group.exported is None or snapshot.path is None:
            return
        files = self._readable(snapshot)
        try:
            own = await asyncio.to_thread(files.inside, snapshot.path)
        except UnreadableFile:
            group.others, group.is_searched = [], True
            return
        imported = group.exported.imported
        has_all = names.has_all(snapshot)  # before it is asked: meanwhile it may get more
        language = language_name(snapshot)
        # A Rust crate may have a library and a program, whose modules are in one folder.
        roots = _ROOTS.get(language, ())
        asked = await names.naming(imported, [module_word(own), *roots], snapshot)
        if asked == group.asked:
            group.is_searched = has_all
            return
        package, imported_as = await asyncio.to_thread(
            self._package, files, own, language, burst.before
        )
        open_ones = await asyncio.to_thread(self._open, files, snapshot)
        homes = [own]
        if language == "rust":
            homes += await asyncio.to_thread(inner_homes, burst.before, own, imported, package)
        found: dict[str, OtherFile] = {}
        answer = asked
        for _ in range(MAX_ROUNDS):
            paths, alike, by_stem = answer
            # Only there a file can pass a name on that it does not name.
            more_paths = by_stem if language in ECMA | {"rust"} else []
            wanted = dict.fromkeys((*open_ones, *paths, *more_paths))
            sources = Sources(tuple(homes), tuple(alike), package, imported_as)
            more = await asyncio.to_thread(
                self._read_all, snapshot, files, group, list(wanted), open_ones, sources, found
            )
            if not more:
                break
            homes += more
            stems = [*map(module_word, homes), *roots]
            answer = await names.naming(imported, stems, snapshot)
        rank = {place: at for at, place in enumerate(open_ones)}
        # What was found before stays, with the places that the user has changed or dismissed.
        found |= {file.place: file for file in group.others or ()}
        group.others = sorted(
            (file for file in found.values() if file.sites),
            key=lambda one: (_steps(own, one.place), rank.get(one.place, len(rank)), one.place),
        )
        group.asked, group.is_searched = asked, has_all

    def _read_all(
        self,
        snapshot: Snapshot,
        files: WorkspaceFiles,
        group: Group,
        places: Sequence[str],
        open_ones: dict[str, Snapshot],
        sources: Sources,
        found: dict[str, OtherFile],
    ) -> list[str]:
        """Add the files among `places` that use what `group` has changed to `found`; return the
        homes that pass it on and were not known to. Blocks."""
        passed_on: list[str] = []
        word = re.compile(rf"(?<!\w){re.escape(group.exported.imported)}(?!\w)" if group.exported
                          else r"(?!)")  # fmt: skip
        read = 0
        for place in places:
            if place in sources.homes and place not in found:
                continue
            document = open_ones.get(place)
            if document is None and read >= MAX_FILES:
                continue
            text = document.text if document is not None else self._read(snapshot, files, place)
            read += document is None
            row = language_for(document.language if document else "", place)
            if text is None or row is None or not (word.search(text) or PASSES_ALL_ON.search(text)):
                continue
            path = str(Path(snapshot.root or "", place))
            path = document.path or path if document is not None else path
            parsed = self._trees.parse(path, row, text)
            if parsed is None:
                continue
            spans, uses = _sites(parsed, place, group, sources)
            passed_on += [home for home in uses.homes if home not in sources.homes]
            if spans or uses.homes:
                sites = [EditTarget(self._new_id(), span) for span in spans]
                file = OtherFile(self._new_id(), path, place, sources, text, sites)
                if document is not None:
                    file.uri = document.uri
                found[place] = file
        return passed_on

    def _open(self, files: WorkspaceFiles, snapshot: Snapshot) -> dict[str, Snapshot]:
        """Return the other open documents of the folder that may be read, by their places, the one
        used last first. Blocks."""
        found: dict[str, Snapshot] = {}
        for document in reversed(list(self._documents)):
            one = document.snapshot
            is_other = one.root == snapshot.root and one.uri != snapshot.uri
            if is_other and one.path is not None and not one.is_cell:
                try:
                    found[files.inside(one.path)] = one
                except UnreadableFile:
                    continue
        return found

    def _readable(self, snapshot: Snapshot) -> WorkspaceFiles:
        config = self._configs.of(snapshot.root)
        withheld = [one for one in config.privacy.withhold if not one.startswith("!")]
        return readable(snapshot.root or "", (*config.files.exclude, *withheld))

    def _read(self, snapshot: Snapshot, files: WorkspaceFiles, place: str) -> str | None:
        """Return the text of one of `files`, None where it may not or cannot be read. Blocks."""
        most = self._configs.of(snapshot.root).files.max_bytes
        try:
            found = files.text(place, most)
        except (OSError, UnreadableFile):
            return None
        return found.text if found.is_unambiguous else None

    def _package(
        self, files: WorkspaceFiles, place: str, language: str, text: str
    ) -> tuple[str, str]:
        """Return the name of the package that a file of Go or Rust belongs to, and in Go its import
        path; "" for none. Blocks."""
        if language not in _MANIFESTS:
            return "", ""
        folder, manifest = self._manifest(files, place, _MANIFESTS[language])
        if language == "rust":
            return crate_name(manifest), ""
        module = go_module(manifest)
        whole = posixpath.join(module, posixpath.relpath(posixpath.dirname(place) or ".", folder))
        return go_package(text), posixpath.normpath(whole) if module else ""

    def _manifest(self, files: WorkspaceFiles, place: str, name: str) -> tuple[str, str]:
        """Return the folder of the nearest file `name` above `place`, and its text. Blocks."""
        up = posixpath.dirname(place)
        while True:
            try:
                return up or ".", files.text(posixpath.join(up, name), 1_000_000).text
            except (OSError, UnreadableFile):
                if not up:
                    return ".", ""
            up = posixpath.dirname(up)


def language_name(snapshot: Snapshot) -> str:
    """Return the name of a document's language, "" for an unknown one."""
    language = language_for(snapshot.language, snapshot.path)
    return language.name if language is not None else ""


def _sites(
    parsed: Parsed, place: str, group: Group, sources: Sources
) -> tuple[tuple[Span, ...], ForeignUses]:
    """Return the places in a file that depend on `group`, and the uses that they come from."""
    if group.exported is None:
        return (), ForeignUses()
    uses = foreign_uses(parsed, place, group.exported, sources)
    if isinstance(group.cause, Signed):
        return tuple(calls_at(parsed, uses.spans, group.cause.signature)), uses
    return uses.spans, uses


def _steps(one: str, other: str) -> int:
    """Return how many folders lie between two files."""
    left, right = (posixpath.dirname(path).split("/") for path in (one, other))
    left, right = [step for step in left if step], [step for step in right if step]
    shared = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        shared += 1
    return len(left) + len(right) - 2 * shared
