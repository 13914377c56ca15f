"""Callbacks for one kind of event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Listeners(Generic[T]):
    """Callbacks that take one value; single-threaded. Whether one that is added or removed during a
    call receives that value is undefined.
    """

    def __init__(self) -> None:
        self.callbacks: list[Callable[[T], object]] = []

    def __bool__(self) -> bool:
        return bool(self.callbacks)

    def add(self, callback: Callable[[T], object]) -> Callable[[], None]:
        """Call `callback` with every value from now on; returns the function that ends it, which
        may be called twice."""
        self.callbacks.append(callback)

        def end() -> None:
            if callback in self.callbacks:
                self.callbacks.remove(callback)

        return end

    def tell(self, value: T) -> None:
        """Call all of them, the oldest first."""
        for callback in tuple(self.callbacks):
            callback(value)


async def until(
    subscribe: Callable[[Callable[[T], None]], Callable[[], None]],
    is_over: Callable[[], bool],
    seconds: float,
) -> None:
    """Wait until `is_over`, which is asked first and again whenever the callback that `subscribe`
    takes is called. Raises `TimeoutError` after `seconds`."""
    changed = asyncio.Event()

    def told(_value: T) -> None:
        changed.set()

    end = subscribe(told)
    try:
        async with asyncio.timeout(seconds):
            while not is_over():
                changed.clear()
                await changed.wait()
    finally:
        end()
