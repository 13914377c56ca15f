"""The diagnostics of other servers, as far as a client has told them to us.

A client sends them in the context of a request for code actions, those of the asked range alone;
they hold until their text is edited, or until the client says something else of that range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nearfield.features.documents import Documents, PerDocument
from nearfield.features.hover.subject import Problem
from nearfield.features.spans import moved
from nearfield.types import Edit, Span


class Problems:
    """See the module. One event loop."""

    def __init__(self, documents: Documents) -> None:
        self._known = PerDocument[tuple[Problem, ...]](documents)

    def tell(self, uri: str, within: Span, found: Iterable[Problem]) -> None:
        """Of `uri`, the problems that touch `within` are `found`, and no others."""
        kept = [one for one in self.at(uri) if not _touch(one.span, within)]
        self._known.set(uri, (*kept, *found))

    def at(self, uri: str) -> tuple[Problem, ...]:
        """What is known of `uri`."""
        return self._known.get(uri) or ()

    def changed(self, uri: str, edits: Iterable[Edit]) -> None:
        """The document was edited."""
        if known := self._known.get(uri):
            edits = tuple(edits)
            places = [(one, moved(one.span, edits)) for one in known]
            followed = (replace(one, span=at) for one, at in places if at is not None)
            self._known.set(uri, tuple(followed))


def _touch(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end
