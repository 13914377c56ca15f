"""Every request and notification of the server on every document of every hostile repository.

A new method or command fails `test_every_method_is_tried` until it has a row here.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.prepared import STARTED
from tests.e2e.wiring import Wire
from tests.hostile.conftest import Repository, peak_mb
from tests.hostile.repositories import OUTSIDE

from nearfield.lsp.server import build

MAX_MB = 700
INTERNAL_ERROR = -32603
MAX_BYTES = 1_500_000
"""An editor asks before it opens a larger file."""
LANGUAGES = {
    "py": "python", "js": "javascript", "ts": "typescript", "rs": "rust", "sh": "shellscript",
    "rb": "ruby", "md": "markdown", "kt": "kotlin", "cs": "csharp",
}  # fmt: skip

Params = Callable[[str, dict[str, int]], Any]


def _at(uri: str, position: dict[str, int]) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": position}


def _range(position: dict[str, int]) -> dict[str, Any]:
    return {"start": position, "end": position}


REQUESTS: dict[str, Params] = {
    "textDocument/inlineCompletion": lambda u, p: {**_at(u, p), "context": {"triggerKind": 1}},
    "textDocument/completion": _at,
    "textDocument/hover": _at,
    "textDocument/copilotInlineEdit": lambda u, p: {
        "textDocument": {"uri": u, "version": 1},
        "position": p,
    },
    "getCompletions": lambda u, p: {"doc": {"uri": u, "position": p, "version": 1}},
    "getCompletionsCycling": lambda u, p: {"doc": {"uri": u, "position": p}},
    "getPanelCompletions": lambda u, p: {
        "doc": {"uri": u, "position": p, "version": 1}, "panelId": u,
    },
    "textDocument/copilotPanelCompletion": lambda u, p: {
        **_at(u, p), "partialResultToken": "none",
    },
    "notifyShown": lambda u, p: {"uuid": "none"},
    "notifyAccepted": lambda u, p: {"uuid": "none", "acceptedLength": 3},
    "notifyRejected": lambda u, p: {"uuids": ["none"]},
    "getVersion": lambda u, p: {"_": True},
    "setEditorInfo": lambda u, p: {"editorInfo": {"name": u}},
    "checkStatus": lambda u, p: {"options": {"localChecksOnly": True}},
    "signIn": lambda u, p: {},
    "signInInitiate": lambda u, p: {"_": True},
    "signInConfirm": lambda u, p: {"userCode": "none"},
    "signOut": lambda u, p: {},
    "textDocument/codeAction": lambda u, p: {
        "textDocument": {"uri": u},
        "range": _range(p),
        "context": {"diagnostics": []},
    },
    "codeAction/resolve": lambda u, p: {
        "title": "Fix", "data": {"action": "fix", "uri": u, "range": _range(p), "version": 1},
    },
    "nearfield/status": lambda u, p: {},
    "nearfield/trace": lambda u, p: {"last": 1},
    "nearfield/spent": lambda u, p: None,
    "nearfield/chat": lambda u, p: {"message": "what is this?", "textDocument": {"uri": u}},
    "nearfield/chat/close": lambda u, p: {"session": "none"},
    "nearfield/models/list": lambda u, p: {"role": "chat"},
    "nearfield/models/use": lambda u, p: {"role": "cook", "name": u},
    "nearfield/chat/list": lambda u, p: {},
    "nearfield/chat/history": lambda u, p: {"session": "../../" + u},
    "nearfield/chat/export": lambda u, p: {"session": u},
    "nearfield/chat/delete": lambda u, p: {"session": u},
    "nearfield/commitMessage": lambda u, p: {"count": 2},
    "nearfield/generate": lambda u, p: {
        "prompt": "one", "schema": {"type": "string"}, "textDocument": {"uri": u},
    },
}  # fmt: skip
COMMANDS: dict[str, Params] = {
    "nearfield.explain": lambda u, p: {"uri": u, "position": p},
    "nearfield.action": lambda u, p: {
        "action": "test", "uri": u, "range": _range(p), "preview": True,
    },
    "nearfield.rewrite": lambda u, p: {
        "uri": u, "range": _range(p), "instruction": "shorter", "preview": True,
    },
    "nearfield.review": lambda u, p: {"uri": u, "range": _range(p)},
    "nearfield.clearReview": lambda u, p: {"uri": u},
    "nearfield.nextEdit": lambda u, p: {"uri": u, "position": p},
    "nearfield.dismissEdit": lambda u, p: "none",
    "nearfield.goToEdit": lambda u, p: "none",
    "nearfield.accept": lambda u, p: "none",
    "nearfield.answer": lambda u, p: "none",
    "nearfield.consent": lambda u, p: "show",
    "nearfield.pause": lambda u, p: None,
    "nearfield.resume": lambda u, p: None,
    "nearfield.loadModel": lambda u, p: "chat",
    "nearfield.rate": lambda u, p: "good",
    "nearfield.unloadModel": lambda u, p: None,
}  # fmt: skip
NOTIFICATIONS: dict[str, Params] = {
    "nearfield/chat/prepare": lambda u, p: {"role": "", "workspace": "/"},
    "textDocument/didChange": lambda u, p: {
        "textDocument": {"uri": u, "version": 2},
        "contentChanges": [{"range": _range(p), "text": "q"}],
    },
    "notebookDocument/didOpen": lambda u, p: {
        "notebookDocument": {
            "uri": f"{u}.ipynb", "notebookType": "jupyter-notebook", "version": 1,
            "cells": [{"kind": 2, "document": f"{u}#cell"}],
        },
        "cellTextDocuments": [
            {"uri": f"{u}#cell", "languageId": "python", "version": 1, "text": "x = ("},
        ],
    },
    "notebookDocument/didChange": lambda u, p: {
        "notebookDocument": {"uri": f"{u}.ipynb", "version": 2},
        "change": {"cells": {"structure": {"array": {"start": 7, "deleteCount": 9}}}},
    },
    "notebookDocument/didSave": lambda u, p: {"notebookDocument": {"uri": f"{u}.ipynb"}},
    "notebookDocument/didClose": lambda u, p: {
        "notebookDocument": {"uri": f"{u}.ipynb"}, "cellTextDocuments": [{"uri": f"{u}#cell"}],
    },
    "textDocument/didFocus": lambda u, p: {"textDocument": {"uri": u}},
    "textDocument/didShowCompletion": lambda u, p: {"item": {"command": {"arguments": ["none"]}}},
    "textDocument/didPartiallyAcceptCompletion": lambda u, p: {
        "item": {"command": {"arguments": ["none"]}}, "acceptedLength": 1,
    },
    "textDocument/didShowInlineEdit": lambda u, p: {"item": {"command": {"arguments": ["none"]}}},
    "workspace/didChangeConfiguration": lambda u, p: {"settings": {}},
    "workspace/didChangeWorkspaceFolders": lambda u, p: {"event": {"added": [], "removed": []}},
    "window/workDoneProgress/cancel": lambda u, p: {"token": "none"},
    "$/setTrace": lambda u, p: {"value": "off"},
}  # fmt: skip
LIFE = {
    "initialize", "initialized", "shutdown", "exit", "workspace/executeCommand",
    "textDocument/didOpen", "textDocument/didClose",
}  # fmt: skip
"""Sent to every server by the test itself."""


def test_every_method_is_tried() -> None:
    known = build().session.protocol.fm
    methods = {*known.features, *known.builtin_features}
    assert methods == {*REQUESTS, *NOTIFICATIONS, *LIFE}
    assert set(known.commands) == set(COMMANDS)


def test_no_document_stops_the_server(repository: Repository) -> None:
    wire = Wire(repository.environ, program=STARTED)
    try:
        folder = {"uri": repository.root.as_uri(), "name": "hostile"}
        wire.initialize({}, ready=False, workspaceFolders=[folder])
        faults: list[str] = []
        for name in repository.targets:
            faults += _try_document(wire, repository.root, name)
        wire.answer(wire.request("shutdown"))
        wire.notify("exit")
        if not wire.ended_within(60):
            faults.append("the server did not end")
        elif wire.process.returncode != 0:
            faults.append(f"the server ended with {wire.process.returncode}")
        if found := re.findall(r"^ERROR.*|^Traceback.*", wire.log(), re.MULTILINE):
            faults.append(f"in the log: {found[:5]}")
        assert (faults, repository.faults()) == ([], [])
    finally:
        wire.end()


def _try_document(wire: Wire, root: Path, name: str) -> list[str]:
    """Open a document and send everything for it; return the requests that were answered badly."""
    text = _as_an_editor_reads(root / name)
    if text is None:
        return []
    uri = (root / name).as_uri()
    wire.open(text, uri, LANGUAGES.get(name.rpartition(".")[2], name.rpartition(".")[2]))
    lines = text.split("\n")
    middle = len(lines) // 2
    position = {"line": middle, "character": min(3, len(lines[middle]))}
    sent = {wire.request(method, make(uri, position)): method for method, make in REQUESTS.items()}
    for command, make in COMMANDS.items():
        arguments = make(uri, position)
        params = {"command": command, "arguments": [] if arguments is None else [arguments]}
        sent[wire.request("workspace/executeCommand", params)] = command
    for method, make in NOTIFICATIONS.items():
        wire.notify(method, make(uri, position))
    faults: list[str] = []
    for number, method in sent.items():
        answer = wire.answer(number)
        if answer.get("error", {}).get("code") == INTERNAL_ERROR:
            faults.append(f"{name}: {method}: {answer['error']['message'][:200]}")
        if OUTSIDE in json.dumps(answer) and OUTSIDE not in text:
            faults.append(f"{name}: {method} answers with a file outside the repository")
    wire.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    if (size := peak_mb(wire.process.pid)) > MAX_MB:
        faults.append(f"{name}: the server took {size} MB")
    return faults


def _as_an_editor_reads(path: Path) -> str | None:
    """Return the text that an editor would open, None for what it would refuse to."""
    status = path.stat() if path.exists() else None
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        return None
    return path.read_bytes().decode("utf-8", "replace")
