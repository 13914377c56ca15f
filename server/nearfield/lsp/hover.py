"""`textDocument/hover`: the facts at once, the explanation when it is ready."""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp.session import Session


def register(server: LanguageServer, session: Session) -> None:
    """Answer hovers."""

    async def hover(params: types.HoverParams) -> types.Hover | None:
        uri = params.text_document.uri
        document = session.documents.get(uri)
        if document is None:
            raise JsonRpcInvalidParams("The document is not open; send textDocument/didOpen first.")
        if not document.followed:
            return None
        snapshot, encoding = document.snapshot(), session.protocol.encoding
        offset = document.offset_at(params.position, encoding)
        # The service's start delays no hover: other servers may have one too.
        service = session.running_service
        if service is None:
            return None
        found = await service.explainer.hover(snapshot, offset)
        service.explainer.rest(snapshot, offset)
        # What was said is about a text that is no longer there.
        if found is None or not session.documents.is_current(document, snapshot):
            return None
        return types.Hover(
            _content(session, found.markdown), document.range_of(found.span, encoding)
        )

    server.feature(types.TEXT_DOCUMENT_HOVER)(hover)


def _content(session: Session, markdown: str) -> types.MarkupContent:
    """Return it as Markdown, or unchanged for a client that shows plain text alone."""
    text_document = session.protocol.client_capabilities.text_document
    client = text_document.hover if text_document is not None else None
    formats = (client.content_format if client is not None else None) or ()
    plain = formats and types.MarkupKind.Markdown not in formats
    return types.MarkupContent(
        types.MarkupKind.PlainText if plain else types.MarkupKind.Markdown, markdown
    )
