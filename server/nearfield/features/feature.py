"""The lifecycle that all features share, and the loop that keeps them apart.

A feature follows the open documents and the settings through the hooks of `Feature`. `Features`
calls each hook of the features that have it; one that raises is logged by name, and the others are
still called.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from nearfield.config.folders import FolderConfigs
from nearfield.features.documents import Answered, Document, DocumentChange
from nearfield.routing.router import Router
from nearfield.tasks import describe
from nearfield.types import Snapshot

log = logging.getLogger(__name__)


class Feature:
    """Hooks of a feature; each does nothing unless a feature overrides it. All run on the event
    loop and return at once, except `aclose`."""

    def opened(self, snapshot: Snapshot) -> None:
        """Handle a document that was opened, or replaced as a whole."""

    def changed(self, change: DocumentChange) -> None:
        """Handle an edit of an open document. Called when the user rests, or before the feature is
        asked anything: a later edit may have been made."""

    def answered(self, answer: Answered) -> None:
        """Handle an answer to a completion request, when and in the order that changes are."""

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
        self._call("opened", snapshot)

    def read(self, entries: Iterable[DocumentChange | Answered]) -> None:
        """Call `Feature.changed` and `Feature.answered` of each for entries of the log."""
        for entry in entries:
            self._call("changed" if isinstance(entry, DocumentChange) else "answered", entry)

    def closed(self, uri: str) -> None:
        """Call `Feature.closed` of each."""
        self._call("closed", uri)

    def idle(self, document: Document) -> None:
        """Call `Feature.idle` of each."""
        self._call("idle", document)

    def activity_changed(self) -> None:
        """Call `Feature.activity_changed` of each."""
        self._call("activity_changed")

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Call `Feature.configure` of each."""
        self._call("configure", config, router)

    async def aclose(self) -> None:
        """Await `Feature.aclose` of each, one after the other."""
        for feature in self._features:
            try:
                await feature.aclose()
            except Exception as error:  # noqa: BLE001 - the others have to be closed as well
                _log_failure(feature, "aclose", error)

    def _call(self, hook: str, *arguments: object) -> None:
        inherited = getattr(Feature, hook)
        for feature in self._features:
            method = getattr(feature, hook)
            if getattr(method, "__func__", None) is inherited:
                continue
            try:
                method(*arguments)
            except Exception as error:  # noqa: BLE001 - a failing feature must not stop the others
                _log_failure(feature, hook, error)


def _log_failure(feature: Feature, hook: str, error: Exception) -> None:
    log.error("%s.%s failed: %s", type(feature).__name__, hook, describe(error))
