"""`textDocument/inlineCompletion`: ghost text."""

from __future__ import annotations

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield.lsp import commands
from nearfield.lsp.documents import TextDocument
from nearfield.lsp.session import Session
from nearfield.lsp.suggest import place_of, suggestions_at
from nearfield.types import Suggestion, Surface


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
