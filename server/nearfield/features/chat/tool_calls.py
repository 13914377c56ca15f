"""Carry out one call: check the function, its arguments and its permission, and report its result.

Every call of a model comes through here, whatever made it call (a file may have told it to). A call
that is not allowed is refused in words that let the model continue. Each is in the audit before it
is carried out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nearfield.coerce import shallow_object
from nearfield.errors import NearfieldError, NotPermitted
from nearfield.features.chat.audit_store import RUNNING, Called, CallStore
from nearfield.features.chat.protocol import (
    Access,
    Allow,
    CallReport,
    CallState,
    ChatFunction,
    Question,
    ToolOutcome,
    ToolRefused,
    TurnPart,
    said,
)
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.chat.tool_schema import checked
from nearfield.files.lines import split_lines
from nearfield.routing.redact import redact_texts
from nearfield.routing.secrets import ScanDeadline
from nearfield.tasks import describe
from nearfield.terminal import one_line
from nearfield.types import ToolCall

log = logging.getLogger(__name__)

MAX_TITLE_CHARS = 2_000
"""Of a longer question the user would see a part, and allow the rest unseen."""

AUDITED_CHARS = 2_000
"""Characters of a call's arguments in the audit; the text of a written file is in the file."""
AUDIT_SECONDS = 1.0
"""For looking through them for secrets."""
REPORTED_CHARS = 2_000
"""Characters of a result in the report of a call."""


@dataclass(slots=True)
class ToolCaller:
    """Carries out the calls of one answer. `granted` are the functions that the user has allowed
    for the session; it is added to."""

    functions: Mapping[str, ChatFunction]
    all_names: frozenset[str]
    context: ToolContext
    store: CallStore
    session: str
    workspace: str
    granted: set[str]
    report: Callable[[CallReport], None]
    provider: str = ""
    model: str = ""
    _decision: str = field(default="", init=False)

    async def call(self, wish: ToolCall) -> tuple[ToolOutcome, CallReport]:
        """Return the call's result for the model, and its report for the user. Raises `LedgerError`
        when it cannot be recorded.
        """
        self._decision, begun = "refused", time.monotonic()
        arguments = shallow_object(wish.arguments)
        row = await asyncio.to_thread(self._row, wish)
        number = await asyncio.to_thread(self.store.begin, row)
        state, why = CallState.FAILED, "cancelled"
        outcome = said("")
        try:
            outcome = await self._carried_out(wish, arguments)
            state, why = CallState.DONE, "done"
        except ToolRefused as error:
            state = CallState.DENIED if self._decision in ("no", "refused") else CallState.FAILED
            why = f"{state}: {error.message}"
            outcome = said(f"Not done: {error}")
        except NearfieldError as error:
            why = f"failed: {type(error).__name__}"
            outcome = said(f"Failed: {error}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a function may be another package's
            log.error("the function %s failed: %s", wish.name, describe(error))  # noqa: TRY400 - the text may quote a file
            why = f"failed: {type(error).__name__}"
            outcome = said(f"Failed: {wish.name} ended with {type(error).__name__}.")
        finally:
            spent = round((time.monotonic() - begun) * 1000)
            read = len(outcome.text.encode("utf-8", "replace"))
            ended = asyncio.to_thread(self.store.finish, number, self._decision, why, spent, read)
            # Also when the answer was cancelled meanwhile.
            await asyncio.shield(asyncio.ensure_future(ended))
        report = CallReport(wish.id, wish.name, arguments, state, outcome.text[:REPORTED_CHARS])
        self.report(report)
        return outcome, report

    async def _carried_out(self, wish: ToolCall, arguments: Mapping[str, Any]) -> ToolOutcome:
        function = self.functions.get(wish.name)
        if function is None:
            raise ToolRefused(self._unknown(wish.name))
        given = checked(function, wish.arguments)
        if function.refuse is not None:
            await asyncio.to_thread(function.refuse, self.context, given)
        await self._permit(function, given, wish, arguments)
        self.report(CallReport(wish.id, wish.name, arguments, CallState.RUNNING))
        return _bounded(await function.run(self.context, given), self.context.limits.max_bytes)

    def _unknown(self, name: str) -> str:
        there = ", ".join(self.functions) or "none"
        if name in self.all_names:
            return f"{name} is not allowed here. These functions are: {there}."
        return f"There is no such function. These are allowed: {there}."

    async def _permit(
        self, function: ChatFunction, given: Any, wish: ToolCall, arguments: Mapping[str, Any]
    ) -> None:
        """Ask the user where they must be asked. Raises `ToolRefused`."""
        self._decision = "allowed"
        if function.access in (Access.READ, Access.EDIT) or function.name in self.granted:
            return
        self._decision = "refused"
        title = _on_one_line(function.title(given))
        if len(title) > MAX_TITLE_CHARS:
            raise ToolRefused("The call is too long for the user to see all of it.", "Shorten it.")
        each_time = function.access is Access.DANGER
        self.report(CallReport(wish.id, wish.name, arguments, CallState.ASKING))
        question = Question(self.session, wish.id, wish.name, arguments, title, each_time)
        self._decision = "no"
        answer = await self.context.host.allow(question)
        if answer is Allow.NO:
            raise ToolRefused("The user did not allow it.", "Go on without it.")
        self._decision = answer.value
        if answer is Allow.SESSION and not each_time:
            self.granted.add(function.name)

    def _row(self, wish: ToolCall) -> Called:
        """Return the audit's record of a call. Blocks."""
        try:
            texts = [wish.arguments, wish.name]
            [arguments, name], _ = redact_texts(texts, deadline=ScanDeadline(AUDIT_SECONDS))
        except NotPermitted:
            arguments = "(too long to be looked through for secrets)"
            name = wish.name if wish.name in self.functions else ""
        return Called(
            id=0,
            at=0,
            workspace=self.workspace,
            session=self.session,
            provider=self.provider,
            model=self.model,
            name=name[:100],
            arguments=arguments[:AUDITED_CHARS],
            decision="",
            outcome=RUNNING,
            ms=0,
            bytes=0,
        )


def _bounded(outcome: ToolOutcome, most: int) -> ToolOutcome:
    """The first `most` characters of what a function answers; another package's may answer with
    anything."""
    if sum(len(part.text) for part in outcome.parts) <= most:
        return outcome
    kept: list[TurnPart] = []
    for part in outcome.parts:
        kept.append(replace(part, text=part.text[:most], span=None))
        most -= len(part.text)
        if most <= 0:
            break
    return ToolOutcome((*kept, TurnPart("\n(cut here: the result was too long)")))


def _on_one_line(title: str) -> str:
    """Return what a call is asked for with, so that no part of it looks like another question:
    each line end is a sign, and what is invisible, or turns the writing, is seen."""
    return one_line("⏎".join(split_lines(title)))
