"""Two editor windows on one workspace: two servers that share an index, a ledger and a record, and
write them at the same time."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pytest_httpserver import HTTPServer
from tests.e2e.editing import Editor, StartEditor
from tests.e2e.prepared import forked
from tests.e2e.process import INDEX_PATIENCE_SECONDS, script

from nearfield.routing.consent import Consent
from nearfield.routing.store import Store

QUESTIONS = 8
"""Of each window; they are asked while the other asks too."""
INDEX: dict[str, Any] = {"index": {"vectors": False}}
AT_ONCE: dict[str, Any] = {"completion": {"debounce_ms": 0, "deadline_ms": 20_000}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The workspace of both."""
    folder = tmp_path / "work"
    folder.mkdir()
    for number in range(3):
        (folder / f"m{number}.py").write_text(f"def first_{number}(x):\n    return x\n")
    return folder


def by_the_cloud(cloud: HTTPServer) -> dict[str, Any]:
    """Settings by which every completion leaves this machine."""
    return {
        **INDEX,
        **AT_ONCE,
        "engine": {"enabled": False},
        "providers": {
            "cloud": {
                "kind": "openai_compatible",
                "model": "gpt-4o",
                "base_url": cloud.url_for("/v1"),
                "options": {"leaves_machine": True, "infill": "suffix", "api_key_env": "CLOUD_KEY"},
            }
        },
        "routing": {"strategy": "cloud_only"},
    }


async def write(window: Editor, root: Path, name: str) -> list[str]:
    """Open `QUESTIONS` files of that window's, ask in each and take what comes; their names."""
    names = [f"{name}{number}.py" for number in range(QUESTIONS)]
    for file in names:
        text = f"# {file}\ndef add(a, b):\n    return "
        uri = window.open(text, (root / file).as_uri())
        (item,) = await window.ghost(uri, 2, 11, invoked=False)
        assert item.insert_text == "a + b"
        assert item.command is not None
        command = types.ExecuteCommandParams(item.command.command, item.command.arguments)
        await window.client.workspace_execute_command_async(command)
    return names


def nearfield(environ: dict[str, str], *arguments: str) -> Any:
    """What a command says as JSON."""
    command = forked(*arguments, "--json")
    return json.loads(subprocess.run(command, env=environ, capture_output=True, check=True).stdout)


async def state(window: Editor, wanted: str, files: int) -> None:
    """Wait until that window's server says so of the index."""
    async with asyncio.timeout(INDEX_PATIENCE_SECONDS):
        while True:
            index = (await window.ask("nearfield/status", {}))["index"]
            if (index["state"], index["files"]) == (wanted, files):
                return
            await asyncio.sleep(0.1)


async def hovered(window: Editor, root: Path, name: str) -> str:
    """What that window says of a name that another file may define."""
    uri = window.open(f"{name}(1)\n", (root / "caller.py").as_uri())
    document = types.TextDocumentIdentifier(uri)
    hover = await window.client.text_document_hover_async(
        types.HoverParams(document, types.Position(0, 1))
    )
    window.client.text_document_did_close(types.DidCloseTextDocumentParams(document))
    return "" if hover is None else str(hover.contents)


async def known(window: Editor, root: Path, name: str) -> None:
    """Wait until that window knows a function of one parameter."""
    async with asyncio.timeout(INDEX_PATIENCE_SECONDS):
        while f"def {name}(x)" not in await hovered(window, root, name):
            await asyncio.sleep(0.1)


async def forgotten(window: Editor, root: Path, name: str) -> None:
    """Wait until that window does not know it any longer: a file's changes come one by one."""
    async with asyncio.timeout(INDEX_PATIENCE_SECONDS):
        while "(x)" in await hovered(window, root, name):
            await asyncio.sleep(0.1)


async def test_one_window_indexes_for_both_and_the_other_takes_over(
    editor: StartEditor, root: Path
) -> None:
    async with AsyncExitStack() as first_window:
        first = await first_window.enter_async_context(editor(script(**INDEX), root=root))
        await state(first, "ready", 3)
        async with editor(script(**INDEX), root=root) as second:
            await state(second, "reading", 3)
            for window in (first, second):
                await known(window, root, "first_2")
            (root / "later.py").write_text("def later(x):\n    return x\n")
            (root / "m0.py").unlink()
            (root / "m1.py").write_text("def renamed(x):\n    return x\n")
            for window in (first, second):
                for name in ("later", "renamed"):
                    await known(window, root, name)
                for name in ("first_0", "first_1"):
                    await forgotten(window, root, name)
            await state(first, "ready", 3)
            await first_window.aclose()
            await state(second, "ready", 3)
            (root / "latest.py").write_text("def latest(x):\n    return x\n")
            await known(second, root, "latest")


async def test_the_ledger_has_every_sending_of_both_once(
    editor: StartEditor, root: Path, cloud: HTTPServer, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["CLOUD_KEY"] = "some-key-that-is-not-one"
    environ["NEARFIELD_DATA_DIR"] = str(tmp_path / "data")
    store = Store(tmp_path / "data" / "nearfield.db")
    store.say(str(root), "cloud", cloud.url_for("/v1"), Consent.WORKSPACE)
    store.close()
    options = by_the_cloud(cloud)
    async with editor(options, root=root) as one, editor(options, root=root) as two:
        names = await asyncio.gather(write(one, root, "one"), write(two, root, "two"))
    files = sorted(file for of_one in names for file in of_one)
    sent = [request.get_data(as_text=True) for request, _ in cloud.log]
    assert len(sent) == 2 * QUESTIONS
    entries = nearfield(environ, "audit", "list")["entries"]
    assert sorted(Path(entry["files"][0]["path"]).name for entry in entries) == files
    # The line was whole before the stream had ended, and the rest was not waited for.
    assert {entry["outcome"] for entry in entries} <= {"answered", "cancelled"}
    assert {entry["workspace"] for entry in entries} == {str(root)}
    assert len({entry["id"] for entry in entries}) == len(entries)
    (line,) = nearfield(environ, "stats")["lines"]
    assert (line["provider"], line["requests"], line["local"]) == ("cloud", 2 * QUESTIONS, False)


async def test_stats_count_the_requests_of_both_windows(
    editor: StartEditor, root: Path, environ: dict[str, str]
) -> None:
    answers = [{"match": r"return $", "text": "a + b\n"}]
    # What is explained while the cursor rests is counted, too.
    options = script(answers, **INDEX, **AT_ONCE, hover={"prepare": False})
    async with editor(options, root=root) as one, editor(options, root=root) as two:
        await asyncio.gather(write(one, root, "one"), write(two, root, "two"))
    told = nearfield(environ, "stats")
    (line,) = told["lines"]
    assert (line["provider"], line["requests"], line["local"]) == ("fake", 2 * QUESTIONS, True)
    found = told["completions"]
    assert (found["questions"], found["offered"], found["accepted"]) == (2 * QUESTIONS,) * 3
