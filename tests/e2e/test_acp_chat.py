"""Conversations over the Agent Client Protocol, by the library's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acp.exceptions import RequestError
from acp.helpers import (
    ContentBlock,
    embedded_text_resource,
    image_block,
    resource_block,
    resource_link_block,
)
from acp.schema import FileSystemCapabilities
from tests.e2e.acp_client import connected, started


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.py").write_text("x = 1\ny = 2\n")
    (root / ".env").write_text("TOKEN=hunter2\n")
    (tmp_path / "outside.py").write_text("outside_word = 1\n")
    return root


WRITES = (
    {"result": "was written", "text": "Done."},
    {"result": "did not apply", "text": "Left."},
    {"tool_calls": [call("writeFile", path="a.py", content="x = 1\ny = 3\n")]},
)


async def test_text_is_streamed_and_the_session_remembers(
    environ: dict[str, str], work: Path
) -> None:
    answers = (
        {"match": "who", "text": "You are Ann."},
        {"match": "Ann", "text": "Hello there, Ann."},
    )
    async with connected(environ, work, answers) as s:
        await s.begin()
        assert s.said is not None and s.said.agent_capabilities is not None
        assert s.said.agent_capabilities.load_session
        ended = await s.prompt("I am Ann")
        assert (ended.stop_reason, s.user.text()) == ("end_turn", "Hello there, Ann.")
        assert len([u for u in s.user.updates if u["sessionUpdate"] == "agent_message_chunk"]) > 1
        commands = [u for u in s.user.updates if u["sessionUpdate"] == "available_commands_update"]
        names = {one["name"] for one in commands[0]["availableCommands"]}
        assert names == {"review", "fix", "test", "explain"}
        await s.prompt("who am I?")
    # After the process has ended, the conversation is still there.
    async with started(environ, work) as s:
        await s.begin()
        first = s.id
        [info] = (await s.connection.list_sessions(cwd=str(work))).sessions
        assert (info.title, info.cwd) == ("I am Ann", str(work))
        assert not (await s.connection.list_sessions(cwd="/nowhere")).sessions
        loaded = await s.connection.load_session(str(work), info.session_id, mcp_servers=[])
        assert loaded is not None and loaded.modes is not None
        assert s.user.text("user_message_chunk") == "I am Annwho am I?"
        assert s.user.text() == "Hello there, Ann.You are Ann."
        s.id = info.session_id
        await s.prompt("who?")
        [info] = (await s.connection.list_sessions()).sessions
        assert info.session_id != first
        for cwd, name in ((str(work.parent), s.id), (str(work), "none"), ("relative", s.id)):
            with pytest.raises(RequestError):
                await s.connection.load_session(cwd, name, mcp_servers=[])


@pytest.mark.parametrize(("says", "word"), [("once", "Done."), ("no", "Left."), ("other", "Left.")])
async def test_an_edit_is_a_diff_to_agree_to(
    says: str, word: str, environ: dict[str, str], work: Path
) -> None:
    async with connected(environ, work, WRITES) as s:
        await s.begin()
        s.user.says = says
        path = str(work / "a.py")
        s.user.buffers[path] = "x = 1\ny = 2\n# unsaved\n"
        await s.prompt("set y to 3")
        [asked] = s.user.asked
        [diff] = asked.content or []
        told = diff.model_dump(by_alias=True, exclude_none=True)
        # The diff is to the text that the client holds, not to that on the disk.
        assert (told["path"], told["oldText"]) == (path, "x = 1\ny = 2\n# unsaved\n")
        assert s.user.written == ({path: "x = 1\ny = 3\n"} if says == "once" else {})
        assert (work / "a.py").read_text() == "x = 1\ny = 2\n"
        assert word in s.user.text()
        end = "completed" if says == "once" else "failed"
        assert [state for _, state in s.user.calls()] == ["in_progress", "", end]
        shown = [one for one in s.user.updates if one.get("content") and "diff" in str(one)]
        assert shown[0]["content"][0]["type"] == "diff"


async def test_a_client_that_writes_no_files_has_them_written(
    environ: dict[str, str], work: Path
) -> None:
    async with connected(environ, work, WRITES) as s:
        await s.begin(FileSystemCapabilities())
        await s.prompt("set y to 3")
        assert (work / "a.py").read_text() == "x = 1\ny = 3\n"
        assert s.user.read == []


async def test_a_file_in_another_encoding_keeps_it(environ: dict[str, str], work: Path) -> None:
    (work / "a.py").write_bytes(b"# \xe9\xe8 latin\nx = 1\n")
    write = {"tool_calls": [call("writeFile", path="a.py", content="# éè latin\nx = 2\n")]}
    async with connected(environ, work, ({"result": ".", "text": "ok"}, write)) as s:
        await s.begin(FileSystemCapabilities(write_text_file=True))
        await s.prompt("go")
        assert s.user.written == {}
        assert (work / "a.py").read_bytes() == b"# \xe9\xe8 latin\nx = 2\n"


async def test_a_yes_for_the_chat_holds_for_its_edits(environ: dict[str, str], work: Path) -> None:
    async with connected(environ, work, WRITES) as s:
        await s.begin()
        s.user.says = "always"
        await s.prompt("set y to 3")
        s.user.buffers[str(work / "a.py")] = "x = 1\n"
        await s.prompt("again")
        assert len(s.user.asked) == 1
        assert s.user.written[str(work / "a.py")] == "x = 1\ny = 3\n"


async def test_in_the_mode_ask_nothing_is_changed(environ: dict[str, str], work: Path) -> None:
    async with connected(environ, work, WRITES) as s:
        await s.begin()
        await s.connection.set_session_mode(s.id, "ask")
        await s.prompt("set y to 3")
        assert (s.user.asked, s.user.written) == ([], {})
        assert s.user.calls()[-1][1] == "failed"
        await s.prompt("/fix a.py:1 it is wrong")
        assert "the mode is `ask`" in s.user.text()
        with pytest.raises(RequestError):
            await s.connection.set_session_mode(s.id, "root")


@pytest.mark.parametrize(("says", "is_there"), [("once", False), ("no", True)])
async def test_deleting_is_asked_for_each_time(
    says: str, is_there: bool, environ: dict[str, str], work: Path
) -> None:
    deletes = {"tool_calls": [call("deleteFileOrDir", path="a.py")]}
    chat = {"functions": ["deleteFileOrDir"]}
    async with connected(environ, work, ({"result": ".", "text": "ok"}, deletes), chat=chat) as s:
        await s.begin()
        s.user.says = says
        await s.prompt("delete it")
        assert s.user.options == [["once", "no"]]
        assert (work / "a.py").exists() == is_there


REFERRED: dict[str, tuple[Callable[[Path], ContentBlock], str]] = {
    "link": (lambda root: resource_link_block("a.py", (root / "a.py").as_uri()), "y = 2"),
    "lines": (lambda root: resource_link_block("a", f"{(root / 'a.py').as_uri()}#L2"), "y = 2"),
    "embedded": (
        # The text is the client's own, not the one that was sent along.
        lambda root: resource_block(embedded_text_resource((root / "a.py").as_uri(), "z = 9")),
        "y = 2",
    ),
    "wrapped": (
        lambda root: resource_block(
            embedded_text_resource(f"zed:///agent/selection?path={root}/a.py#L2:2", "z = 9")
        ),
        "y = 2",
    ),
    "no file": (
        lambda root: resource_block(embedded_text_resource("untitled:1", "my_word = 1")),
        "my_word = 1",
    ),
}


@pytest.mark.parametrize("case", REFERRED)
async def test_what_is_referred_to_is_shown(case: str, environ: dict[str, str], work: Path) -> None:
    make, word = REFERRED[case]
    # Only a message that holds the text is answered.
    answers = ({"match": rf"(?s){word}", "text": "I see it."},)
    async with connected(environ, work, answers) as s:
        await s.begin()
        await s.prompt("what is this?", make(work))
        assert s.user.text().startswith("I see it.")


WITHHELD: dict[str, Callable[[Path], ContentBlock]] = {
    "a key file": lambda root: resource_link_block("e", (root / ".env").as_uri()),
    "its text": lambda root: resource_block(
        embedded_text_resource((root / ".env").as_uri(), "TOKEN=hunter2")
    ),
    "wrapped": lambda root: resource_block(
        embedded_text_resource(f"zed:///agent/x?path={root}/.env", "TOKEN=hunter2")
    ),
    "outside": lambda root: resource_link_block("o", (root.parent / "outside.py").as_uri()),
    "up": lambda root: resource_link_block("o", f"{root.as_uri()}/../outside.py"),
}


@pytest.mark.parametrize("case", WITHHELD)
async def test_what_is_withheld_is_not_shown(
    case: str, environ: dict[str, str], work: Path
) -> None:
    answers = ({"match": "hunter2|outside_word", "text": "I see it."}, {"text": "Nothing."})
    async with connected(environ, work, answers) as s:
        await s.begin()
        await s.prompt("what is this?", WITHHELD[case](work))
        assert "I see it" not in s.user.text()
        # The user is told why.
        assert "\n\n> " in s.user.text()
        assert s.user.read == []


async def test_pictures_are_refused_with_a_sentence(environ: dict[str, str], work: Path) -> None:
    async with connected(environ, work, ({"text": "no"},)) as s:
        await s.begin()
        ended = await s.prompt("look", image_block("iVBORw0KGgo=", "image/png"))
        assert ended.stop_reason == "refusal"
        assert "Pictures" in s.user.text()


@pytest.mark.parametrize("stage", ["answer", "question"])
async def test_cancel_ends_it(stage: str, environ: dict[str, str], work: Path) -> None:
    hangs = {"match": "hang", "text": "I begin", "hang": True}
    async with connected(environ, work, (hangs, *WRITES)) as s:
        await s.begin()
        s.user.says = ""
        sent = asyncio.create_task(s.prompt("hang" if stage == "answer" else "set y to 3"))
        await s.user.until(
            lambda: s.user.asked if stage == "question" else "begin" in s.user.text()
        )
        await s.connection.cancel(s.id)
        assert (await sent).stop_reason == "cancelled"
        assert s.user.written == {}
        s.user.says = "no"
        assert (await s.prompt("set y to 3")).stop_reason == "end_turn"


async def test_an_error_is_said_in_the_chat(environ: dict[str, str], work: Path) -> None:
    async with connected(environ, work, ({"error": "NotReady"},)) as s:
        await s.begin()
        assert (await s.prompt("hi")).stop_reason == "end_turn"
        assert "No provider could answer" in s.user.text()


async def test_a_deleted_session_is_not_there(environ: dict[str, str], work: Path) -> None:
    async with connected(environ, work, ({"text": "Hello."},)) as s:
        await s.begin()
        await s.prompt("hi")
        send = s.connection._conn.send_request  # pyright: ignore[reportPrivateUsage] - it has no method for it yet
        await send("session/delete", {"sessionId": s.id})
        assert (await s.connection.list_sessions()).sessions == []
        with pytest.raises(RequestError):
            await s.prompt("hi")


FIXED = "def half(n):\n    return n / 2\n"


@pytest.fixture
def code(work: Path) -> Path:
    (work / "b.py").write_text("def half(n):\n    return n / 3\n")
    return work


COMMANDS = {
    "/fix b.py:2 it halves": ("```python\n" + FIXED + "```", "b.py was changed"),
    "/fix b.py": ("", "needs a line"),
    "/fix": ("", "needs a place"),
    "/fix nothing.py:3": ("", "no file"),
    "/fix .env:1": ("", "not shown to models"),
    "/fix ../outside.py:1": ("", "goes up"),
    "/explain b.py:1": ("It is a third.", "It is a third."),
    "/review b.py": (
        '{"findings": [{"line": 2, "severity": "error", "message": "half divides by n / 3",'
        ' "suggestion": "divide by 2", "replacement": "    return n / 2"}]}',
        "`b.py:2` **error**",
    ),
    "/review": ("", "Git failed in this folder"),
    "/test b.py:1": (
        "```python\nfrom b import half\n\n\ndef test_half():\n    assert half(4) == 2\n```",
        "test_b.py was changed",
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_slash_command(command: str, environ: dict[str, str], code: Path) -> None:
    answer, word = COMMANDS[command]
    async with connected(environ, code, ({"text": answer},)) as s:
        await s.begin()
        await s.prompt(command)
        assert word in s.user.text()
        if command.startswith("/fix b.py:"):
            assert s.user.written == {str(code / "b.py"): FIXED}
            assert [state for _, state in s.user.calls()] == ["pending", "completed"]


async def test_a_command_takes_the_file_that_is_linked(environ: dict[str, str], code: Path) -> None:
    async with connected(environ, code, ({"text": "It is a third."},)) as s:
        await s.begin()
        link = resource_link_block("b.py", f"{(code / 'b.py').as_uri()}#L1-2")
        await s.prompt("/explain", link)
        assert "It is a third." in s.user.text()
        # The conversation knows of it, and so does the next process.
        [info] = (await s.connection.list_sessions()).sessions
        assert info.title == "/explain"
