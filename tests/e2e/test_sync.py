"""Document sync through a real process, and the promises about requests and versions."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from tests.e2e.editing import StartEditor, capabilities
from tests.e2e.process import HELLO, open_gate, script
from tests.e2e.wiring import StartWire, ghost_params

ADD = "def add(a, b):\n    "
SLOW = [{"match": r":\s*$", "text": "return a + b", "delay_ms": 300}]


def inserted(line: int, character: int, text: str) -> types.TextDocumentContentChangePartial:
    at = types.Position(line, character)
    return types.TextDocumentContentChangePartial(types.Range(at, at), text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_promise_1_a_suggestion_is_for_the_text_that_the_client_has(
    editor: StartEditor, encoding: str
) -> None:
    """After many edits around wide characters and odd line ends, the model is asked about exactly
    the client's text: its answer only comes when the last words before the cursor are right."""
    # A model is shown every line end as \n.
    expected = r"^\n# 😀\u2028é\x0c end\ndef add\(a, b\): $"
    options = script([{"match": expected, "text": "return a"}])
    async with editor(options, caps=capabilities(encodings=[encoding])) as e:
        wide = {"utf-8": 4, "utf-16": 2, "utf-32": 1}[encoding]
        uri = e.open("# 😀\r\ndef add(a)")
        e.change(uri, inserted(0, 2, "😀"), inserted(0, 2 + 2 * wide, "\u2028é\x0c end"))
        first = types.Position(0, 2)
        e.change(
            uri,
            types.TextDocumentContentChangePartial(
                types.Range(first, types.Position(0, 2 + wide)), ""
            ),
            inserted(0, 0, "\r"),
        )
        e.change(
            uri,
            types.TextDocumentContentChangePartial(
                types.Range(types.Position(1, 99), types.Position(2, 0)), "\n"
            ),
            inserted(2, 9, ", b"),
            inserted(2, 99, ": "),
        )
        (item,) = await e.ghost(uri, 2, 16)
        assert item.insert_text == "return a"
        assert (await e.traces())[0]["version"] == 4


