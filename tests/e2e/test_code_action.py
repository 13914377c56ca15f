"""Code actions through the editor's protocol: what is offered, what is done, in which form it
comes, and what is left of it when it is cancelled or the document goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pytest_httpserver import HTTPServer
from tests.e2e.editing import Editor, StartEditor, plain
from tests.e2e.process import PATIENCE_SECONDS, open_gate, script
from tests.e2e.wiring import StartWire, Wire

from nearfield.routing.store import Store
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse

CODE = "import os\n\n\ndef add(a, b):\n    # both\n    return a - b\n\n\nlast = 1\n"
FIXED = CODE.replace("a - b", "a + b")
LINE, COLUMN = 5, 13
GOOD = "```python\ndef add(a, b):\n    return a + b\n```"
WITH_IMPORT = "```python\nimport math\n\ndef add(a, b):\n    return math.fsum([a, b])\n```"
SLOW: dict[str, Any] = {"match": "add", "text": "```python\ndef add(", "hang": True}
FULL: dict[str, Any] = {
    "textDocument": {
        "codeAction": {
            "dataSupport": True,
            "disabledSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        }
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
}
PLAIN: dict[str, Any] = {"workspace": {"applyEdit": True}}


def place(line: int = LINE, column: int = COLUMN) -> dict[str, Any]:
    here = {"line": line, "character": column}
    return {"start": here, "end": here}


def problem(message: str = "wrong operator", **where: int) -> dict[str, Any]:
    return {"range": place(**where), "message": message, "source": "checker", "severity": 1}


class Session:
    """A client that asks for actions in one document."""

    def __init__(
        self,
        w: Wire,
        folder: Path,
        *answers: dict[str, Any],
        caps: dict[str, Any] = FULL,
        ready: bool = True,
        **more: Any,
    ) -> None:
        self.w = w
        self.gate = folder.with_name("gate")
        folder.mkdir(exist_ok=True)
        w.initialize(
            script(answers or ({"text": GOOD},), **more),
            ready=ready,
            capabilities=caps,
            workspaceFolders=[{"uri": folder.as_uri(), "name": folder.name}],
        )
        self.uri = (folder / "m.py").as_uri()
        w.open(CODE, self.uri)

    def actions(self, *problems: dict[str, Any], **context: Any) -> list[dict[str, Any]]:
        return self.w.ask(
            "textDocument/codeAction",
            {
                "textDocument": {"uri": self.uri},
                "range": place(),
                "context": {"diagnostics": list(problems), **context},
            },
        )

    def action(self, begins: str, *problems: dict[str, Any]) -> dict[str, Any]:
        found = [one for one in self.actions(*problems) if one["title"].startswith(begins)]
        assert len(found) == 1, found
        return found[0]

    def resolve(self, begins: str, *problems: dict[str, Any]) -> dict[str, Any]:
        return self.w.ask("codeAction/resolve", self.action(begins, *problems))

    def change(self, line: int, column: int, text: str, version: int = 2) -> None:
        """The user types at a place."""
        self.w.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self.uri, "version": version},
                "contentChanges": [{"range": place(line, column), "text": text}],
            },
        )

    def command(self, name: str, **arguments: Any) -> int:
        params = {"uri": self.uri, "range": place(), **arguments}
        return self.w.request("workspace/executeCommand", {"command": name, "arguments": [params]})

    def came(self, method: str) -> list[dict[str, Any]]:
        """The messages of `method` so far; a round trip lets those come that are on their way."""
        self.w.ask("nearfield/status")
        self.w.answers()
        return [one["params"] for one in self.w.received if one.get("method") == method]

    def bars(self) -> list[str]:
        """What has become of the progress of actions."""
        found = [one for one in self.came("$/progress") if "work" in str(one["token"])]
        return [one["value"]["kind"] for one in found]

    def answer(self) -> None:
        """Let the model of `gated` answer, once the server has what was sent."""
        self.w.ask("nearfield/status")
        open_gate(self.gate)

    def serve_progress(self) -> None:
        """Agree to the bar that the server wants to show."""
        asked = self.w.until(lambda m: m.get("method") == "window/workDoneProgress/create")
        self.w.send({"jsonrpc": "2.0", "id": asked["id"], "result": None})
        self.w.until(
            lambda m: (
                m.get("method") == "$/progress" and m["params"]["token"] == asked["params"]["token"]
            )
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work"


def test_the_list_comes_without_a_model(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder, {"hang": True})
    found = s.actions(problem())
    assert [(one["title"], one["kind"]) for one in found[:2]] == [
        ("Fix: wrong operator (scripted)", "quickfix"),
        ("Simplify `add` (scripted)", "refactor.rewrite"),
    ]
    assert found[0]["diagnostics"][0]["message"] == "wrong operator"
    assert all("edit" not in one for one in found)
    kinds = {one["kind"] for one in s.actions(problem(), only=["refactor"])}
    assert kinds == {"refactor.rewrite"}
    assert [one["kind"] for one in s.actions(problem(), only=["quickfix"])] == ["quickfix"]


def test_an_action_is_resolved_to_a_versioned_edit(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder)
    done = s.resolve("Fix", problem())
    (change,) = done["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": s.uri, "version": 1}
    assert change["edits"] == [
        {"range": {"start": {"line": 5, "character": 13}, "end": {"line": 5, "character": 14}},
         "newText": "+"}
    ]  # fmt: skip
    assert "changeAnnotations" not in done["edit"]


def test_edits_beyond_the_unit_need_confirmation(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder, {"text": WITH_IMPORT})
    edit = s.resolve("Simplify")["edit"]
    (change,) = edit["documentChanges"]
    notes = [one.get("annotationId") for one in change["edits"]]
    assert notes == ["nearfield.beyond", None]
    assert edit["changeAnnotations"]["nearfield.beyond"]["needsConfirmation"] is True


def test_a_new_file_is_created_and_confirmed(wire: StartWire, folder: Path) -> None:
    answer = "```python\ndef test_add():\n    assert add(1, 2) == 3\n```"
    s = Session(wire("--stdio"), folder, {"text": answer})
    create, change = s.resolve("Write tests")["edit"]["documentChanges"]
    uri = (folder / "tests" / "test_m.py").as_uri()
    assert (create["kind"], create["uri"]) == ("create", uri)
    assert change["textDocument"] == {"uri": uri, "version": None}
    (edit,) = change["edits"]
    assert edit["newText"].startswith("from m import add\n")
    assert edit["annotationId"] == create["annotationId"] == "nearfield.newFile"
    assert not (folder / "tests").exists()


def test_a_client_that_can_do_little_gets_the_plain_form(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder, {"text": WITH_IMPORT}, caps=PLAIN)
    action = s.action("Simplify")
    assert "data" not in action
    command = action["command"]
    assert command["command"] == "nearfield.action"
    running = s.w.request(
        "workspace/executeCommand",
        {"command": command["command"], "arguments": command["arguments"]},
    )
    asked = s.w.until(lambda m: m.get("method") == "workspace/applyEdit")
    assert list(asked["params"]["edit"]) == ["changes"]
    edits = asked["params"]["edit"]["changes"][s.uri]
    assert [one["newText"].strip() for one in edits] == ["import math", "math.fsum([a, b])"]
    s.w.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"applied": True}})
    assert s.w.answer(running)["result"]["applied"] is True
    assert s.came("window/workDoneProgress/create") == []


def test_unavailable_actions_have_a_reason_or_are_left_out(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder, providers={}, routing={}, ready=False)
    s.w.until(
        lambda m: m.get("method") == "nearfield/status" and m["params"]["state"] == "unavailable"
    )
    reasons = {one["title"]: one["disabled"]["reason"] for one in s.actions() if "disabled" in one}
    assert "no model" in reasons["Simplify `add`"]


def test_a_client_without_resolve_and_edits_gets_nothing(wire: StartWire, folder: Path) -> None:
    found = Session(wire("--stdio"), folder, caps={}).actions(problem())
    # What needs no edit is there: an explanation is shown as a message.
    assert {one["kind"] for one in found} <= {"source.explain", "source.review"}


def test_a_preview_applies_nothing(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder)
    told = s.w.answer(s.command("nearfield.rewrite", instruction="add", preview=True))["result"]
    assert told["diff"].startswith("--- a/m.py\n+++ b/m.py\n")
    assert "+    return a + b\n" in told["diff"]
    assert told["edit"]["documentChanges"][0]["textDocument"]["version"] == 1
    assert (told["applied"], told["model"]) == (False, "scripted")
    assert s.came("workspace/applyEdit") == []


def test_a_client_with_input_is_offered_actions_that_need_an_instruction(
    wire: StartWire, folder: Path
) -> None:
    caps = {**FULL, "experimental": {"nearfieldInput": True}}
    s = Session(wire("--stdio"), folder, caps=caps)
    action = s.action("Rewrite")
    assert action["command"]["command"] == "nearfield.rewrite"
    (given,) = action["command"]["arguments"]
    bare = s.w.request(
        "workspace/executeCommand", {"command": "nearfield.rewrite", "arguments": [given]}
    )
    assert "instruction" in s.w.answer(bare)["error"]["message"]
    told = s.w.answer(s.command("nearfield.action", action="rename", instruction="c",
                                range=place(5, 11), preview=True))["result"]  # fmt: skip
    assert "return c - b" in told["diff"]


def gated(wire: StartWire, folder: Path) -> Session:
    """A client whose model answers only after `answer`."""
    gate = folder.with_name("gate")
    return Session(wire("--stdio"), folder, {"text": GOOD, "waits_for": str(gate)})


REBASED = {
    "above": ((0, 0, "import re\n"), 6),
    "below": ((8, 0, "more = 2\n"), 5),
    "in another line of the unit": ((4, 10, "!"), 5),
}


@pytest.mark.parametrize("case", REBASED.values(), ids=REBASED.keys())
def test_an_edit_is_rebased_when_its_lines_are_untouched(
    case: tuple[tuple[int, int, str], int], wire: StartWire, folder: Path
) -> None:
    (line, column, text), expected = case
    s = gated(wire, folder)
    running = s.w.request("codeAction/resolve", s.action("Simplify"))
    s.serve_progress()
    s.change(line, column, text)
    s.answer()
    (change,) = s.w.answer(running)["result"]["edit"]["documentChanges"]
    assert change["textDocument"]["version"] == 2
    (edit,) = change["edits"]
    assert edit["range"]["start"] == {"line": expected, "character": 13}


def test_an_edit_whose_line_has_changed_is_refused(wire: StartWire, folder: Path) -> None:
    s = gated(wire, folder)
    running = s.w.request("codeAction/resolve", s.action("Simplify"))
    s.serve_progress()
    s.change(5, 16, " + c")
    s.answer()
    assert "changed" in s.w.answer(running)["error"]["message"]
    assert s.bars()[-1] == "end"


def test_a_document_that_was_closed_is_not_edited(wire: StartWire, folder: Path) -> None:
    s = gated(wire, folder)
    running = s.w.request("codeAction/resolve", s.action("Simplify"))
    s.serve_progress()
    s.w.notify("textDocument/didClose", {"textDocument": {"uri": s.uri}})
    s.answer()
    assert "closed" in s.w.answer(running)["error"]["message"]


def test_an_action_of_an_older_version_finds_its_place(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder)
    action = s.action("Simplify")
    s.change(0, 0, "import re\n\n\ndef other():\n    pass\n")
    (change,) = s.w.ask("codeAction/resolve", action)["edit"]["documentChanges"]
    assert change["textDocument"]["version"] == 2
    assert change["edits"][0]["range"]["start"] == {"line": 10, "character": 13}
    unknown = s.command("nearfield.action", action="simplify", version=77)
    assert "changed" in s.w.answer(unknown)["error"]["message"]


@pytest.mark.parametrize("how", ["request", "progress"])
@pytest.mark.parametrize("stage", ["before", "amid", "again"])
def test_a_cancel_leaves_no_edit_and_no_bar(
    how: str, stage: str, wire: StartWire, folder: Path
) -> None:
    stages: dict[str, tuple[dict[str, Any], ...]] = {
        "before": ({"text": GOOD, "delay_ms": 60_000},),
        "amid": (SLOW,),
        "again": ({"match": "cannot be used", "hang": True}, {"text": "```\ndef add(a, b:\n```"}),
    }
    s = Session(wire("--stdio"), folder, *stages[stage])
    running = s.command("nearfield.action", action="simplify")
    s.serve_progress()
    if stage == "again":
        s.w.until(lambda m: "asking again" in str(m.get("params")))
    if how == "request":
        s.w.notify("$/cancelRequest", {"id": running})
    else:
        token = s.came("window/workDoneProgress/create")[0]["token"]
        s.w.notify("window/workDoneProgress/cancel", {"token": token})
    assert s.w.answer(running)["error"]["code"] == -32800
    assert s.came("workspace/applyEdit") == []
    assert s.bars().count("begin") == s.bars().count("end") == 1


def test_a_bar_that_the_client_never_answers_holds_nothing_up(
    wire: StartWire, folder: Path
) -> None:
    s = Session(wire("--stdio"), folder)
    assert s.resolve("Simplify")["edit"]
    assert s.bars() == []


def test_an_untrusted_answer_makes_no_edit(wire: StartWire, folder: Path) -> None:
    s = Session(wire("--stdio"), folder, {"text": "```python\ndef add(a, b):\n    return (\n```"})
    answer = s.w.answer(s.w.request("codeAction/resolve", s.action("Simplify")))
    assert "cannot be used" in answer["error"]["message"]
    assert "return" not in answer["error"]["message"]
    assert "return" not in s.w.log()


@pytest.mark.parametrize(
    "arguments",
    [[], [1], [{}], [{"uri": "file:///gone.py", "range": place()}],
     [{"uri": "file:///gone.py", "range": {"start": 5}}]],
)  # fmt: skip
def test_commands_with_wrong_arguments(served: Wire, arguments: list[Any]) -> None:
    params = {"command": "nearfield.action", "arguments": arguments}
    answer = served.answer(served.request("workspace/executeCommand", params))
    assert answer["error"]["code"] == -32602


def test_an_action_of_another_server_is_given_back(served: Wire) -> None:
    foreign = {"title": "x", "data": {"theirs": 1}}
    assert served.ask("codeAction/resolve", foreign) == foreign
    odd = served.answer(
        served.request("codeAction/resolve", {"title": "x", "data": {"nearfield": 5}})
    )
    assert odd["error"]["code"] == -32602


# --- outside this machine -------------------------------------------------------------------


@pytest.fixture
def cloud(httpserver: HTTPServer, environ: dict[str, str], tmp_path: Path) -> HTTPServer:
    """A server of OpenAI's protocol that knows the answer."""
    environ["NEARFIELD_DATA_DIR"] = str(tmp_path / "data")
    environ["CLOUD_KEY"] = "some-key-that-is-not-one"
    events = (
        {"choices": [{"index": 0, "delta": {"content": GOOD}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    )
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    httpserver.expect_request("/v1/chat/completions", method="POST").respond_with_data(
        "".join([*lines, "data: [DONE]\n\n"]), content_type="text/event-stream"
    )
    return httpserver


def with_cloud(cloud: HTTPServer, strategy: str) -> dict[str, Any]:
    return {
        "providers": {
            "fake": {"kind": "scripted", "options": {"answers": [{"text": "no idea"}]}},
            "cloud": {
                "kind": "openai_compatible",
                "model": "gpt-4o",
                "base_url": cloud.url_for("/v1"),
                "options": {"leaves_machine": True, "api_key_env": "CLOUD_KEY"},
            },
        },
        "routing": {"strategy": strategy, "roles": {"complete": ["fake"]}},
    }


def test_the_cloud_is_asked_only_after_a_yes(
    wire: StartWire, cloud: HTTPServer, folder: Path, tmp_path: Path
) -> None:
    s = Session(wire("--stdio"), folder, **with_cloud(cloud, "local_first"))
    action = s.action("Ask cloud (gpt-4o), outside this machine, to fix", problem())
    for title, sent in (("Never mind", 0), ("Once", 1)):
        running = s.w.request("codeAction/resolve", action)
        asked = s.w.until(
            lambda m: m.get("method") == "window/showMessageRequest" and "done" not in m
        )
        asked["done"] = True
        assert "bytes from m.py" in asked["params"]["message"]
        s.w.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"title": title}})
        answer = s.w.answer(running)
        assert len(cloud.log) == sent
        assert ("result" in answer) == bool(sent)
    assert answer["result"]["edit"]["documentChanges"][0]["edits"][0]["newText"] == "+"
    assert len(Store(tmp_path / "data" / "nearfield.db").entries()) == 1


