"""Reviews through the real server and the command line."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from tests.e2e.editing import Editor, StartEditor, capabilities, plain
from tests.e2e.prepared import forked
from tests.e2e.process import script
from tests.e2e.wiring import StartWire
from tests.repository import make_repository

CODE = """def average(values):
    total = 0
    for i in range(len(values) + 1):
        total += values[i]
    return total / len(values)


def read(path):
    f = open(path)
    return f.read()
"""
BOUNDS = {
    "line": 3,
    "severity": "error",
    "message": "The last index of `values` is out of range.",
    "suggestion": "Go to the length.",
    "replacement": "for i in range(len(values)):",
}
OPEN = {
    "line": 9,
    "severity": "warning",
    "message": "The file `f` is never closed.",
    "suggestion": "",
    "replacement": "",
}


def told(*answers: dict[str, Any]) -> dict[str, Any]:
    """Options in which a script reviews: `average` has one defect, `read` another."""
    found = (
        {"match": "average", "text": json.dumps({"findings": [BOUNDS]})},
        {"match": "read", "text": json.dumps({"findings": [OPEN]})},
    )
    roles = {"complete": ["fake"], "fast": ["fake"], "review": ["fake"]}
    return script((*answers, *found), routing={"roles": roles}, hover={"prepare": False})


async def run(e: Editor, command: str, *arguments: Any) -> Any:
    """Run a command."""
    return plain(
        await e.client.workspace_execute_command_async(
            types.ExecuteCommandParams(command, list(arguments))
        )
    )


async def actions(e: Editor, uri: str, line: int) -> dict[str, Any]:
    """What is offered on a line, by title. (lsprotocol takes an action with a command for a
    `Command`, whose command is then the whole of it.)"""
    where = types.Range(types.Position(line, 0), types.Position(line, 0))
    found = await e.client.text_document_code_action_async(
        types.CodeActionParams(
            types.TextDocumentIdentifier(uri), where, types.CodeActionContext([])
        )
    )
    return {one.title: one for one in found or []}


def shown(e: Editor, uri: str) -> list[types.Diagnostic]:
    return list(e.client.diagnostics.get(uri, []))


def with_edits() -> types.ClientCapabilities:
    caps = capabilities(progress=True)
    caps.workspace = types.WorkspaceClientCapabilities(
        apply_edit=True,
        workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
    )
    return caps


async def test_findings_are_diagnostics_with_a_fix_each(editor: StartEditor) -> None:
    async with editor(told(), caps=with_edits()) as e:
        uri = e.open(CODE)
        answer = await run(e, "nearfield.review", {"uri": uri})
        assert (answer["findings"], answer["pieces"], answer["failed"]) == (2, 2, 0)
        assert (answer["provider"], answer["model"]) == ("fake", "scripted")
        await e.until(lambda: len(shown(e, uri)) == 2)
        first, second = shown(e, uri)
        assert first.source == "nearfield review"
        assert first.severity is types.DiagnosticSeverity.Error
        assert first.range == types.Range(types.Position(2, 4), types.Position(2, 36))
        assert "out of range" in str(first.message)
        assert "Go to the length." in str(first.message)
        assert second.severity is types.DiagnosticSeverity.Warning
        offered = await actions(e, uri, 2)
        fix = next(one for title, one in offered.items() if title.startswith("Take the review's"))
        assert "scripted" in fix.title
        assert fix.edit is not None
        (change,) = fix.edit.document_changes or []
        assert isinstance(change, types.TextDocumentEdit)
        assert change.text_document.version == 1
        (edit,) = change.edits
        assert isinstance(edit, types.TextEdit)
        # No larger than what changes.
        assert edit.range.start.line == edit.range.end.line == 2
        assert edit.range.end.character - edit.range.start.character < 10
        assert not [t for t in await actions(e, uri, 8) if t.startswith("Take the review's")]


async def test_findings_go_with_an_edit_of_their_line_and_move_with_others(
    editor: StartEditor,
) -> None:
    async with editor(told()) as e:
        uri = e.open(CODE)
        await run(e, "nearfield.review", {"uri": uri})
        await e.until(lambda: len(shown(e, uri)) == 2)
        start = types.Position(0, 0)
        e.change(
            uri,
            types.TextDocumentContentChangePartial(types.Range(start, start), "# a new line\n"),
        )
        await e.until(lambda: [one.range.start.line for one in shown(e, uri)] == [3, 9])
        place = types.Position(3, 10)
        e.change(uri, types.TextDocumentContentChangePartial(types.Range(place, place), "x"))
        await e.until(lambda: [one.range.start.line for one in shown(e, uri)] == [9])


async def test_findings_are_dismissed_one_by_one_or_cleared(editor: StartEditor) -> None:
    async with editor(told()) as e:
        uri = e.open(CODE)
        await run(e, "nearfield.review", {"uri": uri})
        await e.until(lambda: len(shown(e, uri)) == 2)
        offered = await actions(e, uri, 2)
        assert "Dismiss this finding of scripted" in offered
        data: Any = plain(shown(e, uri)[0].data)
        dismissed = await run(e, "nearfield.clearReview", {"uri": uri, **data})
        assert dismissed == {"cleared": 1}
        await e.until(lambda: len(shown(e, uri)) == 1)
        assert "Clear the review" in offered
        assert await run(e, "nearfield.clearReview") == {"cleared": 1}
        await e.until(lambda: not shown(e, uri))
        assert "Clear the review" not in await actions(e, uri, 2)


async def test_a_range_is_reviewed_by_its_functions(editor: StartEditor) -> None:
    async with editor(told()) as e:
        uri = e.open(CODE)
        where = {"start": {"line": 8, "character": 0}, "end": {"line": 8, "character": 2}}
        answer = await run(e, "nearfield.review", {"uri": uri, "range": where})
        assert (answer["findings"], answer["pieces"]) == (1, 1)
        await e.until(lambda: [one.range.start.line for one in shown(e, uri)] == [8])


def test_cancelling_a_review_keeps_its_findings_and_closes_the_bar(wire: StartWire) -> None:
    w = wire("--stdio")
    w.initialize(told({"match": "read", "text": "{", "hang": True}))
    uri = w.open(CODE)
    asked = w.request(
        "workspace/executeCommand",
        {"command": "nearfield.review", "arguments": [{"uri": uri}], "workDoneToken": "mine"},
    )
    published = w.until(lambda m: m.get("method") == "textDocument/publishDiagnostics")
    assert len(published["params"]["diagnostics"]) == 1
    w.notify("window/workDoneProgress/cancel", {"token": "mine"})
    assert w.answer(asked)["error"]["code"] == -32800
    w.until(lambda m: m.get("method") == "$/progress" and m["params"]["value"]["kind"] == "end")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository in which one line of `a.py` has changed."""
    files = {"a.py": CODE.replace(" + 1", ""), "b.py": "x = 1\n"}
    folder = make_repository(tmp_path / "repository", files)
    (folder / "a.py").write_text(CODE)
    return folder


