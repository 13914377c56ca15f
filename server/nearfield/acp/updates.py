"""An answer as the client sees it come: text, thoughts and calls, as `session/update`s in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from acp import helpers
from acp.connection import Connection
from acp.exceptions import RequestError
from acp.helpers import ToolCallContentVariant
from acp.meta import CLIENT_METHODS
from acp.schema import FileEditToolCallContent, ToolCallLocation, ToolCallStatus, ToolKind
from pydantic import BaseModel

from nearfield.features.chat.protocol import CallReport, CallState
from nearfield.tasks import run_task, stop_task

RESTART = "\n\n(Another model starts over.)\n\n"
"""What was shown cannot be taken back."""
TITLE_CHARS = 100
KINDS: dict[str, ToolKind] = {
    "readFile": "read",
    "listDirectory": "read",
    "getFileInfo": "read",
    "getDiagnostics": "read",
    "getDefinition": "search",
    "searchFiles": "search",
    "searchInFiles": "search",
    "semanticSearch": "search",
    "writeFile": "edit",
    "createDirectory": "edit",
    "deleteFileOrDir": "delete",
    "executeShell": "execute",
}
STATES: dict[CallState, ToolCallStatus] = {
    CallState.ASKING: "pending",
    CallState.RUNNING: "in_progress",
    CallState.DONE: "completed",
    CallState.DENIED: "failed",
    CallState.FAILED: "failed",
}


class Updates:
    """Implements `features.chat.protocol.Listener` for one session of a client, whose folder is
    `root`. What is said is sent in its order; `flush` waits until it is."""

    def __init__(self, connection: Connection, session: str, root: str) -> None:
        self.call_id = ""
        """The call that was told of last."""
        self._connection = connection
        self._session = session
        self._root = root
        self._known: set[str] = set()
        self._denied: set[str] = set()
        self._waiting: asyncio.Queue[BaseModel] = asyncio.Queue()
        self._sending = run_task(self._send(), "send updates")

    def text(self, text: str) -> None:
        """See `Listener`."""
        if text:
            self.say(helpers.update_agent_message_text(text))

    def thinking(self, text: str) -> None:
        """See `Listener`."""
        if text:
            self.say(helpers.update_agent_thought_text(text))

    def restart(self) -> None:
        """See `Listener`."""
        self.text(RESTART)

    def denied(self, call_id: str) -> None:
        """Note that the user did not allow a call's change: it ends as failed, though the function
        itself went well."""
        self._denied.add(call_id)

    def call(self, report: CallReport) -> None:
        """See `Listener`."""
        shown = [helpers.tool_content(helpers.text_block(report.result))] if report.result else None
        # The diff of a written file stays in place of the words about it.
        if KINDS.get(report.name) == "edit" and report.state is CallState.DONE:
            shown = None
        is_denied = report.id in self._denied and report.state is CallState.DONE
        state = CallState.DENIED if is_denied else report.state
        self._call(report.id, state, report.name, report.arguments, shown)

    def change(
        self, call_id: str, title: str, path: str, before: str | None, after: str
    ) -> FileEditToolCallContent:
        """Show the diff of a file, as a part of the call or as a call of its own."""
        diff = helpers.tool_diff_content(path, after, before)
        places = [ToolCallLocation(path=path)]
        if call_id in self._known:
            self.say(helpers.update_tool_call(call_id, content=[diff], locations=places))
        else:
            self._known.add(call_id)
            told = helpers.start_tool_call(
                call_id, title[:TITLE_CHARS], kind="edit", status="pending", content=[diff],
                locations=places,
            )  # fmt: skip
            self.say(told)
        self.call_id = call_id
        return diff

    def ended(self, call_id: str, *, done: bool) -> None:
        """Say how a change ended that was a call of its own."""
        self.say(helpers.update_tool_call(call_id, status="completed" if done else "failed"))

    def say(self, update: BaseModel) -> None:
        """Send an update after those before."""
        self._waiting.put_nowait(update)

    async def flush(self) -> None:
        """Wait until everything is sent."""
        await self._waiting.join()

    async def aclose(self) -> None:
        """Send what is left, and end."""
        if not self._sending.done():
            await self.flush()
        await stop_task(self._sending)

    def _call(
        self,
        call_id: str,
        state: CallState,
        name: str,
        arguments: Any,
        content: Sequence[ToolCallContentVariant] | None,
    ) -> None:
        self.call_id = call_id
        if call_id in self._known:
            told: BaseModel = helpers.update_tool_call(
                call_id, status=STATES[state], content=content
            )
        else:
            self._known.add(call_id)
            told = helpers.start_tool_call(
                call_id,
                _title(name, arguments),
                kind=KINDS.get(name, "other"),
                status=STATES[state],
                content=content,
                locations=self._places(arguments),
                raw_input=dict(arguments),
            )
        self.say(told)

    def _places(self, arguments: Any) -> list[ToolCallLocation] | None:
        path = arguments.get("path")
        if not isinstance(path, str) or not path or path.startswith(("/", "\\", "~")):
            return None
        return [ToolCallLocation(path=str(Path(self._root) / path))]

    async def _send(self) -> None:
        while True:
            update = await self._waiting.get()
            params = {
                "sessionId": self._session,
                "update": update.model_dump(mode="json", by_alias=True, exclude_none=True),
            }
            try:
                # A client that has left is told nothing more.
                with suppress(ConnectionError, RequestError):
                    await self._connection.send_notification(
                        CLIENT_METHODS["session_update"], params
                    )
            finally:
                self._waiting.task_done()


def _title(name: str, arguments: Any) -> str:
    """Return a line for the user about a call."""
    first = next((str(value) for value in arguments.values()), "")
    return f"{name} {first}".strip().replace("\n", " ")[:TITLE_CHARS]
