"""`notebookDocument/didOpen`, `didChange`, `didSave`, `didClose`: each cell is a document like any
other, which knows the cells above it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield.lsp.notebooks import Notebook
from nearfield.lsp.session import Session
from nearfield.lsp.text_sync import version_of

log = logging.getLogger(__name__)

FOLLOWED = types.NotebookDocumentSyncOptions(
    [
        types.NotebookDocumentFilterWithNotebook("jupyter-notebook"),
        types.NotebookDocumentFilterWithNotebook("interactive"),
    ]
)
"""All cells of Jupyter's notebooks, the prose too, and of its interactive window."""


def register(server: LanguageServer, session: Session) -> None:
    """Keep the session's notebooks as the client has them."""
    sync = NotebookSync(session)
    session.protocol.notebook_sync = FOLLOWED
    for method in (types.NOTEBOOK_DOCUMENT_DID_OPEN, types.NOTEBOOK_DOCUMENT_DID_CHANGE):
        session.protocol.when_unreadable[method] = sync.lost
    for method, handler in (
        (types.NOTEBOOK_DOCUMENT_DID_OPEN, sync.did_open),
        (types.NOTEBOOK_DOCUMENT_DID_CHANGE, sync.did_change),
        (types.NOTEBOOK_DOCUMENT_DID_SAVE, sync.did_save),
        (types.NOTEBOOK_DOCUMENT_DID_CLOSE, sync.did_close),
    ):
        # pygls sets attributes on the handler, which a method does not allow.
        server.feature(method)(partial(handler))


class NotebookSync:
    """The four notifications: short, in order, on the event loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._documents = session.documents

    def did_open(self, params: types.DidOpenNotebookDocumentParams) -> None:
        """A notebook is there, or is replaced as a whole."""
        told = params.notebook_document
        if (before := self._documents.notebooks.get(told.uri)) is not None:
            self._forget(before)
        self._documents.notebooks.open(told.uri, [cell.document for cell in told.cells])
        self._open(params.cell_text_documents)

    def did_change(self, params: types.DidChangeNotebookDocumentParams) -> None:
        """Cells came, went, were moved or were written in."""
        notebook = self._documents.notebooks.get(params.notebook_document.uri)
        cells = params.change.cells
        if notebook is None:
            log.warning("a change of a notebook that is not open")
            return
        if cells is None:
            return
        if (structure := cells.structure) is not None:
            array = structure.array
            came = [cell.document for cell in array.cells or ()]
            self._documents.notebooks.splice(notebook, array.start, array.delete_count, came)
            self._close([one.uri for one in structure.did_close or ()])
            self._open(structure.did_open or ())
        for one in cells.text_content or ():
            document = self._documents.get(one.document.uri)
            if document is None:
                log.warning("a change of a cell that is not open")
                continue
            followed = document.followed
            edits = document.change(
                version_of(one.document.version), one.changes, self._session.protocol.encoding
            )
            self._session.changed(document, edits, followed)

    def did_save(self, params: types.DidSaveNotebookDocumentParams) -> None:
        """Nothing to do: the index watches the files itself."""

    def did_close(self, params: types.DidCloseNotebookDocumentParams) -> None:
        """Forget the notebook and its cells."""
        notebook = self._documents.notebooks.get(params.notebook_document.uri)
        if notebook is not None:
            self._forget(notebook)
        self._close([one.uri for one in params.cell_text_documents])

    def lost(self, params: Any) -> None:
        """A change cannot be read, so what the editor shows is not known any longer: the cells are
        left alone until the notebook is opened again, or their whole text comes."""
        told = params.get("notebookDocument") if isinstance(params, dict) else None
        uri = told.get("uri") if isinstance(told, dict) else None
        notebook = self._documents.notebooks.get(uri) if isinstance(uri, str) else None
        for cell in notebook.cells if notebook is not None else ():
            if (document := self._documents.get(cell)) is not None:
                document.lose()
                self._session.closed(document.uri)

    def _open(self, items: Sequence[types.TextDocumentItem]) -> None:
        for item in items:
            version = version_of(item.version)
            document = self._documents.open(item.uri, item.language_id, version, item.text)
            self._session.opened(document)

    def _close(self, cells: Sequence[str]) -> None:
        for cell in cells:
            if (document := self._documents.close(cell)) is not None:
                self._session.closed(document.uri)

    def _forget(self, notebook: Notebook) -> None:
        cells = list(notebook.cells)
        self._documents.notebooks.close(notebook.uri)
        self._close(cells)
