"""`nearfield fix|refactor|document|review FOLDER`: each source file of a folder, with a report.

Where models outside the embedded engine answer, several files are at work at once. Each file's
result is kept until the whole folder is done, so that an interrupted run goes on where it was; with
`--write` a file is written as soon as it is done.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from nearfield.cli.output import ExitCode, emit, fail, print_json, reported, say
from nearfield.cli.patch import Patch, apply
from nearfield.cli.serving import serving
from nearfield.config.paths import data_dir
from nearfield.errors import NearfieldError, NoProvider, NotReady
from nearfield.files.kept_rows import KeptRows
from nearfield.terminal import status

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.service import Service
    from nearfield.routing.request_context import Task
    from nearfield.types import Snapshot

STOPPED = "Stopped. What is done is kept: run the same command again to go on."
AT_ONCE = 4
"""Files at work at once where a server answers; an engine of this process answers one question at a
time."""
MAX_AT_ONCE = 32
MAX_FILES = 200
KEPT_SECONDS = 30 * 86_400.0
"""Age at which what an interrupted run has left is deleted."""


AtOnce = Annotated[
    int,
    typer.Option(
        min=0, max=MAX_AT_ONCE, help="Files of a folder at work at once; 0: as suits the model."
    ),
]
Most = Annotated[int, typer.Option(min=1, help="The most files of a folder.")]


class FileResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one file. `after` is its new text while that is not written, "" for none;
    `digest` is that of the text that is on disk with this result. `notes` are sentences for the
    user, `error` says why it has failed."""

    path: str
    digest: str = ""
    after: str = ""
    diff: str = ""
    written: bool = False
    findings: list[dict[str, Any]] = []
    notes: list[str] = []
    error: str = ""
    provider: str = ""
    model: str = ""

    @property
    def outcome(self) -> str:
        """Return "changed", "found", "failed" or "nothing"."""
        if self.error:
            return "failed"
        if self.findings:
            return "found"
        return "changed" if self.diff else "nothing"


