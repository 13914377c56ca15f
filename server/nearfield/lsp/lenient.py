"""Read params of LSP's own methods, as clients mean them; see `nearfield.coerce`.

A field that LSP demands and a client leaves out has a default if a sensible one exists. An
unreadable optional field counts as absent, unless it reports a change of a document.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from functools import cache
from typing import Any

import attrs
from lsprotocol import types, validators

from nearfield.coerce import MISSING, Coercion, Field

NO_VERSION = validators.INTEGER_MIN_VALUE
"""Version of a document whose client sends none; lsprotocol has no null there."""

_INVOKED = {"triggerKind": types.InlineCompletionTriggerKind.Invoked.value}

_DEFAULTS: dict[tuple[type[Any], str], Any] = {
    (types.TextDocumentItem, "languageId"): "",
    (types.TextDocumentItem, "version"): NO_VERSION,
    (types.VersionedTextDocumentIdentifier, "version"): NO_VERSION,
    (types.NotebookDocument, "notebookType"): "",
    (types.NotebookDocument, "version"): NO_VERSION,
    (types.NotebookDocument, "cells"): [],
    (types.VersionedNotebookDocumentIdentifier, "version"): NO_VERSION,
    (types.NotebookCell, "kind"): types.NotebookCellKind.Code.value,
    (types.DidOpenNotebookDocumentParams, "cellTextDocuments"): [],
    (types.DidCloseNotebookDocumentParams, "cellTextDocuments"): [],
    (types.InlineCompletionParams, "context"): _INVOKED,
    # VS Code's own number for it is 0.
    (types.InlineCompletionContext, "triggerKind"): _INVOKED["triggerKind"],
    (types.CompletionContext, "triggerKind"): types.CompletionTriggerKind.Invoked.value,
    (types.CodeActionParams, "context"): {"diagnostics": []},
    (types.CodeActionContext, "diagnostics"): [],
    (types.Diagnostic, "message"): "",
    (types.CodeAction, "title"): "",
    (types.DidChangeConfigurationParams, "settings"): None,
    (types.DidChangeWatchedFilesParams, "changes"): [],
    (types.WorkspaceFoldersChangeEvent, "added"): [],
    (types.WorkspaceFoldersChangeEvent, "removed"): [],
    (types.WorkspaceFolder, "name"): "",
    (types.ClientInfo, "name"): "",
    (types.InitializeParams, "capabilities"): {},
    (types.SetTraceParams, "value"): types.TraceValue.Off.value,
}

_DECISIVE = frozenset(
    {
        (types.NotebookDocumentChangeEvent, "cells"),
        (types.NotebookDocumentCellChanges, "structure"),
        (types.NotebookDocumentCellChanges, "textContent"),
        (types.NotebookDocumentCellChangeStructure, "didOpen"),
        (types.NotebookDocumentCellChangeStructure, "didClose"),
        (types.NotebookCellArrayChange, "cells"),
    }
)
"""Optional fields without which a notebook would be another one than the editor has."""


@cache
def _fields(kind: Any) -> Sequence[Field] | None:
    """The fields of one of lsprotocol's classes."""
    if not (isinstance(kind, type) and attrs.has(kind)):
        return None
    hints = typing.get_type_hints(kind)
    return [
        Field(
            name := _camel(one.name),
            hints[one.name],
            one.default is attrs.NOTHING or (kind, name) in _DECISIVE,
            _DEFAULTS.get((kind, name), MISSING),
            _bounds(one),
            # For places, clients write the largest number that they have; a version is right or
            # wrong, and so is a process.
            exact=not _is_unsigned(one),
        )
        for one in attrs.fields(kind)
    ]


def _camel(name: str) -> str:
    """A field's name on the wire."""
    first, *rest = name.removesuffix("_").split("_")
    return first + "".join(part.title() for part in rest)


def _bounds(field: attrs.Attribute[Any]) -> tuple[int, int]:
    """The least and the most of an integer."""
    if _is_unsigned(field):
        return validators.UINTEGER_MIN_VALUE, validators.UINTEGER_MAX_VALUE
    return validators.INTEGER_MIN_VALUE, validators.INTEGER_MAX_VALUE


def _is_unsigned(field: attrs.Attribute[Any]) -> bool:
    check: Any = getattr(field.validator, "validator", field.validator)
    return check is validators.uinteger_validator


PARAMS = Coercion(_fields, forgiving=True)
