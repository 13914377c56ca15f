"""Notifications of editors built for Copilot's server: a suggestion was shown or partly accepted,
or a document has the focus. Standard clients send none of these.
"""

from __future__ import annotations

from typing import Any

import msgspec
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.session import Session

DID_SHOW = "textDocument/didShowCompletion"
DID_PARTIALLY_ACCEPT = "textDocument/didPartiallyAcceptCompletion"
DID_FOCUS = "textDocument/didFocus"


class _Command(msgspec.Struct, frozen=True):
    arguments: list[Any] = msgspec.field(default_factory=list[Any])


class _ShownItem(msgspec.Struct, frozen=True):
    command: _Command | None = None


class ItemParams(msgspec.Struct, frozen=True):
    """The item as we sent it; its id is its command's first argument."""

    item: _ShownItem

    def suggestion(self) -> str:
        """The suggestion's id, "" when the client lost it."""
        arguments = self.item.command.arguments if self.item.command else []
        return str(arguments[0]) if arguments else ""


def register(server: LanguageServer, session: Session) -> None:
    """Take in what became of a suggestion."""

    def shown(params: Any) -> None:
        suggestion = wire.read(ItemParams, params).suggestion()
        if (service := session.running_service) is not None:
            service.shown(suggestion)

    def partly_accepted(params: Any) -> None:
        suggestion = wire.read(ItemParams, params).suggestion()
        if (service := session.running_service) is not None:
            service.partly_accepted(suggestion)

    def focused(_: Any) -> None:
        """Accepted, so that it is known; which document is worked on shows in the requests."""

    server.feature(DID_SHOW)(shown)
    server.feature(DID_PARTIALLY_ACCEPT)(partly_accepted)
    server.feature(DID_FOCUS)(focused)
