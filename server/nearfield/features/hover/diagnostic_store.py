"""Diagnostics of other language servers, if a client has passed them on.

A client sends them with a request for code actions, those of the requested range alone. Each is
kept until its text is edited, or until the client sends other diagnostics for that range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nearfield.features.diagnostics import Diagnostic
from nearfield.features.documents import Documents, PerDocument
from nearfield.features.spans import moved
from nearfield.types import Edit, Span


class DiagnosticStore:
    """The known diagnostics by document, for one event loop."""

    def __init__(self, documents: Documents) -> None:
        self._known = PerDocument[tuple[Diagnostic, ...]](documents)

    def tell(self, uri: str, within: Span, found: Iterable[Diagnostic]) -> None:
        """Replace the diagnostics of `uri` that touch `within` by `found`."""
        kept = [
            one
            for one in self.at(uri)
            if one.span.start > within.end or within.start > one.span.end
        ]
        self._known.set(uri, (*kept, *found))

    def at(self, uri: str) -> tuple[Diagnostic, ...]:
        """Return the known diagnostics of `uri`."""
        return self._known.get(uri) or ()

    def changed(self, uri: str, edits: Iterable[Edit]) -> None:
        """Move the diagnostics of `uri` with `edits`; drop those whose text was edited."""
        if known := self._known.get(uri):
            edits = tuple(edits)
            places = [(one, moved(one.span, edits)) for one in known]
            followed = (replace(one, span=at) for one, at in places if at is not None)
            self._known.set(uri, tuple(followed))
