"""The main job end to end: a real editor client, a real server, a real model."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from lsprotocol import types
from tests.e2e.editing import Editor, StartEditor, capabilities
from tests.e2e.prepared import STARTED
from tests.e2e.process import PATIENT
from tests.e2e.wiring import StartWire, Wire
from tests.processes import running

pytestmark = pytest.mark.model


def real(model: Path, **settings: Any) -> dict[str, Any]:
    """`initializationOptions` with that file as the model."""
    return {"models": {"complete": str(model)}, "completion": PATIENT, **settings}


def accepted(text: str, line: int, item: types.InlineCompletionItem) -> str:
    """The document's line with the item taken, and what comes below it."""
    assert isinstance(item.insert_text, str)
    assert item.range is not None
    assert item.range.start.line == item.range.end.line == line
    row = text.split("\n")[line]
    return row[: item.range.start.character] + item.insert_text + row[item.range.end.character :]


FIBONACCI = "def fib(n):\n    if n < 2:\n        return n\n    return fi\n\n\nprint(fib(10))\n"

LANGUAGES = [
    pytest.param("a.py", "python", FIBONACCI, (3, 13), r"fib(n", id="python, in a word"),
    pytest.param(
        "a.ts",
        "typescript",
        "export function area(width: number, height: number): number {\n  return \n}\n",
        (1, 9),
        "width * height",
        id="typescript, end of a line",
    ),
    pytest.param(
        "a.go",
        "go",
        'package main\n\nimport "fmt"\n\nfunc greet(name string) {\n\tfmt.Println()\n}\n',
        (5, 13),
        "name",
        id="go, text after the cursor",
    ),
    pytest.param(
        "a.rs",
        "rust",
        "/// Adds two numbers.\npub fn add(left: i64, right: i64) -> i64 {\n    \n}\n",
        (2, 4),
        "left + right",
        id="rust, an empty body",
    ),
]


@pytest.mark.parametrize(("name", "language", "text", "place", "expected"), LANGUAGES)
async def test_completions_in_several_languages(
    editor: StartEditor,
    default_model: Path,
    name: str,
    language: str,
    text: str,
    place: tuple[int, int],
    expected: str,
) -> None:
    async with editor(real(default_model)) as e:
        uri = e.open(text, f"file:///w/{name}", language)
        (item,) = await e.ghost(uri, *place)
        assert expected in accepted(text, place[0], item)
        (trace,) = await e.traces(1)
        assert (trace["shown"], trace["situation"], trace["provider"]) == (True, "cold", "embedded")
        assert trace["evaluated_tokens"] + trace["reused_tokens"] == trace["prompt_tokens"]
        assert trace["generated_tokens"] > 0


async def test_typing_on_evaluates_only_the_typed_text(
    editor: StartEditor, default_model: Path
) -> None:
    text = "import os\n" * 3 + FIBONACCI
    async with editor(real(default_model)) as e:
        uri = e.open(text)
        await e.ghost(uri, 6, 13, invoked=False)
        for i, char in enumerate("x(q"):
            at = types.Position(6, 13 + i)
            edit = types.TextDocumentContentChangePartial(types.Range(at, at), char)
            e.change(uri, edit)
            await e.ghost(uri, 6, 14 + i, invoked=False)
        typing = [t for t in await e.traces(3) if t["situation"] == "typing"]
        assert typing  # the others came from the completion cache
        assert all(t["evaluated_tokens"] <= 12 < t["reused_tokens"] for t in typing)


async def test_a_new_line_evaluates_the_typed_text_and_a_restart_nothing(
    editor: StartEditor, default_model: Path, tmp_path: Path
) -> None:
    """Neither what stands below the cursor nor what was read yesterday is read again."""
    lines = [f"    total_{i} = measure(width, {i})\n" for i in range(40)]
    text = "def area(width):\n" + "".join(lines) + "\n\ndef other():\n" + "".join(lines)
    written = "    first = total_1 + total_2"
    async with editor(real(default_model)) as e:
        uri = e.open(text)
        await e.ghost(uri, 20, 0, invoked=False)
        at = types.Position(20, 0)
        e.change(uri, types.TextDocumentContentChangePartial(types.Range(at, at), written + "\n"))
        await e.ghost(uri, 21, 0, invoked=False)
        (after,) = await e.traces(1)
        assert after["evaluated_tokens"] <= 16 < 100 < after["reused_tokens"]
        # Kept now: at its end the server has less than a second for that.
        document = types.TextDocumentIdentifier(uri)
        e.client.text_document_did_close(types.DidCloseTextDocumentParams(document))
        await e.until(lambda: list(tmp_path.rglob("*.state")))
    now = [*text.split("\n")[:20], written, *text.split("\n")[20:]]
    async with editor(real(default_model)) as e:
        uri = e.open("\n".join(now))
        await e.ghost(uri, 21, 0, invoked=False)
        (first,) = await e.traces(1)
        assert first["evaluated_tokens"] <= 16 < 100 < first["reused_tokens"]


async def test_a_model_without_fim_tokens_completes_from_the_prefix(
    editor: StartEditor, small_model: Path
) -> None:
    text = "numbers = [1, 2, 3, 4, 5, 6, 7, 8, "
    async with editor(real(small_model)) as e:
        uri = e.open(text)
        (item,) = await e.ghost(uri, 0, len(text))
        assert "9, 10" in accepted(text, 0, item)


