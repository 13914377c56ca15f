"""What a person sees after the cursor, and since when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Screen:
    """The ghost text. `since` is the moment from which the same suggestion has been in view, also
    while it was typed along."""

    now: Callable[[], float]
    shown: str = ""
    since: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, text: str) -> None:
        """Show `text` after the cursor, "" for nothing."""
        if text != self.shown:
            self.shown, self.since = text, self.now()
        self.changed.set()

    def follow(self, removed: int, added: str) -> None:
        """Follow an edit at the cursor: what is typed along stays."""
        if not removed and self.shown.startswith(added):
            self.shown = self.shown[len(added) :]
        else:
            self.shown = ""
        self.changed.set()
