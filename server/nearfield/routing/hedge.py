"""Asking two providers at once and listening to the one that speaks first.

Each stream is read by a task of its own, from its beginning to its end, because a provider may hold
timeouts and connections that belong to one task. The loser is cancelled, which frees its model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from nearfield.types import Delta

Opener = Callable[[], AsyncGenerator[Delta]]


async def race(openers: Mapping[str, Opener], won: Callable[[str], None]) -> AsyncGenerator[Delta]:
    """The deltas of the first of `openers` to say something; `won` is called with its name before
    they come. When all fail, raises the error of the last one."""
    queue: asyncio.Queue[tuple[str, Delta | None]] = asyncio.Queue()
    tasks = {
        name: asyncio.create_task(_pump(name, opener, queue), name=f"hedge {name}")
        for name, opener in openers.items()
    }
    winner = ""
    try:
        running = set(tasks)
        while running:
            name, delta = await queue.get()
            if winner and name != winner:
                continue
            if delta is None:
                running.discard(name)
                error = tasks[name].exception() if tasks[name].done() else await _end(tasks[name])
                if winner or not running:
                    if error is not None:
                        raise error
                    return
            elif winner:
                yield delta
            elif delta.text or delta.tool_calls or delta.finish is not None:
                winner = name
                won(name)
                for other, task in tasks.items():
                    if other != winner:
                        task.cancel()
                yield delta
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _end(task: asyncio.Task[None]) -> BaseException | None:
    await asyncio.wait({task})
    return task.exception()


async def _pump(name: str, opener: Opener, queue: asyncio.Queue[tuple[str, Delta | None]]) -> None:
    try:
        async with aclosing(opener()) as stream:
            async for delta in stream:
                queue.put_nowait((name, delta))
    finally:
        queue.put_nowait((name, None))
