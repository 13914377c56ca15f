"""Building: makes the index say what the workspace holds, and does nothing twice.

A build walks the tree, reads what looks different from what the index knows, and writes in batches;
each batch is one transaction, so that a build that is killed is continued by the next one. What an
open buffer holds counts until it is closed, whatever the disk says.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import psutil

from nearfield.files.ignore import EXCLUDED_BY, RULE_FILES, UNREADABLE
from nearfield.files.stamped import RACY_NS
from nearfield.index.chunks import Chunk
from nearfield.index.files import AS_THE_TEAM_HAS_IT, FileStamp, Tree, TreeEntry, digest_of, unfit
from nearfield.index.interface import FileContent, IndexStore, KnownFile
from nearfield.index.understand import Understood, text_of, understand
from nearfield.syntax.languages import LANGUAGES, is_installed
from nearfield.syntax.notebook import is_notebook

BATCH_FILES = 64
BATCH_BYTES = 1_000_000
"""A batch takes about half a second to write: that much work is lost when the process is killed."""
COUNTS_WHEN_OPEN = frozenset({"too large", AS_THE_TEAM_HAS_IT})
"""Reasons that hold for a file on disk, but not for the text of an open buffer."""
WALK_BATCH = 256
"""Number of entries between two checks of `stop`."""
MAX_REASONS = 20
"""Maximum number of separate reasons that name a rule file."""
BUILDER_VERSION = "4"
"""Raise it when chunks or symbols of an unchanged file come out differently: everything is read
again. Languages without a grammar are added to it, so that installing one does the same."""


@dataclass(slots=True)
class BuildReport:
    """Result of a build. `skipped` counts by reason; a skipped folder counts once."""

    files: int = 0
    read: int = 0
    removed: int = 0
    bytes: int = 0
    chunks: int = 0
    skipped: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0
    stopped: bool = False
    rules: Counter[str] = field(default_factory=Counter[str])
    """The reasons that name a rule file, which `skipped` counts as one."""

    def skip(self, reason: str) -> None:
        """Count something that is left out."""
        told_apart = UNREADABLE in reason and len(self.skipped) < MAX_REASONS
        if not reason.startswith(EXCLUDED_BY) or told_apart or reason in self.skipped:
            self.skipped[reason] += 1
            return
        self.skipped["excluded"] += 1
        if reason in self.rules or len(self.rules) < MAX_REASONS:
            self.rules[reason] += 1

    def settle(self) -> None:
        """Name the rules one by one where they have left nothing."""
        if not self.files and self.rules:
            self.skipped.pop("excluded")
            self.skipped += self.rules


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Progress of a build, in files."""

    done: int
    total: int


Listener = Callable[[BuildProgress], None]
Understand = Callable[[str, str], Understood]
"""Makes chunks and symbols of a path and a text: `understand`, or the same in another process."""


