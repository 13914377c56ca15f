"""Hovers and explanations through the real server."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from tests.e2e.editing import Editor, StartEditor, capabilities, plain
from tests.e2e.process import PATIENCE_SECONDS, open_gate, script
from tests.e2e.wiring import StartWire

CODE = 'def area(w, h):\n    """The area."""\n    return w * h\n\n\nprint(area(1, 2))\n'
GOOD = "It computes the area of a rectangle."
WHERE = {"line": 5, "character": 7}


def told(*answers: dict[str, Any], **hover: Any) -> dict[str, Any]:
    """Options in which a script explains, and nothing is prepared unless `hover` says so."""
    roles = {"complete": ["fake"], "fast": ["fake"], "review": ["fake"]}
    return script(answers, routing={"roles": roles}, hover={"prepare": False, **hover})


async def hover(e: Editor, uri: str, line: int = 5, character: int = 7) -> str:
    found = await e.client.text_document_hover_async(
        types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(line, character))
    )
    if found is None:
        return ""
    assert isinstance(found.contents, types.MarkupContent)
    return found.contents.value


async def explain(e: Editor, *arguments: Any) -> Any:
    """Run the command."""
    return plain(
        await e.client.workspace_execute_command_async(
            types.ExecuteCommandParams("nearfield.explain", list(arguments))
        )
    )


async def until_shown(e: Editor, uri: str, wanted: str, line: int = 5, character: int = 7) -> str:
    """Hover until `wanted` is shown: a busy machine has not even the facts within the wait."""
    end = time.monotonic() + PATIENCE_SECONDS
    while wanted not in (text := await hover(e, uri, line, character)):
        assert time.monotonic() < end, f"{wanted} was never shown, but {text!r}"
        await asyncio.sleep(0.05)
    return text


async def test_facts_at_once_and_the_explanation_the_next_time(
    editor: StartEditor, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with editor(told({"text": GOOD, "waits_for": str(gate)}, wait_ms=0)) as e:
        assert e.result.capabilities.hover_provider
        uri = e.open(CODE)
        first = await until_shown(e, uri, "def area(w, h):")
        assert "The area." in first
        assert "rectangle" not in first
        open_gate(gate)
        shown = await until_shown(e, uri, "rectangle")
        assert GOOD in shown
        # The first hover that has it may have joined the answer as it ended: that is no cached one.
        assert await until_shown(e, uri, GOOD) == shown
        last, *_ = await e.traces(1)
        assert (last["method"], last["situation"]) == ("textDocument/hover", "cached")
        assert await hover(e, uri, 3, 0) == ""


async def test_an_explanation_that_comes_in_time_is_in_the_first_hover(editor: StartEditor) -> None:
    async with editor(told({"text": GOOD}, wait_ms=15_000)) as e:
        assert GOOD in await hover(e, e.open(CODE))


async def test_a_hover_waits_no_longer_than_it_may(editor: StartEditor) -> None:
    """The model never answers; with an endless wait the request would not either."""
    async with editor(told({"text": "It", "hang": True}, wait_ms=50)) as e:
        assert await asyncio.wait_for(until_shown(e, e.open(CODE), "def area"), 15)


def test_typing_ends_the_explanation_and_a_cancelled_hover_is_answered(
    wire: StartWire,
) -> None:
    w = wire("--stdio")
    w.initialize(told({"text": "It", "hang": True}, wait_ms=60_000))
    uri = w.open(CODE)
    place = {"textDocument": {"uri": uri}, "position": WHERE}
    cancelled, asked = (
        w.request("textDocument/hover", place),
        w.request("textDocument/hover", place),
    )
    w.notify("$/cancelRequest", {"id": cancelled})
    assert w.answer(cancelled)["error"]["code"] == -32800
    change = {"range": {"start": {"line": 3, "character": 0}, "end": {"line": 3, "character": 0}}}
    w.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": uri, "version": 2},
            "contentChanges": [{**change, "text": "x"}],
        },
    )
    # What it says now would be about a text that is no longer there.
    assert w.answer(asked)["result"] is None


async def tell_problem(e: Editor, uri: str, name: str, start: int) -> list[str]:
    """Tell that `name`, on the first line, is not defined; the titles of what is offered there."""
    where = types.Range(types.Position(0, start), types.Position(0, start + len(name)))
    problem = types.Diagnostic(where, f'"{name}" is not defined', source="Pyright")
    actions = await e.client.text_document_code_action_async(
        types.CodeActionParams(
            types.TextDocumentIdentifier(uri), where, types.CodeActionContext([problem])
        )
    )
    return [action.title for action in actions or []]


async def test_a_problem_that_the_client_has_told_is_explained(editor: StartEditor) -> None:
    answers = {"match": "Pyright reports", "text": "The name has to be imported first."}
    async with editor(told(answers, wait_ms=15_000)) as e:
        uri = e.open("print(missing)\n")
        assert "Explain this (scripted)" in await tell_problem(e, uri, "missing", 6)
        text = await until_shown(e, uri, '**"missing" is not defined**', 0, 8)
        assert "The name has to be imported first." in text


async def test_the_command_answers_markdown_and_shows_its_progress(editor: StartEditor) -> None:
    async with editor(told({"text": GOOD, "piece_ms": 20}), caps=capabilities(progress=True)) as e:
        uri = e.open(CODE)
        answer = await explain(e, {"uri": uri, "position": WHERE})
        assert GOOD in answer["markdown"]
        assert "def area" in answer["markdown"]
        assert (answer["provider"], answer["model"], answer["wrong"]) == ("fake", "scripted", "")
        said: list[Any] = [
            getattr(report, "kind", "")  # pytest-lsp keeps the values
            for token, reports in e.client.progress_reports.items()
            if str(token).startswith("nearfield-work")
            for report in reports
        ]
        assert (said[0], said[-1]) == ("begin", "end")
        assert "report" in said


def test_cancelling_ends_the_command_and_its_bar(wire: StartWire) -> None:
    """By the request, and by the bar, which comes under the client's own token."""
    w = wire("--stdio")
    w.initialize(told({"text": "It", "hang": True}))
    uri = w.open(CODE)
    arguments = [{"uri": uri, "position": WHERE}]
    for number, way in enumerate(("request", "bar")):
        token = f"mine-{number}"
        asked = w.request(
            "workspace/executeCommand",
            {"command": "nearfield.explain", "arguments": arguments, "workDoneToken": token},
        )

        def said(message: dict[str, Any], kind: str, token: str = token) -> bool:
            params = message.get("params") or {}
            if message.get("method") != "$/progress" or params["token"] != token:
                return False
            return params["value"]["kind"] == kind

        w.until(lambda message: said(message, "report"))
        if way == "request":
            w.notify("$/cancelRequest", {"id": asked})
        else:
            w.notify("window/workDoneProgress/cancel", {"token": token})
        assert w.answer(asked)["error"]["code"] == -32800
        w.until(lambda message: said(message, "end"))


