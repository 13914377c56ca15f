"""Real `nearfield serve` processes, and two clients for them.

`editor` is a pytest-lsp client, for what editors do. `wire` speaks frames only, for what they do
not. Both start the server with no model: the `scripted` provider answers by `script`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lsprotocol import types
from pytest_httpserver import HTTPServer
from pytest_lsp import make_test_lsp_client
from tests.e2e.editing import Editor, StartEditor, capabilities, plain
from tests.e2e.prepared import forked
from tests.e2e.process import environment, script
from tests.e2e.wiring import StartWire, Wire

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.e2e.panel_browser import Panel
    from tests.e2e.panel_home import Home


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a server process."""
    return environment(tmp_path / "home")


@pytest.fixture
def editor(environ: dict[str, str]) -> StartEditor:
    """Starts a server process and a client for it: `async with editor(options) as e`. It is
    entered when the server is `ready` to suggest, or at once."""

    @asynccontextmanager
    async def start(
        options: Any = None,
        *,
        caps: types.ClientCapabilities | None = None,
        root: Path | None = None,
        name: str = "test",
        configuration: dict[str, Any] | None = None,
        ready: bool = True,
        program: Sequence[str] = (),
    ) -> AsyncGenerator[Editor]:
        client = make_test_lsp_client()
        if configuration is not None:
            client.set_configuration(configuration)
        statuses: list[Any] = []

        def told(params: Any) -> None:
            statuses.append(plain(params))

        client.feature("nearfield/status")(told)
        client.feature("didChangeStatus")(told)
        await client.start_io(*(program or forked()), "serve", env=environ)
        result = await client.initialize_session(
            types.InitializeParams(
                capabilities=caps or capabilities(),
                initialization_options=script() if options is None else options,
                client_info=types.ClientInfo(name),
                workspace_folders=[types.WorkspaceFolder(root.as_uri(), root.name)]
                if root
                else None,
            )
        )
        started = Editor(client, result)
        started.statuses = statuses
        try:
            if ready:
                await started.until(lambda: any(s.get("state") == "ready" for s in statuses))
            yield started
        finally:
            await client.shutdown_session()
            await client.stop()

    return start


@pytest.fixture
def wire(environ: dict[str, str]) -> Iterator[StartWire]:
    """Starts a server process and a bare client for it: `wire("--stdio")`."""
    started: list[Wire] = []

    def start(*arguments: str, program: Sequence[str] = ()) -> Wire:
        started.append(Wire(environ, *arguments, program=program))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One initialized server for all tests of a module that leave it as it was; each of them is
    also a test that the server has survived the ones before."""
    w = Wire(environment(tmp_path_factory.mktemp("served")), "--stdio")
    w.initialize()
    yield w
    w.end()


@pytest.fixture
def cloud(httpserver: HTTPServer) -> HTTPServer:
    """A server of OpenAI's protocol that completes with `a + b`; it plays one outside this
    machine."""
    events = (
        {"choices": [{"index": 0, "text": "a + b"}]},
        {"choices": [{"index": 0, "text": "\n", "finish_reason": "stop"}]},
    )
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    httpserver.expect_request("/v1/completions", method="POST").respond_with_data(
        "".join([*lines, "data: [DONE]\n\n"]), content_type="text/event-stream"
    )
    return httpserver


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of the module."""
    from tests.e2e.panel_browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A user's home without a model, for the control panel."""
    from tests.e2e.panel_home import Home

    home = Home(tmp_path)
    yield home
    home.end()


@pytest.fixture
def panel(home: Home, browser: Browser) -> Iterator[Panel]:
    """A tab on a panel that has just been started."""
    from tests.e2e.panel_browser import opened

    with opened(browser, home.panel()) as panel:
        panel.connected()
        yield panel
