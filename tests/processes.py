"""The processes that a test has begun."""

from __future__ import annotations

from contextlib import suppress

import psutil


def running(*words: str, of: int | None = None) -> list[psutil.Process]:
    """Return the processes begun by process `of` that have each of `words` in their command.

    By default `of` is this process. One that ends meanwhile, or has ended and is not waited for,
    is left out.
    """
    found: list[psutil.Process] = []
    for process in psutil.Process(of).children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if set(words) <= set(process.cmdline()):
                found.append(process)
    return found
