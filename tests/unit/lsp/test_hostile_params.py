"""Every method and every command that the server knows, with params that nobody means: each request
is answered once, none as a failure of ours, and documents stay what the editor has."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.lsp.test_protocol import Sent

from nearfield.config.load import Loaded
from nearfield.config.schema import Config, Engine, Index
from nearfield.lsp import server

URI = "file:///w/a.py"
TEXT = "def f(x):\n    return x\n"
AT = {"line": 0, "character": 0}
DEEP = json.loads('{"a":[' * 300 + "1" + "]}" * 300)

ODD: list[Any] = [
    None, True, -1, 0, 2**32, 10**40, -(2**63), 1.5, float("inf"), float("nan"), "", "7", "\0",
    "\ufffd", "x" * 1000, [], [None], [[]], {}, {"": None}, DEEP, [DEEP],
]  # fmt: skip
DOCUMENT = {"uri": URI, "version": 1}
WHOLE: dict[str, Any] = {
    "textDocument": DOCUMENT, "position": AT, "range": {"start": AT, "end": AT},
    "context": {"triggerKind": 1, "diagnostics": []}, "uri": URI, "session": "s", "item": {},
    "token": "t", "value": "off", "title": "t", "data": {}, "last": 1, "settings": {},
    "event": {"added": [], "removed": []}, "contentChanges": [], "changes": [], "message": "m",
    "prompt": "p", "schema": {"type": "object"}, "workspace": "/gone",
    "notebookDocument": {"uri": "file:///w/a.ipynb", "notebookType": "jupyter-notebook",
                         "version": 1, "cells": [{"kind": 2, "document": "cell:1"}]},
    "cellTextDocuments": [
        {"uri": "cell:1", "languageId": "python", "version": 1, "text": "x = 1"}
    ],
    "change": {"cells": {
        "structure": {"array": {"start": 0, "deleteCount": 0, "cells": []}},
        "textContent": [{"document": {"uri": "cell:1", "version": 2},
                         "changes": [{"text": "x = 1"}]}],
    }},
}  # fmt: skip
UNASKED = {"initialize", "initialized", "shutdown", "exit", "$/cancelRequest"}


def _settings(roots: Sequence[str], client: object) -> tuple[Loaded, dict[str, Loaded]]:
    del client
    loaded = Loaded(Config(engine=Engine(enabled=False), index=Index(enabled=False)))
    return loaded, dict.fromkeys(roots, loaded)


class Asked:
    """A server that is asked, and what it answers."""

    def __init__(self) -> None:
        self.server = server.build(_settings)
        self.protocol = self.server.session.protocol
        self.sent = Sent()
        self.protocol.set_writer(self.sent)
        self.asked: list[str] = []

    def ask(self, method: str, params: Any) -> None:
        number = f"n{len(self.asked)}"
        self.asked.append(number)
        self._take(method, params, id=number)

    def tell(self, method: str, params: Any) -> None:
        self._take(method, params)

    def _take(self, method: str, params: Any, **more: Any) -> None:
        self.protocol.receive({"jsonrpc": "2.0", "method": method, "params": params, **more})

    async def answered(self) -> None:
        """All that was asked has one answer, and none is a failure."""
        for _ in range(1000):
            if len(self._answers()) >= len(self.asked):
                break
            await asyncio.sleep(0.02)
        answers = self._answers()
        assert sorted(one["id"] for one in answers) == sorted(self.asked)
        failed = [one for one in answers if one.get("error", {}).get("code") == -32603]
        assert failed == []
        self.sent.messages.clear()
        self.asked.clear()

    def _answers(self) -> list[dict[str, Any]]:
        return [one for one in self.sent.messages if "method" not in one and one.get("id")]

    @property
    def text(self) -> str | None:
        document = self.server.session.documents.get(URI)
        return document.text if document is not None and document.followed else None


@pytest.fixture
async def c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    for name in ("NEARFIELD_CACHE_DIR", "NEARFIELD_DATA_DIR", "NEARFIELD_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    asked = Asked()
    asked.ask("initialize", {"capabilities": {}})
    await asked.answered()
    asked.tell("initialized", {})
    await asked.server.session.service()
    open_it(asked)
    yield asked
    await asked.server.session.close()


def open_it(c: Asked) -> None:
    item = {**DOCUMENT, "languageId": "python", "text": TEXT}
    c.tell("textDocument/didOpen", {"textDocument": item})


def _variants(whole: dict[str, Any]) -> list[Any]:
    """`whole` with one thing wrong in every way, and nothing but wrong."""
    beside = [{"line": odd, "character": odd} for odd in ODD]
    places = [{"position": at, "range": {"start": at, "end": at}, "maxTokens": at["line"]}
              for at in beside]  # fmt: skip
    one_wrong = [{name: odd} for name in whole for odd in ODD]
    return [*ODD, *({**whole, **wrong} for wrong in (*one_wrong, *places))]


def _methods(c: Asked) -> list[str]:
    known = {*c.protocol.fm.features, *c.protocol.fm.builtin_features}
    return sorted(known - UNASKED - {"workspace/executeCommand"})


async def test_every_method_takes_everything(c: Asked, caplog: pytest.LogCaptureFixture) -> None:
    methods = _methods(c)
    assert len(methods) > 15
    for method in methods:
        is_told = "/did" in method or method.startswith(("$/", "window/"))
        for params in _variants(WHOLE):
            (c.tell if is_told else c.ask)(method, params)
        await c.answered()
        open_it(c)
    assert not re.search(r"notification \S+ failed|Traceback", caplog.text)
    assert c.text == TEXT


async def test_every_command_takes_everything(c: Asked) -> None:
    commands = sorted(c.protocol.fm.commands)
    assert len(commands) > 10
    for name in commands:
        for argument in _variants(WHOLE):
            c.ask("workspace/executeCommand", {"command": name, "arguments": [argument]})
        for arguments in ODD:
            c.ask("workspace/executeCommand", {"command": name, "arguments": arguments})
        await c.answered()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/didChange", {"textDocument": DOCUMENT, "contentChanges": [{"text": 5}]}),
        ("textDocument/didChange",
         {"textDocument": DOCUMENT, "contentChanges": [{"range": "all", "text": "x"}]}),
        ("textDocument/didChange", {"textDocument": DOCUMENT, "contentChanges": 5}),
        ("textDocument/didOpen", {"textDocument": {**DOCUMENT, "text": ["x"]}}),
    ],
)  # fmt: skip
async def test_an_unreadable_change_makes_a_document_unknown(
    c: Asked, method: str, params: Any
) -> None:
    assert c.text == TEXT
    c.tell(method, params)
    assert c.text is None
    part = {"range": {"start": AT, "end": AT}, "text": "y"}
    c.tell("textDocument/didChange", {"textDocument": DOCUMENT, "contentChanges": [part]})
    assert c.text is None
    c.ask("textDocument/inlineCompletion",
          {"textDocument": DOCUMENT, "position": AT, "context": {"triggerKind": 1}})  # fmt: skip
    await c.answered()
    whole = {"textDocument": DOCUMENT, "contentChanges": [{"text": TEXT}, part]}
    c.tell("textDocument/didChange", whole)
    assert c.text == "y" + TEXT


BOOK: dict[str, Any] = {
    "notebookDocument": WHOLE["notebookDocument"], "cellTextDocuments": WHOLE["cellTextDocuments"],
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", ["cells", "structure", "array", "start", "deleteCount", "new"])
async def test_a_notebook_takes_every_change(
    c: Asked, place: str, odd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    array: dict[str, Any] = {"start": 0, "deleteCount": 1, "cells": []}
    array |= {"cells" if place == "new" else place: odd} if place != "cells" else {}
    structure = odd if place == "structure" else {"array": odd if place == "array" else array}
    change = {"cells": odd if place == "cells" else {"structure": structure}}
    c.tell("notebookDocument/didOpen", BOOK)
    c.tell("notebookDocument/didChange",
           {"notebookDocument": WHOLE["notebookDocument"], "change": change})  # fmt: skip
    c.ask("textDocument/inlineCompletion",
          {"textDocument": {"uri": "cell:1"}, "position": AT, "context": {"triggerKind": 1}},
    )  # fmt: skip
    await c.answered()
    assert not re.search(r"notification \S+ failed|Traceback", caplog.text)


async def test_a_notebook_that_cannot_be_read_makes_its_cells_unknown(c: Asked) -> None:
    documents = c.server.session.documents
    c.tell("notebookDocument/didOpen", BOOK)
    cell = documents.get("cell:1")
    assert cell is not None
    assert (cell.text, cell.path, cell.snapshot().above) == ("x = 1", "/w/a.ipynb", ())
    c.tell("notebookDocument/didChange", {**BOOK, "change": {"cells": {"structure": 5}}})
    assert not cell.followed
    c.tell("notebookDocument/didChange", {**BOOK, "change": WHOLE["change"]})
    assert (cell.followed, cell.text) == (True, "x = 1")


END = {"line": 2**32 - 1, "character": 2**32 - 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"text": "a"}, "a"),
        ({"range": None, "text": "a"}, "a"),
        ({"range": {"start": AT, "end": END}, "text": "a"}, "a"),
        ({"range": {"start": END, "end": AT}, "text": "a"}, "a"),
        ({"range": [AT, END], "text": "a"}, "a"),
        ({"range": {"start": AT, "end": {"line": 0, "character": 3.0}}, "text": ""}, TEXT[3:]),
        ({"range": {"start": {"line": -1, "character": -1}, "end": AT}, "text": "a"}, "a" + TEXT),
        (
            {"range": {"start": {"line": 2**31, "character": 0}, "end": END}, "text": "a"},
            TEXT + "a",
        ),
        ({"range": {"start": AT, "end": AT}, "rangeLength": -1, "text": "a"}, "a" + TEXT),
        ({"range": {"start": AT, "end": AT}, "rangeLength": None, "text": "a"}, "a" + TEXT),
    ],
)
@pytest.mark.parametrize("version", [2, 1, -5, None, 2.0, "3", 2**60])
async def test_a_change_is_what_the_editor_did(
    c: Asked, change: dict[str, Any], version: Any, expected: str
) -> None:
    document = {"uri": "file://localhost/w/%61.py", "version": version}
    c.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
    assert c.text == expected
    assert json.dumps(c.sent.messages).count("error") == 0