async def test_an_explanation_can_be_opened_as_a_document(
    editor: StartEditor, tmp_path: Path
) -> None:
    caps = capabilities()
    assert caps.window is not None
    caps.window.show_document = types.ShowDocumentClientCapabilities(True)
    async with editor(told({"text": GOOD}), caps=caps) as e:
        uri = e.open(CODE)
        await explain(e, {"uri": uri, "position": WHERE, "show": True})
        (shown,) = e.client.shown_documents
        path = Path(shown.uri.removeprefix("file://"))
        assert GOOD in path.read_text("utf-8")
        assert path.is_relative_to(tmp_path)


async def test_wrong_arguments_are_said_to_be(editor: StartEditor) -> None:
    async with editor(told({"text": GOOD})) as e:
        uri = e.open(CODE)
        for arguments in ([{"uri": uri}], [{"uri": "file:///w/no.py", "position": WHERE}], [7], []):
            with pytest.raises(JsonRpcException):
                await explain(e, *arguments)


KINDS = {
    "a name": ("python", CODE, "area(1", "area"),
    "an expression": ("python", CODE, "* h", "multipl|product|area|width|height|rectangle"),
    "a regex": (
        "python",
        'import re\nYEAR = re.compile(r"^[0-9]{4}$")\n',
        "[0-9]",
        "digit|number|4",
    ),
    "a problem": ("python", "total = prise * 2\n", "prise", "defined|variable|name|undefined"),
    "a key": ("toml", "[tool.ruff]\nline-length = 100\n", "line-length", "line|length|100"),
}


async def settled(e: Editor, before: dict[str, Any]) -> dict[str, Any]:
    """What models have spent once that is more than `before` and grows no more: one that has said
    enough is stopped, and counted when it has stopped."""
    now = before
    while True:
        last, now = now, await e.ask("nearfield/spent")
        if now == last != before:
            return now
        await asyncio.sleep(1.0)


@pytest.mark.model
async def test_a_real_model_explains_each_kind_once(
    editor: StartEditor, default_model: Path
) -> None:
    """What is pointed at a second time is answered without a model."""
    options = {
        "models": {"complete": str(default_model)},
        "hover": {"wait_ms": 120_000, "prepare": False},
    }
    async with editor(options) as e:
        for number, (language, text, at, expected) in enumerate(KINDS.values()):
            uri = e.open(text, f"file:///w/{number}.{language}", language)
            line, character = text.count("\n", 0, text.index(at)), len(
                text[: text.index(at)].rpartition("\n")[2]
            )  # fmt: skip
            if at == "prise":
                await tell_problem(e, uri, at, character)
            unspent = await e.ask("nearfield/spent")
            first = await until_shown(e, uri, "on this machine", line, character)
            assert re.search(expected, first, re.IGNORECASE), first
            spent = await settled(e, unspent)
            assert await hover(e, uri, line, character) == first
            assert await e.ask("nearfield/spent") == spent
            last, before = await e.traces(2)
            assert (before["situation"], last["situation"]) == ("", "cached")


@pytest.mark.model
async def test_a_real_model_explains(editor: StartEditor, default_model: Path) -> None:
    options = {"models": {"complete": str(default_model)}, "hover": {"wait_ms": 60_000}}
    async with editor(options) as e:
        uri = e.open(CODE)
        first = await until_shown(e, uri, "def area")
        explanation = first.partition("---")[2]
        assert "area" in explanation or "rectangle" in explanation
        assert "on this machine" in explanation
        assert await hover(e, uri) == first
        last, *_ = await e.traces(1)
        assert last["situation"] == "cached"
        toml = e.open("[tool.ruff]\nline-length = 100\n", "file:///w/pyproject.toml", "toml")
        assert await until_shown(e, toml, "tool.ruff.line-length", 1, 3)
