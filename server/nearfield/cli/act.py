"""`nearfield fix|refactor|document|test FILE[:LINE[-LINE]]`: an action, as a unified diff; all but
`test` do it for each file of a folder too."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.batch import (
    MAX_FILES,
    AtOnce,
    BatchOptions,
    BatchTask,
    FileResult,
    Most,
    run_batch,
)
from nearfield.cli.complete import LINE_BREAK, Place, find_place
from nearfield.cli.named import enclosing
from nearfield.cli.opening import begin_log, settings_of
from nearfield.cli.outcome import ActionOutcome, print_outcome
from nearfield.cli.output import ExitCode, fail
from nearfield.cli.patch import Patch, apply
from nearfield.cli.record_written import record_written
from nearfield.cli.serving import serving, until_indexed
from nearfield.features.accepted import Origin
from nearfield.files.links import resolved
from nearfield.types import Snapshot, Span

if TYPE_CHECKING:
    from nearfield.cli.fix_by_tests import NamedTests
    from nearfield.config.load import Loaded
    from nearfield.features.code_actions.proposal import Proposal
    from nearfield.features.service import Service
    from nearfield.routing.consent import Consent
    from nearfield.routing.request_context import Offer

Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE[:LINE[-LINE]]|FOLDER",
        help="Where, counted from 1; without a line every function of the file, or of each file.",
    ),
]
TestTarget = Annotated[
    str,
    typer.Argument(
        metavar="FILE[:LINE[-LINE]]",
        help="Where, counted from 1; without a line every function of the file.",
    ),
]
Write = Annotated[bool, typer.Option("--write", help="Change the files; refuses changed ones.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Once = Annotated[str, typer.Option(help="Let this provider outside the machine answer, this time.")]
Level = Annotated[str, typer.Option(help="error, warning, info or debug.")]


@dataclass(frozen=True, slots=True)
class _ActionTask:
    """An action of features/code_actions at `spans` of a document."""

    action: str
    snapshot: Snapshot
    spans: tuple[Span, ...]
    instruction: str = ""
    problem: str = ""
    once: str = ""
    tests: NamedTests | None = None


def fix(
    target: Target,
    problem: Annotated[
        str, typer.Option(help="What is wrong, as a compiler or a test says it.")
    ] = "",
    write: Write = False,
    tests: Annotated[
        str,
        typer.Option(
            metavar="FILE[::NAME]",
            help="Run these tests by the pytest on your PATH, and prefer a fix that passes them.",
        ),
    ] = "",
    once: Once = "",
    as_json: Json = False,
    at_once: AtOnce = 0,
    most: Most = MAX_FILES,
    log_level: Level = "error",
) -> None:
    """Fix the function at a line, or each function of a file.

    Prints a unified diff. Exit codes: 0 there is one, 1 nothing came of it or --tests fail with it,
    2 wrong usage, 3 no model could answer.
    """
    batch = BatchOptions(at_once, most)
    _run("fix", target, "", write, as_json, log_level, problem=problem, once=once, batch=batch,
         tests=tests)  # fmt: skip


def refactor(
    target: Target,
    instruction: Annotated[
        str,
        typer.Argument(help="What is to be done; or: simplify, faster, errors, types."),
    ],
    write: Write = False,
    once: Once = "",
    as_json: Json = False,
    at_once: AtOnce = 0,
    most: Most = MAX_FILES,
    log_level: Level = "error",
) -> None:
    """Rewrite the function at a line as an instruction says. Output and exit codes as of fix."""
    from nearfield.features.code_actions.actions import ACTIONS, MENU

    known = instruction in MENU and ACTIONS[instruction].goal
    action = instruction if known else "rewrite"
    said = "" if known else instruction
    options = BatchOptions(at_once, most)
    _run(action, target, said, write, as_json, log_level, once=once, batch=options)


def document(
    target: Target,
    write: Write = False,
    once: Once = "",
    as_json: Json = False,
    at_once: AtOnce = 0,
    most: Most = MAX_FILES,
    log_level: Level = "error",
) -> None:
    """Document the function at a line, or each function without documentation. Output and exit
    codes as of fix."""
    options = BatchOptions(at_once, most)
    _run("document", target, "", write, as_json, log_level, once=once, batch=options)


def test(
    target: TestTarget,
    write: Write = False,
    runs: Annotated[
        bool,
        typer.Option("--run", help="Run them first, by the pytest on your PATH, in a new folder."),
    ] = False,
    once: Once = "",
    as_json: Json = False,
    log_level: Level = "error",
) -> None:
    """Write tests for the function at a line in the project's own framework. Output and exit codes
    as of fix."""
    _run("test", target, "", write, as_json, log_level, once=once, runs=runs)


def _run(
    action: str,
    target: str,
    instruction: str,
    write: bool,
    as_json: bool,
    log_level: str,
    *,
    problem: str = "",
    once: str = "",
    runs: bool = False,
    batch: BatchOptions | None = None,
    tests: str = "",
) -> None:
    from nearfield.cli.ending import run_to_end
    from nearfield.cli.fix_by_tests import runnable
    from nearfield.cli.try_tests import run_all_new_tests

    begin_log(log_level)
    if action == "rewrite" and not instruction.strip():
        fail("The instruction is empty.", "Say what is to be done.")
    if batch is not None and (folder := Path(target)).is_dir():
        if tests:
            fail("--tests goes with a file, not with a folder.")
        _run_folder(action, resolved(folder), instruction, problem, once, write, as_json, batch)
        return

    place, last = _place(target)
    spans = _named_lines(place, last) if place.offset >= 0 else _functions(place.snapshot)
    loaded = settings_of(Path(place.snapshot.root) if place.snapshot.root else None)
    root = Path(place.snapshot.root or Path.cwd())
    named = runnable(tests, root, place.snapshot) if tests else None
    job = _ActionTask(action, place.snapshot, spans, instruction, problem, once, named)
    outcome = run_to_end(_act(job, loaded))
    changed = {p: one for p, one in outcome.texts.items() if one.before != one.after}
    if runs and changed:
        changed, outcome.run = run_to_end(run_all_new_tests(changed, root))
    is_refuted = named is not None and not (outcome.run and outcome.run.exit_code == 0)
    write = write and not is_refuted
    if write and changed:
        apply(changed)
        origin = Origin(outcome.provider, outcome.model, outcome.prompt)
        record_written(changed, origin, place.snapshot.root, loaded)
    print_outcome(outcome, changed, root, as_json, write)
    if not changed or is_refuted:
        raise typer.Exit(ExitCode.NOTHING)


def _run_folder(
    action: str,
    folder: Path,
    instruction: str,
    problem: str,
    once: str,
    write: bool,
    as_json: bool,
    options: BatchOptions,
) -> None:
    """Do the action at each function of each file."""
    from nearfield.features.code_actions.actions import ACTIONS
    from nearfield.features.code_actions.hunks import unified

    async def work(service: Service, snapshot: Snapshot) -> FileResult:
        spans = await asyncio.to_thread(_functions, snapshot)
        task = _ActionTask(action, snapshot, spans, instruction, problem, once)
        outcome = ActionOutcome()
        await _act_in(service, task, outcome)
        patch = outcome.texts.get(Path(snapshot.path or ""))
        diff = unified(snapshot.text, patch.after, snapshot.shown_path) if patch else ""
        return FileResult(
            path=snapshot.shown_path,
            after=patch.after if patch and diff else "",
            diff=diff,
            notes=[*outcome.refused, *outcome.notes],
            provider=outcome.provider,
            model=outcome.model,
        )

    root = enclosing(folder)
    name = "\0".join((action, instruction, problem, once))
    batch = BatchTask(name, ACTIONS[action].task, work, write)
    run_batch(batch, folder, root, settings_of(root), options, as_json)


def _place(target: str) -> tuple[Place, int]:
    """Return the document with the offset of the first line (-1 for none), and the last line
    (0)."""
    match = re.fullmatch(r"(.+?)(?::(\d+)(?:-(\d+))?)?", target)
    name, first, last = match.groups() if match else (target, None, None)
    if first is None:
        place = find_place(f"{name}:1:1")
        return replace(place, offset=-1), 0
    place = find_place(f"{name}:{first}:1")
    if last is not None and int(last) < int(first):
        fail(f"Line {last} is before line {first}.")
    return place, int(last or first)


def _named_lines(place: Place, last: int) -> tuple[Span, ...]:
    """Return the place from its line to the line `last`."""
    text = place.snapshot.text
    starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
    if last > len(starts):
        fail(f"There is no line {last}: the file has {len(starts)}.")
    end = starts[last] if last < len(starts) else len(text)
    # One line means the code around it; several lines are a selection.
    is_one = starts.index(place.offset) + 1 == last
    return (Span(place.offset, place.offset if is_one else end),)


def _functions(snapshot: Snapshot) -> tuple[Span, ...]:
    """Return each function of the document, or all of one that has none."""
    from nearfield.syntax.definitions import functions_of
    from nearfield.syntax.languages import language_for
    from nearfield.syntax.parser import parse

    language = language_for(snapshot.language, snapshot.path)
    parsed = parse(language, snapshot.text) if language else None
    found = functions_of(parsed) if parsed else []
    return tuple(found) or (Span(0, len(snapshot.text)),)


async def _act(job: _ActionTask, loaded: Loaded) -> ActionOutcome:
    """Do the action place by place, each on the result of the ones before. Raises from the error
    tree."""
    from nearfield.cli.fix_by_tests import choose
    from nearfield.features.project_rules import rules_note

    outcome = ActionOutcome()
    async with serving(loaded) as service:
        if job.action == "test" and job.snapshot.root and loaded.config.index.enabled:
            # Names in the tests may be defined anywhere.
            service.knowledge.folders((job.snapshot.root,))
            await until_indexed(service.knowledge)
        await _act_in(service, job, outcome)
        outcome.note = rules_note(service.traces)
        if job.tests is not None:
            await choose(service, job.snapshot, job.spans, job.tests, outcome)
    return outcome


async def _act_in(service: Service, job: _ActionTask, outcome: ActionOutcome) -> None:
    """Add the results of the action at each place."""
    from nearfield.errors import EditRefused

    # From the last to the first, so that the places ahead stay where they are.
    for span in reversed(job.spans):
        try:
            proposal = await _propose(service, job, span, outcome)
        except EditRefused as error:
            outcome.refused.append(str(error))
            continue
        for file in proposal.files:
            # Where a link leads now: one that is there later was not seen.
            path = resolved(Path(file.path or ""))
            known = outcome.texts.get(path)
            before = known.before if known else (None if file.new else file.before)
            outcome.texts[path] = Patch(before, file.after)
        outcome.provider, outcome.model = proposal.provider, proposal.model
        outcome.prompt = proposal.prompt
        outcome.wrong = outcome.wrong or proposal.wrong


async def _propose(
    service: Service, job: _ActionTask, span: Span, outcome: ActionOutcome
) -> Proposal:
    from nearfield.features.code_actions.proposal import ActionRequest
    from nearfield.features.diagnostics import Diagnostic

    path = Path(job.snapshot.path or "")
    known = outcome.texts.get(path)
    snapshot = replace(job.snapshot, text=known.after) if known else job.snapshot

    def open_text(at: str) -> Snapshot | None:
        there = outcome.texts.get(resolved(Path(at)))
        return replace(job.snapshot, text=there.after, path=at) if there else None

    problems = (Diagnostic(span, job.problem),) if job.problem else ()
    request = ActionRequest(job.action, snapshot, span, problems, job.instruction, job.once)
    return await service.actions.propose(
        request, ask=_yes if job.once else None, open_text=open_text
    )


async def _yes(_: Offer) -> Consent:
    """Allow the request: the user named the provider on the command line."""
    from nearfield.routing.consent import Consent

    return Consent.ONCE
