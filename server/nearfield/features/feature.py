"""The lifecycle that all features share, and the loop that keeps them apart.

A feature follows the open documents and the settings through the hooks of `Feature`. `Features`
calls each hook of each feature; one that raises is logged by name, and the others are still called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nearfield.config.folders import FolderConfigs
from nearfield.features.documents import Document
from nearfield.routing.router import Router
from nearfield.tasks import describe
from nearfield.types import Edit, Snapshot

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A notification of the editor. `before` is None if the document was not known; each of `edits`
    counts offsets in the text that the one before it left.
    """

    before: Snapshot | None
    after: Snapshot
    edits: Sequence[Edit]


class Feature:
    """Hooks of a feature; each does nothing unless a feature overrides it. All run on the event
    loop and return at once, except `aclose`."""

    def opened(self, snapshot: Snapshot) -> None:
        """Handle a document that was opened, or replaced as a whole."""

    def changed(self, change: DocumentChange) -> None:
        """Handle an edit of an open document."""

    def closed(self, uri: str) -> None:
        """Drop what is held for a document."""

    def idle(self, document: Document) -> None:
        """Plan work for when the user does nothing more, after a change of `document` or a request
        for it; called only while `Activity` allows such work."""

    def activity_changed(self) -> None:
        """Stop what `Activity` does not allow any longer, or resume."""

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers from now on; without a router no model can be asked."""

    async def aclose(self) -> None:
        """End all work and write what would be lost."""


class Features:
    """Calls the hooks of several features, in order, isolated from each other."""

    def __init__(self, *features: Feature) -> None:
        self._features = features

    def __iter__(self) -> Iterator[Feature]:
        return iter(self._features)

    def opened(self, snapshot: Snapshot) -> None:
        """Call `Feature.opened` of each."""
        self._each("opened", lambda feature: feature.opened(snapshot))

    def changed(self, change: DocumentChange) -> None:
        """Call `Feature.changed` of each."""
        self._each("changed", lambda feature: feature.changed(change))

    def closed(self, uri: str) -> None:
        """Call `Feature.closed` of each."""
        self._each("closed", lambda feature: feature.closed(uri))

    def idle(self, document: Document) -> None:
        """Call `Feature.idle` of each."""
        self._each("idle", lambda feature: feature.idle(document))

    def activity_changed(self) -> None:
        """Call `Feature.activity_changed` of each."""
        self._each("activity_changed", lambda feature: feature.activity_changed())

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Call `Feature.configure` of each."""
        self._each("configure", lambda feature: feature.configure(config, router))

    async def aclose(self) -> None:
        """Await `Feature.aclose` of each, one after the other."""
        for feature in self._features:
            try:
                await feature.aclose()
            except Exception as error:  # noqa: BLE001 - the others have to be closed as well
                _log_failure(feature, "aclose", error)

    def _each(self, hook: str, call: Callable[[Feature], None]) -> None:
        for feature in self._features:
            isolated(feature, hook, partial(call, feature), None)


def isolated(feature: Feature, hook: str, call: Callable[[], T], default: T) -> T:
    """Return what `call` returns; if it raises, log it as a failure of `feature` and return
    `default`."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - a failing feature must not stop the others
        _log_failure(feature, hook, error)
        return default


def _log_failure(feature: Feature, hook: str, error: Exception) -> None:
    log.error("%s.%s failed: %s", type(feature).__name__, hook, describe(error))
