"""Work-done progress around a command, and its cancelling.

A client that gives a token with the command is shown the progress under it; one that can show
progress is asked to. Cancelling the progress ends the work as cancelling the request does. However
the work ends, its bar is closed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from nearfield.lsp.protocol import CLIENT_TOKEN, NearfieldProtocol
from nearfield.lsp.questions import spoken
from nearfield.routing.activity import Work, reported_to
from nearfield.tasks import run_task, stop_task

Report = Callable[[str, float | None], None]
"""Says how far the work is: a few words, and 0..1 where that is known."""

WORK_SECONDS = 1.0
"""Between two reports of what the model does."""

_numbers = itertools.count(1)


@asynccontextmanager
async def shown_work(protocol: NearfieldProtocol, title: str) -> AsyncGenerator[Report]:
    """Show `title` while the body runs; yields the function for reporting its progress."""
    bar = _Bar(protocol, title)
    bar.open()
    try:
        with reported_to(bar.work):
            yield bar.report
    finally:
        await bar.close()


class _Bar:
    """A progress bar, from its token to its end."""

    def __init__(self, protocol: NearfieldProtocol, title: str) -> None:
        self._protocol = protocol
        self._title = title
        self._owner: asyncio.Task[Any] | None = asyncio.current_task()
        self._opening: asyncio.Task[None] | None = None
        self._begun = False
        self._model: Work | None = None
        self._told = 0.0
        self._said: tuple[str, float | None] = ("", None)
        self._token: types.ProgressToken = ""

    def open(self) -> None:
        """Begin; what the client has to agree to first does not hold up the work."""
        given = CLIENT_TOKEN.get()
        window = self._protocol.client_capabilities.window
        if given is not None:
            self._token = given
            self._begin()
        elif window is not None and window.work_done_progress:
            self._token = f"nearfield-work-{next(_numbers)}"
            self._opening = run_task(self._create(), "show the progress of a command")

    def report(self, message: str, share: float | None = None) -> None:
        """Report the progress of the work."""
        self._said = (spoken(message), share)
        self._show()

    def work(self, work: Work) -> None:
        """Report what the model does: when it enters a phase, and each second."""
        before, self._model = self._model, work
        is_new = before is None or before.phase is not work.phase
        if is_new or time.monotonic() - self._told >= WORK_SECONDS:
            self._show()

    def _show(self) -> None:
        if not self._begun:
            return
        self._told = time.monotonic()
        report = types.WorkDoneProgressReport(
            message=self._message, percentage=_percent(self._said[1]), cancellable=True
        )
        self._protocol.progress.report(self._token, report)

    @property
    def _message(self) -> str:
        """Return the last report, and the state of the model."""
        message = self._said[0]
        if self._model is None:
            return message
        words = spoken(self._model.words())
        return f"{message}; {words}" if message else words

    async def close(self) -> None:
        """The work has ended, somehow."""
        await stop_task(self._opening)
        if self._begun:
            self._begun = False  # what was begun inside may still report
            self._protocol.progress.end(self._token, types.WorkDoneProgressEnd())
        # pygls keeps the token of an ended progress for ever (its issue 607).
        self._protocol.progress.tokens.pop(self._token, None)

    async def _create(self) -> None:
        try:
            await self._protocol.progress.create_async(self._token)
        except JsonRpcException:
            return
        self._begin()

    def _begin(self) -> None:
        progress = self._protocol.progress
        self._begun = True
        progress.begin(
            self._token,
            types.WorkDoneProgressBegin(
                self._title,
                message=self._message or None,
                percentage=_percent(self._said[1]),
                cancellable=True,
            ),
        )
        progress.tokens[self._token].add_done_callback(self._cancelled)

    def _cancelled(self, token: Future[Any]) -> None:
        if token.cancelled() and self._owner is not None:
            self._owner.cancel()


def _percent(share: float | None) -> int | None:
    return None if share is None else round(100 * share)
