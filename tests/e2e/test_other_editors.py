"""Helix, Kate, Sublime Text and Zed: what each says that it can do and what it then asks, to a
server started as docs/editors.md says. None of them asks for inline completions, so the list has to
be good.
"""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.editor_clients import HELIX, KATE, SUBLIME, ZED
from tests.e2e.process import PATIENCE_SECONDS, script
from tests.e2e.wiring import StartWire, Wire

PAGE = (Path(__file__).parents[2] / "docs" / "editors.md").read_text()

LINE = "    é = 1; ret"
TEXT = f"def add(a, b):\n{LINE}\n    # end\n"
ANSWERS: list[dict[str, Any]] = [
    {"match": r"é = 1; ret$", "text": "urn a + b"},
    {"match": r"def add\(a, b\):\n$", "text": "    total = a + b\n    return total\n"},
    {
        "match": r"def add",
        "text": '```python\ndef add(a, b):\n    """Add both."""\n    é = 1\n    return a + b\n```',
    },
]


@dataclass(frozen=True)
class Client:
    """An editor: how the page has it start the server, what it says of itself, how it counts
    columns."""

    name: str
    command: Callable[[], list[str]]
    params: Mapping[str, Any]
    width: Callable[[str], int]

    def can(self, *path: str) -> Any:
        """What it says of a capability, None for nothing."""
        found: Any = self.params["capabilities"]
        for name in path:
            found = found.get(name) if found is not None else None
        return found


def utf8(text: str) -> int:
    return len(text.encode())


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def block(language: str, word: str) -> str:
    (found,) = [
        one for one in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in one
    ]
    return found


def helix() -> list[str]:
    own = tomllib.loads(block("toml", "language-server"))
    server = own["language-server"]["nearfield"]
    assert "nearfield" in own["language"][0]["language-servers"]
    return [server["command"], *server["args"]]


def kate() -> list[str]:
    server = json.loads(block("json", "highlightingModeRegex"))["servers"]["python"]
    assert re.match(server["highlightingModeRegex"], "Python")
    return server["command"]


def sublime() -> list[str]:
    client = json.loads(block("json", "selector"))["clients"]["nearfield"]
    assert client["enabled"]
    return client["command"]


def zed() -> list[str]:
    settings = json.loads(block("json", '"lsp"'))
    ((name, server),) = settings["lsp"].items()
    assert name in settings["languages"]["Python"]["language_servers"]
    return [server["binary"]["path"], *server["binary"]["arguments"]]


CLIENTS = [
    Client("helix", helix, HELIX, utf8),
    Client("kate", kate, KATE, utf16),
    Client("sublime", sublime, SUBLIME, utf16),
    Client("zed", zed, ZED, utf16),
]
each = pytest.mark.parametrize("client", CLIENTS, ids=[one.name for one in CLIENTS])


def begun(wire: StartWire, client: Client) -> tuple[Wire, dict[str, Any]]:
    program, *arguments = client.command()
    assert (program, arguments[:1]) == ("nearfield", ["serve"])
    w = wire(*arguments[1:])
    roles = {"routing": {"roles": {role: ["fake"] for role in ("complete", "fast", "code")}}}
    options = {**script(ANSWERS), **roles}
    return w, w.initialize(options, **client.params)["capabilities"]


def popup(w: Wire, uri: str, line: int, character: int) -> dict[str, Any]:
    """The list, once there is something in it: an incomplete one is asked for again."""
    params = {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": 1},
    }
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        answer = w.ask("textDocument/completion", params)
        assert answer["isIncomplete"] is True
        if answer["items"]:
            return answer
    pytest.fail("the list stayed empty")


def applied(text: str, edit: Mapping[str, Any], width: Callable[[str], int]) -> str:
    """`text` after a text edit, whose columns are of the client's kind."""
    lines = text.splitlines(keepends=True)

    def offset(position: Mapping[str, int]) -> int:
        line = lines[position["line"]] if position["line"] < len(lines) else ""
        column = next(n for n in range(len(line) + 1) if width(line[:n]) == position["character"])
        return sum(map(len, lines[: position["line"]])) + column

    start, end = offset(edit["range"]["start"]), offset(edit["range"]["end"])
    return text[:start] + edit["newText"] + text[end:]


