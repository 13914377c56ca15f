"""When nothing changes nothing runs: the server, its engine and its indexer sleep."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.process import PATIENCE_S
from tests.e2e.wiring import StartWire

pytestmark = pytest.mark.model

WINDOW_SECONDS = 2.0
SETTLE_SECONDS = 0.5
"""To ask how things are is something, too."""
TEXT = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"


def used(processes: list[psutil.Process]) -> dict[str, float]:
    """Seconds of processor time so far, by what runs; the system counts in hundredths."""
    times = ((process.cmdline()[-1], process.cpu_times()) for process in processes)
    return {name: time.user + time.system for name, time in times}


def test_nothing_runs_when_nothing_changes(
    wire: StartWire, small_model: Path, tmp_path: Path
) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.py").write_text(TEXT)
    folder = {"uri": root.as_uri(), "name": "work"}
    settings: dict[str, Any] = {"models": {"complete": str(small_model)}}
    w = wire("--stdio")
    w.initialize(settings, workspaceFolders=[folder])
    uri = w.open(TEXT, (root / "a.py").as_uri())
    w.ghost(uri, 1, 11)
    server = psutil.Process(w.process.pid)
    end = time.monotonic() + PATIENCE_S
    while True:
        # Idle prefill, the index and what is prepared for hovers end by themselves.
        time.sleep(SETTLE_SECONDS)
        running = [server, *server.children(recursive=True)]
        try:
            before = used(running)
            time.sleep(WINDOW_SECONDS)
            spent = {name: seconds - before[name] for name, seconds in used(running).items()}
        except psutil.NoSuchProcess:
            continue  # the process that parses for the index ends by itself
        index = w.ask("nearfield/status", {})["index"]["state"]
        if index == "ready" and len(spent) == 3 and not any(spent.values()):
            return
        assert time.monotonic() < end, (index, spent)
