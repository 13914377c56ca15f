"""Takes in what was accepted and writes it in batches, off the event loop.

Completions are told by the feature that offers them. An edit is noted when it is offered, and
counts as accepted once its document has become what the edit makes of it. Nothing runs while
nothing is accepted. If the files cannot be written, one warning is logged; nothing else is
affected.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.config.folders import FolderConfigs
from nearfield.errors import NearfieldError
from nearfield.features.accepted import Accepted
from nearfield.features.documents import DocumentChange
from nearfield.features.feature import Feature
from nearfield.routing.router import Router
from nearfield.tasks import run_task, stop_task

if TYPE_CHECKING:
    from nearfield.features.provenance.write import Writer

log = logging.getLogger(__name__)

WRITE_SECONDS = 3.0
"""Interval between writes: parts of one suggestion that are taken in it become one record."""
KEYRING_SECONDS = 10.0
"""The longest that a write waits for the keyring; what is then not signed is said to be so."""
CLOSING_SECONDS = 0.5
"""The same at the end of the process, which must not wait for an answer of the user."""
MAX_WAITING = 500
"""Acceptances that wait for files that cannot be written; beyond that the oldest are dropped."""
MAX_OFFERED = 32
"""Edits that can still be recognised."""


@dataclass(frozen=True, slots=True)
class _OfferedEdit:
    """An edit, and the hash of the document's text with it."""

    uri: str
    result: bytes
    accepted: Accepted


class ProvenanceRecorder(Feature):
    """See the module. One event loop; `name` tells the suggestions of processes apart."""

    def __init__(self, folder: Path | None = None) -> None:
        self.write_seconds = WRITE_SECONDS
        self._folder = folder
        self._writer: Writer | None = None
        self._configs: FolderConfigs | None = None
        self._name = secrets.token_hex(6)
        self._waiting: OrderedDict[str, Accepted] = OrderedDict()
        self._offers: deque[_OfferedEdit] = deque(maxlen=MAX_OFFERED)
        self._made = 0
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._said = False

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply the settings from now on; what waits for a folder that is off is dropped."""
        self._configs = config
        for key, one in list(self._waiting.items()):
            if not self._is_on(one.root):
                del self._waiting[key]
        if not config.user.provenance.enabled:
            self._offers.clear()

    def offered(self, uri: str, one: Accepted) -> None:
        """Note an edit of a document that the client may apply."""
        if not one.path or not self._is_on(one.root) or one.before == one.after:
            return
        self._made += 1
        offer = _OfferedEdit(uri, _digest(one.after), replace(one, id=f"edit-{self._made}"))
        same = [old for old in self._offers if (old.uri, old.result) == (uri, offer.result)]
        for old in same:
            self._offers.remove(old)
        self._offers.append(offer)

    def changed(self, change: DocumentChange) -> None:
        """Look whether an offered edit was applied."""
        uri = change.after.uri
        size = len(change.after.text)
        mine = [one for one in self._offers if (one.uri, len(one.accepted.after)) == (uri, size)]
        if not mine or change.after.is_cell:
            return
        result = _digest(change.after.text)
        for one in mine:
            if one.result == result:
                self._offers.remove(one)
                self.accepted(replace(one.accepted, at=time.time()))
                return

    def edited(self, one: Accepted) -> None:
        """Record an edit that was applied, where no document tells of it."""
        self._made += 1
        self.accepted(replace(one, id=f"edit-{self._made}"))

    def accepted(self, one: Accepted) -> None:
        """Record that code was accepted, within `write_seconds`."""
        if not one.path or not self._is_on(one.root):
            return
        self._waiting[one.id] = one
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
        if self._writing is None or self._writing.done():
            self._writing = run_task(self._write_later(), "write the provenance")

    async def flush(self, keyring_seconds: float = KEYRING_SECONDS) -> None:
        """Write what waits."""
        async with self._lock:
            ones, self._waiting = self._waiting, OrderedDict()
            if not ones or self._configs is None:
                return
            named = [replace(one, id=f"{self._name}-{one.id}") for one in ones.values()]
            try:
                await asyncio.to_thread(self._write, named, self._configs, keyring_seconds)
            except NearfieldError as error:
                self._waiting = OrderedDict({**ones, **self._waiting})
                if not self._said:
                    self._said = True
                    log.warning("%s %s Suggestions go on without it.", error, error.hint)

    async def aclose(self) -> None:
        """Write what waits."""
        await stop_task(self._writing)
        await self.flush(CLOSING_SECONDS)

    def _write(self, ones: list[Accepted], configs: FolderConfigs, seconds: float) -> None:
        # Not at the start of the server, which needs none of it.
        from nearfield.features.provenance.write import Writer

        self._writer = self._writer or Writer(self._folder)
        self._writer.write(ones, configs, seconds)

    def _is_on(self, root: str | None) -> bool:
        return self._configs is not None and self._configs.of(root).provenance.enabled

    async def _write_later(self) -> None:
        await asyncio.sleep(self.write_seconds)
        await asyncio.shield(run_task(self.flush(), "write the provenance now"))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
