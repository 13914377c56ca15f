"""Chats on disk: kept, resumed, listed, exported, deleted; by limits, without secrets."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.features.chat.conftest import StartTalk, Talk, call

from nearfield.config.schema import Chat
from nearfield.errors import NearfieldError
from nearfield.features.chat import kept_chats
from nearfield.features.chat.chat import ChatService
from nearfield.features.chat.kept_chats import DAY, KeptChats, markdown
from nearfield.features.chat.protocol import ChatWishes, ToolRefused, TurnPart
from nearfield.features.chat.session import ChatSession, ChatTurn, Exchange
from nearfield.types import Role

KEY = "sk-ant-api03-" + "A1b2C3d4E5f6G7h8" * 5


@pytest.fixture
def kept(tmp_path: Path) -> KeptChats:
    return KeptChats(tmp_path / "chats")


@pytest.fixture
def keeping(talk: StartTalk, kept: KeptChats) -> Callable[..., Talk]:
    def start(*answers: dict[str, Any], **settings: Any) -> Talk:
        t = talk(*answers, **settings)
        t.chat = ChatService(t, t.person, store=t.store, kept=kept)
        return t

    return start


def restarted(t: Talk, kept: KeptChats) -> Talk:
    """The same user after the process has ended."""
    t.chat = ChatService(t, t.person, store=t.store, kept=kept)
    return t


async def test_a_chat_deleted_while_it_is_written_stays_deleted(
    keeping: Callable[..., Talk], kept: KeptChats, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, deleted, write = threading.Event(), threading.Event(), kept_chats.write_private

    def write_late(path: Path, content: bytes) -> None:
        begun.set()
        assert deleted.wait(30)
        write(path, content)

    t = keeping({"text": "A shop."})
    monkeypatch.setattr(kept_chats, "write_private", write_late)
    answer = asyncio.create_task(t.say("what is it?", session="one"))
    assert await asyncio.to_thread(begun.wait, 30)
    assert await t.chat.delete("one")
    deleted.set()
    assert (await answer).text == "A shop."
    assert kept.heads() == []


async def test_the_wishes_of_a_chat_are_kept_without_secrets(
    keeping: Callable[..., Talk], kept: KeptChats
) -> None:
    t = keeping({"text": "A shop."})
    await t.say("what is it?", wishes=ChatWishes(f"Say {KEY} often.", 0.5, 2048))
    t = restarted(t, kept)
    await t.say("say it again")
    request: Any = t.model.calls[-1].request
    assert request.temperature == 0.5
    assert "often." in request.messages[0].content and KEY not in request.messages[0].content
    chat = kept.load(t.session)
    assert chat is not None and chat.wishes.context_tokens == 2048


async def test_a_chat_is_continued_after_a_restart(
    keeping: Callable[..., Talk], kept: KeptChats
) -> None:
    t = keeping({"text": "A shop."}, {"match": "again", "text": "Still a shop."})
    await t.say("what is it? @file:readme.md")
    t = restarted(t, kept)
    reply = await t.say("say it again")
    assert reply.session == t.session
    assert "# Shop" in t.told()
    assert "A shop." in t.told()
    chat = kept.load(t.session)
    assert chat is not None
    assert [one.question for one in chat.exchanges] == [
        "what is it? @file:readme.md", "say it again",
    ]  # fmt: skip
    # The file that a piece was taken from is known still, so that it can be cut from a request.
    assert "readme.md" in [part.path for turn in chat.turns for part in turn.parts]


async def test_what_the_user_has_allowed_is_not_kept(
    keeping: Callable[..., Talk], kept: KeptChats
) -> None:
    from nearfield.features.chat.protocol import Allow

    make = {"tool_calls": [call("createDirectory", path="a")]}
    t = keeping({"result": ".", "text": "ok"}, make)
    t.person.says = Allow.SESSION
    await t.say("go")
    await restarted(t, kept).say("go")
    assert len(t.person.asked) == 2


async def test_a_chat_of_another_folder_is_not_resumed(
    keeping: Callable[..., Talk], kept: KeptChats, tmp_path: Path
) -> None:
    t = keeping({"text": "A shop."})
    await t.say("what is it?")
    t = restarted(t, kept)
    with pytest.raises(ToolRefused, match="This chat is about"):
        await t.say("more", workspace=str(tmp_path))
    # By a link it is the same folder.
    (tmp_path / "link").symlink_to(t.root)
    await t.say("more", workspace=str(tmp_path / "link"))


async def test_a_chat_about_two_folders_is_not_kept_on(
    keeping: Callable[..., Talk], kept: KeptChats, tmp_path: Path
) -> None:
    t = keeping({"text": "A shop."})
    await t.say("one")
    await t.say("two", workspace=str(tmp_path))
    await t.say("three")
    [head] = kept.heads()
    assert head.count == 1


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
async def test_it_is_the_users_alone_and_has_no_keys(
    keeping: Callable[..., Talk], kept: KeptChats, tmp_path: Path
) -> None:
    t = keeping({"text": f"Your key is {KEY}."})
    await t.say(f"my key is {KEY}")
    [path] = (tmp_path / "chats").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert KEY not in path.read_text()
    assert "REDACTED_SECRET" in path.read_text()


@pytest.mark.parametrize("days", [0, 30])
async def test_one_setting_turns_it_off(
    days: int, keeping: Callable[..., Talk], kept: KeptChats
) -> None:
    t = keeping({"text": "Hello."}, keep_days=days)
    await t.say("hi")
    assert len(kept.heads()) == (1 if days else 0)


async def test_an_unanswered_message_is_no_exchange(
    keeping: Callable[..., Talk], kept: KeptChats
) -> None:
    t = keeping({"error": "NotReady"})
    with pytest.raises(NearfieldError):
        await t.say("hi")
    assert kept.heads() == []


async def test_deleting_forgets_the_open_chat_too(
    keeping: Callable[..., Talk], kept: KeptChats
) -> None:
    t = keeping({"text": "Hello."})
    await t.say("hi, I am Ann")
    assert await t.chat.delete(t.session)
    assert not await t.chat.delete(t.session)
    await t.say("who am I?")
    assert "Ann" not in t.told()
    assert kept.delete_all() == 1


def talked(name: str, answer: str = "yes", workspace: str = "") -> ChatSession:
    return ChatSession(name, workspace=workspace, exchanges=[Exchange("well?", answer, "m")])


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "x" * 5000, "\0", "\ud800", "."])
def test_an_id_is_no_path(name: str, kept: KeptChats, tmp_path: Path) -> None:
    session = talked(name)
    if name == "\ud800":
        session = talked("ok")
    kept.save(session, Chat(), Chat())
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "chats"]
    assert kept.load(name) is not None or name == "\ud800"


def test_a_chat_in_a_folder_whose_name_is_no_text_is_kept(kept: KeptChats) -> None:
    session = talked("mine", workspace="/caf\udce9")
    part = TurnPart("x", "/caf\udce9/na\udcefve.py")
    session.turns.append(ChatTurn(Role.USER, [part]))
    kept.save(session, Chat(), Chat())
    assert [one.id for one in kept.heads("/caf\udce9")] == ["mine"]
    assert kept.heads("/caf\udce8") == []
    chat = kept.load("mine")
    assert chat is not None
    assert chat.session("/caf\udce9").paths == [r"/caf\udce9/na\udcefve.py"]


def test_old_chats_end(kept: KeptChats) -> None:
    for name, days in (("short", 1), ("long", 30)):
        kept.save(talked(name), Chat(keep_days=days), Chat())
    now = kept.heads()[0].changed
    kept.prune(Chat(), now + 2 * DAY)
    assert [one.id for one in kept.heads()] == ["long"]
    kept.prune(Chat(keep_days=1), now + 2 * DAY)
    assert kept.heads() == []


@pytest.mark.parametrize("limit", ["number", "size"])
def test_the_oldest_go_first(limit: str, kept: KeptChats, monkeypatch: pytest.MonkeyPatch) -> None:
    if limit == "number":
        monkeypatch.setattr(kept_chats, "MAX_CHATS", 2)
    answer = "z " * (200_000 if limit == "size" else 1)
    for name in "abc":
        kept.save(talked(name, answer), Chat(), Chat(keep_mb=1))
    assert [one.id for one in kept.heads()] == ["c", "b"]


def test_a_long_chat_loses_its_beginning(kept: KeptChats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_chats, "MAX_CHAT_BYTES", 4_000)
    session = ChatSession("s", exchanges=[Exchange(f"q{i}", "a " * 100) for i in range(40)])
    kept.save(session, Chat(), Chat())
    chat = kept.load("s")
    assert chat is not None
    assert chat.exchanges[-1].question == "q39"
    assert chat.exchanges[0].question != "q0"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 3}', b"\xff\xfe", b"9" * 9999])
def test_a_broken_file_hides_no_other(content: bytes, kept: KeptChats, tmp_path: Path) -> None:
    kept.save(talked("good"), Chat(), Chat())
    (tmp_path / "chats" / "0.json").write_bytes(content)
    assert [one.id for one in kept.heads()] == ["good"]
    kept.prune(Chat())
    assert (tmp_path / "chats" / "0.json").exists()
    kept.prune(Chat(), kept.heads()[0].changed + 31 * DAY)
    assert [*(tmp_path / "chats").iterdir()] == []


def test_a_file_of_another_id_is_none(kept: KeptChats, tmp_path: Path) -> None:
    kept.save(talked("mine"), Chat(), Chat())
    [path] = (tmp_path / "chats").iterdir()
    chat = kept.load("mine")
    assert chat is not None
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(chat, id="other")))
    assert kept.load("mine") is None


@pytest.mark.parametrize("at", ["1e300", "-1", "99999999999999"])
def test_a_time_that_no_calendar_has_hides_no_other(
    at: str, kept: KeptChats, tmp_path: Path
) -> None:
    kept.save(talked("odd"), Chat(), Chat())
    [path] = (tmp_path / "chats").iterdir()
    path.write_text(re.sub(r'"(begun|changed)":[\d.]+', rf'"\1":{at}', path.read_text()))
    kept.save(talked("good"), Chat(), Chat())
    assert [one.id for one in kept.heads()] == ["good"]


def test_a_copy_is_no_second_chat(kept: KeptChats, tmp_path: Path) -> None:
    kept.save(talked("mine"), Chat(), Chat())
    [path] = (tmp_path / "chats").iterdir()
    for name in ("copy.json", f"{'0' * 64}.json"):
        shutil.copy(path, path.with_name(name))
    assert [one.id for one in kept.heads()] == ["mine"]
    assert kept.find("mine").id == "mine"
    kept.prune(Chat(), kept.heads()[0].changed + 99 * DAY)
    assert kept.load("mine") is None


def test_what_a_killed_process_was_writing_is_deleted(kept: KeptChats, tmp_path: Path) -> None:
    kept.save(talked("mine"), Chat(), Chat())
    [path] = (tmp_path / "chats").iterdir()
    draft = path.with_name(f"tmpabc1_fgh.{path.name}")
    shutil.copy(path, draft)
    assert [one.id for one in kept.heads()] == ["mine"]
    kept.prune(Chat())
    assert draft.exists()  # another process may be writing it
    assert kept.delete("mine")
    assert not draft.exists()
    draft.write_text("half")
    at = time.time() - 7_200
    os.utime(draft, (at, at))
    kept.save(talked("other"), Chat(), Chat())
    assert not draft.exists()


def test_a_folder_in_the_place_of_a_chat_is_an_error(kept: KeptChats, tmp_path: Path) -> None:
    kept.save(talked("mine"), Chat(), Chat())
    [path] = (tmp_path / "chats").iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(NearfieldError, match="cannot be deleted"):
        kept.delete("mine")


def test_a_chat_is_found_by_the_beginning_of_its_id(kept: KeptChats) -> None:
    for name in ("abc1", "abd2"):
        kept.save(talked(name), Chat(), Chat())
    assert kept.find("abc").id == "abc1"
    for none in ("ab", "x", ""):
        with pytest.raises(NearfieldError):
            kept.find(none)


def test_it_is_exported_as_markdown(kept: KeptChats) -> None:
    session = ChatSession("s", workspace="/work")
    session.exchanges.append(Exchange("why?\nreally", "So.", "qwen", [("readFile", "done")]))
    kept.save(session, Chat(), Chat())
    chat = kept.load("s")
    assert chat is not None
    text = markdown(chat)
    assert text.startswith("# why?\n\n/work, ")
    assert text.endswith("## You\n\nwhy?\nreally\n\n## qwen\n\n- `readFile`: done\n\nSo.\n")


def test_only_what_has_changed_is_read_again(
    kept: KeptChats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        kept.save(talked(name), Chat(), Chat())
    assert {one.id for one in kept.heads()} == {"one", "two"}
    read: list[Path] = []

    def counted(path: Path, most: int) -> bytes:
        read.append(path)
        return path.read_bytes()

    monkeypatch.setattr(kept_chats, "read_private", counted)
    assert {one.id for one in kept.heads()} == {"one", "two"}
    assert read == []
    another_process = KeptChats(tmp_path / "chats")
    another_process.delete("one")
    another_process.save(
        ChatSession("two", exchanges=[Exchange("said since", "yes", "m")]), Chat(), Chat()
    )
    read.clear()
    assert [(one.id, one.title) for one in kept.heads()] == [("two", "said since")]
    assert len(read) == 1
