"""`textDocument/didOpen`, `didChange`, `didClose`: short, in order, on the event loop."""

from __future__ import annotations

import logging
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield.lsp.lenient import NO_VERSION
from nearfield.lsp.session import Session

log = logging.getLogger(__name__)


def register(server: LanguageServer, session: Session) -> None:
    """Keep the session's documents as the client has them."""
    documents = session.documents

    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        documents.open(item.uri, item.language_id, version_of(item.version), item.text)

    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        document, encoding = params.text_document, session.protocol.encoding
        version = version_of(document.version)
        if not documents.change(document.uri, version, params.content_changes, encoding):
            log.warning("a change of a document that is not open")

    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        documents.close(params.text_document.uri)

    def lost(params: Any) -> None:
        documents.lose(_uri(params))

    for method in (types.TEXT_DOCUMENT_DID_OPEN, types.TEXT_DOCUMENT_DID_CHANGE):
        session.protocol.when_unreadable[method] = lost
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)


def version_of(said: int) -> int | None:
    """The version of a document, None where the client has told none."""
    return None if said == NO_VERSION else said


def _uri(params: Any) -> str:
    """The document that raw params are about, "" where they do not say."""
    document = params.get("textDocument") if isinstance(params, dict) else None
    uri = document.get("uri") if isinstance(document, dict) else None
    return uri if isinstance(uri, str) else ""