def test_every_action_may_be_asked_of_the_cloud(
    wire: StartWire, cloud: HTTPServer, folder: Path
) -> None:
    s = Session(wire("--stdio"), folder, **with_cloud(cloud, "local_first"))
    prefix = "Ask cloud (gpt-4o), outside this machine: "
    offered = [one for one in s.actions() if one["title"].startswith(prefix)]
    assert {one["title"].removeprefix(prefix) for one in offered} == {
        "Simplify `add`",
        "Make `add` faster",
        "Add error handling to `add`",
        "Add types to `add`",
        "Document `add`",
        "Write tests for `add`",
        "Explain this",
        "Review this function",
        "Review this file",
        "Review what has changed since the last commit",
    }
    assert not cloud.log


@pytest.mark.parametrize("title", ["Explain this", "Review this function"])
def test_the_cloud_explains_and_reviews_only_after_a_yes(
    wire: StartWire, cloud: HTTPServer, folder: Path, title: str
) -> None:
    s = Session(wire("--stdio"), folder, **with_cloud(cloud, "local_first"))
    action = s.action(f"Ask cloud (gpt-4o), outside this machine: {title}")
    for choice, sent in (("Never mind", 0), ("Once", 1)):
        running = s.w.request("workspace/executeCommand", action["command"])
        asked = s.w.until(
            lambda m: m.get("method") == "window/showMessageRequest" and "done" not in m
        )
        asked["done"] = True
        assert "bytes from m.py" in asked["params"]["message"]
        s.w.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"title": choice}})
        answer = s.w.answer(running)
        assert len(cloud.log) == sent
        assert ("result" in answer) == bool(sent)
    assert answer["result"]["provider"] == "cloud"
    (last,) = s.w.ask("nearfield/trace", {"last": 1})
    assert (last["method"], last["provider"]) == (action["command"]["command"], "cloud")


