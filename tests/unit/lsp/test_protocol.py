"""The protocol in this process: what pygls does by itself is not what is promised here, so an
update of pygls that changes its inside shows up in these tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from lsprotocol import types

from nearfield.config.load import Loaded
from nearfield.config.schema import Config, ProviderSettings
from nearfield.errors import NoProvider
from nearfield.features.status import ServiceState, ServiceStatus
from nearfield.lsp import server
from nearfield.lsp.frames import Garbage
from nearfield.lsp.progress import LoadingProgress
from nearfield.lsp.protocol import CLIENT_TOKEN
from nearfield.lsp.work import shown_work
from nearfield.providers.scripted import Scripted
from nearfield.routing.activity import watched
from nearfield.types import Delta

SECRET = "def secret(): pass"


class Sent:
    """A writer that keeps what is sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def write(self, data: bytes, replaces: str = "") -> None:
        del replaces
        self.messages.append(json.loads(data.split(b"\r\n\r\n", 1)[1]))

    def close(self) -> None:
        """Nothing to close."""

    def answers(self, msg_id: Any) -> list[dict[str, Any]]:
        return [m for m in self.messages if m.get("id") == msg_id and "method" not in m]


class Connected:
    """A server that has answered `initialize`, and what it sends."""

    def __init__(self) -> None:
        self.server = server.build(_no_settings)
        self.protocol = self.server.session.protocol
        self.sent = Sent()
        self.protocol.set_writer(self.sent)

    def ask(self, msg_id: Any, method: str, params: Any = None) -> None:
        self.protocol.receive({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})

    def tell(self, method: str, params: Any = None) -> None:
        self.protocol.receive({"jsonrpc": "2.0", "method": method, "params": params})

    async def answer(self, msg_id: Any) -> dict[str, Any]:
        for _ in range(500):
            if found := self.sent.answers(msg_id):
                return found[0]
            await asyncio.sleep(0.01)
        pytest.fail(f"no answer to {msg_id}")


def _no_settings(roots: Sequence[str], client: object) -> tuple[Loaded, dict[str, Loaded]]:
    del client
    loaded = Loaded(Config())
    return loaded, dict.fromkeys(roots, loaded)


@pytest.fixture
async def c() -> Connected:
    connected = Connected()
    connected.ask("init", "initialize", {"capabilities": {}})
    await connected.answer("init")
    return connected


async def test_a_late_answer_is_dropped(c: Connected) -> None:
    async def stubborn(_: Any) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "late"
        return "never"

    c.server.feature("test/stubborn")(stubborn)
    c.ask(1, "test/stubborn")
    await asyncio.sleep(0)
    c.tell("$/cancelRequest", {"id": 1})
    await c.answer(1)
    # There is no other way to make a second answer: that is what the guard is for.
    c.protocol._send_response(1, "again")  # pyright: ignore[reportPrivateUsage]
    assert [a["result"] for a in c.sent.answers(1)] == ["late"]


@pytest.mark.parametrize("before_it_runs", [True, False])
async def test_a_cancel_reaches_a_command(c: Connected, before_it_runs: bool) -> None:
    """pygls cancels an outer future only, and the command runs on."""
    ended: list[str] = []

    async def command() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    c.server.command("test.sleep")(command)
    c.ask(1, "workspace/executeCommand", {"command": "test.sleep"})
    if not before_it_runs:
        await asyncio.sleep(0.01)
    c.tell("$/cancelRequest", {"id": 1})
    assert (await c.answer(1))["error"]["code"] == -32800
    assert ended == ([] if before_it_runs else ["cancelled"])


