"""An editor without a window: it speaks the Language Server Protocol to a real `nearfield serve`.

It does what an editor does and nothing else: starts the process, opens documents, sends each change
as it is typed, asks for inline completions.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from nearfield.types import Span

STATUS = "nearfield/status"
TRACE = "nearfield/trace"
PATIENCE_SECONDS = 180.0
"""A server that needs longer for anything, on any machine, is stuck."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What came back: a suggestion that would replace `replace`, the wait as the editor saw it, and
    the server's account of it. `text` is "" when there is no suggestion."""

    text: str
    replace: Span
    wait_ms: float
    trace: dict[str, Any]


class Document:
    """A text that is open in the editor."""

    def __init__(self, path: Path, language: str) -> None:
        self.uri = path.as_uri()
        self.language = language
        self.text = path.read_text()
        self.version = 1

    def position(self, offset: int) -> types.Position:
        """A position in the encoding that this editor negotiates, which counts code points."""
        before = self.text[:offset]
        return types.Position(before.count("\n"), offset - (before.rfind("\n") + 1))

    def offset(self, position: types.Position) -> int:
        """The reverse of `position`."""
        lines = self.text.splitlines(keepends=True)
        return sum(map(len, lines[: position.line])) + position.character


class Editor:
    """One editor with one server; an async context manager."""

    def __init__(self, workspace: Path, settings: dict[str, Any]) -> None:
        self._workspace = workspace
        self._settings = settings
        self._client = LanguageClient("nearfield-demo", "1")
        self.status: dict[str, Any] = {"state": "starting", "detail": "", "progress": None}
        self._status_changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._listen()
        command = [sys.executable, "-m", "nearfield", "serve", "--stdio", "--log-level", "error"]
        await self._client.start_io(*command)
        root = self._workspace.as_uri()
        await self._client.initialize_async(
            types.InitializeParams(
                process_id=os.getpid(),
                root_uri=root,
                workspace_folders=[types.WorkspaceFolder(root, self._workspace.name)],
                initialization_options=self._settings,
                capabilities=types.ClientCapabilities(
                    general=types.GeneralClientCapabilities(
                        position_encodings=[types.PositionEncodingKind.Utf32]
                    ),
                    text_document=types.TextDocumentClientCapabilities(
                        inline_completion=types.InlineCompletionClientCapabilities()
                    ),
                ),
            )
        )
        self._client.initialized(types.InitializedParams())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.shutdown_async(None)
        self._client.exit(None)
        await self._client.stop()

    async def ready(self, tell: Callable[[dict[str, Any]], None]) -> bool:
        """Wait until a model has loaded; False when none can be. `tell` gets each status. Raises
        TimeoutError, as `suggest` does, when the server does not answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._status_changed.clear()
                answer = await self._client.protocol.send_request_async(STATUS, {})
                self.status = _plain(answer)
                if self.status["state"] not in ("starting", "loading"):
                    return self.status["state"] == "ready"
                tell(self.status)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._status_changed.wait(), 1)

    def open(self, path: Path, language: str) -> Document:
        """Open a file."""
        document = Document(path, language)
        self._client.text_document_did_open(
            types.DidOpenTextDocumentParams(
                types.TextDocumentItem(
                    document.uri, document.language, document.version, document.text
                )
            )
        )
        return document

    def edit(self, document: Document, span: Span, text: str) -> int:
        """Replace `span` by `text`, as typing does; answers the cursor after it."""
        change = types.TextDocumentContentChangePartial(
            range=types.Range(document.position(span.start), document.position(span.end)),
            text=text,
        )
        document.text = document.text[: span.start] + text + document.text[span.end :]
        document.version += 1
        self._client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(document.version, document.uri), [change]
            )
        )
        return span.start + len(text)

    async def suggest(self, document: Document, offset: int, *, by_key: bool) -> Shown:
        """Ask for ghost text, after a pause in typing or because of a key."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._suggest(document, offset, by_key=by_key)

    async def _suggest(self, document: Document, offset: int, *, by_key: bool) -> Shown:
        kinds = types.InlineCompletionTriggerKind
        began = time.perf_counter()
        answer = await self._client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                text_document=types.TextDocumentIdentifier(document.uri),
                position=document.position(offset),
                context=types.InlineCompletionContext(kinds.Invoked if by_key else kinds.Automatic),
            )
        )
        wait_ms = 1000 * (time.perf_counter() - began)
        traces = await self._client.protocol.send_request_async(TRACE, {"last": 1})
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        if not items:
            return Shown("", Span(offset, offset), wait_ms, _plain(traces[0]))
        item = items[0]
        text = item.insert_text
        replace = Span(offset, offset)
        if item.range is not None:
            replace = Span(document.offset(item.range.start), document.offset(item.range.end))
        return Shown(
            text if isinstance(text, str) else text.value, replace, wait_ms, _plain(traces[0])
        )

    def _listen(self) -> None:
        # pygls wants functions: it writes their registration on them.
        def on_status(_: Any) -> None:
            self._status_changed.set()

        def on_other(_: Any) -> None:
            """An editor would show this somewhere."""

        self._client.feature(STATUS)(on_status)
        self._client.feature("didChangeStatus")(on_other)
        self._client.feature(types.WINDOW_SHOW_MESSAGE)(on_other)


def _plain(value: Any) -> dict[str, Any]:
    """An answer of our own as a dict; of some of them pygls makes named tuples."""
    return dict(value._asdict()) if hasattr(value, "_asdict") else dict(value)
