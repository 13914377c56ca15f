"""Next edits through the real server: the request of Copilot's clients, the command, ghost text."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from tests.e2e.editing import Editor, StartEditor, plain
from tests.e2e.process import edited_by_a_model, script

CODE = "def area(wide, high):\n    é = '🙂', wide\n    return wide * high\n\n\nprint(area(2, 3))\n"
ANCHOR = (0, 9)
INLINE_EDIT = "textDocument/copilotInlineEdit"


def rename(e: Editor, uri: str, new: str, old: str = "wide", at: tuple[int, int] = ANCHOR) -> None:
    """Replace `old` at a place by `new`, as a client does that sends what changed."""
    line, column = at
    where = types.Range(types.Position(line, column), types.Position(line, column + len(old)))
    e.change(uri, types.TextDocumentContentChangePartial(where, new))


async def inline_edits(
    e: Editor, uri: str, version: int | None = 2, at: tuple[int, int] = (3, 0)
) -> list[dict[str, Any]]:
    """Ask as clients of Copilot's server do."""
    answer = await e.ask(
        INLINE_EDIT,
        {
            "textDocument": {"uri": uri, "version": version},
            "position": {"line": at[0], "character": at[1]},
        },
    )
    return answer["edits"]


async def command(e: Editor, name: str, *arguments: Any) -> Any:
    """Run a command."""
    return plain(
        await e.client.workspace_execute_command_async(
            types.ExecuteCommandParams(name, list(arguments))
        )
    )


def where(uri: str, line: int = 0, character: int = 0) -> dict[str, Any]:
    """The command's argument."""
    return {"uri": uri, "position": {"line": line, "character": character}}


