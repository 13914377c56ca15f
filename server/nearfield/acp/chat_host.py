"""The client of the protocol as a conversation sees it: it asks its user and holds the files.

Files are read from the client, so that unsaved text counts, after the rules of the workspace have
let them be. A change is shown as a diff, and made only after the user's yes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from acp.connection import Connection
from acp.exceptions import RequestError
from acp.helpers import ToolCallContentVariant
from acp.meta import CLIENT_METHODS
from acp.schema import (
    AllowedOutcome,
    FileSystemCapabilities,
    PermissionOption,
    RequestPermissionRequest,
    RequestPermissionResponse,
    ToolCallUpdate,
)
from pydantic import ValidationError

from nearfield.acp.updates import Updates
from nearfield.features.chat.folder import MAX_OVERWRITTEN_BYTES, Folder
from nearfield.features.chat.protocol import Allow, ProposedFile, Question, ToolRefused
from nearfield.features.chat.tool_context import OWN_BYTES
from nearfield.features.diagnostics import Diagnostic
from nearfield.features.offers import words
from nearfield.routing.consent import Consent
from nearfield.routing.request_context import Offer

READ_SECONDS = 10.0
"""The longest that a client is waited for when it is asked for a file."""
ONCE = PermissionOption(option_id="once", name="Allow once", kind="allow_once")
ALWAYS = PermissionOption(option_id="always", name="Allow in this chat", kind="allow_always")
NO = PermissionOption(option_id="no", name="Do not allow", kind="reject_once")
WORKSPACE = PermissionOption(
    option_id="workspace", name="Always for this folder", kind="allow_always"
)
NEVER = PermissionOption(option_id="never", name="Never for this folder", kind="reject_always")
ALLOWED = {"once": Allow.ONCE, "always": Allow.SESSION}
DECISIONS = {"once": Consent.ONCE, "workspace": Consent.WORKSPACE, "never": Consent.NEVER}


class ClientHost:
    """Implements `features.chat.protocol.ChatHost` for one session. `updates` is set while it
    answers."""

    def __init__(
        self, connection: Connection, session: str, root: str, files: FileSystemCapabilities | None
    ) -> None:
        self.updates: Updates | None = None
        self.exclude: Sequence[str] = ()
        self._connection = connection
        self._session = session
        self._root = root
        self._real_root = os.path.realpath(root)
        self._can = files or FileSystemCapabilities()
        self._may_edit = False

    async def allow(self, question: Question) -> Allow:
        """Ask the user; a client that cannot ask has said no."""
        options = [ONCE, NO] if question.each_time else [ONCE, ALWAYS, NO]
        chosen = await self._chosen(question.id, question.title, options)
        return ALLOWED.get(chosen, Allow.NO)

    async def apply(self, change: ProposedFile) -> bool:
        """Show the diff, ask, and write the file if it is still the same."""
        if self.updates is None:
            return False
        path = self._as_named(change.path)
        own = f"change-{change.shown}"
        call_id = self.updates.call_id or own
        diff = self.updates.change(call_id, change.title, path, change.before, change.after)
        if not self._may_edit:
            chosen = await self._chosen(call_id, f"{change.title}?", [ONCE, ALWAYS, NO], [diff])
            if chosen not in ALLOWED:
                self.updates.denied(call_id)
                return False
            self._may_edit = ALLOWED[chosen] is Allow.SESSION
        await self._write(change)
        return True

    async def open_text(self, path: str) -> str | None:
        """Return the client's text of a file, None where it gives none."""
        if not self._can.read_text_file:
            return None
        params = {"sessionId": self._session, "path": self._as_named(path)}
        with suppress(RequestError, ConnectionError, TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                found = await self._ask("fs_read_text_file", params)
            text = found.get("content") if isinstance(found, dict) else None
            if isinstance(text, str) and len(text) <= OWN_BYTES:
                return text
        return None

    def diagnostics(self, path: str) -> Sequence[tuple[int, Diagnostic]]:
        """No client tells of any."""
        del path
        return ()

    async def ask_user(self, offer: Offer) -> Consent | None:
        """Put to the user what a provider outside this machine would be sent; None: no answer."""
        options = [ONCE, WORKSPACE, NO, NEVER]
        chosen = await self._chosen(f"offer-{offer.id}", f"{words(offer)} Send it?", options)
        return DECISIONS.get(chosen)

    async def _write(self, change: ProposedFile) -> None:
        """Write through the client, which may hold unsaved text. A file in another encoding than
        UTF-8 is written here, as the client might not know it."""
        folder = Folder(self._root, self.exclude)
        try:
            _, kept = await asyncio.to_thread(folder.read, change.shown, MAX_OVERWRITTEN_BYTES)
        except ToolRefused:
            kept = None
        is_plain = kept is None or kept.is_unambiguous
        if not self._can.write_text_file or not is_plain:
            await asyncio.to_thread(folder.write, change.shown, change.before, change.after)
            return
        now = await self.open_text(change.path)
        if now is None and kept is not None:
            now = kept.text
        if now != change.before:
            raise ToolRefused(f"{change.shown} has changed meanwhile.", "Ask again.")
        path = self._as_named(change.path)
        params = {"sessionId": self._session, "path": path, "content": change.after}
        try:
            await self._ask("fs_write_text_file", params)
        except RequestError as error:
            raise ToolRefused(f"The editor did not write {change.shown}.") from error

    async def _chosen(
        self,
        call_id: str,
        title: str,
        options: list[PermissionOption],
        content: list[ToolCallContentVariant] | None = None,
    ) -> str:
        """Return the id of the option that the user has chosen, "" for none."""
        if self.updates is not None:
            await self.updates.flush()
        request = RequestPermissionRequest(
            session_id=self._session,
            tool_call=ToolCallUpdate(
                tool_call_id=call_id,
                title=title,
                status="pending",
                kind="edit" if content else None,
                content=content,
            ),
            options=options,
        )
        params = request.model_dump(mode="json", by_alias=True, exclude_none=True)
        try:
            answer = await self._ask("session_request_permission", params)
            outcome = RequestPermissionResponse.model_validate(answer).outcome
        except (RequestError, ConnectionError, ValidationError):
            return ""  # a client that cannot ask has not said yes
        known = {one.option_id for one in options}
        chosen = outcome.option_id if isinstance(outcome, AllowedOutcome) else ""
        return chosen if chosen in known else ""

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        return await self._connection.send_request(CLIENT_METHODS[method], params)

    def _as_named(self, path: str) -> str:
        """Return a path below the folder as the client has named the folder."""
        whole = Path(path)
        if whole.is_relative_to(self._real_root):
            return str(Path(self._root) / whole.relative_to(self._real_root))
        return path
