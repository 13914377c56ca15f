"""Cancelling at every stage of everything that takes long: no edit, no process and no progress bar
is left, the cancelled request is answered, and the next one works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.process import script
from tests.e2e.wiring import StartWire, Wire

CODE = "def add(a, b):\n    return a - b\n\n\nprint(add(1, 2))\n"
GOOD = "```python\ndef add(a, b):\n    return a + b\n```"
CAN: dict[str, Any] = {
    "textDocument": {
        "codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}},
    },
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {
            "documentChanges": True,
            "resourceOperations": ["create"],
            "changeAnnotationSupport": {},
        },
    },
    "window": {"workDoneProgress": True},
    "experimental": {"nearfieldChat": True},
}
WAITS = "import pathlib, os, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(99)"
HANG = ({"text": "begun ", "hang": True},)
SCHEMA = {"type": "object"}
HERE = {"start": {"line": 1, "character": 8}, "end": {"line": 1, "character": 8}}


def calls(name: str, **arguments: Any) -> tuple[dict[str, Any], ...]:
    return ({"tool_calls": [{"name": name, "arguments": arguments}]},)


@dataclass(frozen=True)
class Stage:
    """What is asked (`method`, `params`), what the model says, and what is there once the stage is
    reached: a message of the server, or a file. `opens` is the request of the server that is open
    by then, which has to be taken back; `ways` are those of cancelling."""

    method: str
    params: dict[str, Any]
    answers: tuple[dict[str, Any], ...]
    reached: Callable[[Wire, Path], object]
    opens: str = ""
    ways: tuple[str, ...] = ("request", "bar")
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


def command(name: str, **more: Any) -> dict[str, Any]:
    """Params of a command on the document, whose URI is put in later."""
    return {"command": name, "arguments": [{"uri": "", "range": HERE, **more}]}


def bar(kind: str) -> Callable[[Wire, Path], object]:
    """The progress has come so far."""

    def reached(w: Wire, work: Path) -> object:
        del work
        return w.until(
            lambda m: m.get("method") == "$/progress" and m["params"]["value"].get("kind") == kind
        )

    return reached


def asked(method: str) -> Callable[[Wire, Path], object]:
    """The server has asked that."""
    return lambda w, work: w.until(lambda m: m.get("method") == method)


def runs(w: Wire, work: Path) -> object:
    """The user has allowed the command, and it runs."""
    request = w.until(lambda m: m.get("method") == "nearfield/allowCall")
    w.send({"jsonrpc": "2.0", "id": request["id"], "result": {"allow": "once"}})
    pid = work / "pid"
    while not (pid.exists() and pid.read_text()):
        w.ask("nearfield/status")
    return pid.read_text()


CHAT = {"message": "go", "partialResultToken": "text"}
SHELL: dict[str, Any] = {
    "chat": {"functions": ["executeShell"], "shell_commands": [Path(sys.executable).name]}
}
STAGES = {
    "a chat in the model": Stage("nearfield/chat", CHAT, HANG, bar("text")),
    "a chat that asks the user": Stage(
        "nearfield/chat", CHAT, calls("createDirectory", path="new"),
        asked("nearfield/allowCall"), "nearfield/allowCall",
    ),
    "a chat that shows an edit": Stage(
        "nearfield/chat", CHAT, calls("writeFile", path="m.py", content="x = 1\n"),
        asked("workspace/applyEdit"), "workspace/applyEdit",
    ),
    "a chat that runs a command": Stage(
        "nearfield/chat", CHAT,
        calls("executeShell", command=[Path(sys.executable).name, "-c", WAITS]),
        runs, settings=SHELL,
    ),
    "a value in the model": Stage(
        "nearfield/generate", {"prompt": "go", "schema": SCHEMA}, HANG, bar("begin")
    ),
    "an action in the model": Stage(
        "workspace/executeCommand", command("nearfield.action", action="simplify"), HANG,
        bar("report"),
    ),
    "an action whose edit is applied": Stage(
        "workspace/executeCommand", command("nearfield.action", action="simplify"),
        ({"text": GOOD},), asked("workspace/applyEdit"), "workspace/applyEdit",
        ("request",),  # the work is done, and its bar has gone
    ),
    "an explanation in the model": Stage(
        "workspace/executeCommand", command("nearfield.explain"), HANG, bar("begin")
    ),
    "a review in the model": Stage(
        "workspace/executeCommand", command("nearfield.review"), HANG, bar("begin")
    ),
}  # fmt: skip


def started(wire: StartWire, work: Path, stage: Stage) -> tuple[Wire, str]:
    """A client with the document open, and a model that answers "well?" at once."""
    work.mkdir()
    (work / "m.py").write_text(CODE)
    w = wire("--stdio")
    answers = ({"match": "well", "text": "fine"}, *stage.answers)
    options = script(answers, hover={"prepare": False}, **stage.settings)
    options["routing"]["roles"] |= {role: ["fake"] for role in ("code", "fast", "review")}
    w.initialize(
        options,
        capabilities=CAN,
        workspaceFolders=[{"uri": work.as_uri(), "name": "work"}],
    )
    return w, w.open(CODE, (work / "m.py").as_uri())


def bars(w: Wire) -> list[str]:
    """What has become of the progress under our own token."""
    w.answers()
    found = [m["params"] for m in w.received if m.get("method") == "$/progress"]
    return [one["value"]["kind"] for one in found if one["token"] == "bar"]


@pytest.mark.parametrize(
    ("name", "by"), [(name, by) for name, stage in STAGES.items() for by in stage.ways]
)
def test_nothing_is_left(name: str, by: str, wire: StartWire, tmp_path: Path) -> None:
    stage, work = STAGES[name], tmp_path / "work"
    w, uri = started(wire, work, stage)
    params: dict[str, Any] = {**stage.params, "workDoneToken": "bar"}
    if "arguments" in params:
        [given] = params["arguments"]
        params["arguments"] = [{**given, "uri": uri}]
    number = w.request(stage.method, params)
    stage.reached(w, work)
    if by == "request":
        w.notify("$/cancelRequest", {"id": number})
    else:
        w.notify("window/workDoneProgress/cancel", {"token": "bar"})
    assert w.answer(number)["error"]["code"] == -32800
    if stage.opens:
        opened = w.until(lambda m: m.get("method") == stage.opens)
        w.until(
            lambda m: m.get("method") == "$/cancelRequest" and m["params"]["id"] == opened["id"]
        )
    # The next request works, and by its answer all that was under way has come.
    assert w.ask("nearfield/chat", {"message": "well?"})["text"] == "fine"
    told = bars(w)
    assert (told[0], told[-1], told.count("end")) == ("begin", "end", 1)
    edits = [m for m in w.received if m.get("method") == "workspace/applyEdit"]
    assert len(edits) == (stage.opens == "workspace/applyEdit")
    assert (work / "m.py").read_text() == CODE
    assert not (work / "new").exists()
    if stage.reached is runs:
        assert not psutil.pid_exists(int((work / "pid").read_text()))


def test_resolving_leaves_nothing(wire: StartWire, tmp_path: Path) -> None:
    work = tmp_path / "work"
    w, uri = started(wire, work, STAGES["an action in the model"])
    found = w.ask(
        "textDocument/codeAction",
        {"textDocument": {"uri": uri}, "range": HERE, "context": {"diagnostics": []}},
    )
    action = next(one for one in found if one["title"].startswith("Simplify"))
    number = w.request("codeAction/resolve", action)
    create = asked("window/workDoneProgress/create")(w, work)
    assert isinstance(create, dict)
    w.notify("$/cancelRequest", {"id": number})
    assert w.answer(number)["error"]["code"] == -32800
    w.send({"jsonrpc": "2.0", "id": create["id"], "result": None})
    assert w.ask("nearfield/chat", {"message": "well?"})["text"] == "fine"
    said = [m["params"]["value"]["kind"] for m in w.received if m.get("method") == "$/progress"]
    assert said.count("begin") == said.count("end")