def test_with_local_only_the_cloud_is_not_mentioned(
    wire: StartWire, cloud: HTTPServer, folder: Path
) -> None:
    s = Session(wire("--stdio"), folder, **with_cloud(cloud, "local_only"))
    assert [one for one in s.actions(problem()) if "cloud" in one["title"]] == []


# --- an editor, and a real model ------------------------------------------------------------


def editing() -> types.ClientCapabilities:
    """What an editor says that can do all."""
    return types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities(),
            code_action=types.CodeActionClientCapabilities(
                data_support=True,
                disabled_support=True,
                resolve_support=types.ClientCodeActionResolveOptions(["edit"]),
            ),
        ),
        workspace=types.WorkspaceClientCapabilities(
            apply_edit=True,
            workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
        ),
    )


def applied(text: str, edit: types.WorkspaceEdit | None, version: int = 1) -> str:
    """`text` after the edit of its one document, in UTF-16 columns of ASCII text."""
    assert edit is not None
    assert edit.document_changes is not None
    (change,) = edit.document_changes
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == version
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for one in reversed(change.edits):
        assert isinstance(one, types.TextEdit)
        start = starts[one.range.start.line] + one.range.start.character
        end = starts[one.range.end.line] + one.range.end.character
        text = text[:start] + one.new_text + text[end:]
    return text


