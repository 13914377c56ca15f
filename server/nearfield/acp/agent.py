"""An agent of the Agent Client Protocol: next edits (`nes/*`, unstable) and the documents for them.

Conversations are in `chats`, over the same service. What is not there is answered with "method not
found". No model, file or consent is reached but through the service.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acp.connection import Connection
from acp.exceptions import RequestError
from acp.schema import (
    AgentCapabilities,
    ClientCapabilities,
    CloseNesResponse,
    Implementation,
    InitializeResponse,
    NesCapabilities,
    NesDocumentDidChangeCapabilities,
    NesDocumentDidCloseCapabilities,
    NesDocumentDidFocusCapabilities,
    NesDocumentDidOpenCapabilities,
    NesDocumentEventCapabilities,
    NesEditSuggestionVariant,
    NesEventCapabilities,
    NesJumpSuggestionVariant,
    NesRenameSuggestionVariant,
    NesSearchAndReplaceSuggestionVariant,
    NesTextEdit,
    Position,
    PromptCapabilities,
    Range,
    SessionCapabilities,
    SessionCloseCapabilities,
    SessionDeleteCapabilities,
    SessionListCapabilities,
    SessionResumeCapabilities,
    StartNesResponse,
    SuggestNesResponse,
    TextDocumentContentChangeEvent,
    WorkspaceFolder,
)
from lsprotocol import types

from nearfield import __version__
from nearfield.acp.chats import Chats
from nearfield.config.folders import FolderConfigs
from nearfield.config.load import load_folders
from nearfield.features.next_edit.edits import NextEdit
from nearfield.features.next_edit.other_files import Jump
from nearfield.features.offered_edits import offer_next_edits
from nearfield.features.running.listener import ServerListener
from nearfield.features.service import Service
from nearfield.files.uris import uri_of
from nearfield.lsp import settings_watch
from nearfield.lsp.documents import (
    UTF8,
    UTF16,
    UTF32,
    LineTable,
    TextDocument,
    TextDocuments,
    position_at,
)
from nearfield.tasks import run_task, stop_task
from nearfield.types import Span

PROTOCOL_VERSION = 1
MODEL_SECONDS = 5.0
"""Longest wait for a model where no rule has an offer."""
ENCODINGS = (UTF16, UTF8, UTF32)
KEPT_REASONS = frozenset({"ignored", "replaced", "cancelled"})
"""Reasons of a rejection that do not say that the user does not want the edit."""
RENAME, REPLACE = "rename:", "replace:"
"""How the id of a suggestion begins that is another form of an edit."""

Suggestion = (
    NesEditSuggestionVariant
    | NesJumpSuggestionVariant
    | NesRenameSuggestionVariant
    | NesSearchAndReplaceSuggestionVariant
)


@dataclass(slots=True)
class NesSession:
    """The folders of a session of next edits, and the documents that it has opened, as URIs."""

    roots: list[str]
    opened: set[str] = field(default_factory=set[str])


class Agent:
    """An agent for one client, whose sessions share the documents. `make` makes the service.

    The client's messages set `active`, after which changed settings are looked for.
    """

    def __init__(self, make: Callable[[FolderConfigs], Service] = Service) -> None:
        self.active = threading.Event()
        self._make = make
        self._documents = TextDocuments()
        self._sessions: dict[str, NesSession] = {}
        self._numbers = itertools.count(1)
        self._service: Service | None = None
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._listener: ServerListener | None = None
        self._client = ""
        self._encoding = UTF16
        self._can = ClientCapabilities()
        self._is_enabled = False
        self._folders: list[str] = []
        self.chats: Chats | None = None
        """The conversations, once there is a client."""

    def connect(self, connection: Connection) -> Chats:
        """Return the conversations of the client at the other end of `connection`."""
        self.chats = Chats(connection, self._service_for)
        return self.chats

    async def initialize(
        self,
        protocol_version: int,
        client_capabilities: ClientCapabilities | None = None,
        client_info: Implementation | None = None,
        **_: Any,
    ) -> InitializeResponse:
        """Say what is offered; next edits only where the settings turn them on."""
        self._can = client_capabilities or ClientCapabilities()
        self._client = client_info.name if client_info else ""
        wanted = self._can.position_encodings or ()
        self._encoding = next((one for one in wanted if one in ENCODINGS), UTF16)
        user, _folders = await asyncio.to_thread(load_folders, (), None)
        self._is_enabled = user.config.completion.acp_next_edit
        capabilities = AgentCapabilities(
            load_session=True,
            prompt_capabilities=PromptCapabilities(embedded_context=True),
            session_capabilities=SessionCapabilities(
                list=SessionListCapabilities(),
                delete=SessionDeleteCapabilities(),
                resume=SessionResumeCapabilities(),
                close=SessionCloseCapabilities(),
            ),
        )
        if self.chats is not None:
            self.chats.files = self._can.fs
        if self._is_enabled:
            events = NesDocumentEventCapabilities(
                did_open=NesDocumentDidOpenCapabilities(),
                did_change=NesDocumentDidChangeCapabilities(sync_kind="incremental"),
                did_close=NesDocumentDidCloseCapabilities(),
                did_focus=NesDocumentDidFocusCapabilities(),
            )
            capabilities.nes = NesCapabilities(events=NesEventCapabilities(document=events))
            capabilities.position_encoding = self._encoding
        return InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_capabilities=capabilities,
            agent_info=Implementation(name="nearfield", version=__version__),
            auth_methods=[],
        )

    # --- sessions ---

    async def nes_start(
        self,
        workspace_uri: str | None = None,
        workspace_folders: Sequence[WorkspaceFolder] | None = None,
        **_: Any,
    ) -> StartNesResponse:
        """Begin to offer next edits in some folders."""
        if not self._is_enabled:
            raise RequestError.method_not_found("nes/start")
        session = f"nes-{next(self._numbers)}"
        folders = [folder.uri for folder in workspace_folders or ()]
        self._sessions[session] = NesSession(folders or ([workspace_uri] if workspace_uri else []))
        await self._follow()
        return StartNesResponse(session_id=session)

    async def nes_close(self, session_id: str, **_: Any) -> CloseNesResponse:
        """End a session: forget its folders, and the documents that no other one has open."""
        session = self._session(session_id)
        del self._sessions[session_id]
        for uri in session.opened:
            self._close(uri)
        await self._follow()
        return CloseNesResponse()

    async def aclose(self) -> None:
        """Free everything once the client has left."""
        if self.chats is not None:
            await self.chats.aclose()
        await stop_task(self._watching)
        if self._listener is not None:
            await self._listener.aclose()
        if self._service is not None:
            await self._service.aclose()

    async def _service_for(self, folder: str) -> Service:
        """Return the service, once it follows `folder`."""
        uri = uri_of(Path(folder))
        if uri not in self._folders:
            self._folders.append(uri)
            await self._follow()
        assert self._service is not None  # noqa: S101 - made by `_follow`
        return self._service

    async def _follow(self) -> None:
        """Work in the sessions' folders, by the settings as they are now."""
        async with self._starting:
            roots_of_edits = [uri for one in self._sessions.values() for uri in one.roots]
            self._documents.set_roots(list(dict.fromkeys([*roots_of_edits, *self._folders])))
            roots = self._documents.roots
            user, found = await asyncio.to_thread(load_folders, roots, None)
            configs = FolderConfigs(user.config, {root: one.config for root, one in found.items()})
            folder = roots[0] if roots else ""
            if self._service is None:
                await self._start(configs, folder)
                return
            service = self._service
            service.knowledge.folders(roots)
            if (service.configs, service.workspace) != (configs, folder):
                service.workspace = folder
                await service.configure(configs)

    async def _start(self, configs: FolderConfigs, folder: str) -> None:
        service = self._service = self._make(configs)
        service.workspace = folder
        service.knowledge.folders(self._documents.roots)
        await service.start()
        self._listener = ServerListener(service)
        self._listener.begin("agent", self._client, lambda: self._documents.roots)
        self._documents.follow(service)
        self._watching = run_task(
            settings_watch.watch(lambda: self._documents.roots, self._follow, self.active),
            "watch the settings",
        )

    def _session(self, session: str) -> NesSession:
        if session not in self._sessions:
            raise RequestError.invalid_params({"sessionId": "there is no such session"})
        return self._sessions[session]

    # --- documents ---

    async def document_did_open(
        self, session_id: str, uri: str, language_id: str, version: int, text: str, **_: Any
    ) -> None:
        """Hold a document."""
        self._session(session_id).opened.add(uri)
        self._documents.open(uri, language_id, version, text)

    async def document_did_change(
        self,
        session_id: str,
        uri: str,
        version: int,
        content_changes: Sequence[TextDocumentContentChangeEvent],
        **_: Any,
    ) -> None:
        """Follow an edit."""
        self._session(session_id)
        changes = list(map(_change, content_changes))
        self._documents.change(uri, version, changes, self._encoding)

    async def document_did_close(self, session_id: str, uri: str, **_: Any) -> None:
        """Forget a document, unless another session has it open."""
        self._session(session_id).opened.discard(uri)
        self._close(uri)

    def _close(self, uri: str) -> None:
        if not any(uri in session.opened for session in self._sessions.values()):
            self._documents.close(uri)

    async def document_did_save(self, **_: Any) -> None:
        """Nothing: a document counts as the client has it."""

    async def document_did_focus(self, **_: Any) -> None:
        """Nothing: the requests say which document is worked on."""

    # --- next edits ---

    async def nes_suggest(
        self, session_id: str, uri: str, version: int, position: Position, **_: Any
    ) -> SuggestNesResponse:
        """Return the next edit in the forms that the client knows, and the jump to another file;
        none for an outdated version."""
        self._session(session_id)
        document, service = self._documents.get(uri), self._service
        none = SuggestNesResponse(suggestions=[])
        if document is None or document.version != version:
            return none
        if service is None or service.is_paused or not service.config.completion.acp_next_edit:
            return none
        snapshot = document.snapshot()
        place = types.Position(position.line, position.character)
        offset = document.offset_at(place, self._encoding)
        edits, jump = await service.next_edits.offers(snapshot, offset, MODEL_SECONDS)
        if not self._documents.is_current(document, snapshot):
            return none
        offer_next_edits(service, snapshot, edits)
        found = self._forms(document, edits)
        nes = self._can.nes
        if jump is not None and not jump.advice and nes is not None and nes.jump is not None:
            found.append(self._jump(jump))
        return SuggestNesResponse(suggestions=found)

    async def nes_accept(self, session_id: str, id: str, **_: Any) -> None:
        """Note that the user has taken a suggestion."""
        self._session(session_id)
        if self._service is not None:
            self._service.accepted(_offer_id(id))

    async def nes_reject(
        self,
        session_id: str,
        id: str,
        reason: str | None = None,
        **_: Any,
    ) -> None:
        """Do not offer again what the user has rejected."""
        self._session(session_id)
        if self._service is not None and reason not in KEPT_REASONS:
            self._service.next_edits.dismiss(_offer_id(id))

    def _forms(self, document: TextDocument, edits: Sequence[NextEdit]) -> list[Suggestion]:
        """Return the nearest edit, and where it is one of a renaming its other forms."""
        if not edits:
            return []
        first, nes = edits[0], self._can.nes
        put = NesTextEdit(range=self._range(document, first.span), new_text=first.new)
        edit = NesEditSuggestionVariant(kind="edit", id=first.id, uri=document.uri, edits=[put])
        found: list[Suggestion] = [edit]
        alike = [
            one for one in edits if (one.by, one.old, one.new) == ("tree", first.old, first.new)
        ]
        assert self._service is not None  # noqa: S101 - it has made the offers
        if nes is None or not self._service.next_edits.renames(first.id):
            return found
        if nes.rename is not None:
            rename = NesRenameSuggestionVariant(
                kind="rename", id=RENAME + first.id, uri=document.uri,
                position=self._range(document, first.span).start, new_name=first.new,
            )  # fmt: skip
            found.append(rename)
        # Only where all of the name's places are meant, and no other word.
        pattern = rf"\b{re.escape(first.old)}\b"
        places = [one.start() for one in re.finditer(pattern, document.text)]
        if nes.search_and_replace is not None and places == sorted(one.span.start for one in alike):
            replace = NesSearchAndReplaceSuggestionVariant(
                kind="searchAndReplace", id=REPLACE + first.id, uri=document.uri,
                search=pattern, replace=first.new, is_regex=True,
            )  # fmt: skip
            found.append(replace)
        return found

    def _jump(self, jump: Jump) -> NesJumpSuggestionVariant:
        lines = LineTable(jump.text)
        start = jump.edits[0].span.start
        at = position_at(jump.text, lines, start, self._encoding)
        uri = jump.uri or self._documents.uri_of(jump.path)
        position = Position(line=at.line, character=at.character)
        return NesJumpSuggestionVariant(kind="jump", id=jump.id, uri=uri, position=position)

    def _range(self, document: TextDocument, span: Span) -> Range:
        where = document.range_of(span, self._encoding)
        return Range(
            start=Position(line=where.start.line, character=where.start.character),
            end=Position(line=where.end.line, character=where.end.character),
        )


def _change(event: TextDocumentContentChangeEvent) -> types.TextDocumentContentChangeEvent:
    if event.range is None:
        return types.TextDocumentContentChangeWholeDocument(event.text)
    start, end = event.range.start, event.range.end
    where = types.Range(
        types.Position(start.line, start.character), types.Position(end.line, end.character)
    )
    return types.TextDocumentContentChangePartial(where, event.text)


def _offer_id(suggestion: str) -> str:
    return suggestion.removeprefix(RENAME).removeprefix(REPLACE)