@each
def test_the_list_replaces_exactly_what_was_typed(wire: StartWire, client: Client) -> None:
    w, able = begun(wire, client)
    assert able["positionEncoding"] == ("utf-8" if client.width is utf8 else "utf-16")
    # Items are whole as they come: nothing is left to `completionItem/resolve`.
    assert not able["completionProvider"].get("resolveProvider")
    uri = w.open(TEXT)
    (item,) = popup(w, uri, 1, client.width(LINE))["items"]
    assert item["label"] == "return a + b"
    assert item["detail"] == "Nearfield · scripted"
    if client.can("textDocument", "completion") is None:
        assert item["documentation"] == "return a + b"
    else:
        assert item["documentation"]["value"] == "```python\nreturn a + b\n```"
    assert item["insertTextFormat"] == 1
    assert item["filterText"].startswith("ret")
    assert not item.get("preselect")
    edit = item["textEdit"]
    word = {"line": 1, "character": client.width(LINE) - 3}
    assert edit["range"] == {"start": word, "end": {**word, "character": client.width(LINE)}}
    assert applied(TEXT, edit, client.width) == TEXT.replace("ret\n", "return a + b\n")


@each
def test_several_lines_are_inserted_with_their_indentation(wire: StartWire, client: Client) -> None:
    w, _ = begun(wire, client)
    text = "def add(a, b):\n\n\nprint(add(1, 2))\n"
    uri = w.open(text)
    (item,) = popup(w, uri, 1, 0)["items"]
    assert item["label"] == "total = a + b …"
    # As it is: an editor that indents it anew would be wrong.
    assert item["insertTextMode"] == 1
    after = applied(text, item["textEdit"], client.width)
    assert after.startswith("def add(a, b):\n    total = a + b\n    return total\n")


@each
def test_hovers_are_answered(wire: StartWire, client: Client) -> None:
    w, able = begun(wire, client)
    assert able["hoverProvider"]
    uri = w.open(TEXT)
    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 5}}
    found = None
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        # Until the text is parsed there is nothing to say, and a hover waits for nothing.
        if found := w.ask("textDocument/hover", place):
            break
        time.sleep(0.1)
    assert found is not None
    assert found["contents"]["kind"] == "markdown"
    assert "add" in found["contents"]["value"]


@each
def test_a_code_action_is_done(wire: StartWire, client: Client) -> None:
    w, able = begun(wire, client)
    assert able["codeActionProvider"]["resolveProvider"]
    text = "def add(a, b):\n    é = 1\n    return a + b\n"
    uri = w.open(text)
    here = {"line": 0, "character": 5}
    params = {
        "textDocument": {"uri": uri},
        "range": {"start": here, "end": here},
        "context": {"diagnostics": [], "triggerKind": 1},
    }
    offered = w.ask("textDocument/codeAction", params)
    action = next(one for one in offered if one["title"].startswith("Document"))
    if client.can("textDocument", "codeAction", "resolveSupport"):
        edit = w.ask("codeAction/resolve", action)["edit"]
    else:
        command = {key: action["command"][key] for key in ("command", "arguments")}
        number = w.request("workspace/executeCommand", command)
        asked = w.until(lambda m: m.get("method") == "workspace/applyEdit")
        w.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"applied": True}})
        assert "error" not in w.answer(number)
        edit = asked["params"]["edit"]
    if client.can("workspace", "workspaceEdit"):
        (change,) = edit["documentChanges"]
        assert change["textDocument"] == {"uri": uri, "version": 1}
        edits = change["edits"]
    else:
        edits = edit["changes"][uri]
    (only,) = edits
    wanted = text.replace("):\n", '):\n    """Add both."""\n')
    assert applied(text, only, client.width) == wanted


def test_helix_configures_the_server_by_its_own_table(wire: StartWire) -> None:
    server = tomllib.loads(block("toml", "language-server"))["language-server"]["nearfield"]
    w = wire()
    w.initialize({**script(ANSWERS), **server["config"]}, **HELIX)
    assert not w.shown_messages()
    uri = w.open("def add(a, b):\n\n\nprint(add(1, 2))\n")
    (item,) = popup(w, uri, 1, 0)["items"]
    # `multiline = "never"` is what the page shows.
    assert item["textEdit"]["newText"].strip() == "total = a + b"
