"""Work-done progress around a command, and its cancelling.

A client that gives a token with the command is shown the progress under it; one that can show
progress is asked to. Cancelling the progress ends the work as cancelling the request does. However
the work ends, its bar is closed.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from nearfield.lsp.protocol import CLIENT_TOKEN, NearfieldProtocol
from nearfield.lsp.questions import spoken
from nearfield.tasks import run_task, stop_task

Report = Callable[[str, float | None], None]
"""Says how far the work is: a few words, and 0..1 where that is known."""

_numbers = itertools.count(1)


@asynccontextmanager
async def shown_work(protocol: NearfieldProtocol, title: str) -> AsyncGenerator[Report]:
    """Show `title` while the body runs; yields the function by which it reports."""
    bar = _Bar(protocol, title)
    bar.open()
    try:
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
        message = spoken(message)
        self._said = (message, share)
        if self._begun:
            report = types.WorkDoneProgressReport(
                message=message, percentage=_percent(share), cancellable=True
            )
            self._protocol.progress.report(self._token, report)

    async def close(self) -> None:
        """The work has ended, somehow."""
        await stop_task(self._opening)
        if self._begun:
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
        message, share = self._said
        self._begun = True
        progress.begin(
            self._token,
            types.WorkDoneProgressBegin(
                self._title,
                message=message or None,
                percentage=_percent(share),
                cancellable=True,
            ),
        )
        progress.tokens[self._token].add_done_callback(self._cancelled)

    def _cancelled(self, token: Future[Any]) -> None:
        if token.cancelled() and self._owner is not None:
            self._owner.cancel()


def _percent(share: float | None) -> int | None:
    return None if share is None else round(100 * share)
