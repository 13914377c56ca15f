"""Real `nearfield serve` processes, and two clients for them.

`editor` is a pytest-lsp client, for what editors do. `wire` speaks frames only, for what they do
not: counting every single answer, sending garbage, closing the pipe. Both start the server with no
model: the `scripted` provider answers by `script`.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from lsprotocol import types
from pytest_lsp import LanguageClient, make_test_lsp_client

from nearfield.lsp import frames

COMMAND = [sys.executable, "-m", "nearfield", "serve"]
PATIENCE_S = 20.0
"""Long enough for a busy machine: a test that waits so long has failed."""

Answers = Sequence[Mapping[str, Any]]
HELLO: Answers = ({"match": r"def add\(a, b\):\s*$", "text": "return a + b\n"},)


def script(answers: Answers = HELLO, **settings: Any) -> dict[str, Any]:
    """`initializationOptions` that let a script answer, with further settings over it."""
    return {
        "providers": {"fake": {"kind": "scripted", "options": {"answers": list(answers)}}},
        "routing": {"roles": {"complete": ["fake"]}},
        "engine": {"enabled": False},
        **settings,
    }


def environment(home: Path) -> dict[str, str]:
    """An environment in which none of the user's settings, models or keys are seen."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    folders = {
        name: str(home / name)
        for name in ("HOME", "NEARFIELD_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    }
    return {**kept, **folders}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a server process."""
    return environment(tmp_path / "home")


# --- an editor ------------------------------------------------------------------------------------


class Editor:
    """A pytest-lsp client with what tests do most."""

    def __init__(self, client: LanguageClient, result: types.InitializeResult) -> None:
        self.client = client
        self.result = result
        self.statuses: list[Any] = []
        self._versions: dict[str, int] = {}

    @property
    def shown_messages(self) -> list[str]:
        """The texts of the windows that popped up."""
        return [message.message for message in self.client.messages]

    def open(self, text: str, uri: str = "file:///w/a.py", language: str = "python") -> str:
        """Open a document; answers its URI."""
        self._versions[uri] = 1
        item = types.TextDocumentItem(uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def replace(self, uri: str, text: str) -> None:
        """Give a document another text."""
        self.change(uri, types.TextDocumentContentChangeWholeDocument(text))

    def change(self, uri: str, *changes: types.TextDocumentContentChangeEvent) -> None:
        """Send changes in one notification."""
        self._versions[uri] += 1
        document = types.VersionedTextDocumentIdentifier(self._versions[uri], uri)
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(document, list(changes))
        )

    async def ghost(
        self,
        uri: str,
        line: int,
        character: int,
        selected: types.SelectedCompletionInfo | None = None,
        invoked: bool = True,
    ) -> list[types.InlineCompletionItem]:
        """Ask for ghost text."""
        answer = await self.client.text_document_inline_completion_async(
            self.ghost_params(uri, line, character, selected, invoked)
        )
        assert isinstance(answer, types.InlineCompletionList)
        return list(answer.items)

    @staticmethod
    def ghost_params(
        uri: str,
        line: int,
        character: int,
        selected: types.SelectedCompletionInfo | None = None,
        invoked: bool = True,
    ) -> types.InlineCompletionParams:
        """The params of a request for ghost text."""
        kind = types.InlineCompletionTriggerKind
        return types.InlineCompletionParams(
            types.InlineCompletionContext(kind.Invoked if invoked else kind.Automatic, selected),
            types.TextDocumentIdentifier(uri),
            types.Position(line, character),
        )

    async def popup(self, uri: str, line: int, character: int) -> types.CompletionList:
        """Ask for a completion list."""
        answer = await self.client.text_document_completion_async(
            types.CompletionParams(
                types.TextDocumentIdentifier(uri),
                types.Position(line, character),
                types.CompletionContext(types.CompletionTriggerKind.Invoked),
            )
        )
        assert isinstance(answer, types.CompletionList)
        return answer

    async def traces(self, last: int = 20) -> list[dict[str, Any]]:
        """The account of the last requests."""
        return await self.ask("nearfield/trace", {"last": last})

    async def ask(self, method: str, params: Any = None) -> Any:
        """Send any request; answers plain data."""
        answer = await asyncio.wait_for(
            self.client.protocol.send_request_async(method, params), PATIENCE_S
        )
        return plain(answer)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something has happened."""
        for _ in range(int(PATIENCE_S / 0.02)):
            if condition():
                return
            await asyncio.sleep(0.02)
        pytest.fail("it never happened")


def plain(value: Any) -> Any:
    """pygls makes named tuples of answers that it has no type for."""
    if hasattr(value, "_asdict"):
        return {name: plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def capabilities(
    *,
    inline: bool = True,
    encodings: Sequence[str] | None = None,
    progress: bool = False,
    configuration: bool = False,
) -> types.ClientCapabilities:
    """What a client may say that it can do."""
    return types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities() if inline else None,
            completion=types.CompletionClientCapabilities(
                completion_item=types.ClientCompletionItemOptions(
                    documentation_format=[types.MarkupKind.Markdown], preselect_support=True
                )
            ),
        ),
        window=types.WindowClientCapabilities(work_done_progress=progress),
        workspace=types.WorkspaceClientCapabilities(configuration=configuration),
        general=types.GeneralClientCapabilities(position_encodings=list(encodings))
        if encodings
        else None,
    )


