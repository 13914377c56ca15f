"""The list of code actions, when one of those who contribute to it fails."""

from __future__ import annotations

import logging

import pytest
from lsprotocol import types

from nearfield.lsp.server import build


async def broken(params: types.CodeActionParams) -> list[types.CodeAction]:
    raise KeyError("a line of somebody's code")


async def good(params: types.CodeActionParams) -> list[types.CodeAction]:
    kinds = types.CodeActionKind
    return [types.CodeAction("One", kinds.QuickFix), types.CodeAction("Two", kinds.Source)]


async def test_a_failing_contributor_leaves_the_others_actions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = build()
    server.session.code_actions = [broken, good]
    place = types.Position(0, 0)
    params = types.CodeActionParams(
        types.TextDocumentIdentifier("file:///w/a.py"),
        types.Range(place, place),
        types.CodeActionContext([]),
    )
    with caplog.at_level(logging.ERROR):
        offered = await server.protocol.fm.features[types.TEXT_DOCUMENT_CODE_ACTION](params)
    assert [one.title for one in offered] == ["One", "Two"]
    assert "KeyError" in caplog.text
    assert "somebody" not in caplog.text
