"""Whatever a client, a file or a setting brings: a clear message once, and the server stays up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.editing import StartEditor
from tests.e2e.process import HELLO, PATIENCE_SECONDS, open_gate, script
from tests.e2e.wiring import StartWire, Wire

from nearfield.lsp import frames

ADD = "def add(a, b):\n    "
SUGGESTED = "return a + b"


def still_serves(w: Wire) -> None:
    """The server answers, and suggests what it should."""
    uri = w.open(ADD)
    assert [item["insertText"] for item in w.ghost(uri, 1, 4)] == [SUGGESTED]


def last_reason(w: Wire) -> str:
    return w.ask("nearfield/trace", {"last": 1})[0]["reason"]


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"completion": {"debounce_ms": "soon"}}, ["completion.debounce_ms", "60"]),
        ({"completion": {"debounce_ms": -1}}, ["completion.debounce_ms", "60"]),
        ({"completion": {"debounce": 5}}, ["completion.debounce"]),
        ({"completion": "fast"}, ["completion"]),
        ({"completoin": {}}, ["completoin"]),
        ({"log": {"level": "loud"}}, ["log.level", "info"]),
        ({"completion": {"enabled": "yes"}, "files": {"max_bytes": None}}, ["completion.enabled"]),
    ],
)
def test_promise_6_the_server_starts_on_a_bad_config_and_says_which_key_is_wrong(
    wire: StartWire, settings: dict[str, Any], named: list[str]
) -> None:
    w = wire("--stdio")
    w.initialize(script(**settings))
    still_serves(w)
    (message,) = w.shown_messages()
    assert all(name in message for name in named)
    # Said once: not again when the settings are read again.
    w.notify("workspace/didChangeConfiguration", {"settings": {"nearfield": settings}})
    w.ask("nearfield/status")
    still_serves(w)
    assert len(w.shown_messages()) == 1


@pytest.mark.parametrize("options", [[], "fast", 7, True])
def test_promise_6_options_that_are_no_table(wire: StartWire, options: Any) -> None:
    w = wire("--stdio")
    w.initialize(options, ready=False)
    w.until(lambda m: "initializationOptions" in str(m.get("params")))
    assert w.ask("nearfield/status")["state"]


def test_promise_6_a_broken_settings_file(wire: StartWire, environ: dict[str, str]) -> None:
    folder = Path(environ["NEARFIELD_CONFIG_DIR"])
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("[completion\nenabled = maybe")
    w = wire("--stdio")
    w.initialize()
    still_serves(w)
    (message,) = w.shown_messages()
    assert "config.toml" in message


@pytest.mark.parametrize(
    "params",
    [
        {"capabilities": None},
        {"capabilities": {"textDocument": "all of it"}},
        {"capabilities": {"general": {"positionEncodings": "utf-8"}, "window": 7}},
        {"capabilities": {"workspace": {"symbol": {"symbolKind": {"valueSet": ["x"]}}}}},
        {"processId": "many"},
        {"workspaceFolders": [{"name": "no uri"}], "rootUri": 7},
        {"clientInfo": "an editor", "trace": "loud", "locale": ["de"]},
        {"unknown": {"field": 1}},
    ],
)
def test_initialize_keeps_readable_fields_beside_unreadable_ones(
    wire: StartWire, params: dict[str, Any]
) -> None:
    w = wire("--stdio")
    w.initialize(**params)
    still_serves(w)


def test_capabilities_beside_an_unreadable_one_are_kept(wire: StartWire) -> None:
    w = wire("--stdio")
    general = {"positionEncodings": ["utf-32"]}
    result = w.initialize(capabilities={"general": general, "window": "wide"})
    assert result["capabilities"]["positionEncoding"] == "utf-32"


# --- the protocol ---------------------------------------------------------------------------------


def test_requests_before_initialize(wire: StartWire) -> None:
    w = wire("--stdio")
    w.open(ADD)
    for method in ("textDocument/inlineCompletion", "nearfield/status", "shutdown"):
        assert w.answer(w.request(method, {}))["error"]["code"] == -32002
    w.initialize()
    still_serves(w)
    again = w.answer(w.request("initialize", {"capabilities": {}}))
    assert again["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello\r\n\r\n", -32700),
        (b"Content-Length: many\r\n\r\n", -32700),
        (b"Content-Length: 99999999999999\r\n\r\n", -32700),
        (b"Content-Length: 5\r\n\r\n{not}", -32700),
        (b'Content-Length: 4\r\n\r\n{"jsonrpc": "2.0"}', -32700),
        (b'Content-Length: 60\r\n\r\n{"jsonrpc": "2.0"}', -32700),
        (b"\x00\xff" * 500 + b"\r\n\r\n", -32700),
        (frames.encode([]), -32600),
        (frames.encode("text"), -32600),
        (frames.encode(None), -32600),
        (frames.encode({}), -32600),
        (frames.encode({"jsonrpc": "2.0", "id": None, "method": "nearfield/status"}), -32600),
        (frames.encode({"jsonrpc": "2.0", "id": {}, "method": "nearfield/status"}), -32600),
        (frames.encode({"jsonrpc": "2.0", "id": True, "method": "nearfield/status"}), -32600),
        (frames.encode({"jsonrpc": "2.0", "method": 7}), -32600),
    ],
)
def test_malformed_messages(served: Wire, data: bytes, code: int) -> None:
    before = len(served.answers())
    served.write(data)
    still_serves(served)
    errors = [a["error"] for a in served.answers()[before:] if "error" in a]
    assert [error["code"] for error in errors] == [code]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("textDocument/inlineCompletion", None, -32602),
        ("textDocument/inlineCompletion", {}, -32602),
        ("textDocument/inlineCompletion", [], -32602),
        ("textDocument/inlineCompletion", "x", -32602),
        (
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": "file:///w/secret.py"},
                "position": {"line": "one", "character": 0},
                "context": {"triggerKind": 1},
            },
            -32602,
        ),
        (
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": "file:///w/secret.py"},
                "position": {"line": 0, "character": 0},
                "context": {"triggerKind": 99},
            },
            -32602,
        ),
        ("textDocument/completion", {"position": None}, -32602),
        ("workspace/executeCommand", {"command": None}, -32602),
        ("textDocument/hover", {}, -32602),
        ("nothing/known", None, -32601),
        ("", None, -32601),
    ],
)
def test_wrong_params_are_answered(served: Wire, method: str, params: Any, code: int) -> None:
    error = served.answer(served.request(method, params))["error"]
    assert error["code"] == code
    assert "secret" not in str(error) and "Traceback" not in str(error)
    still_serves(served)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/didOpen", {"textDocument": {"uri": "file:///w/a.py"}}),
        ("textDocument/didOpen", None),
        ("textDocument/didChange", {"textDocument": {"uri": "file:///never"}}),
        (
            "textDocument/didChange",
            {"textDocument": {"uri": "file:///w/x", "version": 1}, "contentChanges": []},
        ),
        ("textDocument/didClose", {"textDocument": {"uri": "file:///w/never.py"}}),
        ("notebookDocument/didOpen", {"notebookDocument": {}, "cellTextDocuments": []}),
        ("notebookDocument/didChange", {}),
        ("workspace/didChangeConfiguration", None),
        ("workspace/didChangeConfiguration", {"settings": None}),
        ("workspace/didChangeConfiguration", {"settings": "x"}),
        ("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": []}}),
        ("workspace/didChangeWorkspaceFolders", {"event": 1}),
        ("window/workDoneProgress/cancel", {"token": "never"}),
        ("textDocument/didShowCompletion", 7),
        ("$/cancelRequest", None),
        ("$/cancelRequest", {"id": "never"}),
        ("$/cancelRequest", {"id": []}),
        ("$/setTrace", {"value": "verbose"}),
        ("$/unknown", None),
        ("textDocument/didSave", {"textDocument": {"uri": "file:///w/a.py"}}),
    ],
)
def test_wrong_or_unknown_notifications(served: Wire, method: str, params: Any) -> None:
    said = served.shown_messages()
    served.notify(method, params)
    still_serves(served)
    assert served.shown_messages() == said


def test_an_id_that_is_in_use(wire: StartWire, tmp_path: Path) -> None:
    w, gate = wire("--stdio"), tmp_path / "gate"
    w.initialize(script([{"match": r":\s*$", "text": SUGGESTED, "waits_for": str(gate)}]))
    uri = w.open(ADD)
    request = {
        "jsonrpc": "2.0",
        "id": "same",
        "method": "textDocument/inlineCompletion",
        "params": {
            "textDocument": {"uri": uri},
            "position": {"line": 1, "character": 4},
            "context": {"triggerKind": 1},
        },
    }
    w.send(request, request)
    w.until(lambda m: m.get("id") == "same" and "error" in m)
    open_gate(gate)
    w.until(lambda m: m.get("id") == "same" and "result" in m)
    w.ask("nearfield/status")
    answers = [message for message in w.answers() if message.get("id") == "same"]
    assert len(answers) == 2
    assert answers[0]["error"]["code"] == -32600
    assert answers[1]["result"]["items"][0]["insertText"] == SUGGESTED


def test_answers_to_questions_that_were_never_asked(served: Wire) -> None:
    served.send(
        {"jsonrpc": "2.0", "id": 99, "result": 1},
        {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "x"}},
        {"jsonrpc": "2.0", "id": [], "error": "x"},
    )
    still_serves(served)


def asked_for_settings(w: Wire) -> Any:
    """The request for its settings to a client that has said others with `initialize`."""
    caps = {"workspace": {"configuration": True}}
    w.request("initialize", {"capabilities": caps, "initializationOptions": script()})
    w.answer(1)
    w.notify("initialized", {})
    return w.until(lambda m: m.get("method") == "workspace/configuration")


def test_a_client_that_answers_wrongly(wire: StartWire) -> None:
    """Asked for its settings, it says nonsense; it is served by what it said before."""
    w = wire("--stdio")
    asked = asked_for_settings(w)
    w.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"no": "list"}})
    w.until(lambda m: m.get("params", {}).get("state") == "ready")
    still_serves(w)


def test_a_client_that_says_its_settings_late(wire: StartWire) -> None:
    """It is served by what it said before until it has."""
    w = wire("--stdio")
    asked = asked_for_settings(w)
    w.until(lambda m: m.get("params", {}).get("state") == "ready")
    still_serves(w)
    settings = {"completion": {"enabled": False}}
    w.send({"jsonrpc": "2.0", "id": asked["id"], "result": [settings]})
    end = time.monotonic() + PATIENCE_SECONDS
    while w.ghost(w.open(ADD), 1, 4):
        assert time.monotonic() < end, "they never came into force"


# --- documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3_000_000, 50_000_000])
def test_a_file_that_is_too_big_is_said_once(wire: StartWire, size: int) -> None:
    w = wire("--stdio")
    w.initialize()
    line = "value = compute(left, right)\n"
    uri = w.open(line * (size // len(line)), "file:///w/big.py")
    for version in (2, 3):
        w.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": uri, "version": version},
                "contentChanges": [{"range": _at(5, 0), "text": "x"}],
            },
        )
        assert w.ghost(uri, 5, 1) == []
        assert last_reason(w) == "too_big"
    (message,) = w.shown_messages()
    assert "big.py" in message and "files.max_bytes" in message
    still_serves(w)


def test_a_file_that_was_too_big_gets_suggestions_again(wire: StartWire) -> None:
    w = wire("--stdio")
    w.initialize()
    uri = w.open(ADD + "\n" + "#\n" * 1_500_000)
    assert w.ghost(uri, 1, 4) == []
    cut = {"start": {"line": 2, "character": 0}, "end": {"line": 9_999_999, "character": 0}}
    w.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": uri, "version": 2},
            "contentChanges": [{"range": cut, "text": ""}],
        },
    )
    assert [item["insertText"] for item in w.ghost(uri, 1, 4)] == [SUGGESTED]


@pytest.mark.parametrize(
    ("text", "line", "character"),
    [
        ("x" * 1_900_000 + "\n" + ADD, 2, 4),
        ('data = "' + "é😀" * 300_000 + '"\n' + ADD, 2, 4),
        ("\x00\x01\x02\x7f\ufffd\x1b[31m\n" + ADD, 2, 4),
        ("\ud800\n" + ADD, 2, 4),
        ("\ufeff" + ADD, 1, 4),
        (ADD, 99, 99),
        (ADD, 1, 4_000_000),
    ],
)
def test_odd_texts(served: Wire, text: str, line: int, character: int) -> None:
    said = served.shown_messages()
    uri = served.open(text)
    assert [item["insertText"] for item in served.ghost(uri, line, character)] == [SUGGESTED]
    assert served.shown_messages() == said


def test_one_long_line_is_completed_at_its_end(wire: StartWire) -> None:
    w = wire("--stdio")
    w.initialize(script([{"match": "x=$", "text": "1"}]))
    uri = w.open("var a;" * 300_000 + "x=", language="javascript")
    end = 6 * 300_000 + 2
    (item,) = w.ghost(uri, 0, end)
    assert item["insertText"] == "1"
    assert item["range"]["start"] == {"line": 0, "character": end}


@pytest.mark.parametrize(
    ("uri", "language"),
    [
        ("untitled:Untitled-1", "python"),
        ("file:///w/notes.xyz", "klingon"),
        ("file:///w/no-language", ""),
        ("vscode-notebook-cell:/w/a.ipynb#W0sZmlsZQ%3D%3D", "python"),
        ("git:/w/a.py?%7B%22ref%22%3A%22~%22%7D", "PYTHON"),
        ("file://[not a uri", "python"),
        ("", "python"),
        ("file:///w/%00.py", "python"),
    ],
)
def test_odd_documents(served: Wire, uri: str, language: str) -> None:
    said = served.shown_messages()
    served.open(ADD, uri, language)
    assert [item["insertText"] for item in served.ghost(uri, 1, 4)] == [SUGGESTED]
    assert served.shown_messages() == said


async def test_a_document_that_is_opened_twice_is_replaced(editor: StartEditor) -> None:
    async with editor(script(HELLO)) as e:
        e.open("x = 1\n")
        uri = e.open(ADD)
        assert await e.ghost(uri, 1, 4)


def _at(line: int, character: int) -> dict[str, Any]:
    at = {"line": line, "character": character}
    return {"start": at, "end": at}
