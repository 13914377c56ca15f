"""`textDocument/codeAction` and `codeAction/resolve`.

The list comes at once, without a model: titles, kinds, and why something is not available. The work
is done when the user has chosen: by resolving, where the client can resolve an edit, else by the
command `nearfield.action`, which sends the edit itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.abilities import applies_edits
from nearfield.lsp.action_commands import ACTION, REWRITE, ActionParams, edit_of, work
from nearfield.lsp.explain import told_diagnostic, wire_range
from nearfield.lsp.offers import has_opted_in
from nearfield.lsp.session import Session
from nearfield.tasks import run_task

if TYPE_CHECKING:
    from nearfield.features.code_actions.menu import MenuEntry

ASKS = "nearfieldInput"
"""Key under `experimental` of a client that asks the user for the instruction or the name that a
command lacks.
"""
OURS = "nearfield"
MAX_OFFERED = 16
"""Versions of documents that are remembered with the actions that were offered in them."""


class ActionData(msgspec.Struct, frozen=True):
    """Data of our action, for resolving it."""

    nearfield: ActionParams


def register(server: LanguageServer, session: Session) -> None:
    """Offer actions."""

    async def code_action(params: types.CodeActionParams) -> list[types.CodeAction]:
        sources = [_own(session, params), *(one(params) for one in session.code_actions)]
        # One that fails is in the log, and takes nothing from the others.
        asked = [run_task(source, "offer code actions") for source in sources]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = [one for answer in answers if isinstance(answer, list) for one in answer]
        return [one for one in found if _is_wanted(one.kind, params.context.only)]

    async def resolve(action: types.CodeAction) -> types.CodeAction:
        data: Any = action.data
        if action.edit is not None or not isinstance(data, dict) or OURS not in data:
            return action
        proposal = await work(session, wire.read(ActionData, data).nearfield)
        action.edit = edit_of(session, proposal)
        return action

    kinds = types.CodeActionKind
    options = types.CodeActionOptions(
        [kinds.QuickFix, kinds.RefactorRewrite, kinds.RefactorExtract, kinds.RefactorInline,
         kinds.Source],
        resolve_provider=True,
    )  # fmt: skip
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)(code_action)
    server.feature(types.CODE_ACTION_RESOLVE)(resolve)


async def _own(session: Session, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The actions of features/code_actions."""
    uri = params.text_document.uri
    document = session.documents.get(uri)
    service = session.running_service
    if document is None or not document.followed or service is None:
        return []
    snapshot = document.snapshot()
    session.offered.pop((uri, snapshot.version), None)
    session.offered[uri, snapshot.version] = snapshot
    while len(session.offered) > MAX_OFFERED:
        del session.offered[next(iter(session.offered))]
    span = document.span_of(params.range, session.protocol.encoding)
    given = params.context.diagnostics
    problems = [told_diagnostic(document, one, session.protocol.encoding) for one in given]
    can = _Client(session.protocol.client_capabilities)
    return [
        action
        for entry in await service.actions.menu(snapshot, span, problems)
        if (action := _action(entry, params, snapshot.version, can)) is not None
    ]


class _Client:
    """The client's abilities for code actions."""

    def __init__(self, capabilities: types.ClientCapabilities) -> None:
        document = capabilities.text_document
        own = document.code_action if document else None
        properties = own.resolve_support.properties if own and own.resolve_support else ()
        self.resolves = bool(own and own.data_support and "edit" in properties)
        self.disables = bool(own and own.disabled_support)
        self.applies = applies_edits(capabilities)
        self.asks = has_opted_in(capabilities, ASKS)


def _action(
    entry: MenuEntry, params: types.CodeActionParams, version: int | None, can: _Client
) -> types.CodeAction | None:
    """`entry` for the client; None for what it cannot show or do."""
    if entry.disabled:
        if not can.disables:
            return None
        reason = types.CodeActionDisabled(entry.disabled)
        return types.CodeAction(entry.title, entry.kind, disabled=reason)
    if entry.asks and not can.asks:
        return None
    diagnostics = [params.context.diagnostics[index] for index in entry.problems]
    action = types.CodeAction(entry.title, entry.kind, diagnostics=diagnostics or None)
    arguments: dict[str, Any] = {
        "action": entry.action,
        "uri": params.text_document.uri,
        "range": wire_range(params.range),
        "version": version,
        "provider": entry.provider,
        "diagnostics": [
            {"range": wire_range(one.range), "message": one.message, "source": one.source}
            for one in diagnostics
        ],
    }
    if entry.asks:
        name = REWRITE if entry.action == "rewrite" else ACTION
        action.command = types.Command(entry.title, name, arguments=[arguments])
    elif can.resolves:
        action.data = {OURS: arguments}
    elif can.applies:
        action.command = types.Command(entry.title, ACTION, arguments=[arguments])
    else:
        return None
    return action


def _is_wanted(kind: Any, only: Any) -> bool:
    """Return whether the client has asked for actions of `kind`."""
    if not only:
        return True
    name = str(getattr(kind, "value", kind) or "")
    wanted = [str(getattr(one, "value", one)) for one in only]
    return any(name == one or name.startswith(f"{one}.") for one in wanted)
