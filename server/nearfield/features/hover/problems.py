"""The diagnostics of other servers, as far as a client has told them to us.

A client sends them in the context of a request for code actions, those of the asked range alone;
they hold until their text is edited, or until the client says something else of that range.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from nearfield.features.hover.subject import Problem
from nearfield.features.spans import moved
from nearfield.types import Edit, Span

DOCUMENTS_KEPT = 64


class Problems:
    """See the module. One event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Problem, ...]] = OrderedDict()

    def tell(self, uri: str, within: Span, found: Iterable[Problem]) -> None:
        """Of `uri`, the problems that touch `within` are `found`, and no others."""
        kept = [one for one in self.at(uri) if not _touch(one.span, within)]
        self._known[uri] = (*kept, *found)
        self._known.move_to_end(uri)
        while len(self._known) > DOCUMENTS_KEPT:
            self._known.popitem(last=False)

    def at(self, uri: str) -> tuple[Problem, ...]:
        """What is known of `uri`."""
        return self._known.get(uri, ())

    def changed(self, uri: str, edits: Iterable[Edit]) -> None:
        """The document was edited."""
        if known := self._known.get(uri):
            edits = tuple(edits)
            places = [(one, moved(one.span, edits)) for one in known]
            self._known[uri] = tuple(replace(one, span=at) for one, at in places if at is not None)

    def closed(self, uri: str) -> None:
        """The document is gone."""
        self._known.pop(uri, None)


def _touch(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end
