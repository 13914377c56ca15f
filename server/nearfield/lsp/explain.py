"""`nearfield.explain` `[{uri, position | range, show?, provider?}]` → `{markdown, provider, model,
wrong}`.

With `show` the answer is opened as a Markdown document, for clients that do nothing with a
command's result; those that do (an extension with a panel of its own) leave it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from lsprotocol import types
from lsprotocol.validators import UINTEGER_MAX_VALUE
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.files.uris import uri_of
from nearfield.lsp import wire
from nearfield.lsp.documents import TextDocument
from nearfield.lsp.offers import asker, has_opted_in
from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.lsp.questions import spoken
from nearfield.lsp.session import Session
from nearfield.lsp.work import shown_work
from nearfield.types import Span

if TYPE_CHECKING:
    from nearfield.features.diagnostics import Diagnostic
    from nearfield.features.remote_choice import RemoteChoice

EXPLAIN = "nearfield.explain"
PANEL = "nearfieldPanel"
"""Key under `experimental` of a client that shows the command's result itself."""
SHOWN_FILE = "explanation.md"


Unsigned = Annotated[int, msgspec.Meta(ge=0, le=UINTEGER_MAX_VALUE)]
"""Clients write the largest number that they have for "to the end"."""


class WirePosition(msgspec.Struct, frozen=True):
    """A position as LSP has it."""

    line: Unsigned
    character: Unsigned


class WireRange(msgspec.Struct, frozen=True):
    """A range as LSP has it."""

    start: WirePosition
    end: WirePosition


class ExplainParams(msgspec.Struct, frozen=True):
    """The selection or the place to explain. `provider` names one outside this machine that should
    do it.
    """

    uri: str
    position: WirePosition | None = None
    range: WireRange | None = None
    show: bool = False
    provider: str = ""


def register(server: LanguageServer, session: Session) -> None:
    """Offer the command."""

    async def explain(what: Any) -> dict[str, Any]:
        params = wire.read(ExplainParams, what)
        document = document_of(session, params.uri)
        span = span_of(document, params.range, params.position, session.protocol.encoding)
        snapshot = document.snapshot()
        service = await session.built_service()
        async with shown_work(session.protocol, "Nearfield: explaining"):
            explained = await service.explainer.explain(
                snapshot, span, elsewhere=elsewhere_of(session, params.provider)
            )
        if params.show:
            await _show(session, explained.markdown)
        told = explained.explanation
        return {
            "markdown": explained.markdown,
            "provider": told.provider,
            "model": told.model,
            "wrong": told.wrong,
        }

    async def offered(params: types.CodeActionParams) -> list[types.CodeAction]:
        service, document = session.running_service, session.documents.get(params.text_document.uri)
        if service is None or document is None or not document.followed:
            return []
        encoding = session.protocol.encoding
        span = document.span_of(params.range, encoding)
        problems = [told_diagnostic(document, one, encoding) for one in params.context.diagnostics]
        service.explainer.problems.tell(document.uri, span, problems)
        service.explainer.rest(document.snapshot(), span.start)
        arguments = {
            "uri": document.uri,
            "range": wire_range(params.range),
            "show": not has_opted_in(session.protocol.client_capabilities, PANEL),
        }
        command = types.Command("Explain this", EXPLAIN, arguments=[arguments])
        others = await service.consents.clouds("explain", document.root)
        model, kind = service.explainer.model, "source.explain"
        return [
            *offer(session, f"Explain this ({model})", kind, model, command),
            *offer_elsewhere(others, "Explain this", kind, EXPLAIN, arguments),
        ]

    session.code_actions.append(offered)
    server.command(EXPLAIN)(explain)


def offer(
    session: Session,
    title: str,
    kind: str,
    model: str,
    command: types.Command,
    unsuited: str = "",
) -> list[types.CodeAction]:
    """An action that runs `command`; without a model, or with one that is `unsuited`, it says why
    it cannot, to clients that show that."""
    if model and not unsuited:
        return [types.CodeAction(title, kind=kind, command=command)]
    document = session.protocol.client_capabilities.text_document
    client = document.code_action if document is not None else None
    if client is None or not client.disabled_support:
        return []
    why = unsuited or (
        "Nearfield is paused, or no model is set up for this; `nearfield doctor` says what to do"
    )
    return [types.CodeAction(command.title, kind=kind, disabled=types.CodeActionDisabled(why))]


