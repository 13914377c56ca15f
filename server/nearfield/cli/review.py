"""`nearfield review`: defects in a file, in some of its lines, in a folder, or in a diff."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.batch import (
    MAX_FILES,
    AtOnce,
    BatchOptions,
    BatchTask,
    FileResult,
    Most,
    print_finding,
    run_batch,
)
from nearfield.cli.named import enclosing
from nearfield.cli.opening import begin_log, settings_of
from nearfield.cli.output import ExitCode, fail, print_json, say
from nearfield.cli.serving import serving
from nearfield.errors import NearfieldError
from nearfield.files.links import resolved
from nearfield.routing.request_context import Task
from nearfield.terminal import notes_on_terminal

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.review.findings import ReviewFinding
    from nearfield.features.review.pieces import ReviewPiece
    from nearfield.features.review.reviewer import Review
    from nearfield.features.service import Service
    from nearfield.files.git_diff import ChangedFile
    from nearfield.types import Snapshot


def review(
    target: Annotated[
        str,
        typer.Argument(
            metavar="[FILE[:LINE[-LINE]]|FOLDER]", help="What to look at; with --diff a folder."
        ),
    ] = "",
    diff: Annotated[
        bool, typer.Option("--diff", help="Look at what git says has changed.")
    ] = False,
    ref: Annotated[str, typer.Option(help="With --diff: since this commit.")] = "HEAD",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    at_once: AtOnce = 0,
    most: Most = MAX_FILES,
    log_level: Annotated[str, typer.Option(help="error, warning, info or debug.")] = "error",
) -> None:
    """Look for defects; each is printed as it is found, with the fix as a diff where there is one.

    Exit codes: 0 something was found, 1 nothing was, 2 wrong usage, 3 no model could answer.
    """
    begin_log(log_level)
    if not target and not diff:
        fail("There is nothing to review.", "Name a file, or say --diff.")
    from nearfield.features.review.reviewer import snapshot_of
    from nearfield.files.git_diff import changed_files

    path, rows = _place(target) if target else (Path.cwd(), None)
    if diff and (rows is not None or not path.is_dir()):
        fail("--diff looks at a folder.", "For example: nearfield review --diff src")
    root = path if diff else enclosing(path if path.is_dir() else path.parent)
    loaded = settings_of(root)
    if path.is_dir() and not diff:
        run_batch(_BATCH, path, root, loaded, BatchOptions(at_once, most), as_json)
        return
    printed = _Printed(as_json)
    # Errors of the request are reported before a model is loaded.
    try:
        files = asyncio.run(changed_files(root, ref)) if diff else []
        only = None if diff else snapshot_of(path, root)
    except NearfieldError as error:
        fail(error.message, error.hint)
    found = asyncio.run(_review(loaded, only, rows, root, files, printed))
    if as_json:
        print_json(
            {
                "findings": printed.rows,
                "pieces": found.pieces,
                "failed": found.failed,
                "error": found.error,
                "left_out": found.left_out,
                "note": found.note,
                "provider": found.provider,
                "model": found.model,
            }
        )
    else:
        _sum_up(found)
    if not found.findings:
        raise typer.Exit(ExitCode.NOTHING)


class _Printed:
    """Prints the findings as they come, and keeps them as rows of JSON."""

    def __init__(self, as_json: bool) -> None:
        self.rows: list[dict[str, Any]] = []
        self._as_json = as_json

    def found(self, snapshot: Snapshot, _piece: ReviewPiece, findings: list[ReviewFinding]) -> None:
        """Add the findings of a piece."""

        for one in findings:
            row = _row(snapshot, one)
            self.rows.append(row)
            if not self._as_json:
                print_finding(row)

    def progress(self, done: int, total: int, name: str) -> None:
        """Say on a terminal which piece is next."""
        if notes_on_terminal() and not self._as_json:
            say(f"[{done + 1}/{total}] {name}")


async def _review_file(service: Service, snapshot: Snapshot) -> FileResult:
    """Review a file of a folder."""
    found = await service.reviewer.review(snapshot)
    failed = f"{found.failed} of {found.pieces} pieces got no answer: {found.error}"
    notes = [found.note, *found.left_out, failed if found.failed else ""]
    return FileResult(
        path=snapshot.shown_path,
        findings=[_row(snapshot, one) for one in found.findings],
        notes=[note for note in notes if note],
        provider=found.provider,
        model=found.model,
    )


_BATCH = BatchTask("review", Task.REVIEW, _review_file)


def _row(snapshot: Snapshot, one: ReviewFinding) -> dict[str, Any]:
    path = snapshot.shown_path
    return {
        "path": path,
        "line": one.row + 1,
        "severity": one.severity.value,
        "message": one.message,
        "suggestion": one.suggestion,
        "diff": _diff(snapshot, one, path),
    }


async def _review(
    loaded: Loaded,
    only: Snapshot | None,
    rows: range | None,
    root: Path,
    files: list[ChangedFile],
    printed: _Printed,
) -> Review:
    found, progress = printed.found, printed.progress
    async with serving(loaded) as service:
        reviewer = service.reviewer
        if only is not None:
            return await reviewer.review(only, rows, on_found=found, on_piece=progress)
        return await reviewer.review_files(files, root, on_found=found, on_piece=progress)


def _place(target: str) -> tuple[Path, range | None]:
    """Return the file and the rows (from 0) of `FILE[:LINE[-LINE]]`; ends the command if there is
    no such place."""
    match = None if Path(target).exists() else re.fullmatch(r"(.+?):(\d+)(?:-(\d+))?", target)
    path = resolved(Path(match[1] if match else target))
    if not path.exists():
        fail(f"There is no file {path.name}.", "For example: nearfield review app.py:10-40")
    if match is None:
        return path, None
    first = int(match[2])
    last = int(match[3] or first)
    if not 1 <= first <= last:
        fail(f"{target!r} has no such lines.", "Lines count from 1, and the first comes first.")
    return path, range(first - 1, last)


def _diff(snapshot: Snapshot, finding: ReviewFinding, path: str) -> str:
    """Return the finding's fix as a unified diff, "" if it has none."""
    from nearfield.features.code_actions.hunks import applied, unified
    from nearfield.types import Edit

    if finding.replacement is None:
        return ""
    after = applied(snapshot.text, [Edit(finding.span, finding.replacement)])
    return unified(snapshot.text, after, path)


def _sum_up(found: Review) -> None:
    for one in found.left_out:
        say(f"left out: {one}")
    if found.note:
        say(f"note: {found.note}")
    if found.failed:
        say(f"{found.failed} of {found.pieces} pieces got no answer: {found.error}")
    count = len(found.findings)
    what = f"{count} finding{'' if count == 1 else 's'}" if count else "Nothing found"
    by = f" by {found.model}" if found.model else ""
    say(f"{what} in {found.pieces} piece{'' if found.pieces == 1 else 's'}{by}.")
