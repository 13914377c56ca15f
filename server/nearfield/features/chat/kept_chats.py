"""Chats kept on disk, so that they can be listed, resumed, exported and deleted.

Each is a file of its own, for the user alone, below the data directory. Secrets are replaced before
it is written. A chat belongs to the workspace folder that it began in: consent for another folder
says nothing about the code in it. What the user allowed for a session is not kept. Everything here
blocks.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from nearfield.coerce import storable
from nearfield.config.paths import data_dir
from nearfield.config.schema import Chat
from nearfield.errors import NearfieldError
from nearfield.features.chat.chat_states import ChatStates
from nearfield.features.chat.protocol import ChatWishes, TurnPart
from nearfield.features.chat.session import ChatSession, ChatTurn, Exchange
from nearfield.files.links import real_folder
from nearfield.files.private import (
    drafts,
    forget_drafts,
    private_folder,
    read_private,
    write_private,
)
from nearfield.files.read import UnreadableFile
from nearfield.routing.redact import redact_texts
from nearfield.routing.secrets import ScanDeadline
from nearfield.types import Role, ToolCall

log = logging.getLogger(__name__)

FOLDER = "chats"
FORMAT = 1
MAX_CHATS = 500
"""The oldest are deleted beyond this number."""
MAX_CHAT_BYTES = 4_000_000
"""Of a longer chat the oldest exchanges are left out; a message may quote whole files."""
SCAN_SECONDS = 5.0
"""For looking through a chat for secrets; one that takes longer is not kept."""
DAY = 86_400.0
TITLE_CHARS = 80
Seconds = Annotated[float, Meta(ge=0, le=2**37)]
"""Seconds since the epoch, up to a year that calendars have."""

_NAME_CHARS = 64
"""Hexadecimal digits of an id's SHA-256, which is the name of its file."""
Change = Callable[[str], str]
Kind = TypeVar("Kind")


