"""The actions that are offered at a place: found quickly, without a model, each with the reason if
it is not available."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
    TYPES,
)
from nearfield.features.code_actions.document import why_undocumentable
from nearfield.features.code_actions.fit import Fitting
from nearfield.features.code_actions.frameworks import TESTED, is_test
from nearfield.features.code_actions.refactorings import REFACTORINGS, offered
from nearfield.features.diagnostics import Diagnostic
from nearfield.features.remote_choice import clouds
from nearfield.features.suitability import why_unsuited
from nearfield.routing.request_context import Task
from nearfield.routing.roles import usual_role
from nearfield.routing.router import Router
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.parser import Parsed
from nearfield.types import Snapshot, Span

__all__ = ["MenuEntry", "entries"]

MAX_MESSAGE_CHARS = 60
"""A problem's message is cut to this in a title."""
NO_MODEL = "no model is set up for this; `nearfield doctor` says what to do"


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An action on offer. `problems` are the indices of its problems; `disabled` is the reason why
    it is not available. `asks` means that the user types something first; `provider` names one
    outside this machine that would do it.
    """

    action: str
    title: str
    kind: str
    problems: tuple[int, ...] = ()
    disabled: str = ""
    asks: bool = False
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """By task, the model that would be asked, and the (provider, model) pairs outside this machine
    that could be."""

    models: dict[Task, str]
    clouds: dict[Task, tuple[tuple[str, str], ...]]


async def candidates_for(
    router: Router | None, configs: FolderConfigs, workspace: str
) -> Candidates:
    """Return the models that would do the actions now; reads the disk only where a cloud may be
    asked.
    """
    models: dict[Task, str] = {}
    others: dict[Task, tuple[tuple[str, str], ...]] = {}
    for task in dict.fromkeys(action.task for action in ACTIONS.values()):
        role = usual_role(configs.user, task)
        candidates = router.candidates(role, workspace) if router else ()
        models[task] = candidates[0].model if candidates else ""
        others[task] = await clouds(router, configs, task, workspace)
    return Candidates(models, others)


def entries(
    snapshot: Snapshot,
    parsed: Parsed | None,
    span: Span,
    problems: Sequence[Diagnostic],
    who: Candidates,
    *,
    has_language_server: bool,
) -> list[MenuEntry]:
    """Return what is offered at `span`; refactorings without a model only where no other language
    server offers them. Parses at most the unit: call it off the event loop."""
    unit = unit_at(parsed, snapshot.text, span)
    fitting = Fitting(snapshot.text, parsed, unit)
    what = f"`{unit.name}`" if unit.name else "the selection"
    found: list[MenuEntry] = []
    for index, problem in enumerate(problems):
        message = " ".join(problem.message.split())
        if len(message) > MAX_MESSAGE_CHARS:
            message = message[: MAX_MESSAGE_CHARS - 1].rstrip() + "…"
        found.append(_entry(who, FIX, message, (index,)))
    inside = tuple(
        index
        for index, problem in enumerate(problems)
        if problem.span.start <= unit.span.end and problem.span.end >= unit.span.start
    )
    if len(inside) > 1:
        found.append(_entry(who, FIX_ALL, what, inside))
    for name, model in who.clouds.get(Task.FIX, ()) if problems else ():
        title = f"Ask {name} ({model}), outside this machine, to fix this"
        every = tuple(range(len(problems)))
        found.append(MenuEntry(FIX, title, ACTIONS[FIX].kind, every, provider=name))
    if unit.name or span.end > span.start:
        found.append(_entry(who, REWRITE, what, asks=True))
        found += [_entry(who, action, what) for action in MENU if _fits(action, fitting)]
    found = [_with_reason(entry, snapshot, fitting) for entry in found]
    found += _elsewhere(who, found)
    if not has_language_server:
        found += [
            MenuEntry(one.action, one.title, REFACTORINGS[one.action], asks=one.asks,
                      disabled=one.why)
            for one in offered(parsed, span)
        ]  # fmt: skip
    return found


def _entry(
    who: Candidates, action: str, what: str, problems: tuple[int, ...] = (), asks: bool = False
) -> MenuEntry:
    row = ACTIONS[action]
    model = who.models.get(row.task, "")
    title = row.title.format(what=what)
    return MenuEntry(
        action,
        f"{title} ({model})" if model else title,
        row.kind,
        problems,
        why_unsuited(action, model) if model else NO_MODEL,
        asks,
    )


def _elsewhere(who: Candidates, found: Sequence[MenuEntry]) -> list[MenuEntry]:
    """Return the entries that are not about a problem once more, by the first provider outside this
    machine that may be asked; all providers would make the list too long."""
    others: list[MenuEntry] = []
    for entry in found:
        row = ACTIONS[entry.action]
        local = who.models[row.task]
        own = ("", NO_MODEL, why_unsuited(entry.action, local))
        if row.task is Task.FIX or entry.disabled not in own:
            continue
        for name, model in who.clouds.get(row.task, ())[:1]:
            what = entry.title.removesuffix(f" ({local})")
            title = f"Ask {name} ({model}), outside this machine: {what}"
            others.append(MenuEntry(entry.action, title, row.kind, asks=entry.asks, provider=name))
    return others


def _fits(action: str, fitting: Fitting) -> bool:
    language = fitting.language
    if action == TYPES:
        return language is not None and language.name in TYPED and fitting.unit.kind == "function"
    return action not in (DOCUMENT, TEST) or bool(fitting.unit.name)


def _with_reason(entry: MenuEntry, snapshot: Snapshot, fitting: Fitting) -> MenuEntry:
    """Return `entry`, disabled with the reason if it is not available here."""
    if entry.action not in (DOCUMENT, TEST):
        return entry
    language, why = fitting.language, ""
    if entry.action == DOCUMENT:
        why = why_undocumentable(fitting)
    elif language is None or language.name not in TESTED:
        why = "how tests are written in this language is not known here"
    elif snapshot.path is None:
        why = "the document is no file yet"
    elif snapshot.is_cell:
        why = "a test cannot import a notebook"
    elif is_test(language.name, Path(snapshot.path)):
        why = "this is a test already"
    return replace(entry, disabled=why or entry.disabled)
