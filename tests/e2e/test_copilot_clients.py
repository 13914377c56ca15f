"""Plugins that were made for Copilot's server, with ours in its place: the conversations that
sidekick.nvim, copilot-lsp, copilot.lua and copilot.vim had with it in real editors, played again
message by message, and what Zed sends by its source. `tests/editors/test_neovim_plugins.py` and
`test_copilot_vim.py` drive the plugins themselves."""

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


# --- the panel -----------------------------------------------------------------------------------


def panel_of(wire: Wire, panel: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for a panel; what it is told until it is told that there is no more."""
    assert wire.ask("getPanelCompletions", {"panelId": panel, **params})["solutionCountTarget"] > 1

    def is_done(message: dict[str, Any]) -> bool:
        done = message.get("method") == "PanelSolutionsDone"
        return done and message["params"]["panelId"] == panel

    wire.until(is_done)
    about = ("PanelSolution", "PanelSolutionsDone")
    told = [m["params"] for m in wire.received if m.get("method") in about]
    return [one for one in told if one["panelId"] == panel]


@pytest.mark.parametrize("panel", ["1:copilot:///w/area.py", "copilot:///panel/1"])
def test_a_panel_shows_every_suggestion_and_tells_which_was_taken(
    wire: StartWire, panel: str
) -> None:
    one = wire()
    begin_copilot_lua(one, ADD)
    *found, done = panel_of(one, panel, of_copilot_lua(1, 17))
    assert done == {"panelId": panel, "status": "OK"}
    shown = [item["displayText"] for item in found]
    assert shown == ["    return '🙂', a + b", "    return '🙂', sum((a, b))"]
    # It is put in the place of the whole line.
    assert [item["completionText"] for item in found] == shown
    assert found[0]["range"] == {"start": place(1, 0), "end": place(1, 17)}
    assert found[0]["score"] > found[1]["score"]
    assert one.ask("notifyAccepted", {"uuid": found[1]["solutionId"]}) == "OK"


def test_a_panel_says_why_it_is_empty(wire: StartWire) -> None:
    one = wire()
    begin_copilot_lua(one, ADD)
    one.ask("workspace/executeCommand", {"command": "nearfield.pause"})
    (done,) = panel_of(one, "1", of_copilot_lua(1, 17))
    assert done == {"panelId": "1", "status": "Error", "message": "Nearfield is paused."}


def test_a_panel_in_the_form_of_lsp(wire: StartWire) -> None:
    one = wire()
    begin_copilot_lua(one, ADD)
    asked = {"textDocument": {"uri": URI, "version": 7}, "position": place(1, 17)}
    found = one.ask("textDocument/copilotPanelCompletion", {**asked, "partialResultToken": 1})
    assert [item["insertText"] for item in found["items"]] == ["a + b", "sum((a, b))"]


# --- copilot.vim ---------------------------------------------------------------------------------

COPILOT_VIM = {
    "editorInfo": {"name": "Vim", "version": "9.2.0995"},
    "editorPluginInfo": {"name": "copilot.vim", "version": "1.26.0"},
}
VIM_CAN = {
    "workspace": {"workspaceFolders": True},
    "window": {"showDocument": {"support": True}},
}


def of_copilot_vim(wire: Wire, version: int, text: str) -> dict[str, Any]:
    """Tell the text, as it does before each question, and more than once; the question's params."""
    document = {"uri": URI, "version": version}
    for _ in range(2):
        changes = {"textDocument": document, "contentChanges": [{"text": text}]}
        wire.notify("textDocument/didChange", changes)
    last = text.splitlines()[-1]
    position = place(text.count("\n") - 1, len(last.encode("utf-16-le")) // 2)
    doc = {**document, "insertSpaces": True, "tabSize": 4, "indentSize": 4, "position": position}
    return {"doc": doc, "textDocument": document, "position": position}


def test_copilot_vim_completes_takes_and_opens_its_panel(wire: StartWire) -> None:
    one = wire()
    answer = {"match": r"return $", "text": "a + b\n"}
    options = {**COPILOT_VIM, **script([answer])}
    one.initialize(options, capabilities=VIM_CAN, workspaceFolders=[])
    nothing = {"http": {"proxy": None, "proxyStrictSSL": None}, "github-enterprise": {"uri": None}}
    one.notify("workspace/didChangeConfiguration", {"settings": nothing})
    begun = "def add(a, b):\n    return \n"
    item = {"uri": URI, "version": 3, "languageId": "python", "text": begun}
    one.notify("textDocument/didOpen", {"textDocument": item})
    one.notify("textDocument/didFocus", {"textDocument": {"uri": URI}})
    # It asks anew at each movement of the cursor, and gives up what it asked before.
    question = of_copilot_vim(one, 3, begun)
    first = one.request("getCompletions", question)
    one.notify("$/cancelRequest", {"id": first})
    one.answer(first)
    (found,) = one.ask("getCompletions", of_copilot_vim(one, 3, begun))["completions"]
    # It compares the text with the line, and takes no range that begins elsewhere.
    assert found["text"] == "    return a + b"
    assert found["range"]["start"] == place(1, 0)
    assert one.ask("notifyShown", {"uuid": found["uuid"]}) == "OK"
    word = {"uuid": found["uuid"], "acceptedLength": 1}
    assert one.ask("notifyAccepted", word) == "OK"
    of_copilot_vim(one, 4, "def add(a, b):\n    return a\n")
    assert one.ask("notifyRejected", {"uuids": [found["uuid"]]}) == "OK"
    assert one.ask("checkStatus", {"options": {"localChecksOnly": True}})["status"] == "OK"
    assert one.ask("checkStatus", {})["user"]
    *found, done = panel_of(one, "copilot:///panel/1", of_copilot_vim(one, 5, begun))
    assert done["status"] == "OK"
    assert "    return a + b" in [one["completionText"] for one in found]
    one.notify("notifyChangeConfiguration", {"settings": {"enableAutoCompletions": False}})
    one.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert one.shown_messages() == []


# --- Zed -----------------------------------------------------------------------------------------

ZED = {
    "editorInfo": {"name": "zed", "version": "0.1.0"},
    "editorPluginInfo": {"name": "zed-copilot", "version": "0.0.1"},
}


def begin_zed(wire: Wire) -> None:
    """Begin as Zed's client of Copilot does: at the root of the disk, with an account to check."""
    capabilities = {
        "general": {"positionEncodings": ["utf-16"]},
        "window": {"workDoneProgress": True, "showDocument": {"support": True}},
        "workspace": {"configuration": True, "workspaceFolders": True},
    }
    answer = {"match": r"'🙂', w$", "text": ", h"}
    options = {**ZED, **script([answer])}
    wire.initialize(options, capabilities=capabilities, rootUri="file:///", ready=False)
    wire.notify("workspace/didChangeConfiguration", {"settings": None})
    proxy = {"http": {"proxy": None, "proxyStrictSSL": True}, "github-enterprise": {"uri": None}}
    wire.notify("workspace/didChangeConfiguration", {"settings": proxy})
    # It opens no document before a user is named, and checks again when all is well.
    assert wire.ask("checkStatus", {"localChecksOnly": False}) == {
        "status": "OK",
        "user": "nearfield",
    }
    wire.until(lambda m: m.get("method") == "didChangeStatus" and m["params"]["kind"] == "Normal")
    wire.ask("checkStatus", {"localChecksOnly": False})
    item = {"uri": URI, "languageId": "python", "version": 0, "text": AREA}
    wire.notify("textDocument/didOpen", {"textDocument": item})
    wire.notify("textDocument/didFocus", {"uri": URI})


def both_of_zed(wire: Wire, version: int, line: int, character: int) -> tuple[Any, Any]:
    """Ask for the next edit and for ghost text at once, as it does at each pause; both answers."""
    at = {"textDocument": {"uri": URI, "version": version}, "position": place(line, character)}
    edits = wire.request("textDocument/copilotInlineEdit", at)
    options = {"tabSize": 4, "insertSpaces": True}
    asked = {**at, "context": {"triggerKind": 2}, "formattingOptions": options}
    items = wire.request("textDocument/inlineCompletion", asked)
    return wire.answer(edits)["result"]["edits"], wire.answer(items)["result"]["items"]


def test_zed_asks_two_ways_at_once_and_shows_the_edit_or_the_suggestion(wire: StartWire) -> None:
    one = wire()
    begin_zed(one)
    change(one, 1, *RENAMED)
    edits, _ = both_of_zed(one, 1, 0, 13)
    # A position of its own for each: UTF-16 counts the smile twice.
    assert [edit["range"] for edit in edits] == [{"start": place(1, 14), "end": place(1, 15)}]
    assert edits[0]["textDocument"] == {"uri": URI, "version": 1}
    assert {"title", "command"} <= edits[0]["command"].keys()
    change(one, 2, (1, 14, 15, "width"))
    one.ask("workspace/executeCommand", edits[0]["command"])
    change(one, 3, (0, 9, 14, "w"), (1, 14, 19, "w"))
    edits, items = both_of_zed(one, 3, 1, 15)
    assert edits == []
    (item,) = items
    assert item["range"] == {"start": place(1, 15), "end": place(1, 15)}
    assert item["insertText"] == ", h"
    one.ask("workspace/executeCommand", item["command"])
    one.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
    assert one.ask("signOut", {})["status"] == "OK"
