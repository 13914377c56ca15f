"""Background tasks."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from nearfield.errors import Unreachable
from nearfield.tasks import run_task, stop_task


async def test_a_task_is_held_and_its_failure_logged_without_foreign_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(error: Exception) -> None:
        await asyncio.sleep(0)
        raise error

    for error, logged in (
        (ValueError("secret = 1"), "ValueError at "),
        (Unreachable("No connection.", "Start it."), "Unreachable: No connection. Start it."),
    ):
        caplog.clear()
        task = run_task(fail(error), "a name")
        gc.collect()
        await asyncio.wait({task})
        await asyncio.sleep(0)
        assert logged in caplog.text
        assert "task a name failed" in caplog.text
        assert "secret" not in caplog.text


async def test_a_cancelled_task_is_waited_for_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            done.append("tidied")

    caplog.set_level(logging.ERROR)
    task = run_task(tidy(), "tidy")
    await asyncio.sleep(0)
    await stop_task(task)
    await stop_task(task)
    await stop_task(None)
    assert done == ["tidied"]
    assert not caplog.records
