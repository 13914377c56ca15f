"""Traces, tasks, permissions, the status board."""

from __future__ import annotations

import asyncio
import gc
import logging
from dataclasses import replace
from typing import Any

import pytest

from nearfield.config.schema import Completion, Config, Files
from nearfield.errors import Unreachable
from nearfield.features.document_filter import DocumentFilter
from nearfield.features.status import ServiceState, ServiceStatus, StatusBoard
from nearfield.features.trace import TraceLog, flat
from nearfield.tasks import run_task, stop_task
from nearfield.types import Included, Situation, Snapshot, SnippetKind, Trace, Usage

TRACE = Trace("1", "test", "file:///a.py", 3, "p", "m", Situation.TYPING, 12.345, True)


def test_traces_are_bounded_and_read_newest_first() -> None:
    traces = TraceLog(kept=3)
    for number in range(5):
        traces.add(replace(TRACE, id=str(number)))
    assert [[t.id for t in traces.last(n)] for n in (0, 2, 9)] == [[], ["4", "3"], ["4", "3", "2"]]
    assert traces.last(-1) == []


def test_a_flat_trace_has_the_promised_keys_and_json_values() -> None:
    usage = Usage("m", 100, 20, 80, 7, 200.04, 350.06)
    included = (Included("b.py", SnippetKind.DEFINITION, 30),)
    trace = replace(TRACE, mean_logprob=-0.12345, min_logprob=-1.5)
    assert flat(replace(trace, usage=usage, included=included)) == {
        "id": "1",
        "method": "test",
        "uri": "file:///a.py",
        "version": 3,
        "provider": "p",
        "model": "m",
        "situation": "typing",
        "prompt_tokens": 100,
        "evaluated_tokens": 20,
        "reused_tokens": 80,
        "generated_tokens": 7,
        "prefill_ms": 200.0,
        "decode_ms": 350.1,
        "total_ms": 12.3,
        "mean_logprob": -0.123,
        "min_logprob": -1.5,
        "shown": True,
        "reason": "",
        "detail": "",
        "included": [{"path": "b.py", "kind": "definition", "tokens": 30}],
    }
    assert flat(TRACE)["prompt_tokens"] is None


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


FILE = Snapshot("file:///w/a/b.py", "python", 1, "x" * 100, "/w/a/b.py", "/w")

PERMITTED = [
    ("by default", {}, {}, FILE, ""),
    ("switched off", {"enabled": False}, {}, FILE, "disabled"),
    ("language", {"disabled_languages": ["PYTHON"]}, {}, FILE, "language"),
    ("another language", {"disabled_languages": ["go"]}, {}, FILE, ""),
    ("just fits", {}, {"max_bytes": 100}, FILE, ""),
    ("too big", {}, {"max_bytes": 99}, FILE, "too_big"),
    ("in bytes", {}, {"max_bytes": 100}, replace(FILE, text="é" * 51), "too_big"),
    ("fits in bytes", {}, {"max_bytes": 102}, replace(FILE, text="é" * 51), ""),
    ("a lone surrogate", {}, {"max_bytes": 2}, replace(FILE, text="\ud800"), "too_big"),
    ("excluded", {}, {"exclude": ["*.py"]}, FILE, "excluded"),
    ("excluded folder", {}, {"exclude": ["/a/"]}, FILE, "excluded"),
    ("anchored elsewhere", {}, {"exclude": ["/b.py"]}, FILE, ""),
    ("taken back", {}, {"exclude": ["*.py", "!b.py"]}, FILE, ""),
    ("untitled", {}, {"exclude": ["*"]}, replace(FILE, path=None), ""),
    ("in no folder", {}, {"exclude": ["w/"]}, replace(FILE, root=None), "excluded"),
]


@pytest.mark.parametrize("case", PERMITTED, ids=[c[0] for c in PERMITTED])
def test_permitted(
    case: tuple[str, dict[str, Any], dict[str, Any], Snapshot, str],
) -> None:
    _, completion, files, snapshot, reason = case
    config = Config(completion=Completion(**completion), files=Files(**files))
    permitted = DocumentFilter(config)
    assert permitted.reason(snapshot) == reason
    assert permitted.reason(snapshot) == reason


def test_the_board_says_a_thing_once() -> None:
    board, heard = StatusBoard(), list[ServiceStatus]()
    stop = board.subscribe(heard.append)
    loading = ServiceStatus(ServiceState.LOADING, progress=0.5)
    for status in (
        loading,
        loading,
        ServiceStatus(ServiceState.READY),
        ServiceStatus(ServiceState.READY),
    ):
        board.set(status)
    assert heard == [loading, ServiceStatus(ServiceState.READY)]
    stop()
    board.set(loading)
    assert len(heard) == 2
    assert board.status == loading