class Builder:
    """Keeps one store in step with one tree. One thread at a time, with the lock held."""

    def __init__(
        self,
        tree: Tree,
        store: IndexStore,
        stop: Callable[[], bool] = lambda: False,
        holder: int | None = None,
        early: Callable[[Sequence[Chunk]], None] = lambda _chunks: None,
        understand: Understand = understand,
    ) -> None:
        """`stop` is called between files. `holder` is the process that owns the buffers, `early`
        receives every chunk that is written.
        """
        self._understand = understand
        self._tree = tree
        self._buffers: set[str] = set()
        self._holder = os.getpid() if holder is None else holder
        self._store = store
        self._stop = stop
        self._early = early
        missing = [one.name for one in LANGUAGES if not is_installed(one)]
        version = " ".join([BUILDER_VERSION, *missing])
        if store.fact("builder") != version:
            store.clear()
            store.say({"builder": version})

    def build(self, listener: Listener | None = None) -> BuildReport:
        """Bring the whole index up to date."""
        began = time.monotonic()
        report = BuildReport()
        known = self._store.known()
        self._release_dead(known)
        work: list[TreeEntry] = []
        seen: set[str] = set()
        for number, entry in enumerate(self._tree.walk()):
            if number % WALK_BATCH == 0 and self._stop():
                report.stopped = True
                return report
            if entry.reason or entry.stamp is None:
                report.skip(entry.reason)
                continue
            seen.add(entry.path)
            before = known.get(entry.path)
            if before is not None and _is_same(before, entry.stamp):
                self._count(report, before.reason)
            elif before is None or not _is_held(before):
                work.append(entry)
        gone = [path for path, one in known.items() if path not in seen and not _is_held(one)]
        self._remove(gone, report)
        self._read(work, known, report, listener)
        if not report.stopped and (report.read or report.removed):
            self._store.tidy()
        report.seconds = time.monotonic() - began
        if not any(map(_is_held, known.values())):
            report.settle()
        self._store.say({"skipped": _tally(report.skipped), "built": str(time.time())})
        return report

    def _release_dead(self, known: dict[str, KnownFile]) -> None:
        """Buffers of servers that ended without a word: the disk counts again."""
        dead = [
            path
            for path, one in known.items()
            if one.holder is not None
            and path not in self._buffers
            and (one.holder == self._holder or not psutil.pid_exists(one.holder))
        ]
        for path in dead:
            known.pop(path)
            with self._store.transaction():
                self._store.drop(path)

    def _remove(self, gone: Sequence[str], report: BuildReport) -> None:
        for start in range(0, len(gone), BATCH_FILES):
            with self._store.transaction():
                for path in gone[start : start + BATCH_FILES]:
                    self._store.drop(path)
        report.removed = len(gone)

    def _read(
        self,
        work: Sequence[TreeEntry],
        known: dict[str, KnownFile],
        report: BuildReport,
        listener: Listener | None,
    ) -> None:
        """Read and write `work`, batch by batch."""
        batch: list[FileContent | _Restamp] = []
        weight = 0
        for done, entry in enumerate(work):
            if self._stop():
                report.stopped = True
                break
            if listener is not None:
                listener(BuildProgress(done, len(work)))
            if entry.path in self._buffers:
                continue  # opened since the build began
            content = self.content(entry.path, known.get(entry.path))
            if content is None:
                report.skipped["unreadable"] += 1
                continue
            batch.append(content)
            report.read += 1
            self._count(report, content.reason)
            if isinstance(content, FileContent):
                weight += content.bytes
                report.bytes += content.bytes
                report.chunks += len(content.chunks)
            if len(batch) >= BATCH_FILES or weight >= BATCH_BYTES:
                self._write(batch)
                batch, weight = [], 0
        self._write(batch)
        if listener is not None and not report.stopped:
            listener(BuildProgress(len(work), len(work)))

    @staticmethod
    def _count(report: BuildReport, reason: str) -> None:
        if reason:
            report.skipped[reason] += 1
        else:
            report.files += 1

    def _write(self, batch: Sequence[FileContent | _Restamp]) -> None:
        if not batch:
            return
        with self._store.transaction():
            for content in batch:
                if isinstance(content, _Restamp):
                    self._store.restamp(content.path, content.stamp, content.changed)
                else:
                    self._put(content)

    def _put(self, content: FileContent) -> None:
        self._store.put(content)
        self._early(content.chunks)

    def content(self, path: str, known: KnownFile | None) -> FileContent | _Restamp | None:
        """A file as it is on disk now; only its new looks when its content is known; None when it
        cannot be read."""
        found = self._tree.read(path)
        if found is None:
            return None
        stamp, raw = found
        digest = digest_of(raw)
        kept = None if abs(time.time_ns() - stamp.mtime_ns) < RACY_NS else stamp
        changed = stamp.mtime_ns / 1e9
        if known is not None and known.digest == digest and known.holder is None:
            return _Restamp(path, kept, changed, known.reason)
        text = text_of(path, raw)
        if text is None:
            reason = no_text(path)
            return FileContent(path, kept, digest, len(raw), reason=reason, changed=changed)
        return self._content(path, text, digest, len(raw), kept, changed)

    def _content(
        self,
        path: str,
        text: str,
        digest: bytes,
        size: int,
        stamp: FileStamp | None,
        changed: float,
    ) -> FileContent:
        """A text with its chunks and symbols."""
        reason = unfit(path, text)
        found = Understood(reason=reason) if reason else self._understand(path, text)
        if found.reason:
            return FileContent(path, stamp, digest, size, reason=found.reason, changed=changed)
        return FileContent(
            path=path,
            stamp=stamp,
            digest=digest,
            bytes=size,
            language=found.language,
            text=text,
            chunks=found.chunks,
            outline=found.outline,
            changed=changed,
        )

    # --- single files ---

    def refresh(self, paths: Iterable[str]) -> int:
        """Files that may have changed, by path; returns how many had. A folder, or a file with
        rules in it, needs a whole build."""
        count = 0
        for path in paths:
            before = self._store.known_file(path)
            if before is not None and _is_held(before):
                continue
            entry = self._tree.look(path)
            content = None
            if entry is not None and not entry.reason:
                if before is not None and entry.stamp is not None and _is_same(before, entry.stamp):
                    continue
                content = self.content(path, before)
            if content is not None:
                self._write([content])
                count += isinstance(content, FileContent)
            elif before is not None:
                self._remove([path], BuildReport())
                count += 1
        return count

    def buffer(self, path: str, text: str) -> bool:
        """Index the text of an open buffer from now on; False when the rules exclude the file."""
        entry = self._tree.look(path)
        if entry is not None and entry.reason and entry.reason not in COUNTS_WHEN_OPEN:
            return False
        self._buffers.add(path)
        raw = text.encode("utf-8", "surrogatepass")
        digest = digest_of(raw)
        # A notebook that is open as JSON, and is typed in, may be none just now.
        told = (text_of(path, raw) or "") if is_notebook(path) else text
        with self._store.transaction():
            before = self._store.known_file(path)
            if before is None or before.digest != digest or before.holder is None:
                content = self._content(path, told, digest, len(raw), None, time.time())
                self._put(replace(content, holder=self._holder))
        return True

    def closed(self, path: str) -> None:
        """Index the file on disk again, as the buffer is closed."""
        self._buffers.discard(path)
        with self._store.transaction():
            self._store.release(path)
        self.refresh([path])


