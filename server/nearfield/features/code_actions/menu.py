"""Which actions are offered at a place: quickly, without a model, and with why one is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.config.folders import FolderConfigs
from nearfield.features.code_actions.actions import (
    ACTIONS,
    DOCUMENT,
    FIX,
    FIX_ALL,
    MENU,
    REWRITE,
    TEST,
    TYPED,
)
from nearfield.features.code_actions.document import documented
from nearfield.features.code_actions.fit import Fitting
from nearfield.features.code_actions.frameworks import TESTED, is_test
from nearfield.features.code_actions.proposal import Problem
from nearfield.features.code_actions.trees import TREE_ACTIONS, offered
from nearfield.features.remote_choice import clouds
from nearfield.routing.request_context import Task
from nearfield.routing.router import Router
from nearfield.routing.tasks import usual_role
from nearfield.syntax.definitions import Unit, unit_at
from nearfield.syntax.parser import Parsed
from nearfield.types import Snapshot, Span

__all__ = ["Entry", "entries"]

LONGEST_MESSAGE = 60
"""A problem's message is cut to this in a title."""
NO_MODEL = "no model is set up for this; `nearfield doctor` says what to do"


@dataclass(frozen=True, slots=True)
class Entry:
    """One action on offer. `problems` are the indices of those it is about; `disabled` says why it
    is not available; `asks` that the user must type something first; `provider` names one outside
    this machine that would do it."""

    action: str
    title: str
    kind: str
    problems: tuple[int, ...] = ()
    disabled: str = ""
    asks: bool = False
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who does what: the model for each task, and who else could be asked, by task."""

    models: dict[Task, str]
    clouds: dict[Task, tuple[tuple[str, str], ...]]


async def speakers(router: Router | None, configs: FolderConfigs, workspace: str) -> Speakers:
    """Who would do the actions now; touches the disk only where a cloud may be asked."""
    models: dict[Task, str] = {}
    others: dict[Task, tuple[tuple[str, str], ...]] = {}
    for task in dict.fromkeys(action.task for action in ACTIONS.values()):
        role = usual_role(configs.user, task)
        candidates = router.candidates(role, workspace) if router else ()
        models[task] = candidates[0].model if candidates else ""
        others[task] = await clouds(router, configs, task, workspace)
    return Speakers(models, others)


def entries(
    snapshot: Snapshot,
    parsed: Parsed | None,
    span: Span,
    problems: Sequence[Problem],
    who: Speakers,
) -> list[Entry]:
    """What is offered at `span`. Parses at most the unit: not on the event loop."""
    unit = unit_at(parsed, snapshot.text, span)
    fitting = Fitting(snapshot.text, parsed, unit)
    what = f"`{unit.name}`" if unit.name else "the selection"
    found = [_fix(who, index, problem) for index, problem in enumerate(problems)]
    inside = tuple(i for i, problem in enumerate(problems) if _touches(unit, problem))
    if len(inside) > 1:
        found.append(_entry(who, FIX_ALL, what, problems=inside))
    found += _fixed_elsewhere(who, problems)
    if unit.name or span.end > span.start:
        found.append(_entry(who, REWRITE, what, asks=True))
        found += [_entry(who, action, what) for action in MENU if _fits(action, fitting)]
    found = [_with_reason(entry, snapshot, fitting) for entry in found]
    found += _elsewhere(who, found)
    by_tree = [
        Entry(one.action, one.title, TREE_ACTIONS[one.action], asks=one.asks, disabled=one.why)
        for one in offered(parsed, span)
    ]
    return [*found, *by_tree]


def _entry(
    who: Speakers, action: str, what: str, problems: tuple[int, ...] = (), asks: bool = False
) -> Entry:
    row = ACTIONS[action]
    model = who.models.get(row.task, "")
    title = row.title.format(what=what)
    return Entry(
        action,
        f"{title} ({model})" if model else title,
        row.kind,
        problems,
        "" if model else NO_MODEL,
        asks,
    )


def _fix(who: Speakers, index: int, problem: Problem) -> Entry:
    message = " ".join(problem.message.split())
    if len(message) > LONGEST_MESSAGE:
        message = message[: LONGEST_MESSAGE - 1].rstrip() + "…"
    return _entry(who, FIX, message, (index,))


def _elsewhere(who: Speakers, found: Sequence[Entry]) -> list[Entry]:
    """What is about the code and not about a problem, by the first provider outside this machine
    that may be asked: with all of them the list would be of nothing else."""
    others: list[Entry] = []
    for entry in found:
        row = ACTIONS[entry.action]
        if row.task is Task.FIX or entry.disabled not in ("", NO_MODEL):
            continue
        for name, model in who.clouds.get(row.task, ())[:1]:
            what = entry.title.removesuffix(f" ({who.models[row.task]})")
            title = f"Ask {name} ({model}), outside this machine: {what}"
            others.append(Entry(entry.action, title, row.kind, asks=entry.asks, provider=name))
    return others


def _fixed_elsewhere(who: Speakers, problems: Sequence[Problem]) -> list[Entry]:
    """A fix by a provider outside this machine, where one may be asked."""
    if not problems:
        return []
    return [
        Entry(
            FIX,
            f"Ask {name} ({model}), outside this machine, to fix this",
            ACTIONS[FIX].kind,
            tuple(range(len(problems))),
            provider=name,
        )
        for name, model in who.clouds.get(Task.FIX, ())
    ]


def _touches(unit: Unit, problem: Problem) -> bool:
    return problem.span.start <= unit.span.end and problem.span.end >= unit.span.start


def _fits(action: str, fitting: Fitting) -> bool:
    language = fitting.language
    if action == "types":
        return language is not None and language.name in TYPED and fitting.unit.kind == "function"
    if action in (DOCUMENT, TEST):
        return bool(fitting.unit.name)
    return True


def _with_reason(entry: Entry, snapshot: Snapshot, fitting: Fitting) -> Entry:
    """`entry`, with why it is not available here."""
    if entry.disabled:
        return entry
    why = ""
    if entry.action == DOCUMENT:
        why = documented(fitting)
    if entry.action == TEST:
        why = _untested(snapshot, fitting)
    return entry if not why else Entry(entry.action, entry.title, entry.kind, disabled=why)


def _untested(snapshot: Snapshot, fitting: Fitting) -> str:
    from pathlib import Path

    language = fitting.language
    if language is None or language.name not in TESTED:
        return "how tests are written in this language is not known here"
    if snapshot.path is None:
        return "the document is no file yet"
    if snapshot.is_cell:
        return "a test cannot import a notebook"
    return "this is a test already" if is_test(language.name, Path(snapshot.path)) else ""
