"""A connection to one server of the Model Context Protocol, by the protocol's library.

A server that we start runs below `parent_watchdog`: it ends with us, however we end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from nearfield import __version__
from nearfield.config.schema import ToolServer
from nearfield.errors import BadAnswer, ConfigError, DeadlineExceeded, ExtraMissing, Unreachable
from nearfield.features.chat.protocol import ToolRefused
from nearfield.network.http2_clients import client_for
from nearfield.providers.parent_watchdog import FORWARDED
from nearfield.tasks import describe, run_task, stop_task

log = logging.getLogger(__name__)

OPEN_SECONDS = 30.0
"""The longest that a server may take to start and to say what it has."""
END_SECONDS = 8.0
PAGES = 20
MAX_TOOLS = 200
"""Tools of one server that are looked at."""


@dataclass(frozen=True, slots=True)
class ServedTool:
    """A tool as its server describes it."""

    name: str
    description: str
    schema: Mapping[str, Any]


class ToolConnection:
    """See the module. `tools` are there once it is open."""

    def __init__(self, name: str, settings: ToolServer, environ: Mapping[str, str]) -> None:
        self.name = name
        self.tools: tuple[ServedTool, ...] = ()
        self._settings = settings
        self._environ = environ
        self._client: Any = None
        self._ready: asyncio.Future[None] | None = None
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Return whether it can be asked."""
        return self._client is not None

    async def open(self) -> None:
        """Start or find the server, and ask it for its tools. Raises `Unreachable`, `BadAnswer`,
        and `ConfigError` where the settings name none."""
        if bool(self._settings.command) is bool(self._settings.url):
            raise ConfigError(f"chat.mcp.{self.name} needs a command or a url, and not both.")
        self._ready = asyncio.get_running_loop().create_future()
        # The library wants a connection to be closed by the task that has opened it.
        self._task = run_task(self._keep(self._ready), f"the tool server {self.name}")
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await asyncio.shield(self._ready)
        except TimeoutError:
            await self.aclose()
            raise Unreachable(f"{self.name} has not answered within {OPEN_SECONDS:g} s.") from None
        except BaseException:
            await self.aclose()
            raise

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what a tool answers, as text. Raises `ToolRefused` for an error that it reports,
        `Unreachable`, `BadAnswer` and `DeadlineExceeded`."""
        import mcp_types as types

        if self._client is None:
            raise Unreachable(f"{self.name} has ended.", "Ask again: the next chat starts it.")
        params = types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        request = types.CallToolRequest(params=params)
        seconds = self._settings.timeout_s
        try:
            async with asyncio.timeout(seconds):
                # Not by `call_tool`, which checks results by the server's own schema, in any time.
                result = await self._client.session.send_request(request, types.CallToolResult)
        except TimeoutError:
            raise DeadlineExceeded(f"{self.name} took longer than {seconds} s.") from None
        except Exception as error:
            raise self._failed(error) from error
        text = "\n".join(map(_text, result.content))
        if result.is_error:
            raise ToolRefused(f"The tool reports an error: {text[:1000]}")
        return text

    async def aclose(self) -> None:
        """Close the connection; a server that was started has ended then."""
        self._ending.set()
        task, self._task = self._task, None
        if task is None:
            return
        await asyncio.wait({task}, timeout=END_SECONDS)
        await stop_task(task)

    async def _keep(self, ready: asyncio.Future[None]) -> None:
        """Hold the connection until it is closed or the server ends."""
        try:
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(self._opened())
                self.tools = await _tools(client)
                self._client = client
                if not ready.done():
                    ready.set_result(None)
                await self._ending.wait()
        except Exception as error:  # noqa: BLE001 - the library raises groups of anything
            if not ready.done():
                ready.set_exception(self._failed(error))
            else:
                log.warning("the tool server %s ended: %s", self.name, describe(error))
        finally:
            self._client = None
            if not ready.done():
                ready.cancel()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Any]:
        try:
            from mcp import Client
            from mcp.client.stdio import StdioServerParameters, stdio_client
            from mcp.client.streamable_http import streamable_http_client
            from mcp_types import Implementation
        except ModuleNotFoundError as error:
            raise ExtraMissing("A server in chat.mcp", "mcp") from error

        async with AsyncExitStack() as stack:
            settings = self._settings
            if settings.url:
                http = await client_for(
                    settings.url, self._environ, self._headers(), float(settings.timeout_s)
                )
                await stack.enter_async_context(http)
                transport = streamable_http_client(settings.url, http_client=http)
            else:
                parameters = StdioServerParameters(
                    command=sys.executable,
                    args=[
                        "-m", "nearfield.providers.parent_watchdog", FORWARDED, *settings.command,
                    ],
                    env=self._variables(),
                )  # fmt: skip
                # What it logs could hold code.
                nowhere: Any = asyncio.subprocess.DEVNULL
                transport = stdio_client(parameters, nowhere)
            who = Implementation(name="nearfield", version=__version__)
            client = Client(transport, client_info=who, cache=None)
            yield await stack.enter_async_context(client)

    def _headers(self) -> dict[str, str]:
        name = self._settings.token_env
        if not name:
            return {}
        token = self._environ.get(name, "")
        if not token:
            raise ConfigError(f"chat.mcp.{self.name}: the variable {name} is not set.")
        return {"authorization": f"Bearer {token}"}

    def _variables(self) -> dict[str, str]:
        """Return what the program gets besides the library's choice. Our own package must be found
        by the watchdog."""
        names = ("PYTHONPATH", *self._settings.variables)
        return {name: self._environ[name] for name in names if name in self._environ}

    def _failed(self, error: BaseException) -> Exception:
        """Return the error of our own tree for one of the library's."""
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
        if isinstance(error, (ConfigError, Unreachable, BadAnswer)):
            return error
        if type(error).__name__ in ("ValidationError", "UnexpectedContentType"):
            return BadAnswer(f"{self.name} does not answer as the protocol says.")
        if type(error).__name__ == "MCPError":
            return BadAnswer(f"{self.name} answers with an error: {str(error)[:200]}")
        return Unreachable(f"{self.name} cannot be reached: {type(error).__name__}.")


async def _tools(client: Any) -> tuple[ServedTool, ...]:
    """Return the tools of a server, the first `MAX_TOOLS`."""
    import mcp_types as types

    found: list[ServedTool] = []
    cursor: str | None = None
    for _ in range(PAGES):
        params = types.PaginatedRequestParams(cursor=cursor)
        request = types.ListToolsRequest(params=params)
        page = await client.session.send_request(request, types.ListToolsResult)
        found += [
            ServedTool(one.name, one.description or "", one.input_schema) for one in page.tools
        ]
        cursor = page.next_cursor
        if cursor is None or len(found) >= MAX_TOOLS:
            break
    return tuple(found[:MAX_TOOLS])


def _text(content: Any) -> str:
    """Return one part of a result as text; what is no text is named."""
    if content.type == "text":
        return content.text
    with contextlib.suppress(AttributeError):
        if content.type == "resource" and isinstance(content.resource.text, str):
            return content.resource.text
    return f"({content.type}: not shown)"