@dataclass(frozen=True, slots=True)
class _Restamp:
    """The content is known; only how the file looks has changed."""

    path: str
    stamp: FileStamp | None
    changed: float
    reason: str


def explain(tree: Tree, path: str, understand: Understand = understand) -> str:
    """Return why a file is not indexed, "" when it is; follows every step of a build."""
    entry = tree.look(path)
    if entry is None:
        return "not there"
    if entry.reason:
        return entry.reason
    found = tree.read(path)
    if found is None:
        return "unreadable"
    text = text_of(path, found[1])
    if text is None:
        return no_text(path)
    return unfit(path, text) or understand(path, text).reason


def no_text(path: str) -> str:
    """Return why a file has no text to index."""
    return "no readable notebook" if is_notebook(path) else "binary"


def _is_same(known: KnownFile, stamp: FileStamp) -> bool:
    return known.stamp == stamp and known.holder is None


def _is_held(known: KnownFile) -> bool:
    return known.holder is not None


def left_out(files: int, skipped: Mapping[str, int]) -> str:
    """Return a sentence for a user who misses files, "" mostly: rules that leave no files, or rule
    files that cannot be read.
    """
    rules = sorted(
        (one for one in skipped if one.startswith(EXCLUDED_BY)), key=lambda one: -skipped[one]
    )
    if not rules:
        return ""
    if not files:
        return f"No file is indexed: {skipped[rules[0]]} skipped, {rules[0]}."
    return f"Files are missing: {skipped[rules[0]]} skipped, {rules[0]}."


def _tally(skipped: Counter[str]) -> str:
    return "\n".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))


def is_rules(path: str) -> bool:
    """Return whether a change of this file may change what counts."""
    return PurePosixPath(path).name in RULE_FILES
