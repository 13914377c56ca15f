"""Plugins that were made for Copilot's server, with ours in its place: the conversations that
sidekick.nvim and copilot-lsp had with it in a real Neovim, played again message by message.
`tests/editors/test_neovim_plugins.py` drives the plugins themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.process import script
from tests.e2e.wiring import StartWire, Wire

URI = "file:///w/area.py"
AREA = "def area(w, h):\n    é = '🙂', w\n    return w * h\n"
OFFERED = ["utf-8", "utf-16", "utf-32"]
"""What Neovim offers, whatever a plugin counts in."""
COPILOT_LSP = {
    "editorInfo": {"name": "neovim", "version": "0.11.4"},
    "editorPluginInfo": {"name": "Github Copilot LSP for Neovim", "version": "0.0.1"},
}


def begin(wire: Wire, options: dict[str, Any]) -> str:
    """Begin the session and open the document; the encoding that was agreed."""
    capabilities = {"general": {"positionEncodings": OFFERED}}
    result = wire.initialize({**options, **script([])}, capabilities=capabilities)
    item = {"uri": URI, "languageId": "python", "version": 0, "text": AREA}
    wire.notify("textDocument/didOpen", {"textDocument": item})
    return result["capabilities"]["positionEncoding"]


def place(line: int, character: int) -> dict[str, int]:
    return {"line": line, "character": character}


def change(wire: Wire, version: int, *edits: tuple[int, int, int, str]) -> None:
    """Tell edits in one line each: the line, two columns, and the text."""
    changes = [
        {
            "range": {"start": place(line, first), "end": place(line, last)},
            "rangeLength": last - first,
            "text": text,
        }
        for line, first, last, text in edits
    ]
    document = {"uri": URI, "version": version}
    wire.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})


RENAMED = ((0, 9, 10, ""), *((0, 9 + at, 9 + at, char) for at, char in enumerate("width")))


def ask(
    wire: Wire, version: int, line: int, character: int, **context: Any
) -> list[dict[str, Any]]:
    document = {"uri": URI, "version": version}
    params = {"textDocument": document, "position": place(line, character), **context}
    return wire.ask("textDocument/copilotInlineEdit", params)["edits"]


@pytest.fixture
def begun(wire: StartWire) -> Callable[[dict[str, Any]], tuple[Wire, str]]:
    """Starts a session: what the plugin says of itself; the session and its encoding."""

    def start(options: dict[str, Any]) -> tuple[Wire, str]:
        one = wire()
        return one, begin(one, options)

    return start


def test_sidekick_shows_makes_and_dismisses(
    begun: Callable[[dict[str, Any]], tuple[Wire, str]],
) -> None:
    wire, encoding = begun({})
    assert encoding == "utf-8"
    kind = {"context": {"triggerKind": 2}}
    wire.notify("textDocument/didFocus", {"textDocument": {"uri": URI}})
    change(wire, 9, *RENAMED)
    (edit,) = ask(wire, 9, 0, 13, **kind)
    # It applies all edits of an answer at once, and drops those of another version.
    assert edit["textDocument"] == {"uri": URI, "version": 9}
    assert edit["range"] == {"start": place(1, 17), "end": place(1, 18)}
    change(wire, 10, (1, 18, 18, "idth"))
    wire.ask("workspace/executeCommand", edit["command"])
    (edit,) = ask(wire, 10, 1, 22, **kind)
    assert edit["range"] == {"start": place(2, 11), "end": place(2, 12)}
    # A key of Insert mode ends a question; the one after it is answered.
    change(wire, 11, (2, 12, 12, "idth"))
    question = {"textDocument": {"uri": URI, "version": 11}, "position": place(2, 16), **kind}
    asked = wire.request("textDocument/copilotInlineEdit", question)
    wire.notify("$/cancelRequest", {"id": asked})
    wire.answer(asked)
    change(wire, 12, (2, 12, 16, ""))
    (edit,) = ask(wire, 12, 2, 11, **kind)
    assert edit["textDocument"]["version"] == 12


def test_copilot_lsp_counts_in_utf_16_whatever_the_editor_offers(
    begun: Callable[[dict[str, Any]], tuple[Wire, str]],
) -> None:
    wire, encoding = begun(COPILOT_LSP)
    assert encoding == "utf-16"
    settings = {"nextEditSuggestions": {"enabled": True}}
    wire.notify("workspace/didChangeConfiguration", {"settings": settings})
    change(wire, 9, *RENAMED)
    (edit,) = ask(wire, 9, 0, 13)
    assert edit["range"] == {"start": place(1, 14), "end": place(1, 15)}
    wire.notify("textDocument/didShowInlineEdit", {"item": {"command": edit["command"]}})
    # It makes the edit and does not say so.
    change(wire, 10, (1, 15, 15, "idth"))
    (edit,) = ask(wire, 10, 1, 19)
    assert edit["range"] == {"start": place(2, 11), "end": place(2, 12)}
    change(wire, 11, (2, 12, 12, "idth"))
    assert ask(wire, 11, 2, 12) == []
    assert wire.shown_messages() == []


# --- copilot.lua ---------------------------------------------------------------------------------

COPILOT_LUA = {
    "editorInfo": {"name": "Neovim", "version": "0.11.4"},
    "editorPluginInfo": {"name": "copilot.lua", "version": "1.515.0"},
}
NONE = {"_": True}
"""It makes an object of no params by this."""


def of_copilot_lua(line: int, character: int) -> dict[str, Any]:
    """The params of its question, whose positions are UTF-16's."""
    position = place(line, character)
    doc = {"uri": URI, "version": 7, "relativePath": "area.py"}
    more = {"insertSpaces": True, "tabSize": 4, "indentSize": 4, "position": position}
    return {"doc": {**doc, **more}, "textDocument": doc, "position": position, **NONE}


