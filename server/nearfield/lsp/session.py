"""State of one session: the open documents, the settings and the service, joined.

The service is imported and made after `initialize` has been answered, because its imports cost more
than everything else at a start. Until then documents are only held; it gets them when it is there.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.files.uris import uri_of
from nearfield.listeners import Listeners
from nearfield.lsp import settings_watch
from nearfield.lsp.documents import TextDocuments
from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.lsp.questions import spoken
from nearfield.lsp.settings import Load, Settings
from nearfield.tasks import run_task, stop_task

if TYPE_CHECKING:
    from nearfield.features.chat.chat import ChatService
    from nearfield.features.running.listener import ServerListener
    from nearfield.features.service import Service
    from nearfield.types import Snapshot

log = logging.getLogger(__name__)

LEAVE_SECONDS = 1.5
"""An editor that quits waits about two seconds for the answer to `shutdown`."""

MakeService = Callable[[FolderConfigs], "Service"]
OffersActions = Callable[[types.CodeActionParams], Coroutine[Any, Any, Sequence[types.CodeAction]]]


class Session:
    """The session of one client. Handlers get the service by `await session.service()`."""

    def __init__(self, protocol: NearfieldProtocol, load: Load, make: MakeService | None) -> None:
        self.protocol = protocol
        self.documents = TextDocuments()
        self.settings = Settings(protocol, load)
        self.when_started = Listeners["Service"]()
        """Told the service once, before it is used."""
        self.code_actions: list[OffersActions] = []
        """Further code actions, asked for at every request, so they only look at what is known."""
        self.offered: dict[tuple[str, int | None], Snapshot] = {}
        """The documents, by URI and version, as they were when actions were offered last."""
        self.chats: ChatService | None = None
        """The conversations, made at the first of them."""
        self.client_name = ""
        """The editor's name, lower case."""
        self._make = make
        self.running_service: Service | None = None
        """The service if it has been made already; for what may be left out before."""
        self._made: Service | None = None
        self._starting: asyncio.Task[Service] | None = None
        self._noticed: set[str] = set()
        self._watching: asyncio.Task[None] | None = None
        self._listener: ServerListener | None = None
        self._closed: asyncio.Task[None] | None = None
        protocol.when_shut_down = self._leave

    async def service(self) -> Service:
        """The service, made at the first call."""
        if self._starting is None:
            self._starting = run_task(self._start(), "start the service")
        # A request may be cancelled; the start is everybody's.
        return await asyncio.shield(self._starting)

    async def built_service(self) -> Service:
        """The service, once its providers are built or a while has passed."""
        service = await self.service()
        await service.begun()
        return service

    async def begin(self, params: types.InitializeParams) -> None:
        """The client has introduced itself."""
        folders = [folder.uri for folder in params.workspace_folders or []]
        self.documents.set_roots(folders or [_root_of(params)])
        self.client_name = params.client_info.name.lower() if params.client_info else ""
        self.settings.begin(params.initialization_options)
        configs = await self.settings.read(self.documents.roots)
        if not _wants_popup(configs.user, self.protocol.client_capabilities):
            self.protocol.withheld.add(types.TEXT_DOCUMENT_COMPLETION)

    async def reload(self) -> None:
        """Read the settings again and let the service have them."""
        before = self.settings.configs
        configs = await self._load()
        service = await self.service()
        folder = str(self._root() or "")
        service.knowledge.folders(self.documents.roots)
        if configs != before or folder != service.workspace:
            service.workspace = folder
            await service.configure(configs)

    async def close(self) -> None:
        """Free everything after the client has disconnected. Cancelling the caller does not stop
        it.
        """
        await asyncio.wait({self._closing()})

    async def _leave(self) -> None:
        """Do the work of `shutdown` before it is answered: less time is left after the client has
        exited.
        """
        await asyncio.wait({self._closing()}, timeout=LEAVE_SECONDS)

    def _closing(self) -> asyncio.Task[None]:
        """The work of closing, begun once; its errors are in the log."""
        if self._closed is None:
            self._closed = run_task(self._close(), "close the session")
        return self._closed

    async def _close(self) -> None:
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
        await stop_task(self._watching)
        if self._listener is not None:
            await self._listener.aclose()
        if self.chats is not None:
            await self.chats.aclose()
        if self._made is not None:
            await self._made.aclose()

    def notice(self, text: str, kind: types.MessageType = types.MessageType.Warning) -> None:
        """Show `text` to the user, only the first time."""
        if text in self._noticed:
            return
        self._noticed.add(text)
        self.protocol.notify(types.WINDOW_SHOW_MESSAGE, types.ShowMessageParams(kind, spoken(text)))

    def _root(self) -> Path | None:
        return Path(self.documents.roots[0]) if self.documents.roots else None

    async def _load(self) -> FolderConfigs:
        configs = await self.settings.read(self.documents.roots)
        if problems := self.settings.new_problems():
            self.notice("Nearfield's settings:\n" + "\n".join(problems))
        return configs

    async def _start(self) -> Service:
        # What the client sent with `initialize` is known; what it wants to be asked for is not.
        await self.settings.pull(self.reload)
        configs = await self._load()
        make = self._make or await asyncio.to_thread(_service_class)
        # Kept at once: the end may come before it is ready to be used.
        service = self._made = make(configs)
        service.workspace = str(self._root() or "")
        service.knowledge.folders(self.documents.roots)
        self.when_started.tell(service)
        await service.start()
        self.running_service = service
        self._watching = run_task(
            settings_watch.watch(lambda: self.documents.roots, self.reload, self.protocol.active),
            "watch the settings",
        )
        self.documents.follow(service)
        self._listener = await asyncio.to_thread(_listener, service)
        self._listener.begin("editor", self.client_name, lambda: self.documents.roots)
        return service


def _root_of(params: types.InitializeParams) -> str:
    """The root's URI as older clients give it, "" for none."""
    if params.root_uri or not params.root_path:
        return params.root_uri or ""
    return uri_of(Path(params.root_path).absolute())


def _wants_popup(config: Config, capabilities: types.ClientCapabilities) -> bool:
    """Return whether suggestions also go into the client's completion list."""
    if config.completion.popup != "auto":
        return config.completion.popup == "always"
    document = capabilities.text_document
    return document is None or document.inline_completion is None


def _listener(service: Service) -> ServerListener:
    """Return what lets the user's other programs ask a service. It is imported here, after the
    answer to `initialize`."""
    from nearfield.features.running.listener import ServerListener

    return ServerListener(service)


def _service_class() -> Any:
    """The service's class; importing it takes a while, so this runs in a thread."""
    return importlib.import_module("nearfield.features.service").Service
