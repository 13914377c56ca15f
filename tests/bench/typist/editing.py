"""What an editor's plugin does with a language server: asks after each change, gives up what is
overtaken, keeps what is typed along until the next answer."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass

from completer import Edit, Spent
from screen import Screen


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion: `text` comes after the cursor."""

    text: str
    id: str


class Editing(ABC):
    """A `Completer` over questions that are answered later."""

    def __init__(self) -> None:
        self._screen: Screen | None = None
        self._asking: asyncio.Task[None] | None = None
        self._current: Shown | None = None

    async def start(self, screen: Screen) -> None:
        """See `Completer`."""
        self._screen = screen

    def moved(self, text: str, cursor: int, edit: Edit | None) -> None:
        """See `Completer`."""
        if edit is not None:
            self.told(text, edit)
        if self._asking is not None and not self._asking.cancel():
            check(self._asking)
        self._asking = asyncio.create_task(self._ask(text, cursor))

    async def _ask(self, text: str, cursor: int) -> None:
        found = await self.answer(text, cursor)
        self._current = found
        assert self._screen is not None
        self._screen.show(found.text if found else "")
        if found:
            self.shown(found)

    def accepted(self) -> None:
        """See `Completer`."""
        if self._current is not None:
            self.took(self._current)

    async def end(self) -> None:
        """Give up the question under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    @abstractmethod
    def told(self, text: str, edit: Edit) -> None:
        """Tell of an edit that has led to `text`."""

    @abstractmethod
    async def answer(self, text: str, cursor: int) -> Shown | None:
        """Return what is suggested at `cursor`."""

    @abstractmethod
    def shown(self, found: Shown) -> None:
        """Tell that something is shown."""

    @abstractmethod
    def took(self, found: Shown) -> None:
        """Tell that it was accepted."""

    @abstractmethod
    def spent(self) -> Spent:
        """See `Completer`."""


def check(task: asyncio.Task[None]) -> None:
    """Raise what has ended `task`, which would be taken for silence otherwise."""
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
