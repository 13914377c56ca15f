"""Callbacks for one kind of event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Listeners(Generic[T]):
    """Callbacks that take one value; single-threaded. Whether one that is added or removed during a
    call receives that value is undefined.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], object]] = []

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callable[[T], object]) -> Callable[[], None]:
        """Call `callback` with every value from now on; returns the function that ends it, which
        may be called twice."""
        self._callbacks.append(callback)

        def end() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return end

    def tell(self, value: T) -> None:
        """Call all of them, the oldest first."""
        for callback in tuple(self._callbacks):
            callback(value)
