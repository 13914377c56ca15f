"""A pytest-lsp client, for what editors do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from lsprotocol import types
from pytest_lsp import LanguageClient
from tests.e2e.process import PATIENCE_SECONDS


class Editor:
    """A pytest-lsp client with what tests do most."""

    def __init__(self, client: LanguageClient, result: types.InitializeResult) -> None:
        self.client = client
        self.result = result
        self.statuses: list[Any] = []
        self._versions: dict[str, int] = {}

    @property
    def shown_messages(self) -> list[str]:
        """The texts of the windows that popped up."""
        return [message.message for message in self.client.messages]

    def open(self, text: str, uri: str = "file:///w/a.py", language: str = "python") -> str:
        """Open a document; answers its URI."""
        self._versions[uri] = 1
        item = types.TextDocumentItem(uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def replace(self, uri: str, text: str) -> None:
        """Give a document another text."""
        self.change(uri, types.TextDocumentContentChangeWholeDocument(text))

    def change(self, uri: str, *changes: types.TextDocumentContentChangeEvent) -> None:
        """Send changes in one notification."""
        self._versions[uri] += 1
        document = types.VersionedTextDocumentIdentifier(self._versions[uri], uri)
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(document, list(changes))
        )

    async def ghost(
        self,
        uri: str,
        line: int,
        character: int,
        selected: types.SelectedCompletionInfo | None = None,
        invoked: bool = True,
    ) -> list[types.InlineCompletionItem]:
        """Ask for ghost text."""
        answer = await self.client.text_document_inline_completion_async(
            self.ghost_params(uri, line, character, selected, invoked)
        )
        assert isinstance(answer, types.InlineCompletionList)
        return list(answer.items)

    @staticmethod
    def ghost_params(
        uri: str,
        line: int,
        character: int,
        selected: types.SelectedCompletionInfo | None = None,
        invoked: bool = True,
    ) -> types.InlineCompletionParams:
        """The params of a request for ghost text."""
        kind = types.InlineCompletionTriggerKind
        return types.InlineCompletionParams(
            types.InlineCompletionContext(kind.Invoked if invoked else kind.Automatic, selected),
            types.TextDocumentIdentifier(uri),
            types.Position(line, character),
        )

    async def popup(self, uri: str, line: int, character: int) -> types.CompletionList:
        """Ask for a completion list."""
        answer = await self.client.text_document_completion_async(
            types.CompletionParams(
                types.TextDocumentIdentifier(uri),
                types.Position(line, character),
                types.CompletionContext(types.CompletionTriggerKind.Invoked),
            )
        )
        assert isinstance(answer, types.CompletionList)
        return answer

    async def traces(self, last: int = 20) -> list[dict[str, Any]]:
        """The account of the last requests."""
        return await self.ask("nearfield/trace", {"last": last})

    async def ask(self, method: str, params: Any = None) -> Any:
        """Send any request; answers plain data."""
        answer = await asyncio.wait_for(
            self.client.protocol.send_request_async(method, params), PATIENCE_SECONDS
        )
        return plain(answer)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something has happened."""
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            if condition():
                return
            await asyncio.sleep(0.02)
        pytest.fail("it never happened")


def plain(value: Any) -> Any:
    """pygls makes named tuples of answers that it has no type for."""
    if hasattr(value, "_asdict"):
        return {name: plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def capabilities(
    *,
    inline: bool = True,
    encodings: Sequence[str] | None = None,
    progress: bool = False,
    configuration: bool = False,
) -> types.ClientCapabilities:
    """What a client may say that it can do."""
    return types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities() if inline else None,
            completion=types.CompletionClientCapabilities(
                completion_item=types.ClientCompletionItemOptions(
                    documentation_format=[types.MarkupKind.Markdown], preselect_support=True
                )
            ),
        ),
        window=types.WindowClientCapabilities(work_done_progress=progress),
        workspace=types.WorkspaceClientCapabilities(configuration=configuration),
        general=types.GeneralClientCapabilities(position_encodings=list(encodings))
        if encodings
        else None,
    )


StartEditor = Callable[..., AbstractAsyncContextManager[Editor]]
"""Starts a server and a client for it; the fixture `editor`."""
