"""Next edits in other files through the real server, its index beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from tests.e2e.editing import Editor, StartEditor, capabilities
from tests.e2e.process import INDEX_PATIENCE_SECONDS, PATIENCE_SECONDS, script
from tests.e2e.test_next_edit import command, inline_edits, rename, where

GOODS = "def price(name):\n    return 1\n"
TILL = "# 🙂\r\nfrom goods import price\r\n\r\nx = '🙂', price('a')\r\n"
OPTIONS: dict[str, Any] = script(index={"vectors": False})


def client(
    *, confirms: bool = False, shows: bool = False, served: list[str] | None = None
) -> types.ClientCapabilities:
    """What a client can do with an offer in another file."""
    caps = capabilities()
    assert caps.text_document is not None
    caps.text_document.code_action = types.CodeActionClientCapabilities(disabled_support=True)
    note = types.ChangeAnnotationsSupportOptions() if confirms else None
    caps.workspace = types.WorkspaceClientCapabilities(
        workspace_edit=types.WorkspaceEditClientCapabilities(
            document_changes=True, change_annotation_support=note
        )
    )
    caps.window = types.WindowClientCapabilities(
        show_document=types.ShowDocumentClientCapabilities(support=True) if shows else None
    )
    if served is not None:
        caps.experimental = {"nearfieldServedLanguages": served}
    return caps


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a definition and a use of it."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "goods.py").write_text(GOODS)
    (root / "till.py").write_bytes(TILL.encode())
    (root / "hidden.py").write_text(TILL)
    (root / ".nearfieldignore").write_text("hidden.py\n")
    return root


async def opened(e: Editor, path: Path) -> str:
    """Open a file, once the index is there."""
    uri = e.open(path.read_bytes().decode(), path.as_uri())
    async with asyncio.timeout(INDEX_PATIENCE_SECONDS):
        while (await e.ask("nearfield/status", {}))["index"]["state"] != "ready":
            await asyncio.sleep(0.05)
    return uri


async def jumping(e: Editor, uri: str, line: int = 0) -> dict[str, Any]:
    """The next edits of a document, once there is a jump among them: a busy machine has not read
    the other files within the wait of a request, and reads on."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await command(e, "nearfield.nextEdit", where(uri, line)))["jump"]:
            await asyncio.sleep(0.05)
    return found


async def test_a_jump_is_an_offer_of_its_own(editor: StartEditor, shop: Path) -> None:
    async with editor(OPTIONS, root=shop, caps=client(confirms=True, shows=True)) as e:
        uri = await opened(e, shop / "goods.py")
        rename(e, uri, "cost", old="price", at=(0, 4))
        found = await jumping(e, uri, 1)
        assert (found["edit"], found["others"]) == (None, 0)
        jump = found["jump"]
        till = (shop / "till.py").as_uri()
        assert (jump["title"], jump["uri"], jump["version"]) == ("2 more in till.py", till, None)
        assert (jump["count"], jump["files"], jump["advice"]) == (2, 0, "")
        assert (jump["text"], jump["range"]["start"]) == ("cost", {"line": 1, "character": 18})
        (change,) = jump["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": till, "version": None}
        starts = [one["range"]["start"] for one in change["edits"]]
        assert starts == [{"line": 1, "character": 18}, {"line": 3, "character": 10}]
        notes = [one["annotationId"] for one in change["edits"]]
        assert all(jump["edit"]["changeAnnotations"][one]["needsConfirmation"] for one in notes)
        # Clients of Copilot's server get no edit of another document.
        answer = await e.ask(
            "textDocument/copilotInlineEdit",
            {"textDocument": {"uri": uri, "version": 2}, "position": {"line": 1, "character": 0}},
        )
        assert answer["edits"] == []
        assert answer["jump"]["id"] == jump["id"]
        assert await command(e, jump["command"]["command"], jump["id"]) == {"shown": True}
        (there,) = e.client.shown_documents
        assert there.selection is not None
        assert (there.uri, there.selection.start) == (till, types.Position(1, 18))
        # There the places are edits like any others.
        e.open(TILL, till)
        done = []
        for version in (1, 2):
            (edit,) = await inline_edits(e, till, version, at=(0, 0))
            start = edit["range"]["start"]
            done.append((start["line"], start["character"]))
            rename(e, till, edit["text"], old="price", at=done[-1])
        assert done == [(1, 18), (3, 10)]
        assert await command(e, "nearfield.nextEdit", where(uri, 1)) == {
            "edit": None,
            "others": 0,
            "jump": None,
        }


