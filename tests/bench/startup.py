"""Time from process start to the `initialize` answer, and memory without and with the engine.

python tests/bench/startup.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from editor import Editor

PATIENCE_SECONDS = 30.0


def memory_mib(pid: int) -> float:
    """Unique memory of a process (pages shared with nobody), MiB."""
    return round(psutil.Process(pid).memory_full_info().uss / (1 << 20), 1)


def part_mib(editor: Editor, module: str) -> float:
    """Memory of the process of that editor's server that runs `module`, once there is one."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        for process in psutil.Process(editor.process.pid).children():
            if module in process.cmdline():
                return memory_mib(process.pid)
        time.sleep(0.1)
    raise SystemExit(f"the server has started no {module}")


def parts_mib(editor: Editor) -> dict[str, float]:
    """Memory of a server's processes, when all of them are at rest."""
    editor.wait_ready()
    while editor.call("nearfield/status", {})["index"]["state"] not in ("ready", "reading"):
        time.sleep(0.1)
    return {
        "server": memory_mib(editor.process.pid),
        "engine": part_mib(editor, "nearfield.engine.worker"),
        "indexer": part_mib(editor, "nearfield.index.worker"),
    }


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
            alone = parts_mib(editor)
            with Editor(root) as second:
                beside = parts_mib(second)
    result = {
        "initialize_ms_median": round(statistics.median(times), 1),
        "initialize_ms_max": round(max(times), 1),
        "initialize_ms_with_engine": round(with_engine_at, 1),
        "server_mib_engine_off": without,
        "mib": alone,
        "mib_of_a_second_window": beside,
        "mib_of_a_second_window_in_all": round(sum(beside.values()), 1),
    }
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
