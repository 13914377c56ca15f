"""States of kept chats: what a model on this machine has evaluated of them, on disk beside the
prompts of documents, so that a resumed chat is answered without reading it again.

A state says what the chat says, secrets too. So there is one only of a chat in which nothing had to
be replaced when it was kept, and it goes when the chat does.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Protocol, runtime_checkable

from nearfield.errors import NearfieldError
from nearfield.features.state_folder import StateFolder
from nearfield.tasks import describe

log = logging.getLogger(__name__)

BEGINNING = "chat-"
"""With this the names of chats' states begin."""


@runtime_checkable
class KeepsChats(Protocol):
    """A provider that can write what it has evaluated of a conversation to a file, and read it."""

    def kept_as(self) -> str:
        """Return the identity of model, settings and program that a file is for; "" while not
        ready."""
        ...

    async def chats_kept_as(self) -> str:
        """Load the model, and return the identity. Raises `NearfieldError`."""
        ...

    async def keep_chat(self, session: str, path: str) -> int:
        """Write what is held of a conversation; return how many tokens."""
        ...

    async def recall_chat(self, session: str, path: str) -> int:
        """Load what `keep_chat` wrote; return how many tokens, 0 if it is of no use."""
        ...


class ChatStates:
    """The states of one user's chats, in `folder`."""

    def __init__(self, folder: StateFolder | None = None) -> None:
        self._folder = folder or StateFolder()

    async def keep(self, keeper: KeepsChats, chat: str, limit: int) -> None:
        """Write what `keeper` holds of a chat; all states take at most `limit` bytes."""
        if not (owner := keeper.kept_as()):
            return
        try:
            draft = await asyncio.to_thread(self._folder.draft)
            try:
                if await keeper.keep_chat(prompt_name(chat), str(draft)):
                    write, about = self._folder.write, owner.encode("utf-8", "replace")
                    await asyncio.to_thread(write, _name(chat), draft, about, limit)
            finally:
                await asyncio.to_thread(draft.unlink, True)
        except (OSError, NearfieldError) as error:
            log.warning("the state of a chat could not be kept: %s", describe(error))

    async def recall(self, keeper: KeepsChats, chat: str, limit: int) -> bool:
        """Load what was kept of a chat into `keeper`, its model too; return whether there was
        something of use."""
        name = _name(chat)
        about = await asyncio.to_thread(self._folder.read, name, limit)
        if about is None:
            return False
        try:
            owner = (await keeper.chats_kept_as()).encode("utf-8", "replace")
        except NearfieldError:
            return False  # the answer will say why no model is there
        file = str(self._folder.file(name))
        try:
            if owner == about and await keeper.recall_chat(prompt_name(chat), file):
                return True
        except NearfieldError as error:
            log.warning("the state of a chat could not be restored: %s", describe(error))
        await asyncio.to_thread(self.remove, chat)
        return False

    def remove(self, chat: str) -> None:
        """Remove the state of a chat, if there is one. Raises `OSError`."""
        self._folder.remove(_name(chat))

    def remove_all(self) -> None:
        """Remove the states of all chats. Raises `OSError`."""
        self._folder.remove_all(BEGINNING)


def prompt_name(chat: str) -> str:
    """Return the name under which a provider holds a chat's prompt."""
    return f"chat:{chat}"


def _name(chat: str) -> str:
    # An id is the client's; a hash is a name on any file system, and leads nowhere else.
    return BEGINNING + hashlib.sha256(chat.encode("utf-8", "replace")).hexdigest()[:32]
