"""`nearfield index [DIR]`: build a workspace's index, or say why a file is not in it."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.named import enclosing
from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, emit, fail, print_json, say
from nearfield.errors import NearfieldError

if TYPE_CHECKING:
    from nearfield.index.builder import BuildReport
    from nearfield.index.workspace import Keeper, Workspace


def index(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="The workspace; the one around this folder if none."),
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(help="Say why this file is or is not indexed, and end.")
    ] = None,
    no_vectors: Annotated[
        bool, typer.Option("--no-vectors", help="Names and text only; vectors follow another time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build the index of a workspace, or bring it up to date. It can be interrupted at any time.

    Where a team's database holds the workspace (`index.store`), that is built with `index.role` =
    "build", and only looked at otherwise.

    Exit codes: 0 done, 1 the file of `--explain` is not indexed, 2 wrong usage, 3 the index cannot
    be written.
    """
    if folder is not None and not folder.is_dir():
        fail(f"{folder} is no folder.", "Name the folder of a workspace.")
    if explain is not None:
        _explain(folder or enclosing(explain.absolute().parent), explain, as_json)
        return
    workspace = workspace_of(folder or enclosing(Path.cwd())).settled()
    if not workspace.place.kept and workspace.shared is None:
        say("warning: the cache folder cannot be written; this index ends with the command.")
    try:
        from nearfield.index.embedder import NOT_INSTALLED, is_installed

        if workspace.vectors and not (no_vectors or is_installed()):
            say(f"note: {NOT_INSTALLED}")
        facts = _build(workspace, vectors=not no_vectors, quiet=as_json)
    finally:
        workspace.place.discard()
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def workspace_of(root: Path) -> Workspace:
    """The workspace at `root` under the settings in force."""
    from nearfield.catalog.disk import cache_dir
    from nearfield.index.workspace import Workspace

    loaded = settings_of(root)
    return Workspace.of(root, loaded.config, cache_dir())


def _explain(root: Path, file: Path, as_json: bool) -> None:
    from nearfield.index.facts import explained

    path, why, note = explained(workspace_of(root).tree, file)
    if as_json:
        print_json({"path": path, "indexed": not why, "reason": why, "note": note})
    else:
        emit(f"{path}: {f'not indexed: {why}' if why else 'indexed'}")
        if note:
            emit(f"  without names: {note}")
    if why:
        raise typer.Exit(ExitCode.NOTHING)


def _build(workspace: Workspace, *, vectors: bool, quiet: bool) -> dict[str, Any]:
    """Build, and say what was done."""
    from nearfield.engine.client import physical_cores
    from nearfield.index.facts import facts
    from nearfield.index.workspace import Keeper

    began = time.monotonic()
    report: BuildReport | None = None
    made = 0
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if stopped:  # asked for twice: not even the batch is waited for
            raise KeyboardInterrupt
        stopped.append(number)

    before = signal.signal(signal.SIGINT, stop)
    try:
        keeper = Keeper(workspace, threads=physical_cores(), stop=lambda: bool(stopped))
        with keeper:
            if keeper.taken:
                if keeper.said:
                    say(f"warning: {keeper.said}")
                with _recorded(workspace):
                    report, made = _work(keeper, vectors=vectors, quiet=quiet)
            elif workspace.shared is not None and workspace.shared.role == "read":
                say("The team's builder builds this index; this is what it holds.")
            else:
                say("Another Nearfield builds this index; this is what it holds so far.")
    finally:
        signal.signal(signal.SIGINT, before)
    if stopped:
        raise KeyboardInterrupt
    return {
        **facts(workspace),
        "built": report is not None,
        "read": report.read if report else 0,
        "removed": report.removed if report else 0,
        "vectors_made": made,
        "text_seconds": round(report.seconds, 3) if report else 0.0,
        "seconds": round(time.monotonic() - began, 3),
    }


@contextmanager
def _recorded(workspace: Workspace) -> Generator[None]:
    """Write to the ledger what is sent to a team's database, before it is sent."""
    shared = workspace.shared
    if shared is None:
        yield
        return
    from nearfield.routing.ledger import RequestOutcome, Sending
    from nearfield.routing.store import Store

    ledger = Store()
    entry = ledger.begin(
        Sending(
            workspace=str(workspace.root),
            provider="index.store",
            model=shared.name,
            destination=shared.where,
            task="index",
            files=((str(workspace.root), None, None),),
            bytes=0,
            redactions=(),
            digest="",
        )
    )
    outcome: str = RequestOutcome.CANCELLED
    try:
        yield
        outcome = RequestOutcome.ANSWERED
    except NearfieldError as error:
        outcome = type(error).__name__
        raise
    finally:
        ledger.finish(entry, outcome, None, None, None)
        ledger.close()


def _work(keeper: Keeper, *, vectors: bool, quiet: bool) -> tuple[BuildReport, int]:
    """Names and text, then vectors, with a bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from nearfield.cli.console import progress
    from nearfield.index.builder import BuildProgress as Step

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    shown = progress(*columns, quiet=quiet)
    with shown:
        text = shown.add_task("Names and text", total=None)

        def read(step: Step) -> None:
            shown.update(text, completed=step.done, total=step.total)

        report = keeper.build(read)
        if not vectors:
            return report, 0
        meaning = shown.add_task("Meaning", total=None)

        def embedded(made: int, total: int) -> None:
            shown.update(meaning, completed=made, total=total)

        return report, keeper.embed(listener=embedded)


def _print(facts: dict[str, Any]) -> None:
    from nearfield.index.builder import left_out

    megabytes = facts["source_bytes"] / 1e6
    emit(
        f"{facts['files']} files ({megabytes:.1f} MB), {facts['chunks']} chunks,"
        f" {facts['definitions']} definitions, {facts['vectors']} vectors"
    )
    if facts["built"]:
        emit(
            f"{facts['read']} read, {facts['removed']} removed, {facts['vectors_made']} vectors"
            f" made in {facts['seconds']:.1f} s"
        )
    if why := left_out(facts["files"], facts["skipped"]):
        say(f"note: {why}")
    for reason, count in facts["skipped"].items():
        emit(f"  {count:>6} skipped: {reason}")
    emit(f"{facts['index']} ({facts['index_bytes'] / 1e6:.1f} MB)")