def begin_copilot_lua(wire: Wire, text: str) -> None:
    """Begin as it does; a script completes `add`, and in another way when asked again."""
    answers = [
        {"match": r"'🙂', $", "text": "a + b"},
        {"match": r"'🙂', $", "text": "sum((a, b))"},
    ]
    capabilities = {"general": {"positionEncodings": OFFERED}}
    wire.initialize({**COPILOT_LUA, **script(answers)}, capabilities=capabilities)
    wire.notify("workspace/didChangeConfiguration", {"settings": {"enableAutoCompletions": True}})
    wire.notify("$/setTrace", {"value": "off"})
    item = {"uri": URI, "languageId": "python", "version": 0, "text": text}
    wire.notify("textDocument/didOpen", {"textDocument": item})


ADD = "def add(a, b):\n    return '🙂', \n"


def test_copilot_lua_gets_completions_and_tells_what_became_of_them(wire: StartWire) -> None:
    one = wire()
    begin_copilot_lua(one, ADD)
    (found,) = one.ask("getCompletions", of_copilot_lua(1, 17))["completions"]
    assert found["text"] == "    return '🙂', a + b"
    assert found["displayText"] == "a + b"
    assert found["range"] == {"start": place(1, 0), "end": place(1, 17)}
    assert (found["position"], found["docVersion"]) == (place(1, 17), 7)
    assert one.ask("notifyShown", {"uuid": found["uuid"], **NONE}) == "OK"
    again = one.ask("getCompletionsCycling", of_copilot_lua(1, 17))["completions"]
    assert [item["displayText"] for item in again] == ["a + b", "sum((a, b))"]
    taken = {"uuid": again[1]["uuid"], "acceptedLength": len("    return '🙂', sum((a, b))") + 1}
    assert one.ask("notifyAccepted", {**taken, **NONE}) == "OK"
    assert one.ask("notifyRejected", {"uuids": [again[0]["uuid"]], **NONE}) == "OK"


@pytest.mark.parametrize(
    ("method", "params", "told"),
    [
        ("checkStatus", NONE, {"status": "OK"}),
        ("checkStatus", {"options": {"localChecksOnly": True}}, {"status": "OK"}),
        ("signInInitiate", NONE, {"status": "AlreadySignedIn"}),
        ("signIn", {}, {"status": "AlreadySignedIn"}),
        ("signInConfirm", {"userCode": "x"}, {"status": "OK"}),
        ("signOut", NONE, {"status": "OK"}),
    ],
)
def test_a_plugin_that_asks_for_an_account_goes_on(
    wire: StartWire, method: str, params: dict[str, Any], told: dict[str, Any]
) -> None:
    one = wire()
    begin_copilot_lua(one, ADD)
    assert one.ask(method, params) == {**told, "user": "nearfield"}
    assert one.ask("getVersion", NONE)["version"]