async def test_a_diff_is_reviewed_where_it_has_changed(
    editor: StartEditor, repository: Path
) -> None:
    async with editor(told(), root=repository) as e:
        answer = await run(e, "nearfield.review", {"scope": "diff"})
        assert (answer["findings"], answer["pieces"], answer["leftOut"]) == (1, 1, [])
        uri = (repository / "a.py").as_uri()
        await e.until(lambda: [one.range.start.line for one in shown(e, uri)] == [2])
        # Opened as it was reviewed it keeps them; with changes it is left out until it is saved.
        e.open(CODE + "# more\n", uri)
        await e.until(lambda: not shown(e, uri))
        answer = await run(e, "nearfield.review", {"scope": "diff"})
        assert answer["findings"] == 0
        assert "not saved" in answer["leftOut"][0]
        for wrong in ({"scope": "diff", "workspace": "/"}, {"scope": "diff", "ref": "--output=x"}):
            with pytest.raises(JsonRpcException):
                await run(e, "nearfield.review", wrong)


async def test_a_paused_server_refuses_a_review_with_a_reason(editor: StartEditor) -> None:
    async with editor(told()) as e:
        uri = e.open(CODE)
        await run(e, "nearfield.pause")
        with pytest.raises(JsonRpcException, match="paused"):
            await run(e, "nearfield.review", {"uri": uri})


