"""A client of the Agent Client Protocol, by the library's own, for tests of `nearfield acp`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import tomli_w
from acp import PROTOCOL_VERSION
from acp.client.connection import ClientSideConnection
from acp.exceptions import RequestError
from acp.helpers import ContentBlock, text_block
from acp.interfaces import Client
from acp.schema import (
    AllowedOutcome,
    ClientCapabilities,
    DeniedOutcome,
    FileSystemCapabilities,
    InitializeResponse,
    PermissionOption,
    PromptResponse,
    ReadTextFileResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
    WriteTextFileResponse,
)
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS, Answers, script

BOTH = FileSystemCapabilities(read_text_file=True, write_text_file=True)


class User:
    """The client's end: it keeps what it is told, holds `buffers`, and says `says` when it is
    asked; "" leaves a question open."""

    def __init__(self) -> None:
        self.says = "once"
        self.buffers: dict[str, str] = {}
        self.updates: list[dict[str, Any]] = []
        self.asked: list[ToolCallUpdate] = []
        self.options: list[list[str]] = []
        self.read: list[str] = []
        self.written: dict[str, str] = {}
        self.something = asyncio.Event()

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        told = update.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.updates.append({"session": session_id, **told})
        self.something.set()

    async def request_permission(
        self,
        session_id: str,
        tool_call: ToolCallUpdate,
        options: list[PermissionOption],
        **_: Any,
    ) -> RequestPermissionResponse:
        self.asked.append(tool_call)
        self.options.append([one.option_id for one in options])
        self.something.set()
        if not self.says:
            await asyncio.Event().wait()
        if self.says in self.options[-1]:
            outcome = AllowedOutcome(outcome="selected", option_id=self.says)
            return RequestPermissionResponse(outcome=outcome)
        return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))

    async def read_text_file(self, session_id: str, path: str, **_: Any) -> ReadTextFileResponse:
        self.read.append(path)
        if path in self.buffers:
            return ReadTextFileResponse(content=self.buffers[path])
        try:
            return ReadTextFileResponse(content=Path(path).read_text())
        except OSError:
            raise RequestError.resource_not_found(path) from None

    async def write_text_file(
        self, session_id: str, path: str, content: str, **_: Any
    ) -> WriteTextFileResponse:
        self.written[path] = content
        self.buffers[path] = content
        return WriteTextFileResponse()

    def on_connect(self, conn: Any) -> None:
        del conn

    def text(self, kind: str = "agent_message_chunk") -> str:
        """All that was said so far."""
        return "".join(
            one["content"]["text"] for one in self.updates if one["sessionUpdate"] == kind
        )

    def calls(self) -> list[tuple[str, str]]:
        """The ids of calls with their states, as they came."""
        kinds = ("tool_call", "tool_call_update")
        return [
            (one["toolCallId"], one.get("status", ""))
            for one in self.updates
            if one["sessionUpdate"] in kinds
        ]

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something that was told makes `holds` true."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                self.something.clear()
                await self.something.wait()


class Session:
    """A connected client with one conversation."""

    def __init__(self, connection: ClientSideConnection, user: User, root: Path) -> None:
        self.connection, self.user, self.root = connection, user, root
        self.id = ""
        self.said: InitializeResponse | None = None

    async def begin(self, files: FileSystemCapabilities | None = BOTH) -> None:
        """Introduce the client and begin a conversation."""
        capabilities = ClientCapabilities(fs=files)
        self.said = await self.connection.initialize(PROTOCOL_VERSION, capabilities)
        self.id = (await self.connection.new_session(str(self.root), mcp_servers=[])).session_id

    async def prompt(self, *blocks: str | ContentBlock) -> PromptResponse:
        """Send a message and wait for the end of its answer."""
        sent = [text_block(one) if isinstance(one, str) else one for one in blocks]
        answer = self.connection.prompt(self.id, sent)
        return await asyncio.wait_for(answer, PATIENCE_SECONDS)


@asynccontextmanager
async def connected(
    environ: dict[str, str], root: Path, answers: Answers = (), **settings: Any
) -> AsyncGenerator[Session]:
    """Start the process for a folder, with a script for a model."""
    options = script(answers, index={"vectors": False}, cache={"enabled": False}, **settings)
    options["routing"] = {"roles": {"code": ["fake"], "fast": ["fake"], "review": ["fake"]}}
    config = Path(environ["NEARFIELD_CONFIG_DIR"])
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text(tomli_w.dumps(json.loads(json.dumps(options))))
    async with started(environ, root) as session:
        yield session


@asynccontextmanager
async def started(environ: dict[str, str], root: Path) -> AsyncGenerator[Session]:
    """Start the process by the settings that are there."""
    process = await asyncio.create_subprocess_exec(
        *forked("acp"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environ,
        limit=1 << 24,
    )  # fmt: skip
    user = User()
    connection = ClientSideConnection(
        cast(Client, user), process.stdin, process.stdout, use_unstable_protocol=True
    )
    try:
        yield Session(connection, user, root)
    finally:
        await connection.close()
        # It ends with its input.
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0
