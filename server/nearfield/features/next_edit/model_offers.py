"""The offer of a model, one at a time: asked for once for each state of a document, then kept until
the document changes. An offer applies to the text that it was made for and to no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from nearfield.features.accepted import Origin
from nearfield.features.idle import IdleScheduler
from nearfield.features.next_edit.edit_model import EditModel
from nearfield.syntax.parser import Parsed
from nearfield.tasks import stop_task
from nearfield.types import Edit, Snapshot, Span

__all__ = ["ModelOffer", "ModelOffers"]

ASK_MODEL = "ask a model for the next edit"
"""The name of the job, which a keystroke ends."""
MAX_REFUSED = 100
"""Dismissed edits that are remembered."""


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """An edit of a document, where `old` is at its span; `origin` says which model wrote it."""

    id: str
    edit: Edit
    old: str
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class _Proposed:
    """A question to a model, and its proposal, None for nothing. `window` is what it
    could have changed."""

    snapshot: Snapshot
    window: Span
    offer: ModelOffer | None

    def answers(self, snapshot: Snapshot, offset: int) -> bool:
        """Return whether asking about `snapshot` with the cursor at `offset` would be the same."""
        same = snapshot.uri == self.snapshot.uri and snapshot.text == self.snapshot.text
        near = self.window.start <= offset <= self.window.end
        return same and (self.offer is not None or near)


class ModelOffers:
    """See the module. `tree_of` returns a document's tree; `new_id` names an offer."""

    def __init__(
        self,
        model: EditModel,
        tree_of: Callable[[Snapshot, int], Awaitable[Parsed | None]],
        new_id: Callable[[], str],
        scheduler: IdleScheduler,
    ) -> None:
        self._scheduler = scheduler
        self._model = model
        self._tree_of = tree_of
        self._new_id = new_id
        self._asked: _Proposed | None = None
        self._task: asyncio.Task[None] | None = None
        self._asking: tuple[Snapshot, int] | None = None
        self._refused: dict[tuple[str, str, str], None] = {}

    def is_possible(self, snapshot: Snapshot) -> bool:
        """Return whether there is a model to ask, and something to ask it about."""
        return bool(self._model.form(snapshot))

    def ready(self, snapshot: Snapshot, offset: int) -> ModelOffer | None:
        """Return what was proposed for just this text, None for nothing."""
        known = self._asked
        return known.offer if known is not None and known.answers(snapshot, offset) else None

    def can_rest(self, snapshot: Snapshot) -> bool:
        """Return whether a model may be asked without a request of the user."""
        return self.is_possible(snapshot) and self._model.is_here(snapshot)

    async def offered(
        self, snapshot: Snapshot, offset: int, seconds: float, is_wanted: bool = True
    ) -> ModelOffer | None:
        """Return the proposal of a model, if it arrives within `seconds`; the request continues
        after that, until `stop`.
        """
        known = self._asked
        if known is not None and known.answers(snapshot, offset):
            return known.offer
        if not self.is_possible(snapshot):
            return None
        if self._task is None or self._task.done() or self._asking != (snapshot, offset):
            self.stop()
            self._asking = (snapshot, offset)
            self._task = self._scheduler.run(ASK_MODEL, self._ask(snapshot, offset, is_wanted))
        await asyncio.wait({self._task}, timeout=seconds)
        return self.ready(snapshot, offset)

    def dismiss(self, offer_id: str) -> bool:
        """Do not propose this edit again; False where it is not the one on offer."""
        known = self._asked
        if known is None or known.offer is None or known.offer.id != offer_id:
            return False
        self._refused[_key(known.snapshot, known.offer.edit, known.offer.old)] = None
        while len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._asked = _Proposed(known.snapshot, known.window, None)
        return True

    def stop(self) -> None:
        """End a question, which frees the model."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._asking = None

    async def aclose(self) -> None:
        """End a question, and wait until its stream is closed."""
        task, self._task = self._task, None
        await stop_task(task)

    async def _ask(self, snapshot: Snapshot, offset: int, is_wanted: bool) -> None:
        parsed = await self._tree_of(snapshot, offset)
        form = self._model.form(snapshot)
        if not form:
            return
        edit = await self._model.ask(snapshot, offset, parsed, is_wanted)
        offer = None
        if edit is not None:
            old = snapshot.text[edit.span.start : edit.span.end]
            if _key(snapshot, edit, old) not in self._refused:
                offer = ModelOffer(self._new_id(), edit, old, self._model.origin)
        window = self._model.window(snapshot.uri, form, snapshot.text, offset)
        self._asked = _Proposed(snapshot, window, offer)


def _key(snapshot: Snapshot, edit: Edit, old: str) -> tuple[str, str, str]:
    return snapshot.uri, old, edit.text