def offer_elsewhere(
    others: Sequence[tuple[str, str]], title: str, kind: str, name: str, arguments: dict[str, Any]
) -> list[types.CodeAction]:
    """The command `name` with `arguments`, done by the first of `others`, providers outside this
    machine."""
    return [
        types.CodeAction(
            f"Ask {provider} ({model}), outside this machine: {title}",
            kind=kind,
            command=types.Command(title, name, arguments=[{**arguments, "provider": provider}]),
        )
        for provider, model in others[:1]
    ]


def elsewhere_of(session: Session, provider: str) -> RemoteChoice | None:
    """The provider outside this machine that a command names, "" for none."""
    from nearfield.features.remote_choice import RemoteChoice

    return RemoteChoice(provider, asker(session)) if provider else None


def told_diagnostic(document: TextDocument, one: types.Diagnostic, encoding: str) -> Diagnostic:
    """Return a diagnostic of any server as the features know it."""
    from nearfield.features.diagnostics import Diagnostic

    severities = {1: "error", 2: "warning", 3: "information", 4: "hint"}
    message: Any = one.message  # may be marked up
    return Diagnostic(
        document.span_of(one.range, encoding),
        message if isinstance(message, str) else str(message.value),
        one.source or "",
        "" if one.code is None else str(one.code),
        severities.get(int(one.severity or 1), "error"),
    )


def wire_range(where: types.Range) -> dict[str, dict[str, int]]:
    """A range as an argument of a command."""
    return {
        "start": {"line": where.start.line, "character": where.start.character},
        "end": {"line": where.end.line, "character": where.end.character},
    }


def document_of(session: Session, uri: str) -> TextDocument:
    """The open document, or `JsonRpcInvalidParams`."""
    document = session.documents.get(uri)
    if document is None or not document.followed:
        raise JsonRpcInvalidParams("The document is not open; send textDocument/didOpen first.")
    return document


def span_of(
    document: TextDocument, where: WireRange | None, place: WirePosition | None, encoding: str
) -> Span:
    """The offsets that a command's arguments mean, or `JsonRpcInvalidParams`."""
    if where is not None:
        return document.span_of(
            types.Range(
                types.Position(where.start.line, where.start.character),
                types.Position(where.end.line, where.end.character),
            ),
            encoding,
        )
    if place is None:
        raise JsonRpcInvalidParams("The command takes a position or a range.")
    offset = document.offset_at(types.Position(place.line, place.character), encoding)
    return Span(offset, offset)


def can_show(protocol: NearfieldProtocol) -> bool:
    """Return whether the client can open a document that the server names."""
    window = protocol.client_capabilities.window
    return bool(window and window.show_document and window.show_document.support)


async def _show(session: Session, markdown: str) -> None:
    """Open `markdown` in the editor; as a message where it cannot."""
    if can_show(session.protocol):
        try:
            path = await asyncio.to_thread(_written, markdown)
            await session.protocol.send_request_async(
                types.WINDOW_SHOW_DOCUMENT, types.ShowDocumentParams(uri_of(path), take_focus=True)
            )
        except (JsonRpcException, OSError):
            pass
        else:
            return
    session.protocol.notify(
        types.WINDOW_SHOW_MESSAGE, types.ShowMessageParams(types.MessageType.Info, spoken(markdown))
    )


def _written(markdown: str) -> Path:
    """The one file of the user's cache that holds the last explanation."""
    from nearfield.catalog.disk import cache_dir
    from nearfield.files.private import private_folder, write_private

    path = cache_dir() / SHOWN_FILE
    private_folder(path.parent)
    write_private(path, markdown.encode("utf-8", errors="replace"))
    return path
