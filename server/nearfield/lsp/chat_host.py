"""The editor as a conversation sees it: it asks its user, shows edits, and holds documents.

A client with `nearfieldChat` under `experimental` is asked about calls with `nearfield/allowCall`,
any other with `window/showMessageRequest`. A question whose answer is not wanted any longer is
taken back with `$/cancelRequest`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from nearfield.features.chat.protocol import Allow, ProposedFile, Question, ToolRefused
from nearfield.files.lines import line_number
from nearfield.lsp.abilities import applies_edits
from nearfield.lsp.action_commands import edit_of
from nearfield.lsp.offers import CHOICES, has_opted_in
from nearfield.lsp.questions import ask_client, spoken
from nearfield.lsp.session import Session

if TYPE_CHECKING:
    from nearfield.features.diagnostics import Diagnostic
    from nearfield.lsp.documents import TextDocument
    from nearfield.routing.consent import Consent
    from nearfield.routing.request_context import Offer

ALLOW_CALL = "nearfield/allowCall"
OPT_IN = "nearfieldChat"
ANSWERS = {"Once": Allow.ONCE, "This session": Allow.SESSION, "No": Allow.NO}


class EditorHost:
    """Implements `features.chat.protocol.Host` for one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def allow(self, question: Question) -> Allow:
        """Ask the user; a client that cannot ask has said no."""
        capabilities = self._session.protocol.client_capabilities
        if has_opted_in(capabilities, OPT_IN):
            answer = await self._request(
                ALLOW_CALL,
                {
                    "session": question.session,
                    "id": question.id,
                    "name": question.name,
                    "arguments": dict(question.arguments),
                    "title": question.title,
                    "eachTime": question.each_time,
                },
            )
            told = answer.get("allow") if isinstance(answer, dict) else None
            return Allow(told) if told in set(Allow) else Allow.NO
        titles = [t for t, a in ANSWERS.items() if not (question.each_time and a is Allow.SESSION)]
        return ANSWERS.get(
            await self._chosen(f"Allow the model to {question.title}?", titles), Allow.NO
        )

    async def apply(self, change: ProposedFile) -> bool:
        """Send the change as an edit that needs confirmation; where the client cannot have edits
        confirmed, ask first."""
        capabilities = self._session.protocol.client_capabilities
        if not applies_edits(capabilities):
            raise ToolRefused(
                "This editor takes no edits from a server.", "Show the change instead."
            )
        if change.encoding and self._document(change.path) is None:
            raise ToolRefused(
                f"{change.shown} is in {change.encoding}, which the editor could take for UTF-8.",
                "Open it in the editor, with its encoding, and ask again.",
            )
        able = capabilities.workspace.workspace_edit if capabilities.workspace else None
        confirms = able is not None and able.document_changes and able.change_annotation_support
        if not confirms:
            size = f"{change.after.count(chr(10)) + 1} lines"
            chosen = await self._chosen(f"{change.title} ({size})?", ["Apply", "No"])
            if chosen != "Apply":
                return False
        edit = await asyncio.to_thread(self._edit, change, self._document(change.path))
        answer = await self._request(
            types.WORKSPACE_APPLY_EDIT, types.ApplyWorkspaceEditParams(edit, change.title)
        )
        return bool(getattr(answer, "applied", False))

    async def open_text(self, path: str) -> str | None:
        """Return the editor's text of a file."""
        document = self._document(path)
        return document.text if document is not None else None

    def diagnostics(self, path: str) -> Sequence[tuple[int, Diagnostic]]:
        """Return other servers' diagnostics of it, as the client has reported them."""
        document, service = self._document(path), self._session.running_service
        if document is None or service is None:
            return ()
        return [
            (line_number(document.text, one.span.start), one)
            for one in service.explainer.problems.at(document.uri)
        ]

    async def ask_user(self, offer: Offer) -> Consent | None:
        """Put to the user what a provider outside this machine would be sent; None: no answer."""
        from nearfield.features.offers import words
        from nearfield.routing.consent import Consent

        chosen = await self._chosen(f"{words(offer)} Send it?", [*CHOICES])
        decision = CHOICES.get(chosen)
        return Consent(decision) if decision else None

    def _document(self, path: str) -> TextDocument | None:
        """The open document of a real path. An editor may know the file by another one."""
        name = Path(path).name
        for document in self._session.documents:
            known = document.file
            if known is None or not document.followed or Path(known).name != name:
                continue
            if known == path or os.path.realpath(known) == path:
                return document
        return None

    def _edit(self, change: ProposedFile, document: TextDocument | None) -> types.WorkspaceEdit:
        from nearfield.features.code_actions import proposal
        from nearfield.features.code_actions.hunks import hunks

        before = change.before or ""
        file = proposal.FileChange(
            uri=self._session.documents.uri_of(change.path) if document is None else document.uri,
            path=change.path,
            version=document.version if document is not None else None,
            before=before,
            changes=tuple(
                proposal.ProposedEdit(e, confirm=True) for e in hunks(before, change.after)
            ),
            new=change.before is None,
        )
        return edit_of(self._session, proposal.Proposal(change.title, (file,)))

    async def _chosen(self, text: str, titles: Sequence[str]) -> str:
        """Return the title of `titles` that the user has chosen, "" for none."""
        question = types.ShowMessageRequestParams(
            types.MessageType.Info,
            spoken(f"Nearfield: {text}"),
            [types.MessageActionItem(title) for title in titles],
        )
        answer = await self._request(types.WINDOW_SHOW_MESSAGE_REQUEST, question)
        return str(getattr(answer, "title", ""))

    async def _request(self, method: str, params: Any) -> Any:
        """The client's answer, None when it has none."""
        try:
            return await ask_client(self._session.protocol, method, params)
        except JsonRpcException:
            return None
