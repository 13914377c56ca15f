"""The index as a client sees it: it comes by itself, says how far it is, follows the folders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsprotocol import types
from tests.e2e.editing import Editor, StartEditor, plain
from tests.e2e.process import INDEX_PATIENCE_SECONDS, script

VECTORLESS: dict[str, Any] = {"index": {"vectors": False}}


async def index_of(editor: Editor) -> dict[str, Any]:
    status = plain(await editor.client.protocol.send_request_async("nearfield/status", {}))
    return status["index"]


async def until(editor: Editor, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(INDEX_PATIENCE_SECONDS):
        while not true(index := await index_of(editor)):
            await asyncio.sleep(0.05)
    return index


async def test_the_index_is_built_without_a_request_and_reported(
    editor: StartEditor, tmp_path: Path
) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.py").write_text("def add(a, b):\n    return a + b\n")
    async with editor(script(**VECTORLESS), root=root) as e:
        index = await until(e, lambda index: index["state"] == "ready")
        assert (index["files"], index["chunks"], index["vectors"]) == (1, 1, 0)

        def said() -> list[str]:
            return [status["index"]["state"] for status in e.statuses if "index" in status]

        await e.until(lambda: said()[-1:] == ["ready"])


async def test_the_index_follows_added_and_removed_folders(
    editor: StartEditor, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "a.py").write_text("def add(a, b):\n    return a + b\n")

    def changed(added: list[Path], removed: list[Path]) -> types.DidChangeWorkspaceFoldersParams:
        return types.DidChangeWorkspaceFoldersParams(
            types.WorkspaceFoldersChangeEvent(
                [types.WorkspaceFolder(path.as_uri(), path.name) for path in added],
                [types.WorkspaceFolder(path.as_uri(), path.name) for path in removed],
            )
        )

    async with editor(script(**VECTORLESS), root=one) as e:
        await until(e, lambda index: index["files"] == 1 and index["state"] == "ready")
        e.client.workspace_did_change_workspace_folders(changed([two], []))
        await until(e, lambda index: index["files"] == 2 and index["state"] == "ready")
        e.client.workspace_did_change_workspace_folders(changed([], [one, two]))
        await until(e, lambda index: index["state"] == "off")


async def test_the_index_can_be_turned_off(editor: StartEditor, tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    async with editor(script(index={"enabled": False}), root=root) as e:
        await asyncio.sleep(1.5)
        assert (await index_of(e))["state"] == "off"
