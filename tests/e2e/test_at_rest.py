"""When nothing changes nothing runs: the server, its engine and its indexer sleep."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.prepared import STARTED
from tests.e2e.process import PATIENCE_SECONDS
from tests.e2e.wiring import StartWire

pytestmark = pytest.mark.model

WINDOW_SECONDS = 2.0
SETTLE_SECONDS = 2.5
"""The request for the status is work itself."""
MAX_WAKEUPS = 8
"""The watcher of the tree wakes five times in the window, the parents' watches seldom."""
TEXT = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"


def wakeups(processes: list[psutil.Process]) -> dict[str, int]:
    """How often the threads of each process have gone to sleep so far, by the process's name.

    A count, because the price of one wake-up differs by machine and load.
    """
    return {process.cmdline()[-1]: _sleeps(process.pid) for process in processes}


def _sleeps(pid: int) -> int:
    texts = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    found = (re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.MULTILINE) for text in texts)
    return sum(int(match[1]) for match in found if match)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_runs_when_nothing_changes(
    wire: StartWire, small_model: Path, tmp_path: Path
) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.py").write_text(TEXT)
    folder = {"uri": root.as_uri(), "name": "work"}
    settings: dict[str, Any] = {"models": {"complete": str(small_model)}}
    w = wire("--stdio", program=STARTED)
    w.initialize(settings, workspaceFolders=[folder])
    uri = w.open(TEXT, (root / "a.py").as_uri())
    w.ghost(uri, 1, 11)
    server = psutil.Process(w.process.pid)
    end = time.monotonic() + PATIENCE_SECONDS
    spent: dict[str, int] = {}
    while True:
        # Idle prefill, the index and what is prepared for hovers end by themselves.
        time.sleep(SETTLE_SECONDS)
        running = [server, *server.children(recursive=True)]
        try:
            before = wakeups(running)
            time.sleep(WINDOW_SECONDS)
            spent = {name: count - before[name] for name, count in wakeups(running).items()}
        except (psutil.NoSuchProcess, FileNotFoundError):
            continue  # the process that parses for the index ends by itself
        index = w.ask("nearfield/status", {})["index"]["state"]
        if index == "ready" and len(spent) == 3 and sum(spent.values()) <= MAX_WAKEUPS:
            return
        assert time.monotonic() < end, (index, spent)
