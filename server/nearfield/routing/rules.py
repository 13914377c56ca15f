"""The user's own routing rules, `[[routing.rules]]`: the first that holds says who answers.

A rule chooses among the user's providers. It allows nothing: the strategy, consent, withheld files
and the budget hold for whomever it names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import cached_property, lru_cache
from pathlib import Path

from nearfield.config.schema import ROLES, RoutingRule
from nearfield.files.ignore import SettingsRules
from nearfield.power import is_on_battery
from nearfield.routing.request_context import RequestContext, Task
from nearfield.syntax.languages import language_for
from nearfield.types import ChatRequest, EditRequest, InfillRequest


def _load() -> float:
    """Return the load of the last minute as a share of the processors, 0 where it is unknown."""
    averages = getattr(os, "getloadavg", None)
    return averages()[0] / (os.cpu_count() or 1) if averages is not None else 0.0


def _now() -> time:
    return datetime.now().time()


@dataclass
class RequestFacts:
    """Facts about one request and this moment, each looked up when a rule first asks for it.

    `path` is relative to the workspace where it is inside. `spent` returns today's dollars and
    blocks.
    """

    task: Task
    path: str
    language: str
    chars: int
    is_complex: bool
    spent: Callable[[], float]
    now: Callable[[], time] = field(default=_now)
    load: Callable[[], float] = field(default=_load)
    battery: Callable[[], bool] = field(default=is_on_battery)

    @cached_property
    def spent_today(self) -> float:
        """Return the dollars spent since midnight."""
        return self.spent()

    @cached_property
    def is_on_battery(self) -> bool:
        """Return whether the machine is unplugged."""
        return self.battery()


def facts(
    request: InfillRequest | EditRequest | ChatRequest,
    context: RequestContext,
    is_complex: bool,
    spent: Callable[[], float],
) -> RequestFacts:
    """Return the facts about a request. A chat is about the first file that it shows."""
    if isinstance(request, InfillRequest):
        path, language = request.path, request.language
        chars = len(request.prefix) + len(request.suffix)
    elif isinstance(request, EditRequest):
        path, language, chars = request.path, "", len(request.text)
    else:
        path = context.sources[0].path if context.sources else ""
        language, chars = "", sum(len(message.content) for message in request.messages)
    known = language_for(language, path)
    name = known.name if known is not None else language
    return RequestFacts(
        context.task, _inside(path, context.workspace), name, chars, is_complex, spent
    )


def first(rules: tuple[RoutingRule, ...], about: RequestFacts) -> int | None:
    """Return the index of the first rule that holds, None where none does. May block."""
    return next((index for index, rule in enumerate(rules) if holds(rule, about)), None)


def holds(rule: RoutingRule, about: RequestFacts) -> bool:
    """Return whether every condition of `rule` holds. The cheapest are looked at first."""
    return (
        (not rule.tasks or about.task in rule.tasks)
        and (not rule.languages or about.language in map(_language, rule.languages))
        and about.chars >= rule.min_chars
        and (not rule.max_chars or about.chars <= rule.max_chars)
        and rule.complex in (None, about.is_complex)
        and (not rule.paths or _matches(tuple(rule.paths), about.path))
        and (not rule.hours or _is_within(rule.hours, about.now()))
        and (not rule.min_load or about.load() >= rule.min_load)
        and (rule.on_battery is None or rule.on_battery is about.is_on_battery)
        and (not rule.min_spent or about.spent_today >= rule.min_spent)
    )


def role_of(rule: RoutingRule) -> str:
    """Return the role that a rule names, "" if it names providers."""
    return rule.use[0] if len(rule.use) == 1 and rule.use[0] in ROLES else ""


def title(rules: tuple[RoutingRule, ...], index: int) -> str:
    """Return what users know a rule by."""
    return rules[index].name or f"rule {index + 1}"


@lru_cache(maxsize=64)
def _patterns(paths: tuple[str, ...]) -> SettingsRules:
    """Compile a rule's patterns once, not for every request."""
    return SettingsRules(paths)


def _matches(paths: tuple[str, ...], path: str) -> bool:
    return bool(path) and _patterns(paths).match(path)


def _language(name: str) -> str:
    known = language_for(name)
    return known.name if known is not None else name


def _is_within(hours: str, now: time) -> bool:
    begin, _, end = hours.partition("-")
    start, stop = time.fromisoformat(begin), time.fromisoformat(end)
    if start <= stop:
        return start <= now < stop
    return now >= start or now < stop


def _inside(path: str, workspace: str) -> str:
    whole = Path(path)
    if workspace and whole.is_absolute() and whole.is_relative_to(workspace):
        return whole.relative_to(workspace).as_posix()
    return whole.as_posix().removeprefix(whole.anchor) if path else ""