@dataclass(frozen=True, slots=True)
class BatchTask:
    """The work on each file: `work` returns its result, without its digest. `name` tells this task
    from others in the same folder."""

    name: str
    task: Task
    work: Callable[[Service, Snapshot], Awaitable[FileResult]]
    write: bool = False


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The number of files at work at once (0: as suits the model), and the most of all."""

    at_once: int = 0
    most: int = MAX_FILES


def run_batch(
    batch: BatchTask, folder: Path, root: Path, loaded: Loaded, options: BatchOptions, as_json: bool
) -> None:
    """Do the task for each source file below `folder`, print the results and a report; ends the
    command as one for a single file ends."""
    with reported(as_json, STOPPED):
        exclude = loaded.config.files.exclude
        files = source_files(root, folder, exclude)
        if not files:
            fail(
                f"There is no source file in {folder}.", "Ignored and withheld files are left out."
            )
        if len(files) > options.most:
            fail(
                f"There are {len(files)} source files in {folder}.",
                f"Name a smaller folder, or say --most {len(files)}.",
            )
        rows = _kept(batch, folder)
        begun = time.monotonic()
        work = _Batch(batch, root, files, rows, loaded, as_json)
        results = asyncio.run(work.run(options.at_once))
        with suppress(OSError):
            rows.path.unlink(missing_ok=True)
    _report(results, time.monotonic() - begun, as_json)


def source_files(root: Path, folder: Path, exclude: Sequence[str]) -> list[str]:
    """Return the source files below `folder` that models may see, relative to `root`, in the order
    of the tree."""
    from nearfield.index.files import Tree
    from nearfield.syntax.languages import language_for

    below = "" if folder == root else folder.relative_to(root).as_posix() + "/"
    return [
        entry.path
        for entry in Tree(root, exclude).walk()
        if not entry.reason
        and entry.path.startswith(below)
        and (language := language_for("", entry.path)) is not None
        and language.functions
    ]


class _Batch:
    """A run over a folder."""

    def __init__(
        self,
        batch: BatchTask,
        root: Path,
        files: list[str],
        rows: KeptRows[FileResult],
        loaded: Loaded,
        as_json: bool,
    ) -> None:
        from nearfield.index.files import readable

        self._batch, self._root, self._files, self._rows = batch, root, files, rows
        self._loaded, self._as_json = loaded, as_json
        self._readable = readable(root, loaded.config.files.exclude)
        self._done = 0

    async def run(self, at_once: int) -> list[FileResult]:
        """Return the results in the order of the files. Raises where no model can answer."""
        async with serving(self._loaded) as service:
            places = asyncio.Semaphore(at_once or _suits(service, self._batch.task))
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._one(service, path, places)) for path in self._files
                    ]
            except* NearfieldError as errors:
                raise _first(errors) from None
        return [task.result() for task in tasks]

    async def _one(self, service: Service, path: str, places: asyncio.Semaphore) -> FileResult:
        async with places:
            self._progress(path)
            result = await self._result(service, path)
            self._done += 1
            self._progress(path)
            if not self._as_json:
                _print(result)
            return result

    async def _result(self, service: Service, path: str) -> FileResult:
        try:
            snapshot = await asyncio.to_thread(self._snapshot, path)
            known = self._rows.get(path)
            if known is not None and known.digest == _digest(snapshot.text):
                found = known
            else:
                found = await self._batch.work(service, snapshot)
            return await asyncio.to_thread(self._settled, found, snapshot)
        except (NoProvider, NotReady):
            raise  # so would all others
        except NearfieldError as error:
            return FileResult(path=path, error=str(error))

    def _snapshot(self, path: str) -> Snapshot:
        from nearfield.features.review.reviewer import snapshot_of

        return snapshot_of(self._root / path, self._root, self._readable)

    def _settled(self, found: FileResult, snapshot: Snapshot) -> FileResult:
        """Write the file where that was asked for, and keep the result."""
        text, written = snapshot.text, found.written
        if self._batch.write and found.after:
            apply({self._root / found.path: Patch(text, found.after)})
            text, written = found.after, True
        after = "" if written else found.after
        kept = msgspec.structs.replace(found, digest=_digest(text), after=after, written=written)
        self._rows.add(kept)
        return kept

    def _progress(self, path: str) -> None:
        status(f"[{self._done}/{len(self._files)}] {path}")


def _suits(service: Service, task: Task) -> int:
    """Return how many files the model for `task` may have at once."""
    from nearfield.providers.memory import Resident

    candidates = service.router.candidates_for(task)[:1] if service.router else ()
    return 1 if any(isinstance(one, Resident) for one in candidates) else AT_ONCE


def _kept(batch: BatchTask, folder: Path) -> KeptRows[FileResult]:
    """Return what an interrupted run of the same command has left."""
    place = data_dir() / "batches"
    with suppress(OSError):
        for path in place.glob("*.jsonl"):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink(missing_ok=True)
    name = _digest(f"{folder}\0{batch.name}\0{batch.write}")[:16]
    return KeptRows(place / f"{name}.jsonl", FileResult, lambda row: row.path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _first(errors: BaseExceptionGroup[NearfieldError]) -> NearfieldError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _print(result: FileResult) -> None:
    emit(result.diff, end="")
    for finding in result.findings:
        print_finding(finding)
    for note in result.notes:
        say(f"{result.path}: {note}")
    if result.error:
        say(f"{result.path}: failed: {result.error}")


def print_finding(row: Mapping[str, Any]) -> None:
    """Print a finding of a review, as `FileResult.findings` has it."""
    emit(f"{row['path']}:{row['line']}: {row['severity']}: {row['message']}")
    if row["suggestion"]:
        emit(f"  {row['suggestion']}")
    emit(row["diff"], end="")


def _report(results: Sequence[FileResult], seconds: float, as_json: bool) -> None:
    outcomes = Counter(one.outcome for one in results)
    if as_json:
        rows = [_row(one) for one in results]
        print_json({"files": rows, "outcomes": dict(outcomes), "seconds": round(seconds, 1)})
    else:
        status("")
        words = {
            "changed": "written" if any(one.written for one in results) else "with a diff",
            "found": "with findings",
            "nothing": "with nothing",
            "failed": "failed",
        }
        parts = [f"{outcomes[name]} {word}" for name, word in words.items() if outcomes[name]]
        models = ", ".join(sorted({one.model for one in results if one.model}))
        by = f" by {models}" if models else ""
        say(f"{len(results)} files{by} in {seconds:.0f} s: {', '.join(parts)}.")
    if not outcomes["changed"] and not outcomes["found"]:
        raise SystemExit(int(ExitCode.NOTHING))


def _row(one: FileResult) -> dict[str, Any]:
    return {
        "path": one.path,
        "outcome": one.outcome,
        "diff": one.diff,
        "written": one.written,
        "findings": one.findings,
        "notes": one.notes,
        "error": one.error,
        "provider": one.provider,
        "model": one.model,
    }