async def test_shutdown_while_commands_run(c: Connected) -> None:
    """pygls walks over a table here that its handlers change."""

    async def command() -> None:
        await asyncio.sleep(60)

    c.server.command("test.sleep")(command)
    for number in range(20):
        c.ask(number, "workspace/executeCommand", {"command": "test.sleep"})
    await asyncio.sleep(0.01)
    c.ask("down", "shutdown")
    assert (await c.answer("down"))["result"] is None
    assert [c.sent.answers(n)[0]["error"]["code"] for n in range(20)] == [-32800] * 20
    assert c.protocol.exit_code == 0


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError(SECRET), -32603, "Nearfield failed; its log says where."),
        (NoProvider("No model can answer.", "Install one."), -32803, "Install one."),
        (KeyError(SECRET), -32603, "Nearfield failed"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_promise_10_an_error_is_answered_without_the_code_in_it(
    c: Connected,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    code: int,
    message: str,
    at_once: bool,
) -> None:
    def fails(_: Any) -> None:
        raise error

    async def fails_later(_: Any) -> None:
        raise error

    c.server.feature("test/fails")(fails if at_once else fails_later)
    c.ask(1, "test/fails")
    c.tell("test/fails")
    answer = (await c.answer(1))["error"]
    assert answer["code"] == code and message in answer["message"]
    assert SECRET not in json.dumps(c.sent.messages) + caplog.text
    assert type(error).__name__ in caplog.text
    assert not any(m.get("method") == "window/showMessage" for m in c.sent.messages)


async def test_promise_10_documents_and_settings_do_not_reach_the_log(
    c: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    uri = "file:///w/a.py"
    c.tell(
        "textDocument/didOpen",
        {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": SECRET}},
    )
    change = {"range": None, "text": SECRET}
    for wrong in ([change], [{"text": 7}], SECRET):
        params = {"textDocument": {"uri": uri, "version": 2}, "contentChanges": wrong}
        c.tell("textDocument/didChange", params)
    c.ask(1, "textDocument/completion", SECRET)
    c.protocol.receive(Garbage("What this is."))
    await c.answer(1)
    assert "secret()" not in "".join(r.getMessage() for r in caplog.records if r.name != "asyncio")


async def test_an_answer_that_cannot_be_written(c: Connected) -> None:
    def odd(_: Any) -> Any:
        return {"set": {1, 2}}

    c.server.feature("test/odd")(odd)
    c.ask(1, "test/odd")
    assert (await c.answer(1))["error"]["code"] == -32603
    assert len(c.sent.answers(1)) == 1


async def test_answers_of_the_client(c: Connected) -> None:
    asked = [
        c.protocol.send_request("workspace/configuration", types.ConfigurationParams([]))
        for _ in range(4)
    ]
    ids = [m["id"] for m in c.sent.messages if m.get("method") == "workspace/configuration"]
    c.protocol.receive({"jsonrpc": "2.0", "id": ids[0], "result": [1]})
    c.protocol.receive({"jsonrpc": "2.0", "id": ids[1], "error": {"code": 5, "message": "no"}})
    c.protocol.receive({"jsonrpc": "2.0", "id": ids[2], "error": "nonsense"})
    asked[3].cancel()
    c.protocol.receive({"jsonrpc": "2.0", "id": ids[3], "result": []})
    assert list(asked[0].result()) == [1]
    assert str(asked[1].exception()) == "no"
    assert asked[2].exception() is not None


async def test_progress_is_shown_while_a_model_loads(c: Connected) -> None:
    progress = LoadingProgress(c.protocol)
    progress.follow(ServiceStatus(ServiceState.STARTING))
    progress.follow(ServiceStatus(ServiceState.LOADING, "Loading qwen", 0.1))
    create = await _sent(c, "window/workDoneProgress/create")
    c.protocol.receive({"jsonrpc": "2.0", "id": create["id"], "result": None})
    await _sent(c, "$/progress", "begin")
    progress.follow(ServiceStatus(ServiceState.LOADING, "Loading qwen", 0.6))
    await _sent(c, "$/progress", "report")
    progress.follow(ServiceStatus(ServiceState.READY))
    await _sent(c, "$/progress", "end")
    values = [m["params"]["value"] for m in c.sent.messages if m.get("method") == "$/progress"]
    assert [(v["kind"], v.get("percentage")) for v in values] == [
        ("begin", 10),
        ("report", 60),
        ("end", None),
    ]
    assert c.protocol.progress.tokens == {}


async def test_a_client_that_refuses_progress_is_left_alone(c: Connected) -> None:
    progress = LoadingProgress(c.protocol)
    progress.follow(ServiceStatus(ServiceState.LOADING))
    create = await _sent(c, "window/workDoneProgress/create")
    error = {"code": -32601, "message": "no"}
    c.protocol.receive({"jsonrpc": "2.0", "id": create["id"], "error": error})
    progress.follow(ServiceStatus(ServiceState.LOADING, "", 0.5))
    progress.follow(ServiceStatus(ServiceState.READY))
    await asyncio.sleep(0.01)
    assert not any(m.get("method") == "$/progress" for m in c.sent.messages)


async def test_the_work_of_a_model_is_shown_at_each_phase_and_not_at_each_token(
    c: Connected,
) -> None:
    models = [Delta(read=0.5), *(Delta("x", (-0.1,)) for _ in range(200))]
    CLIENT_TOKEN.set("bar")
    async with shown_work(c.protocol, "Working") as report:
        report("asking", None)
        async with watched(
            Scripted("coder", ProviderSettings(kind="scripted")), is_local=False
        ) as watch:
            for delta in models:
                watch.heard(delta)
    values = [m["params"]["value"] for m in c.sent.messages if m.get("method") == "$/progress"]
    told = [value.get("message") for value in values]
    assert told[:3] == [None, "asking", "asking; scripted: reading 50%, 0 s"]
    assert told[3].startswith("asking; scripted: writing, 1 token, ")
    assert values[-1]["kind"] == "end"
    assert len(values) < 20


async def _sent(c: Connected, method: str, kind: str = "") -> dict[str, Any]:
    def found() -> Iterator[dict[str, Any]]:
        for message in c.sent.messages:
            value = (message.get("params") or {}).get("value") or {}
            if message.get("method") == method and value.get("kind", "") == kind:
                yield message

    for _ in range(200):
        if message := next(found(), None):
            return message
        await asyncio.sleep(0.005)
    pytest.fail(f"{method} {kind} was not sent")