async def test_promise_1_a_stale_result_is_never_shown(editor: StartEditor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with editor(script([{**SLOW[0], "waits_for": str(gate)}])) as e:
        uri = e.open(ADD)
        asked = asyncio.ensure_future(e.ghost(uri, 1, 4))
        await e.ask("nearfield/status")
        e.replace(uri, "x = 1\n")
        await e.ask("nearfield/status")
        open_gate(gate)
        assert await asked == []
        (trace,) = await e.traces()
        assert (trace["shown"], trace["version"]) == (False, 1)


async def test_promise_1_a_superseded_request_is_answered(editor: StartEditor) -> None:
    async with editor(script([{"match": r"\):$", "hang": True}, *SLOW])) as e:
        uri = e.open(ADD)
        older = asyncio.ensure_future(e.ghost(uri, 0, 14))
        await e.ask("nearfield/status")
        newer = asyncio.ensure_future(e.ghost(uri, 1, 4))
        assert await older == []
        assert [item.insert_text for item in await newer] == ["return a + b"]
        assert {"superseded", ""} == {trace["reason"] for trace in await e.traces()}


def test_promise_1_every_request_is_answered_exactly_once(wire: StartWire) -> None:
    """200 requests, 199 of them cancelled: 200 answers, and the last one is right."""
    w = wire("--stdio")
    w.initialize(script([{"match": r":\s*$", "text": "return a + b", "delay_ms": 50}]))
    uri = w.open(ADD)
    ids = [w.request_ghost(uri, 1, 4)]
    for _ in range(199):
        w.notify("$/cancelRequest", {"id": ids[-1]})
        ids.append(w.request_ghost(uri, 1, 4))
    last = w.answer(ids[-1])
    assert [item["insertText"] for item in last["result"]["items"]] == ["return a + b"]
    _each_answered_once(w, ids)


def test_promise_1_a_storm_of_everything_at_once(wire: StartWire) -> None:
    """Requests of all kinds, edits and cancels in one write: each is answered exactly once."""
    w = wire("--stdio")
    w.initialize(script(SLOW))
    uri = w.open(ADD)
    random.seed(4)
    messages: list[dict[str, Any]] = []
    ids: list[int | str] = []
    methods: list[tuple[str, Any]] = [
        ("textDocument/inlineCompletion", ghost_params(uri, 1, 4)),
        ("textDocument/completion", ghost_params(uri, 1, 4) | {"context": {"triggerKind": 1}}),
        ("nearfield/trace", {"last": 1}),
        ("nearfield/status", None),
        ("workspace/executeCommand", {"command": "nearfield.resume"}),
        ("nearfield/unknown", {}),
        ("textDocument/inlineCompletion", {"wrong": True}),
    ]
    for number in range(200):
        method, params = methods[number % len(methods)]
        msg_id = f"s{number}" if number % 2 else 1000 + number
        ids.append(msg_id)
        messages.append({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
        if number % 3 == 0:
            gone = {"id": random.choice(ids)}
            messages.append({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": gone})
        if number % 10 == 0:
            change = {"textDocument": {"uri": uri, "version": number + 2}, "contentChanges": []}
            messages.append(
                {"jsonrpc": "2.0", "method": "textDocument/didChange", "params": change}
            )
    w.send(*messages)
    _each_answered_once(w, ids)


def test_promise_1_shutdown_answers_running_requests(wire: StartWire) -> None:
    w = wire("--stdio")
    w.initialize(script([{"match": "", "text": "x", "delay_ms": 600_000}]))
    uri = w.open(ADD)
    running = w.request_ghost(uri, 1, 4)
    w.ask("nearfield/status")
    asked = w.request("shutdown")
    assert w.answer(running)["error"]["code"] == -32800
    assert w.answer(asked)["result"] is None
    late = w.request("nearfield/status")
    assert w.answer(late)["error"]["code"] == -32600
    w.notify("exit")
    assert w.ended_within(60)
    assert w.process.returncode == 0
    assert len(w.answers()) == 5


def _each_answered_once(w: Any, ids: list[Any]) -> None:
    for msg_id in ids:
        w.answer(msg_id)
    w.answer(w.request("shutdown"))
    answered = [message["id"] for message in w.answers()]
    assert sorted(map(str, answered)) == sorted(map(str, {*answered}))
    assert {*map(str, ids)} <= {*map(str, answered)}


async def test_promise_1_a_cancelled_request_stops_the_model(editor: StartEditor) -> None:
    options = script([{"match": r":\s*$", "text": "x", "delay_ms": 60_000}])
    async with editor(options) as e:
        uri = e.open(ADD)
        asked = e.client.protocol.send_request(
            "textDocument/inlineCompletion", e.ghost_params(uri, 1, 4), msg_id="mine"
        )
        await e.ask("nearfield/status")
        e.client.cancel_request(types.CancelParams("mine"))
        await e.until(asked.done)
        assert getattr(asked.exception(), "code", None) == -32800
        await e.until(lambda: True)
        (trace,) = await e.traces()
        assert trace["reason"] == "cancelled"


def test_promise_2_the_editor_never_waits_for_us(wire: StartWire) -> None:
    """While a model takes its time, everything else is answered at once."""
    w = wire("--stdio")
    slow = [{"match": "", "text": "x", "delay_ms": 90_000}]
    w.initialize(script(slow, completion={"deadline_ms": 90_000}))
    uri = w.open(ADD)
    w.ask("nearfield/trace")
    running = w.request_ghost(uri, 1, 4)
    for _ in range(20):
        w.ask("nearfield/status")
    assert all(message["id"] != running for message in w.answers())


async def test_a_client_that_waits_itself_is_not_kept_waiting(editor: StartEditor) -> None:
    """Neovim waits 200 ms before it asks; a second wait of ours would only be late."""
    options = script(HELLO, completion={"debounce_ms": 600_000})
    async with editor(options, name="Neovim") as e:
        uri = e.open(ADD)
        await e.traces()
        await e.until(lambda: any(s.get("state") == "ready" for s in e.statuses))
        assert await e.ghost(uri, 1, 4, invoked=False)


async def test_documents_that_are_not_open(editor: StartEditor) -> None:
    async with editor() as e:
        with pytest.raises(Exception, match="not open"):
            await e.ghost("file:///w/never.py", 0, 0)
        uri = e.open(ADD)
        e.client.text_document_did_close(
            types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
        )
        with pytest.raises(Exception, match="not open"):
            await e.ghost(uri, 1, 4)