StartEditor = Callable[..., AbstractAsyncContextManager[Editor]]


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
    ) -> AsyncGenerator[Editor]:
        client = make_test_lsp_client()
        if configuration is not None:
            client.set_configuration(configuration)
        statuses: list[Any] = []

        def told(params: Any) -> None:
            statuses.append(plain(params))

        client.feature("nearfield/status")(told)
        client.feature("didChangeStatus")(told)
        await client.start_io(*COMMAND, env=environ)
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


# --- bare frames ----------------------------------------------------------------------------------


class Wire:
    """A client that sends what it is told to and keeps everything that comes back."""

    def __init__(self, environ: Mapping[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
        )
        self.received: list[dict[str, Any]] = []
        self.errors: list[bytes] = []
        self._arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._documents = itertools.count(1)
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, *messages: Any) -> None:
        """Send messages in one write."""
        self.write(b"".join(map(frames.encode, messages)))

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: Any = None) -> int:
        """Send a request; answers its id."""
        msg_id = next(self._ids)
        self.send({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
        return msg_id

    def ask(self, method: str, params: Any = None) -> Any:
        """Send a request and wait for its result."""
        answer = self.answer(self.request(method, params))
        assert "error" not in answer, answer
        return answer["result"]

    def answer(self, msg_id: int | str | None) -> dict[str, Any]:
        """Wait for the answer to a request."""
        return self.until(lambda m: "method" not in m and m.get("id") == msg_id)

    def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for a message; one that was there already counts."""
        for message in self.received:
            if wanted(message):
                return message
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                message = self._arrived.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"it never came; there was {self.received[-3:]}")
            self.received.append(message)
            if wanted(message):
                return message

    def answers(self) -> list[dict[str, Any]]:
        """All answers so far."""
        while not self._arrived.empty():
            self.received.append(self._arrived.get())
        return [message for message in self.received if "method" not in message]

    def shown_messages(self) -> list[str]:
        """The texts of the windows that popped up so far."""
        self.answers()
        method = "window/showMessage"
        return [m["params"]["message"] for m in self.received if m.get("method") == method]

    def initialize(
        self, options: Any = None, *, ready: bool = True, **params: Any
    ) -> dict[str, Any]:
        """Begin a session and wait until the server is ready to suggest; answers the result."""
        result = self.ask(
            "initialize",
            {
                "processId": os.getpid(),
                "capabilities": {},
                "initializationOptions": script() if options is None else options,
                **params,
            },
        )
        self.notify("initialized", {})
        if ready:
            self.until(
                lambda m: m.get("method") == "nearfield/status" and m["params"]["state"] == "ready"
            )
        return result

    def open(self, text: str, uri: str | None = None, language: str = "python") -> str:
        """Open a document, by default a new one; answers its URI."""
        if uri is None:
            uri = f"file:///w/{next(self._documents)}.py"
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return uri

    def request_ghost(self, uri: str, line: int, character: int) -> int:
        """Ask for ghost text; answers the request's id."""
        return self.request("textDocument/inlineCompletion", ghost_params(uri, line, character))

    def ghost(self, uri: str, line: int, character: int) -> list[dict[str, Any]]:
        """Ask for ghost text and wait for it."""
        answer = self.answer(self.request_ghost(uri, line, character))
        return answer["result"]["items"]

    def close(self) -> None:
        """Close the input."""
        assert self.process.stdin
        self.process.stdin.close()

    def ended_within(self, seconds: float) -> bool:
        """Whether the process ends in that time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def log(self) -> str:
        """What the process has written to standard error; all of it once it has ended."""
        if self.process.poll() is not None:
            self._threads[1].join(PATIENCE_S)
        return b"".join(self.errors).decode()

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def _read(self) -> None:
        for message in frames.messages(_piecewise(self.process.stdout)):
            self._arrived.put(message if isinstance(message, dict) else {"garbage": message})

    def _read_errors(self) -> None:
        read = _piecewise(self.process.stderr)
        while data := read(1 << 16):
            self.errors.append(data)


def _piecewise(stream: IO[bytes] | None) -> Callable[[int], bytes]:
    """Reads what has arrived, without waiting for more."""
    assert isinstance(stream, io.BufferedReader)
    return stream.read1


def ghost_params(uri: str, line: int, character: int, kind: int = 1) -> dict[str, Any]:
    """The params of an inline completion."""
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": kind},
    }


StartWire = Callable[..., Wire]


@pytest.fixture
def wire(environ: dict[str, str]) -> Iterator[StartWire]:
    """Starts a server process and a bare client for it: `wire("--stdio")`."""
    started: list[Wire] = []

    def start(*arguments: str) -> Wire:
        started.append(Wire(environ, *arguments))
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