async def test_the_next_edit_has_the_shape_that_clients_know(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(CODE)
        rename(e, uri, "width")
        (edit,) = await inline_edits(e, uri, at=(2, 0))
        command_ = edit.pop("command")
        assert edit == {
            "text": "width",
            "range": {
                "start": {"line": 2, "character": 11},
                "end": {"line": 2, "character": 15},
            },
            "textDocument": {"uri": uri, "version": 2},
        }
        assert command_["command"] == "nearfield.accept"
        await command(e, command_["command"], *command_["arguments"])
        e.client.protocol.notify("textDocument/didShowInlineEdit", {"item": {"command": command_}})


async def test_places_are_counted_in_the_client_s_units(editor: StartEditor) -> None:
    """The line begins with characters of one and of two UTF-16 units."""
    async with editor() as e:
        uri = e.open(CODE)
        rename(e, uri, "width")
        (edit,) = await inline_edits(e, uri, at=(1, 0))
        assert edit["range"]["start"] == {"line": 1, "character": 14}


async def test_edit_after_edit_until_all_is_done(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(CODE)
        rename(e, uri, "width")
        first = await command(e, "nearfield.nextEdit", where(uri))
        assert first["others"] == 1
        start = first["edit"]["range"]["start"]
        rename(e, uri, "width", at=(start["line"], start["character"]))
        second = await command(e, "nearfield.nextEdit", where(uri, start["line"], 20))
        assert (second["others"], second["edit"]["range"]["start"]["line"]) == (0, 2)
        rename(e, uri, "width", at=(2, 11))
        nothing = {"edit": None, "others": 0, "jump": None}
        assert await command(e, "nearfield.nextEdit", where(uri)) == nothing


async def test_a_call_that_lacks_an_argument(editor: StartEditor) -> None:
    code = "def area(wide):\n    return wide\n\n\ndef show(high):\n    return area(2)\n"
    async with editor() as e:
        uri = e.open(code)
        rename(e, uri, ", high", old="", at=(0, 13))
        (edit,) = await inline_edits(e, uri)
        assert edit["text"] == ", high"
        assert edit["range"]["start"] == edit["range"]["end"] == {"line": 5, "character": 17}


async def test_an_edit_at_the_cursor_is_ghost_text(editor: StartEditor) -> None:
    answers = [{"text": "from_the_model\n"}]
    async with editor(script(answers)) as e:
        uri = e.open(CODE)
        rename(e, uri, "width")
        (item,) = await e.ghost(uri, 2, 11, invoked=False)
        assert item.insert_text == "width"
        assert item.range == types.Range(types.Position(2, 11), types.Position(2, 15))
        (last,) = await e.traces(1)
        assert (last["situation"], last["shown"], last["provider"]) == ("next_edit", True, "")
        # Where the user has just typed, and on other lines, the model is asked.
        for line, character in ((0, 14), (3, 0)):
            (item,) = await e.ghost(uri, line, character)
            assert item.insert_text == "from_the_model"


async def test_undo_drops_the_offers(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(CODE)
        rename(e, uri, "width")
        assert await inline_edits(e, uri)
        rename(e, uri, "wide", old="width")
        assert await inline_edits(e, uri, 3) == []


async def test_a_dismissed_edit_is_not_offered_again(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(CODE)
        rename(e, uri, "width")
        (edit,) = await inline_edits(e, uri)
        edit_id = edit["command"]["arguments"][0]
        assert await command(e, "nearfield.dismissEdit", edit_id) == {"dismissed": True}
        assert await command(e, "nearfield.dismissEdit", edit_id) == {"dismissed": False}
        # Who does not want a name at one place does not want it at the others.
        assert await inline_edits(e, uri) == []


async def test_a_client_that_sends_whole_texts(editor: StartEditor) -> None:
    long = CODE + "# " + "x" * 300 + "\n"
    async with editor() as e:
        uri = e.open(long)
        e.replace(uri, long.replace("wide", "width", 1))
        assert [edit["text"] for edit in await inline_edits(e, uri)] == ["width"]


@pytest.mark.parametrize("method", ["pause", "setting", "version", "typing"])
async def test_nothing_is_offered(editor: StartEditor, method: str) -> None:
    options = script(completion={"next_edit": False}) if method == "setting" else None
    async with editor(options) as e:
        uri = e.open(CODE)
        if method == "typing":
            e.replace(uri, CODE + "wide = 1\n")
        else:
            rename(e, uri, "width")
        if method == "pause":
            await command(e, "nearfield.pause")
        version = 1 if method == "version" else 2
        assert await inline_edits(e, uri, version) == []


async def test_bad_params_are_an_error_without_effect(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(CODE)
        for params in (None, {}, {"textDocument": {"uri": uri}}, {"textDocument": 1}):
            with pytest.raises(JsonRpcException, match="params"):
                await e.ask(INLINE_EDIT, params)
        with pytest.raises(JsonRpcException, match="not open"):
            await inline_edits(e, "file:///other.py")
        with pytest.raises(JsonRpcException, match="id of an edit"):
            await command(e, "nearfield.dismissEdit", 3)
        with pytest.raises(JsonRpcException, match="params"):
            await command(e, "nearfield.nextEdit", "x")
        assert await inline_edits(e, uri, None, at=(10**6, 10**6)) == []


async def test_a_question_at_the_name_waits_until_it_is_typed(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(CODE)
        rename(e, uri, "", old="wide")
        for index, char in enumerate("width"):
            rename(e, uri, char, old="", at=(0, 9 + index))
        (edit,) = await inline_edits(e, uri, 7, at=(0, 13))
        assert edit["text"] == "width"


async def test_a_question_may_overtake_its_change(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(CODE)
        early = asyncio.create_task(inline_edits(e, uri, 2))
        await asyncio.sleep(0)  # until it is sent, and no longer: the change is soon waited for
        rename(e, uri, "width")
        assert [edit["text"] for edit in await early] == ["width"]
        assert await inline_edits(e, uri, 99) == []


async def test_a_change_of_two_lines_is_offered_for_a_third(editor: StartEditor) -> None:
    code = 'def show(user):\n    put(user["id"])\n    put(user["name"])\n\n    put(user["é🙂"])\n'
    async with editor() as e:
        uri = e.open(code)
        rename(e, uri, '.get("id")', old='["id"]', at=(1, 12))
        assert await inline_edits(e, uri) == []
        rename(e, uri, '.get("name")', old='["name"]', at=(2, 12))
        (edit,) = await inline_edits(e, uri, 3)
        assert edit["text"] == '.get("é🙂")'
        assert edit["range"]["start"] == {"line": 4, "character": 12}
        assert edit["range"]["end"] == {"line": 4, "character": 19}
        (item,) = await e.ghost(uri, 4, 19, invoked=False)
        assert item.insert_text == '.get("é🙂")'
        (last,) = await e.traces(1)
        assert (last["situation"], last["provider"]) == ("next_edit", "")
        rename(e, uri, '["name"]', old='.get("name")', at=(2, 12))
        assert await inline_edits(e, uri, 4) == []


BOX = """\
class Box {
    int area(int wide) { return wide; }
    int twice() { return area(1); }
}
"""


CALL = {
    "match": r"updated/\w+\.java:1:5\n[^<]*$",
    "text": "    int twice() { return area(1, 2); }\n}\n",
}


async def test_a_model_is_asked_when_no_rule_has_an_edit(
    editor: StartEditor,
) -> None:
    async with editor(edited_by_a_model(CALL)) as e:
        uri = e.open(BOX, "file:///w/Box.java", "java")
        rename(e, uri, ", int high", old="", at=(1, 21))
        (edit,) = await inline_edits(e, uri, at=(2, 0))
        assert edit["text"] == "    int twice() { return area(1, 2); }"
        assert edit["range"] == {
            "start": {"line": 2, "character": 0},
            "end": {"line": 2, "character": 35},
        }
        (trace, *_) = [one for one in await e.traces(9) if one["method"] == "nextEdit"]
        assert (trace["shown"], trace["provider"]) == (True, "fake")
        # Seen at once by a key, and as ghost text where the cursor is.
        found = await command(e, "nearfield.nextEdit", where(uri, 2))
        assert found["edit"]["text"] == edit["text"]
        assert (await command(e, "nearfield.dismissEdit", edit["command"]["arguments"][0])) == {
            "dismissed": True
        }
        assert await inline_edits(e, uri, at=(2, 0)) == []


async def test_an_answer_to_older_text_is_never_shown(editor: StartEditor) -> None:
    """Typing on ends the question, which is answered at once although the model is slow."""
    async with editor(edited_by_a_model({**CALL, "delay_ms": 600_000}, {"text": ""})) as e:
        uri = e.open(BOX, "file:///w/Box.java", "java")
        rename(e, uri, ", int high", old="", at=(1, 21))
        early = asyncio.create_task(inline_edits(e, uri, 2, at=(2, 0)))
        await asyncio.sleep(0.6)
        rename(e, uri, "// on\n", old="", at=(0, 0))
        assert await early == []
