"""The snippets in the prompts of one document, kept stable as long as they are good enough.

Every change makes the model evaluate the whole prompt again. So the snippets stay, in their order,
while the cursor needs no others; new ones are added at the end; and unneeded ones are dropped only
if their room is needed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nearfield.features.workspace_context.snippets import ContextSnippet, snippets_of
from nearfield.types import Snippet


@dataclass(slots=True)
class PreparedSnippets:
    """The snippets of one document, in the order of the prompt."""

    MAX_CHARS: ClassVar[int] = 4_000
    """Maximum of what is held; a prompt takes what its budget allows."""

    CHANGE_SECONDS: ClassVar[float] = 15.0
    """Minimum time between changes: evaluating a prompt takes a small machine about ten seconds."""

    snippets: tuple[ContextSnippet, ...] = ()
    changed_at: float = 0.0

    def adopt(self, found: Sequence[ContextSnippet]) -> bool:
        """Take what the cursor needs, the most helpful last; return whether anything changed."""
        if not self.lacks(found):
            return False
        wanted = {snippet.key: snippet for snippet in found}
        missing = _missing(found, self.snippets) if self.snippets else list(found)
        kept = [wanted.get(snippet.key, snippet) for snippet in self.snippets]
        idle = [snippet for snippet in kept if snippet.key not in wanted]
        room = self.MAX_CHARS - sum(len(snippet.text) for snippet in (*kept, *missing))
        for snippet in idle:
            if room >= 0:
                break
            kept.remove(snippet)
            room += len(snippet.text)
        before, self.snippets = self.snippets, (*kept, *missing)
        if before == self.snippets:
            return False
        self.changed_at = time.monotonic()
        return True

    def lacks(self, found: Sequence[ContextSnippet]) -> bool:
        """Return whether a snippet that the cursor needs is missing or outdated."""
        if not self.snippets:
            return bool(found)
        wanted = {snippet.key: snippet for snippet in found}
        same = all(
            wanted.get(snippet.key, snippet).text == snippet.text for snippet in self.snippets
        )
        return not same or bool(_missing(found, self.snippets))

    @property
    def steady_seconds(self) -> float:
        """The time in which nothing should change yet."""
        if not self.snippets:
            return 0.0
        return max(self.changed_at + self.CHANGE_SECONDS - time.monotonic(), 0.0)

    def ready(self, budget: int) -> tuple[Snippet, ...]:
        """Return the most helpful snippets that fit into `budget` characters, in order, as a prompt
        shows them."""
        return snippets_of(self.within(budget))

    def within(self, budget: int) -> list[ContextSnippet]:
        """Return the most helpful snippets that fit into `budget` characters, in order."""
        chosen: list[ContextSnippet] = []
        for snippet in sorted(self.snippets, key=lambda one: -one.weight):
            if len(snippet.text) <= budget:
                budget -= len(snippet.text)
                chosen.append(snippet)
        return [snippet for snippet in self.snippets if snippet in chosen]


def _missing(
    found: Sequence[ContextSnippet], held: Sequence[ContextSnippet]
) -> list[ContextSnippet]:
    """Return the firm snippets of `found` that are not held."""
    keys = {snippet.key for snippet in held}
    return [snippet for snippet in found if snippet.firm and snippet.key not in keys]