async def resolved(e: Editor, uri: str, line: int, begins: str, *said: str) -> types.CodeAction:
    """The action whose title begins so, with its edit."""
    where = types.Range(types.Position(line, 4), types.Position(line, 4))
    problems = [types.Diagnostic(where, message) for message in said]
    actions = await e.client.text_document_code_action_async(
        types.CodeActionParams(
            types.TextDocumentIdentifier(uri), where, types.CodeActionContext(problems)
        )
    )
    (action,) = [
        one
        for one in actions or ()
        if isinstance(one, types.CodeAction) and one.title.startswith(begins)
    ]
    done = e.client.code_action_resolve_async(action)
    return await asyncio.wait_for(done, 10 * PATIENCE_SECONDS)


async def test_an_editor_resolves_and_applies(editor: StartEditor) -> None:
    async with editor(script([{"text": GOOD}]), caps=editing()) as e:
        assert e.result.capabilities.code_action_provider is not None
        uri = e.open(CODE)
        done = await resolved(e, uri, LINE, "Fix", "wrong operator")
        assert applied(CODE, done.edit) == FIXED


async def test_an_editor_is_sent_the_edit_of_a_command(editor: StartEditor) -> None:
    async with editor(script([{"text": GOOD}]), caps=editing()) as e:
        uri = e.open(CODE)
        taken: list[types.ApplyWorkspaceEditParams] = []

        def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            taken.append(params)
            return types.ApplyWorkspaceEditResult(applied=True)

        e.client.feature(types.WORKSPACE_APPLY_EDIT)(apply)
        arguments = {"uri": uri, "range": place(), "instruction": "add them"}
        told = plain(
            await e.client.workspace_execute_command_async(
                types.ExecuteCommandParams("nearfield.rewrite", [arguments])
            )
        )
        assert told["applied"] is True
        assert taken[0].label == "Rewrite `add`"
        assert applied(CODE, taken[0].edit) == FIXED


