"""Work-done progress while a model loads, where the client shows such."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from nearfield.features.status import State, Status
from nearfield.features.tasks import run_task
from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.lsp.session import Session

if TYPE_CHECKING:
    from nearfield.features.service import Service

TITLE = "Nearfield: loading the model"

_tokens = itertools.count(1)


class LoadingProgress:
    """Shows one bar from the first LOADING to the next other state."""

    def __init__(self, protocol: NearfieldProtocol) -> None:
        self._protocol = protocol
        self._status = Status()
        self._changed = asyncio.Event()
        self._shown: asyncio.Task[None] | None = None

    def follow(self, status: Status) -> None:
        """The status is this now."""
        self._status = status
        self._changed.set()
        idle = self._shown is None or self._shown.done()
        if status.state is State.LOADING and idle:
            self._shown = run_task(self._show(), "show the progress of loading")

    async def _show(self) -> None:
        progress = self._protocol.progress
        token = f"nearfield-loading-{next(_tokens)}"
        try:
            await progress.create_async(token)
        except JsonRpcException:
            return
        try:
            progress.begin(
                token,
                types.WorkDoneProgressBegin(
                    TITLE, message=self._status.detail, percentage=self._percentage()
                ),
            )
            while self._status.state is State.LOADING:
                self._changed.clear()
                await self._changed.wait()
                if self._status.state is State.LOADING:
                    report = types.WorkDoneProgressReport(
                        message=self._status.detail, percentage=self._percentage()
                    )
                    progress.report(token, report)
            progress.end(token, types.WorkDoneProgressEnd(message=self._status.detail or None))
        finally:
            # pygls keeps the token of an ended progress for ever (its issue 607).
            progress.tokens.pop(token, None)

    def _percentage(self) -> int | None:
        progress = self._status.progress
        return None if progress is None else round(100 * progress)


def register(_server: LanguageServer, session: Session) -> None:
    """Follow the status where the client can show progress."""

    def started(service: Service) -> None:
        window = session.protocol.client_capabilities.window
        if window is not None and window.work_done_progress:
            service.subscribe(LoadingProgress(session.protocol).follow)

    session.when_started.append(started)
