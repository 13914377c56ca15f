"""Time from process start to the `initialize` answer, and memory without and with the engine.

python tests/bench/startup.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import psutil
from editor import Editor


def memory_mib(pid: int) -> float:
    """Unique memory of a process (pages shared with nobody), MiB."""
    return round(psutil.Process(pid).memory_full_info().uss / (1 << 20), 1)


def worker_mib(editor: Editor) -> float:
    """Memory of the engine's process of that editor's server."""
    (worker,) = psutil.Process(editor.process.pid).children()
    return memory_mib(worker.pid)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times: list[float] = []
    without = 0.0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for _ in range(options.rounds):
            with Editor(root, {"engine": {"enabled": False}}) as editor:
                times.append(editor.initialized_ms)
                without = memory_mib(editor.process.pid)
        with Editor(root) as editor:
            with_engine_at = editor.initialized_ms
            editor.wait_ready()
            server = memory_mib(editor.process.pid)
            alone = worker_mib(editor)
            with Editor(root) as second:
                second.wait_ready()
                beside = worker_mib(second)
    result = {
        "initialize_ms_median": round(statistics.median(times), 1),
        "initialize_ms_max": round(max(times), 1),
        "initialize_ms_with_engine": round(with_engine_at, 1),
        "server_mib_engine_off": without,
        "server_mib_engine_on": server,
        "worker_mib": alone,
        "worker_mib_of_a_second_window": beside,
    }
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
