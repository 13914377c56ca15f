"""A cache of evaluated prompts on disk, so that a document's first completion in a run is warm.

Prompts are saved while idle and at the end (`features/state_folder.py`). A file is for one model,
one version of llama.cpp and one set of settings, and useless once the document differs where it was
taken from.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from functools import partial
from typing import Protocol, runtime_checkable

import msgspec

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.context.slice import PromptText, SentPrompt
from nearfield.errors import NearfieldError
from nearfield.features.completion.prompting import request_of_sent
from nearfield.features.documents import Document, DocumentFilter, Documents
from nearfield.features.feature import Feature
from nearfield.features.idle import IdleScheduler
from nearfield.features.state_folder import StateFolder
from nearfield.routing.router import Router
from nearfield.tasks import describe, run_task
from nearfield.types import InfillRequest, Snapshot, Snippet, SnippetKind

log = logging.getLogger(__name__)

FORMAT = 4
"""Raised when `KeptPrompt` changes: what was kept before is of no use then."""

LAST_SECONDS = 0.4
"""Maximum time for saving when the server ends; the process must end within a second."""

WORTH_KEEPING_CHARS = 200
"""A shorter prompt is evaluated in the time that it takes to read it from a disk."""

RESTORE_SECONDS = 0.25
"""The longest that a request waits for a prompt being restored: much less than evaluating it."""

DOCUMENTS = 2
"""Documents that are saved at the end and restored at the start: an engine holds two prompts of
each, four in all."""

KEEP_SECONDS = 10.0
"""After this time without a keystroke or a request the user thinks, reads, or is away."""


@runtime_checkable
class Keeping(Protocol):
    """A provider that can write what it has evaluated to a file, and read it."""

    def kept_as(self) -> str:
        """Return the identity of model, settings and program that a file is for; "" while not
        ready."""
        ...

    async def keep(self, request: InfillRequest, path: str) -> int:
        """Write what is held of the request's prompt; return how many tokens."""
        ...

    async def recall(self, document: str, path: str) -> int:
        """Load what `keep` wrote for `document`; return how many tokens, 0 if it is of no use."""
        ...


class KeptPrompt(msgspec.Struct, frozen=True):
    """Fields of the `SentPrompt` of a saved state, which are noted beside it."""

    format: int
    head: str
    written: str
    suffix: str
    snippets: list[tuple[str, str, SnippetKind]]
    top: int
    above: str
    below: str
    before: str  # the hash of what stood before `above`
    to_end: bool
    full: bool


