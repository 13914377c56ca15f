"""`textDocument/didOpen`, `didChange`, `didClose`: short, in order, on the event loop."""

from __future__ import annotations

import logging

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield.lsp.session import Session

log = logging.getLogger(__name__)


def register(server: LanguageServer, session: Session) -> None:
    """Keep the session's documents as the client has them."""
    documents = session.documents

    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        session.opened(documents.open(item.uri, item.language_id, item.version, item.text))

    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        document = documents.get(params.text_document.uri)
        if document is None:
            log.warning("a change of a document that is not open")
            return
        followed = document.followed
        edits = document.change(
            params.text_document.version, params.content_changes, session.protocol.encoding
        )
        service = session.running_service
        if service is None:
            return
        if followed and document.followed:
            service.changed(document.snapshot(), edits)
        elif document.followed:
            session.opened(document)
        elif followed:
            session.closed(document.uri)

    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        document = documents.close(params.text_document.uri)
        if document is not None:
            session.closed(document.uri)

    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)
