"""`nearfield provenance FILE`: which lines a model suggested; `… verify`: is the record whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nearfield.cli.output import ExitCode, emit, print_json, say

if TYPE_CHECKING:
    from nearfield.features.provenance.chain import Verdict
    from nearfield.features.provenance.report import FileReport
    from nearfield.features.provenance.signing import KeyPair

SHOWN_HASH = 12
"""Characters of a model's hash that the table shows."""
SHOWN_PARTS = 6
"""Parts of a file in a row of the table; `--json` has every line."""
SHOW = "show"


class _ShownByDefault(TyperGroup):
    """Takes what is not the name of a command as the files of `show`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShownByDefault,
    no_args_is_help=True,
    help="Show which lines models suggested: `provenance FILE`, or `provenance show FILE`.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(SHOW)
def show(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="The files.")],
    trailer: Annotated[
        bool,
        typer.Option(
            "--trailer",
            help="Print a line for a commit's message for each model that wrote changed lines.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show which lines of files were suggested by what, and how much has changed since. Exit code
    1 when there are none."""
    reports = _reports(files)
    if trailer:
        from nearfield.features.provenance.report import trailers

        rows = asyncio.run(_changed_rows(files))
        found = trailers([(one, rows[path]) for path, one in zip(files, reports, strict=True)])
        for line in found:
            emit(line)
        if not found:
            say("No changed line is one that a model suggested.")
            raise typer.Exit(ExitCode.NOTHING)
        return
    if as_json:
        print_json([asdict(one) | {"unchanged": one.unchanged} for one in reports])
    else:
        for one in reports:
            _print(one)
    if not any(one.suggested for one in reports):
        raise typer.Exit(ExitCode.NOTHING)


@app.command("verify")
def verify(as_json: Json = False) -> None:
    """Check that no record was altered, removed or moved, and what key they are signed with. Exit
    code 1 when one was."""
    from nearfield.features.provenance.signing import key_pair
    from nearfield.features.provenance.store import ProvenanceStore

    key = key_pair()
    verdict = ProvenanceStore().verdict(key.checking)
    if as_json:
        print_json(
            {
                "records": len(verdict.records),
                "pruned": verdict.pruned,
                "problems": verdict.problems,
                "unsigned": verdict.unsigned,
                "incomplete": verdict.is_torn,
                "key": key.public,
                "other_keys": verdict.others,
                "without_key": key.why,
            }
        )
    else:
        _print_verdict(verdict, key)
    if verdict.problems:
        raise typer.Exit(ExitCode.NOTHING)


def _reports(files: Sequence[Path]) -> list[FileReport]:
    from nearfield.cli.named import named_text
    from nearfield.features.provenance.report import report
    from nearfield.features.provenance.store import ProvenanceStore

    texts = [named_text(path).text for path in files]
    store = ProvenanceStore()
    verdict, secret = store.verdict(), store.secret()
    if verdict.problems:
        say("note: the record was altered: see `nearfield provenance verify`.")
    if verdict.records and not secret:
        say("note: the secret of the record is missing, and without it no line is found again.")
    return [
        report(path, text, verdict.records, secret) for path, text in zip(files, texts, strict=True)
    ]


async def _changed_rows(files: Sequence[Path]) -> dict[Path, frozenset[int] | None]:
    """Return the rows of each file that have changed since the last commit; None for all of a new
    one, and where git cannot tell."""
    from nearfield.errors import NearfieldError
    from nearfield.files.git_diff import changed_files
    from nearfield.files.links import resolved

    found: dict[Path, frozenset[int] | None] = {}
    for path in files:
        whole = await asyncio.to_thread(resolved, path)
        try:
            changed = {one.path: one.rows for one in await changed_files(whole.parent)}
            found[path] = changed.get(whole, frozenset())
        except NearfieldError:
            found[path] = None
    return found


def _print(found: FileReport) -> None:
    from nearfield.cli.moments import moment
    from nearfield.cli.table import Kind, print_table

    if not found.suggested:
        say(f"{found.file}: no suggestion is recorded.")
        return
    emit(f"{found.file}: {found.unchanged} of {found.lines} lines are as they were suggested")
    columns: dict[str, Kind] = {
        "lines": "name", "kept": "number", "changed": "number", "gone": "number",
        "by": "name", "model file": "name", "kind": "name", "accepted": "name",
    }  # fmt: skip
    print_table(
        columns,
        (
            (
                _ranges(one.lines) or "none",
                f"{len(one.lines)} of {one.suggested}",
                str(one.changed),
                str(one.gone),
                "/".join(part for part in (one.provider, one.model) if part) or "a rule",
                one.model_sha256[:SHOWN_HASH] or "unknown",
                one.kind,
                moment(one.at),
            )
            for one in found.suggested
        ),
    )


def _ranges(lines: Sequence[int]) -> str:
    """Return line numbers as people write them: "3-5, 8", of many parts the first ones."""
    parts: list[list[int]] = []
    for line in lines:
        if parts and line == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], line]
        else:
            parts.append([line])
    shown = ["-".join(map(str, part)) for part in parts[:SHOWN_PARTS]]
    return ", ".join([*shown, "…"] if len(parts) > SHOWN_PARTS else shown)


def _print_verdict(verdict: Verdict, key: KeyPair) -> None:
    count = len(verdict.records)
    if not count and not verdict.problems:
        say("Nothing is recorded.")
        return
    for problem in verdict.problems:
        emit(problem)
    if not verdict.problems:
        emit(f"{count} records: each follows from the one before, and none is missing.")
    if verdict.pruned:
        emit(f"Records up to {verdict.pruned} were deleted by age or size.")
    if verdict.is_torn:
        emit("The last line is incomplete: a process was stopped while it wrote it.")
    if key.checking is None:
        emit(f"No signature was checked. {key.why}")
        return
    emit(f"{count - len(verdict.unsigned)} of {count} are signed by the key {key.public}")
    if verdict.unsigned:
        emit(f"Not signed by it: {_ranges(verdict.unsigned)}")
    if verdict.others:
        emit(f"Other keys have signed: {', '.join(verdict.others)}")