REAL = [
    pytest.param(
        "a.py", "python", 2,
        'def area(width, height):\n    """The area of a rectangle."""\n    return width + height\n',
        id="python",
    ),
    pytest.param(
        "a.ts", "typescript", 2,
        "/** The larger of both. */\nexport function larger(a: number, b: number): number {\n"
        "  return a < b ? a : b;\n}\n",
        id="typescript",
    ),
    pytest.param(
        "a.go", "go", 4,
        "package m\n\n// Sum returns a plus b.\nfunc Sum(a, b int) int {\n\treturn a - b\n}\n",
        id="go",
    ),
]  # fmt: skip


@pytest.mark.model
@pytest.mark.parametrize(("name", "language", "line", "text"), REAL)
async def test_a_fix_by_a_real_model_parses(
    editor: StartEditor, default_model: Path, name: str, language: str, line: int, text: str
) -> None:
    options = {"models": {"complete": str(default_model)}}
    async with editor(options, caps=editing()) as e:
        uri = e.open(text, f"file:///w/{name}", language)
        done = await resolved(e, uri, line, "Fix", "this calculates something else")
        edited = applied(text, done.edit)
        row = language_for(language)
        assert row is not None
        parsed = parse(row, edited)
        assert parsed is not None
        assert not parsed.root.has_error
        assert edited != text
        # The comment and the signature are as they were.
        assert edited.splitlines()[: line - 1] == text.splitlines()[: line - 1]