async def test_promise_7_a_killed_engine_answers_empty_and_comes_back(
    editor: StartEditor, small_model: Path
) -> None:
    async with editor(real(small_model), program=STARTED) as e:
        uri = e.open("".join(f"value_{i} = {i}\n" for i in range(40)))
        for line in (30, 31, 32):
            worker = await engine_of(e)
            asking = asyncio.create_task(e.ghost(uri, line, 0))
            await asyncio.sleep(0.05)
            os.kill(worker.pid, signal.SIGKILL)
            await asyncio.wait_for(asking, 60)  # answered, with an item or without
        text = "numbers = [1, 2, 3, 4, 5, 6, 7, 8, "
        again = e.open(text, "file:///w/again.py")
        assert await e.ghost(again, 0, len(text)), [t["reason"] for t in await e.traces(5)]


async def engine_of(e: Editor) -> psutil.Process:
    """The engine's process of that editor's server."""
    server = e.client._server  # pyright: ignore[reportPrivateUsage]  # pytest-lsp has no accessor
    assert server is not None
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := running("nearfield.engine.worker", of=server.pid):
            return found[0]
        await asyncio.sleep(0.02)
    pytest.fail("there is no engine process")


def ready_wire(wire: StartWire, model: Path, **settings: Any) -> Wire:
    """A raw client whose server has loaded the model."""
    client = wire("--stdio", program=STARTED)
    client.initialize(real(model, **settings))
    return client


def test_promise_1_a_storm_of_cancels(wire: StartWire, small_model: Path) -> None:
    """200 requests, 199 cancelled: exactly 200 answers, and the last one is right."""
    text = "numbers = [1, 2, 3, 4, 5, 6, 7, 8, "
    client = ready_wire(wire, small_model)
    uri = client.open(text)
    ids = [client.request_ghost(uri, 0, len(text)) for _ in range(200)]
    for id in ids[:-1]:
        client.notify("$/cancelRequest", {"id": id})
    last = client.answer(ids[-1])
    assert "9, 10" in last["result"]["items"][0]["insertText"]
    for id in ids:
        client.answer(id)
    client.ask("nearfield/status", {})
    answered = [m["id"] for m in client.received if "method" not in m and m.get("id") in ids]
    assert sorted(answered) == ids


def test_the_engine_ends_with_the_server(wire: StartWire, small_model: Path) -> None:
    """Both processes end with standard input."""
    client = ready_wire(wire, small_model)
    server = psutil.Process(client.process.pid)
    processes = [server, *server.children(recursive=True)]
    assert len(processes) == 2
    assert client.process.stdin is not None
    client.process.stdin.close()
    _, alive = psutil.wait_procs(processes, 60)
    assert not alive


async def test_loading_is_visible_and_holds_nothing_up(
    editor: StartEditor, default_model: Path
) -> None:
    """Status and work-done progress while the model loads; requests are answered meanwhile."""
    caps = capabilities(progress=True)
    async with editor(real(default_model), caps=caps, ready=False) as e:
        assert (await e.ask("nearfield/status"))["state"] in ("starting", "loading", "ready")
        await e.until(lambda: any(s.get("state") == "ready" for s in e.statuses))
        states = [s["state"] for s in e.statuses if "state" in s]
        assert "loading" in states
        assert states.index("loading") < states.index("ready")
        await e.until(lambda: [s["kind"] for s in e.statuses if "kind" in s][-1:] == ["Normal"])

        def reported() -> set[type]:
            return {type(r) for token in e.client.progress_reports.values() for r in token}

        await e.until(lambda: types.WorkDoneProgressEnd in reported())
        assert types.WorkDoneProgressBegin in reported()


def broken(kind: str, folder: Path, model: Path) -> Path:
    """A file that is not a usable model."""
    path = folder / f"{kind}.gguf"
    if kind == "truncated":
        with model.open("rb") as whole:
            path.write_bytes(whole.read(20_000_000))
    elif kind == "no-gguf":
        path.write_bytes(b"PK\x03\x04" * 1000)
    elif kind == "corrupt":
        shutil.copyfile(model, path)
        with path.open("r+b") as file:
            file.seek(8)
            file.write(b"\xff" * 64)
    return path


@pytest.mark.parametrize("kind", ["missing", "truncated", "no-gguf", "corrupt"])
async def test_a_model_that_cannot_be_used_is_said_and_survived(
    editor: StartEditor, small_model: Path, tmp_path: Path, kind: str
) -> None:
    path = broken(kind, tmp_path, small_model)
    async with editor(real(path), ready=False) as e:
        await e.until(lambda: any(s.get("state") == "unavailable" for s in e.statuses))
        status = await e.ask("nearfield/status")
        assert f"{kind}.gguf" in status["detail"] or "model" in status["detail"]
        uri = e.open("x = ")
        assert await e.ghost(uri, 0, 4) == []
        (trace,) = await e.traces(1)
        assert not trace["shown"]
        assert trace["reason"]
        assert len(e.shown_messages) <= 1
