"""What clients send a little beside LSP, and what of it nobody can understand."""

from __future__ import annotations

from typing import Any

import pytest
from lsprotocol import types
from lsprotocol.converters import get_converter

from nearfield.coerce import CoercionError
from nearfield.lsp.lenient import NO_VERSION, PARAMS

MOST = 2**31 - 1
AT = {"line": 1, "character": 2}
HERE = {"start": AT, "end": AT}
ITEM: dict[str, Any] = {"uri": "file:///a", "languageId": "c", "version": 1, "text": "x"}
DOCUMENT = {"uri": "file:///a"}
INLINE: dict[str, Any] = {"textDocument": DOCUMENT, "position": AT, "context": {"triggerKind": 2}}
ACTION: dict[str, Any] = {"textDocument": DOCUMENT, "range": HERE, "context": {"diagnostics": []}}
CHANGE: dict[str, Any] = {"textDocument": {**DOCUMENT, "version": 1}, "contentChanges": []}
NOTE: dict[str, Any] = {"range": HERE, "message": "m"}


def _open(**item: Any) -> tuple[type[Any], Any]:
    return types.DidOpenTextDocumentParams, {"textDocument": {**ITEM, **item}}


def _change(*changes: Any, version: Any = 1) -> tuple[type[Any], Any]:
    document = {**DOCUMENT, "version": version}
    return types.DidChangeTextDocumentParams, {**CHANGE, "textDocument": document,
                                               "contentChanges": list(changes)}  # fmt: skip


def _inline(**params: Any) -> tuple[type[Any], Any]:
    return types.InlineCompletionParams, {**INLINE, **params}


def _noted(**note: Any) -> tuple[type[Any], Any]:
    context = {"diagnostics": [{**NOTE, **note}]}
    return types.CodeActionParams, {**ACTION, "context": context}


def _at(found: Any, path: str) -> Any:
    for name in path.split("."):
        found = found[int(name)] if name.isdecimal() else getattr(found, name)
    return getattr(found, "value", found)


@pytest.mark.parametrize(
    ("sent", "path", "expected"),
    [
        (_open(version=None), "text_document.version", NO_VERSION),
        (_open(version="x"), "text_document.version", NO_VERSION),
        (_open(version=2**40), "text_document.version", NO_VERSION),
        (_open(version=3.0), "text_document.version", 3),
        (_open(version=-3), "text_document.version", -3),
        (_open(languageId=None), "text_document.language_id", ""),
        (_open(languageId=5), "text_document.language_id", ""),
        (_open(languageId="elvish"), "text_document.language_id", "elvish"),
        (_open(text="\ud83d"), "text_document.text", "\ufffd"),
        (_change(version=None), "text_document.version", NO_VERSION),
        (_change({"range": None, "text": "y"}), "content_changes.0.text", "y"),
        (_change({"range": [AT, AT], "text": "y"}), "content_changes.0.range.end.line", 1),
        (_change({"range": [[1, 2], [3, 4]], "text": ""}), "content_changes.0.range.end.line", 3),
        (_inline(position={"line": -1, "character": 2**32 - 1}), "position.line", 0),
        (_inline(position={"line": -1, "character": 2**32 - 1}), "position.character", MOST),
        (_inline(position={"line": 1.0, "character": 1e999}), "position.character", MOST),
        (_inline(position={"line": "7", "character": 0}), "position.line", 7),
        (_inline(position=[4, 5]), "position.character", 5),
        (_inline(context=None), "context.trigger_kind", 1),
        (_inline(context={}), "context.trigger_kind", 1),
        (_inline(context={"triggerKind": 0}), "context.trigger_kind", 1),
        (_inline(context={"triggerKind": 99}), "context.trigger_kind", 1),
        (_inline(context={"triggerKind": "2"}), "context.trigger_kind", 2),
        (_inline(context={"triggerKind": 2, "selectedCompletionInfo": 5}),
         "context.selected_completion_info", None),
        (_inline(context={"triggerKind": 2,
                          "selectedCompletionInfo": {"range": [AT, AT], "text": "t"}}),
         "context.selected_completion_info.range.start.character", 2),
        (_noted(severity=0), "context.diagnostics.0.severity", None),
        (_noted(severity=None, tags=None, code=None), "context.diagnostics.0.tags", None),
        (_noted(tags=[7]), "context.diagnostics.0.tags", None),
        (_noted(code="E1"), "context.diagnostics.0.code", "E1"),
        (_noted(code=1), "context.diagnostics.0.code", 1),
        (_noted(code=1.0), "context.diagnostics.0.code", 1),
        (_noted(message=None), "context.diagnostics.0.message", ""),
        ((types.CodeActionParams, {**ACTION, "context": None}), "context.only", None),
        ((types.CodeActionParams, {**ACTION, "context": {"only": "quickfix"}}),
         "context.only", None),
        ((types.CompletionParams, {**INLINE, "context": {"triggerKind": 0}}),
         "context.trigger_kind", 1),
        ((types.DidChangeConfigurationParams, {}), "settings", None),
        ((types.SetTraceParams, {"value": "Verbose"}), "value", "verbose"),
        ((types.InitializeParams, {"capabilities": None, "processId": 1.0}), "process_id", 1),
        ((types.InitializeParams, {"processId": 10**30}), "process_id", None),
        ((types.InitializeParams, {"workspaceFolders": [{"uri": "file:///a"}]}),
         "workspace_folders.0.name", ""),
    ],
)  # fmt: skip
def test_odd_but_clear_params_are_read(
    sent: tuple[type[Any], Any], path: str, expected: object
) -> None:
    kind, params = sent
    found = get_converter().structure(PARAMS.coerce(kind, params), kind)
    assert _at(found, path) == expected


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        (_open(text=None), "$.textDocument.text"),
        (_open(text=["x"]), "$.textDocument.text"),
        (_open(uri=5), "$.textDocument.uri"),
        (_change({"text": 5}), "$.contentChanges[0].text"),
        # What cannot be read as a part is not the whole.
        (_change({"range": {"start": AT}, "text": "y"}), "$.contentChanges[0].range.end"),
        (_change({"range": "1-2", "text": "y"}), "$.contentChanges[0].range"),
        (_change("y"), "$.contentChanges[0]"),
        (_inline(position=None), "$.position"),
        (_inline(position={"line": 1}), "$.position.character"),
        (_inline(position={"line": True, "character": 0}), "$.position.line"),
        (_inline(textDocument=[]), "$.textDocument"),
    ],
)
def test_meaningless_params_are_refused(sent: tuple[type[Any], Any], place: str) -> None:
    kind, params = sent
    with pytest.raises(CoercionError) as caught:
        PARAMS.coerce(kind, params)
    assert caught.value.place == place


def test_every_class_of_a_params_type_can_be_read() -> None:
    kinds = [kinds[2] for kinds in types.METHOD_TO_TYPES.values() if kinds[2] is not None]
    assert len(kinds) > 50
    for kind in kinds:
        for value in (None, 5, [], {}, {"textDocument": None, "position": 5, "x": [{}]}):
            try:
                PARAMS.coerce(kind, value)
            except CoercionError as error:
                assert error.place.startswith("$")