class PromptCache(Feature):
    """Keeps and restores. One event loop; files are touched in threads."""

    def __init__(
        self, documents: Documents, states: StateFolder, scheduler: IdleScheduler | None = None
    ) -> None:
        self._documents = documents
        self._scheduler = scheduler or IdleScheduler()
        self._states = states
        self._keeper: Keeping | None = None
        self._permitted: DocumentFilter | None = None
        self._limit = 0
        self._configs = FolderConfigs(Config())
        self._kept: dict[str, int] = {}
        self._said = False
        self.restoring: asyncio.Task[bool] | None = None

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Keep prompts with the first provider that can write them to a file."""
        providers = router.providers.values() if router is not None else ()
        keeper = next((one for one in providers if isinstance(one, Keeping)), None)
        self._configs = config
        self.use(keeper, DocumentFilter(config), config.user.engine.keep_prompts_mb)

    def opened(self, snapshot: Snapshot) -> None:
        """Restore what was kept of the document, in the background."""
        self.begin(snapshot.uri)

    def idle(self, document: Document) -> None:
        """Keep what the model has read of the document when nothing happens for a while."""
        self._scheduler.at(KEEP_SECONDS, "keep a prompt", partial(self.keep, document))

    def closed(self, uri: str) -> None:
        """Keep what the model has read of the document, in the background."""
        if (document := self._documents.get(uri)) is not None and document.prompts:
            run_task(self.keep(document), "keep a prompt")

    def restore_recent(self) -> None:
        """Restore what was kept of the documents worked on last, in the background."""
        for document in self._documents.recent(DOCUMENTS):
            self.begin(document.snapshot.uri)

    def use(self, keeper: object, permitted: DocumentFilter, limit_mb: int) -> None:
        """Use this provider and at most `limit_mb` MiB from now on; 0 keeps nothing."""
        self._keeper = keeper if isinstance(keeper, Keeping) else None
        self._permitted, self._limit = permitted, limit_mb << 20

    def begin(self, uri: str) -> None:
        """Restore what was kept of the document, in the background."""
        if self._keeper is not None and self._limit:
            self.restoring = run_task(self.restore(uri), "restore a prompt")

    async def settled(self) -> None:
        """Wait until what is being restored is there: for a request that may go on from it."""
        if self.restoring is not None and not self.restoring.done():
            await asyncio.wait({self.restoring}, timeout=RESTORE_SECONDS)
        if self.restoring is not None and self.restoring.done():
            self.restoring = None

    async def restore(self, uri: str) -> bool:
        """Load what was saved of the document into the provider if it still matches; return whether
        it does."""
        document, keeper = self._documents.get(uri), self._keeper
        if document is None or keeper is None or not self._keeps(document):
            return False
        if self._permitted is None or self._permitted.reason(document.snapshot):
            return False
        name = _name(uri, keeper)
        if not name:
            return False
        packed = await asyncio.to_thread(self._states.read, name, self._limit)
        found = _unpacked(packed)
        sent = matching(found, document.snapshot.text) if found is not None else None
        try:
            if sent is None or not await keeper.recall(uri, str(self._states.file(name))):
                await asyncio.to_thread(self._states.remove, name)
                return False
        except NearfieldError as error:
            # Whatever was wrong with it, it is not tried again.
            await asyncio.to_thread(self._states.remove, name)
            log.warning("a kept prompt could not be restored: %s", describe(error))
            return False
        if self._documents.get(uri) is not document:
            return False
        document.begun(sent)
        if document.cursor is None:
            document.cursor = sent.anchor + len(sent.text.written)
        self._kept[uri] = hash(sent.text)
        return True

    def _keeps(self, document: Document) -> bool:
        """Return whether prompts of the document are kept: by the user's settings, and where its
        folder does not forbid it."""
        if document.snapshot.is_cell:
            return False  # What was kept would have to say which cells stood above.
        folder = self._configs.of(document.snapshot.root)
        return self._limit > 0 and folder.engine.keep_prompts_mb > 0

    async def keep(self, document: Document) -> bool:
        """Write what the provider holds of the document, unless that is on the disk already."""
        uri, keeper = document.snapshot.uri, self._keeper
        snapshot = document.snapshot
        if keeper is None or not self._keeps(document):
            return False
        name = _name(uri, keeper)
        if not name:
            return False
        try:
            draft = await asyncio.to_thread(self._states.draft)
            try:
                for sent in worth_keeping(document):
                    if self._kept.get(uri) == hash(sent.text):
                        return False
                    if await keeper.keep(request_of_sent(sent, snapshot), str(draft)):
                        break
                else:
                    return False
                packed = _packed(sent, snapshot.text)
                await asyncio.to_thread(self._states.write, name, draft, packed, self._limit)
            finally:
                await asyncio.to_thread(draft.unlink, True)
        except (OSError, NearfieldError) as error:
            if not self._said:
                self._said = True
                log.warning("prompts cannot be kept in %s: %s", self._states.path, describe(error))
            return False
        self._kept[uri] = hash(sent.text)
        return True

    async def aclose(self) -> None:
        """Keep what can be kept in the time that is left."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                for document in self._documents.recent(DOCUMENTS):
                    await self.keep(document)
        except TimeoutError:
            log.info("the server ended before every prompt was kept")


def _name(uri: str, keeper: Keeping) -> str:
    """Return the name of the document's state; "" while the provider is not ready."""
    if not (owner := keeper.kept_as()):
        return ""
    return hashlib.blake2b(f"{FORMAT}\0{owner}\0{uri}".encode(), digest_size=16).hexdigest()


def worth_keeping(document: Document) -> list[SentPrompt]:
    """Return the evaluated prompts that are not too short, the last one first: the next run begins
    where this one has ended."""
    return [
        one
        for one in reversed(document.prompts)
        if one.is_evaluated and one.text.chars >= WORTH_KEEPING_CHARS
    ]


def matching(kept: KeptPrompt, text: str) -> SentPrompt | None:
    """Return the saved prompt at its place in `text`; None if the text differs."""
    start = kept.top
    if not text.startswith(kept.above, start):
        # Something was written above meanwhile, by another program.
        found = [one.start() for one in re.finditer(re.escape(kept.above), text)] or [-1]
        start = min(found, key=lambda at: abs(at - start))
    if start < 0 or not kept.above:
        return None
    snippets = tuple(Snippet(path, body, kind) for path, body, kind in kept.snippets)
    return SentPrompt(
        PromptText(kept.head, kept.written, kept.suffix, snippets),
        start,
        start + len(kept.above),
        kept.above,
        kept.below,
        kept.to_end,
        kept.full,
        is_evaluated=True,
        stale=_digest(text[:start]) != kept.before,
    )


def _unpacked(packed: bytes | None) -> KeptPrompt | None:
    try:
        kept = msgspec.msgpack.decode(packed or b"", type=KeptPrompt)
    except msgspec.DecodeError:
        return None
    return kept if kept.format == FORMAT else None


def _packed(sent: SentPrompt, text: str) -> bytes:
    return msgspec.msgpack.encode(
        KeptPrompt(
            format=FORMAT,
            head=sent.text.head,
            written=sent.text.written,
            suffix=sent.text.suffix,
            snippets=[(one.path, one.text, one.kind) for one in sent.text.snippets],
            top=sent.top,
            above=sent.above,
            below=sent.below,
            before=_digest(text[: sent.top]),
            to_end=sent.to_end,
            full=sent.full,
        )
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