# --- the command line ---------------------------------------------------------------------------


def nearfield(
    environ: dict[str, str], folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line with the script for a model."""
    config = Path(environ["NEARFIELD_CONFIG_DIR"])
    config.mkdir(parents=True, exist_ok=True)
    answers = told()["providers"]["fake"]["options"]["answers"]
    (config / "script.json").write_text(json.dumps(answers))
    path = json.dumps(str(config / "script.json"))
    (config / "config.toml").write_text(
        f'[providers.fake]\nkind = "scripted"\noptions = {{ script = {path} }}\n'
        "[engine]\nenabled = false\n"
    )
    command = forked(*arguments)
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


def test_the_command_line_reviews(environ: dict[str, str], repository: Path) -> None:
    ran = nearfield(environ, repository, "review", "a.py")
    assert ran.returncode == 0, ran.stderr
    assert "a.py:3: error: The last index of `values` is out of range." in ran.stdout
    assert "-    for i in range(len(values) + 1):\n+    for i in range(len(values)):" in ran.stdout
    assert "a.py:9: warning" in ran.stdout
    ran = nearfield(environ, repository, "review", "--diff", "--json")
    assert ran.returncode == 0, ran.stderr
    assert [row["line"] for row in json.loads(ran.stdout)["findings"]] == [3]
    ran = nearfield(environ, repository, "review", "a.py:8-9", "--json")
    assert [row["line"] for row in json.loads(ran.stdout)["findings"]] == [9]
    assert nearfield(environ, repository, "review", "b.py").returncode == 1
    for wrong in (["none.py"], [], ["--diff", "a.py"], ["--diff", "--ref", "x"], ["a.py:9-2"]):
        assert nearfield(environ, repository, "review", *wrong).returncode == 2, wrong


def test_the_command_line_explains(environ: dict[str, str], repository: Path) -> None:
    ran = nearfield(environ, repository, "explain", "b.py:1:1", "--json")
    assert ran.returncode == 1, ran.stderr  # the script has nothing to say about it
    ran = nearfield(environ, repository, "explain", "a.py:1:6")
    assert "def average(values)" in ran.stdout
    assert nearfield(environ, repository, "explain", "a.py").returncode == 2


@pytest.mark.model
async def test_a_real_model_answers_by_the_schema(
    editor: StartEditor, default_model: Path, tmp_path: Path
) -> None:
    # By a name that tells no size, as one that is known to be small is not asked for reviews.
    model = tmp_path / "model.gguf"
    model.symlink_to(default_model)
    async with editor({"models": {"complete": str(model)}}) as e:
        uri = e.open(CODE)
        answer = await asyncio.wait_for(run(e, "nearfield.review", {"uri": uri}), 120)
        # A small model may well find nothing; it has to say so in the form that was asked for.
        assert (answer["pieces"], answer["failed"], answer["error"]) == (2, 0, "")
        assert answer["findings"] == len(shown(e, uri))


@pytest.mark.model
def test_a_review_by_likelihood_says_what_the_model_does(
    wire: StartWire, small_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "own-1.5b.gguf"  # by its name large enough to be asked, and small
    model.symlink_to(small_model)
    w = wire("--stdio")
    w.initialize({"models": {"complete": str(model), "chat": str(model)}})
    asked = w.request(
        "workspace/executeCommand",
        {
            "command": "nearfield.review",
            "arguments": [{"uri": w.open(CODE)}],
            "workDoneToken": "mine",
        },
    )
    assert w.answer(asked)["result"]["model"] == "own-1.5b"
    bar = [m["params"] for m in w.received if m.get("method") == "$/progress"]
    said = [one["value"].get("message") or "" for one in bar if one["token"] == "mine"]
    assert any(re.match(r"average; own-1\.5b: (loading|reading)", one) for one in said), said