class ChatHead(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a kept chat that a list shows. Times are in seconds since the epoch; `count` is
    the number of exchanges."""

    id: str
    title: str
    workspace: str
    begun: Seconds
    changed: Seconds
    count: int = 0
    keep_days: int = 0


class _KeptTurn(msgspec.Struct, frozen=True):
    role: Role
    parts: list[TurnPart]
    calls: list[ToolCall] = []
    call_id: str = ""


class KeptChat(ChatHead, frozen=True, kw_only=True):
    """A chat as it is on disk: its exchanges for the user, and its turns for the model."""

    format: int
    exchanges: list[Exchange]
    turns: list[_KeptTurn]
    summary: _KeptTurn | None = None
    wishes: ChatWishes = ChatWishes()

    def session(self, workspace: str) -> ChatSession:
        """Return the conversation, to be continued in its folder. Nothing is granted in it."""
        return ChatSession(
            self.id,
            turns=[_turn(one) for one in self.turns],
            summary=_turn(self.summary) if self.summary is not None else None,
            workspace=workspace,
            exchanges=list(self.exchanges),
            begun=self.begun,
            wishes=self.wishes,
        )


class KeptChats:
    """See the module. Safe to call from any thread, and beside other processes: the last one to
    write a chat wins."""

    def __init__(self, folder: Path | None = None, states: ChatStates | None = None) -> None:
        self._folder = folder or data_dir() / FOLDER
        self.states = states or (ChatStates() if folder is None else None)
        """What models have evaluated of these chats; None for the people of a team, whose chats
        may be held to other models."""
        self._heads: dict[Path, tuple[tuple[int, int, int], ChatHead]] = {}
        """The head of each file that was read, with the file's stamp: after each answer all heads
        are looked at, and a file may have megabytes."""

    def save(self, session: ChatSession, own: Chat, user: Chat) -> bool:
        """Keep a conversation by `own`, the settings of its folder, and delete what `user`, the
        user's settings, keep no longer. Return whether it was kept as it is, without a secret to
        replace. Raises `NearfieldError` when it is too large, or cannot be looked through for
        secrets in time, and `OSError`."""
        if own.keep_days == 0 or not session.exchanges:
            return False
        private_folder(self._folder)
        chat, is_whole = _without_secrets(_kept(session, own.keep_days))
        content = msgspec.json.encode(chat)
        while len(content) > MAX_CHAT_BYTES and chat.exchanges:
            # The model's own turns are bounded by its window.
            rest = chat.exchanges[len(chat.exchanges) // 2 + 1 :]
            chat = msgspec.structs.replace(chat, exchanges=rest)
            content = msgspec.json.encode(chat)
        if len(content) > MAX_CHAT_BYTES:
            raise NearfieldError("This chat has become too large to be kept.", "Begin a new one.")
        write_private(self._path(session.id), content)
        if not is_whole:
            self._forget_state(session.id)
        self.prune(user)
        return is_whole

    def load(self, name: str) -> KeptChat | None:
        """Return a kept chat by its id, None if there is none that can be read."""
        found = self._read(self._path(name), KeptChat)
        return found if found is not None and found.format == FORMAT and found.id == name else None

    def find(self, beginning: str) -> KeptChat:
        """Return the chat whose id begins so. Raises `NearfieldError` for none and for several."""
        found = [one for one in self.heads() if one.id.startswith(beginning)]
        chat = self.load(found[0].id) if len(found) == 1 and beginning else None
        if chat is None:
            why = "Several kept chats have" if len(found) > 1 else "No kept chat has"
            raise NearfieldError(
                f"{why} an id that begins with {beginning[:40]!r}.",
                "`nearfield chats list` shows them.",
            )
        return chat

    def heads(self, workspace: str | None = None) -> list[ChatHead]:
        """Return the kept chats, newest first: those of one folder, or all for None."""
        folder = None if workspace is None else real(workspace)
        found = {path: self._head(path) for path in self._paths()}
        self._heads = {path: one for path, one in found.items() if one is not None}
        mine = [head for _, head in self._heads.values() if folder in (None, head.workspace)]
        return sorted(mine, key=lambda one: one.changed, reverse=True)

    def delete(self, name: str) -> bool:
        """Delete a kept chat, also one that cannot be read; whether there was one of that id.
        Raises `NearfieldError` where that is not possible."""
        path = self._path(name)
        try:
            # What a killed process was writing holds the chat too.
            for draft in drafts(self._folder, path.name):
                _deleted(draft)
            return _deleted(path)
        finally:
            self._forget_state(name)

    def delete_all(self) -> int:
        """Delete every kept chat, also one that cannot be read; how many. Raises as `delete`."""
        if self.states is not None:
            _without_os_error(self.states.remove_all)
        return sum(map(_deleted, self._paths()))

    def prune(self, user: Chat, now: float | None = None) -> None:
        """Delete the chats that are too old, and the oldest of too many or too large ones."""
        now, size = time.time() if now is None else now, 0
        forget_drafts(self._folder)
        for number, head in enumerate(self.heads()):
            path = self._path(head.id)
            days = min(head.keep_days, user.keep_days)
            with suppress(FileNotFoundError):  # another process was quicker
                size += path.stat().st_size
                is_old = now - head.changed > days * DAY
                if is_old or number >= MAX_CHATS or size > user.keep_mb << 20:
                    path.unlink()
                    self._forget_state(head.id)
        for path in {*self._paths()} - {*self._heads}:
            with suppress(OSError):  # what cannot be read may not be a file
                if now - path.lstat().st_mtime > user.keep_days * DAY:
                    path.unlink()

    def _forget_state(self, name: str) -> None:
        if self.states is not None:
            _without_os_error(partial(self.states.remove, name))

    def _path(self, name: str) -> Path:
        # An id is the client's; a hash is a name on any file system, and leads nowhere else.
        return self._folder / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}.json"

    def _paths(self) -> Iterator[Path]:
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(self._folder.glob("*.json"))

    def _head(self, path: Path) -> tuple[tuple[int, int, int], ChatHead] | None:
        try:
            stat = path.lstat()
        except OSError:
            return None
        stamp, known = (stat.st_mtime_ns, stat.st_size, stat.st_ino), self._heads.get(path)
        if known is not None and known[0] == stamp:
            return known
        head = self._read(path, ChatHead) if _is_chat(path) else None
        # A copy under another name is no chat of its own: it could not be resumed or deleted.
        return (stamp, head) if head is not None and self._path(head.id) == path else None

    def _read(self, path: Path, kind: type[Kind]) -> Kind | None:
        try:
            return msgspec.json.decode(read_private(path, MAX_CHAT_BYTES), type=kind)
        except FileNotFoundError:
            return None
        except (UnreadableFile, OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("the kept chat %s cannot be read: %s", path, type(error).__name__)
            return None


def _is_chat(path: Path) -> bool:
    """Return whether a file has the name of a kept chat; a draft has another one."""
    return len(path.stem) == _NAME_CHARS


def _deleted(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise NearfieldError(
            f"A kept chat cannot be deleted: {path} ({error.strerror})."
        ) from error
    return True


def _without_os_error(delete: Callable[[], None]) -> None:
    try:
        delete()
    except OSError as error:
        raise NearfieldError(
            f"What a model has read of a chat cannot be deleted ({error.strerror})."
        ) from error


def real(workspace: str) -> str:
    """Return a folder without links on its way, as text that can be kept."""
    return storable(real_folder(workspace))


def markdown(chat: KeptChat) -> str:
    """Return a chat as a Markdown document. The texts are the user's and the models' own."""
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(chat.begun))
    lines = [f"# {chat.title}", "", f"{chat.workspace or 'No folder'}, {begun}", ""]
    for one in chat.exchanges:
        lines += ["## You", "", one.question, "", f"## {one.model or 'Nearfield'}", ""]
        lines += [f"- `{name}`: {state}" for name, state in one.calls]
        lines += [*([""] if one.calls else []), one.answer, ""]
    return "\n".join(lines)


def _kept(session: ChatSession, keep_days: int) -> KeptChat:
    first = session.exchanges[0].question.strip().partition("\n")[0]
    return KeptChat(
        format=FORMAT,
        id=session.id,
        title=first[:TITLE_CHARS] or "(no words)",
        workspace=real(session.workspace),
        begun=session.begun,
        changed=time.time(),
        count=len(session.exchanges),
        keep_days=keep_days,
        exchanges=list(session.exchanges),
        turns=[_kept_turn(turn) for turn in session.turns],
        summary=_kept_turn(session.summary) if session.summary is not None else None,
        wishes=session.wishes,
    )


def _kept_turn(turn: ChatTurn) -> _KeptTurn:
    return _KeptTurn(turn.role, list(turn.parts), list(turn.calls), turn.call_id)


def _turn(kept: _KeptTurn) -> ChatTurn:
    return ChatTurn(kept.role, list(kept.parts), tuple(kept.calls), kept.call_id)


def _without_secrets(chat: KeptChat) -> tuple[KeptChat, bool]:
    """Return the chat with every secret in any of its texts replaced, and whether it had none."""
    texts: list[str] = []

    def note(text: str) -> str:
        texts.append(storable(text))
        return text

    _through(chat, note)
    clean, _ = redact_texts(texts, deadline=ScanDeadline(SCAN_SECONDS))
    left = iter(clean)
    return _through(chat, lambda _text: next(left)), list(clean) == texts


def _through(chat: KeptChat, change: Change) -> KeptChat:
    """Return `chat` with `change` applied to each of its texts, always in the same order."""

    def turn(one: _KeptTurn) -> _KeptTurn:
        # A span would no longer fit a text that has changed.
        parts = [
            TurnPart(change(part.text), storable(part.path), None, part.pinned)
            for part in one.parts
        ]
        calls = [ToolCall(call.id, call.name, change(call.arguments)) for call in one.calls]
        return _KeptTurn(one.role, parts, calls, one.call_id)

    return msgspec.structs.replace(
        chat,
        title=change(chat.title),
        exchanges=[
            Exchange(change(one.question), change(one.answer), one.model, one.calls)
            for one in chat.exchanges
        ],
        turns=[turn(one) for one in chat.turns],
        summary=turn(chat.summary) if chat.summary is not None else None,
        wishes=replace(chat.wishes, instructions=change(chat.wishes.instructions)),
    )
