"""Work-done progress while a model loads or an index is built, where the client shows such."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from nearfield.features.status import IndexState, ServiceState, ServiceStatus
from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.lsp.questions import spoken
from nearfield.lsp.session import Session
from nearfield.tasks import run_task

if TYPE_CHECKING:
    from nearfield.features.service import Service

TITLE = "Nearfield: loading the model"
INDEX_TITLE = "Nearfield: indexing"
INDEX_SECONDS = 1.0
"""An index that is ready sooner shows no bar: most starts find hardly anything to do."""

_tokens = itertools.count(1)


class LoadingProgress:
    """Shows one bar from the first LOADING to the next other state."""

    def __init__(self, protocol: NearfieldProtocol) -> None:
        self._protocol = protocol
        self._status = ServiceStatus()
        self._changed = asyncio.Event()
        self._shown: asyncio.Task[None] | None = None

    def follow(self, status: ServiceStatus) -> None:
        """The status is this now."""
        self._status = status
        self._changed.set()
        idle = self._shown is None or self._shown.done()
        if status.state is ServiceState.LOADING and idle:
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
                    TITLE, message=spoken(self._status.detail), percentage=self._percentage()
                ),
            )
            while self._status.state is ServiceState.LOADING:
                self._changed.clear()
                await self._changed.wait()
                if self._status.state is ServiceState.LOADING:
                    report = types.WorkDoneProgressReport(
                        message=spoken(self._status.detail), percentage=self._percentage()
                    )
                    progress.report(token, report)
            progress.end(
                token, types.WorkDoneProgressEnd(message=spoken(self._status.detail) or None)
            )
        finally:
            # pygls keeps the token of an ended progress for ever (its issue 607).
            progress.tokens.pop(token, None)

    def _percentage(self) -> int | None:
        progress = self._status.progress
        return None if progress is None else round(100 * progress)


class IndexProgress:
    """Shows one bar while an index is built: first its names and text, then its vectors."""

    def __init__(self, protocol: NearfieldProtocol) -> None:
        self._protocol = protocol
        self._index = IndexState()
        self._changed = asyncio.Event()
        self._shown: asyncio.Task[None] | None = None

    def follow(self, index: IndexState) -> None:
        """The index is this now."""
        self._index = index
        self._changed.set()
        if self._is_working and (self._shown is None or self._shown.done()):
            self._shown = run_task(self._show(), "show the progress of the index")

    @property
    def _is_working(self) -> bool:
        return self._index.state in ("building", "embedding")

    async def _show(self) -> None:
        await asyncio.sleep(INDEX_SECONDS)
        if not self._is_working:
            return
        progress = self._protocol.progress
        token = f"nearfield-index-{next(_tokens)}"
        try:
            await progress.create_async(token)
        except JsonRpcException:
            return
        try:
            begin = types.WorkDoneProgressBegin(
                INDEX_TITLE, message=spoken(self._message()), percentage=self._percentage()
            )
            progress.begin(token, begin)
            while self._is_working:
                self._changed.clear()
                await self._changed.wait()
                if self._is_working:
                    report = types.WorkDoneProgressReport(
                        message=spoken(self._message()), percentage=self._percentage()
                    )
                    progress.report(token, report)
            progress.end(
                token, types.WorkDoneProgressEnd(message=spoken(self._index.detail) or None)
            )
        finally:
            progress.tokens.pop(token, None)  # as above

    def _message(self) -> str:
        index = self._index
        if index.state == "building":
            return f"{index.done} of {index.total} files" if index.total else "looking at the files"
        return f"meaning of {index.done} of {index.total} pieces"

    def _percentage(self) -> int:
        """Return the bar's percentage. The build is its first tenth, because vectors take so much
        longer. The bar never goes back: later edits show in the message alone.
        """
        index = self._index
        share = index.done / index.total if index.total else 0.0
        return round(10 * share if index.state == "building" else 10 + 90 * share)


def register(_server: LanguageServer, session: Session) -> None:
    """Follow the status where the client can show progress."""

    def started(service: Service) -> None:
        window = session.protocol.client_capabilities.window
        if window is not None and window.work_done_progress:
            service.subscribe(LoadingProgress(session.protocol).follow)
            service.knowledge.subscribe(IndexProgress(session.protocol).follow)

    session.when_started.add(started)
