"""`textDocument/inlineCompletion`: ghost text, and the way to suggestions that popups share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import commands
from nearfield.lsp.documents import TextDocument
from nearfield.lsp.session import Session
from nearfield.types import (
    CompletionAnswer,
    CompletionRequest,
    Reason,
    Selected,
    Suggestion,
    Surface,
    Trace,
)

WAITING_CLIENTS = {
    Surface.GHOST_TEXT: ("neovim",),  # 200 ms
    Surface.POPUP: ("",),
}
"""Clients, by the beginning of their names, that wait for a pause in typing before they ask. For a
completion list all do, or the user pressed a key for it (Eglot, Neovim's CTRL-X CTRL-O). A debounce
on top would make the first list empty however quick the model is.
"""


def register(server: LanguageServer, session: Session) -> None:
    """Answer inline completions. They are advertised only where options are given."""

    async def inline_completion(
        params: types.InlineCompletionParams,
    ) -> types.InlineCompletionList:
        context = params.context
        invoked = context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
        place = place_of(
            session,
            Surface.GHOST_TEXT,
            params,
            invoked=invoked,
            selected=context.selected_completion_info,
        )
        found = await suggestions_at(session, place)
        document, ask = place.document, place.ask
        if document is None or ask is None:
            return types.InlineCompletionList([])
        encoding = session.protocol.encoding
        return types.InlineCompletionList(
            [item_of(suggestion, document, ask.offset, encoding) for suggestion in found]
        )

    options = types.InlineCompletionOptions()
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, options)(inline_completion)


def item_of(
    suggestion: Suggestion, document: TextDocument, cursor: int, encoding: str
) -> types.InlineCompletionItem:
    """Return a suggestion on the wire: plain text, a range on one line, and a command with its id.
    Editors keep the id only there, as the standard has no field for it.
    """
    replaced = document.text[suggestion.replace.start : cursor]
    # Editors hide an item that does not begin with what it replaces, unless told to compare this.
    filter_text = None if suggestion.text.startswith(replaced) else replaced
    return types.InlineCompletionItem(
        insert_text=suggestion.text,
        range=document.range_of(suggestion.replace, encoding),
        filter_text=filter_text,
        command=types.Command("Accept", commands.ACCEPT, arguments=[suggestion.id]),
    )


@dataclass(frozen=True, slots=True)
class SuggestionPoint:
    """A request for `ask` about `document`; None where the document is not open or not held."""

    surface: Surface
    uri: str
    document: TextDocument | None
    ask: CompletionRequest | None


def place_of(
    session: Session,
    surface: Surface,
    params: types.InlineCompletionParams | types.CompletionParams,
    *,
    invoked: bool = False,
    selected: types.SelectedCompletionInfo | None = None,
    late: Callable[[], bool] | None = None,
    again: bool = False,
) -> SuggestionPoint:
    """Fix the document, its version and the cursor, before anything is awaited. `late` will tell
    whether the client has been answered without waiting any longer; `again`: see
    `CompletionRequest`."""
    uri = params.text_document.uri
    document = session.documents.get(uri)
    if document is None:
        raise JsonRpcInvalidParams("The document is not open; send textDocument/didOpen first.")
    if not document.followed:
        return SuggestionPoint(surface, uri, None, None)
    encoding = session.protocol.encoding
    chosen = None
    if selected is not None:
        chosen = Selected(document.span_of(selected.range, encoding), selected.text)
    ask = CompletionRequest(
        id=str(session.protocol.msg_id),
        surface=surface,
        snapshot=document.snapshot(),
        offset=document.offset_at(params.position, encoding),
        invoked=invoked,
        selected=chosen,
        late=late,
        again=again,
        client_waits=session.client_name.startswith(WAITING_CLIENTS[surface]),
    )
    return SuggestionPoint(surface, uri, document, ask)


async def suggestions_at(session: Session, place: SuggestionPoint) -> tuple[Suggestion, ...]:
    """Return the suggestions at a place; none if the document has changed meanwhile."""
    return (await answer_at(session, place)).suggestions


async def answer_at(session: Session, place: SuggestionPoint) -> CompletionAnswer:
    """Return the same with the reason, where there are none."""
    service = session.running_service or await session.service()
    document, ask = place.document, place.ask
    if document is None or ask is None:
        held = session.documents.get(place.uri)
        lost = held is not None and held.lost
        reason = Reason.LOST if lost else Reason.TOO_BIG
        service.refused(
            Trace(
                id=str(session.protocol.msg_id),
                surface=place.surface,
                uri=place.uri,
                version=None,
                provider="",
                model="",
                situation="",
                total_ms=0.0,
                shown=False,
                reason=reason,
            )
        )
        (_say_lost if lost else _say_too_big)(session, place.uri)
        return CompletionAnswer(reason=reason)
    answer = await service.complete(ask)
    if answer.reason is Reason.TOO_BIG:
        _say_too_big(session, place.uri)
    # The service checks this as well and accounts for it; here it is the promise.
    if not session.documents.is_current(document, ask.snapshot):
        return CompletionAnswer(reason=Reason.STALE)
    return answer


def _say_too_big(session: Session, uri: str) -> None:
    document = session.documents.get(uri)
    root = document.root if document is not None else None
    most = session.settings.configs.of(root).files.max_bytes
    name = uri.rpartition("/")[2]
    session.notice(
        f"Nearfield suggests nothing in {name}: it is larger than files.max_bytes ({most} bytes).",
        types.MessageType.Info,
    )


def _say_lost(session: Session, uri: str) -> None:
    name = uri.rpartition("/")[2]
    session.notice(
        f"Nearfield suggests nothing in {name}: the editor sent a change that cannot be read. Close"
        " the file and open it again."
    )
