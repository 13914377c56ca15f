"""Asks a model of this machine what becomes of a line, when nobody waits for anything else.

At the lowest priority that generates: a completion goes before it within one step, and the next
keystroke ends it, which frees the model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.features.completion.generate import Ending, Generated, confidence_of, generate
from nearfield.features.completion.question import ready_here
from nearfield.features.next_edit.likely import Place, judged, prompt_of
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Router
from nearfield.tasks import describe
from nearfield.types import InfillRequest, Priority, Snapshot

__all__ = ["Guesser"]

log = logging.getLogger(__name__)

MORE_TOKENS = 24
"""Beyond what the line itself takes: what is added to a line is short."""
CHARS_PER_TOKEN = 2
"""Fewer than code has, so that a line is not cut off."""


class Guesser:
    """One question at a time, by the model for completions. `asked` hears that the model has read
    something else than a document."""

    def __init__(self) -> None:
        self.asked: Callable[[], None] = lambda: None
        self._router: Router | None = None
        self._configs = FolderConfigs(Config())

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers from now on."""
        self._configs, self._router = config, router

    def is_enabled(self, snapshot: Snapshot) -> bool:
        """Return whether the settings of the document's folder let a model be asked."""
        completion = self._configs.of(snapshot.root).completion
        return completion.next_edit and completion.next_edit_model

    async def guess(self, snapshot: Snapshot, place: Place) -> str | None:
        """What the line at `place` has to become, "" for nothing that may be offered; None where no
        model could say. Cancelling it frees the model."""
        router = self._router
        if router is None or not self.is_enabled(snapshot) or not await ready_here(router):
            return None
        name = snapshot.uri.rpartition("/")[2]
        request = InfillRequest(
            document=f"{snapshot.uri}#next-edit",
            path=name,
            language=snapshot.language,
            prefix=prompt_of(place, name),
            suffix="",
            single_line=True,
            max_tokens=len(place.old) // CHARS_PER_TOKEN + MORE_TOKENS,
            priority=Priority.PREFILL,
        )
        found = Generated()
        # Without a workspace nothing can have been consented to: it stays on this machine.
        try:
            errand = RequestContext(Task.COMPLETE, document=snapshot.text)
            await generate(found, router, request, errand, _AllOfIt())
        finally:
            self.asked()
        if found.ending in (Ending.FAILED, Ending.DEADLINE):
            log.info("no next edit: %s", describe(found.error) if found.error else found.ending)
            return None
        if found.ending is Ending.LENGTH:
            return ""
        line = found.text.split("\n")[0]
        return judged(place, line, confidence_of(found.logprobs, len(line)))


class _AllOfIt:
    """One line is enough by the request."""

    def feed(self, text: str) -> bool:
        """Never enough."""
        return False

    def restart(self) -> None:
        """Nothing is held."""