async def test_a_file_is_dismissed_as_a_whole(editor: StartEditor, shop: Path) -> None:
    async with editor(OPTIONS, root=shop) as e:
        uri = await opened(e, shop / "goods.py")
        rename(e, uri, "cost", old="price", at=(0, 4))
        jump = (await jumping(e, uri))["jump"]
        # A client without annotations is not told to apply anything unseen by the user.
        assert await command(e, "nearfield.goToEdit", jump["id"]) == {"shown": False}
        assert await command(e, "nearfield.dismissEdit", jump["id"]) == {"dismissed": True}
        assert (await command(e, "nearfield.nextEdit", where(uri)))["jump"] is None


async def actions(e: Editor, uri: str) -> list[Any]:
    place = types.Position(0, 0)
    found = await e.client.text_document_code_action_async(
        types.CodeActionParams(
            types.TextDocumentIdentifier(uri),
            types.Range(place, place),
            types.CodeActionContext([]),
        )
    )
    assert found is not None
    return [one for one in found if one.title.startswith("Next edit")]


async def test_the_next_edit_is_a_code_action(editor: StartEditor, shop: Path) -> None:
    (shop / "goods.py").write_text(GOODS + "\n\nprice('🙂')\n")
    async with editor(OPTIONS, root=shop, caps=client(confirms=True)) as e:
        uri = await opened(e, shop / "goods.py")
        assert await actions(e, uri) == []
        rename(e, uri, "cost", old="price", at=(0, 4))
        await jumping(e, uri)
        own, other = await actions(e, uri)
        assert own.title == "Next edit, line 5: cost"
        assert own.edit is not None
        assert own.edit.document_changes is not None
        (change,) = own.edit.document_changes
        assert isinstance(change, types.TextDocumentEdit)
        assert change.text_document.version == 2
        (put,) = change.edits
        place = types.Range(types.Position(4, 0), types.Position(4, 5))
        assert put == types.TextEdit(place, "cost")
        assert (other.title, other.command) == ("Next edit: 2 more in till.py", None)
        assert other.edit is not None
        rename(e, uri, "price", old="cost", at=(0, 4))
        assert await actions(e, uri) == []


@pytest.mark.parametrize(
    ("can", "wanted"),
    [
        ({"shows": True}, "nearfield.goToEdit"),
        ({}, ""),
        ({"confirms": True, "served": ["python"]}, "rename"),
    ],
)
async def test_the_jump_as_an_action_is_what_the_client_can_show(
    editor: StartEditor, shop: Path, can: dict[str, Any], wanted: str
) -> None:
    async with editor(OPTIONS, root=shop, caps=client(**can)) as e:
        uri = await opened(e, shop / "goods.py")
        rename(e, uri, "cost", old="price", at=(0, 4))
        await jumping(e, uri)
        found = await actions(e, uri)
        if not wanted:
            assert found == []
            return
        (action,) = found
        # The client's library takes an action that has a command for the command.
        is_command = isinstance(action, types.Command)
        said = str(action.command) if is_command else ""
        why = action.disabled.reason if not is_command and action.disabled else ""
        assert wanted in f"{said} {why}"
        jump = (await jumping(e, uri))["jump"]
        assert (jump["edit"] is None) == bool(why)
