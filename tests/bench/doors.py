"""Whether a chat in another process gets in the way of typing.

    python tests/bench/doors.py [--rounds N] [--json]

A language server completes keystrokes, with a pause after each, and `nearfield serve --http` beside
it streams chats over a long message; both run the default model in an engine of their own. Typed in
turns, so that other load on the machine hits all alike: with no chat; with one whose server shares
the user's data folder, and so knows by `typing.lock` when the other answers typing; and with one
whose server has a data folder of its own, and does not. The first keys after a chat has begun meet
the evaluation of its prompt, later ones its answer. Times are to an answer of ten tokens, since
one keystroke asks for longer answers than another; the chat's are tokens a second meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from editor import Editor
from in_the_way import TEXT, Key, Typist, index_is

PAUSE_SECONDS = 0.15
"""Between an answer and the next key."""
KEYS = 8
"""Keys in a row that the model answers."""
MESSAGE = f"```python\n{TEXT[:3000]}\n```\nExplain this at length, in many sentences."
BEGIN_SECONDS = 120
WAYS = ("alone", "beside", "unaware")


class Door:
    """`nearfield serve --http` as a process of its own, which chats while it is told to."""

    def __init__(self, data: Path) -> None:
        token = "bench" * 8
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nearfield", "serve", "--http", "127.0.0.1:0"],
            env={**os.environ, "NEARFIELD_DATA_DIR": str(data), "NEARFIELD_HTTP_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        said = next(line for line in self.process.stderr if "listening on" in line)
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.url = re.findall(r"listening on (\S+)/v1", said)[0]
        self.headers = {"authorization": f"Bearer {token}"}
        self.tokens = 0
        self._begun = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Chat, from the moment that the server takes a request."""
        self.tokens = 0
        self._begun.clear()
        self._over.clear()
        self._thread = threading.Thread(target=self._chat, daemon=True)
        self._thread.start()
        if not self._begun.wait(BEGIN_SECONDS):
            raise SystemExit("the chat does not begin")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def warm_up(self) -> None:
        """Have the model loaded."""
        with self:
            while not self.tokens:
                time.sleep(0.05)

    def _chat(self) -> None:
        number = 0
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=300) as client:
            while not self._over.is_set():
                number += 1
                body = {
                    "model": "nearfield",
                    "stream": True,
                    "max_tokens": 300,
                    "messages": [{"role": "user", "content": f"{number}. {MESSAGE}"}],
                }
                self._begun.set()
                with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                    answer.raise_for_status()
                    for line in answer.iter_lines():
                        self.tokens += line.startswith("data: {")
                        if self._over.is_set():
                            break


@dataclass
class Way:
    """The keys of one way, and what the chat beside them wrote."""

    keys: list[Key] = field(default_factory=list[Key])
    tokens: int = 0
    seconds: float = 0.0

    def type(self, typist: Typist, door: Door | None) -> None:
        """Type `KEYS` that the model answers."""
        begun, wanted = time.perf_counter(), len(self.keys) + KEYS
        while len(self.keys) < wanted:
            if key := typist.keystroke():
                self.keys.append(key)
            time.sleep(PAUSE_SECONDS)
        self.seconds += time.perf_counter() - begun
        self.tokens += door.tokens if door else 0

    def figures(self, alone: Way) -> dict[str, float]:
        """Percentiles, their ratios to `alone`, and the chat's speed."""
        p50, p99 = percentiles(self.keys)
        p50_alone, p99_alone = percentiles(alone.keys)
        return {
            "keys": len(self.keys),
            "p50_ms": round(p50, 1),
            "p99_ms": round(p99, 1),
            "p50_ratio": round(p50 / p50_alone, 2),
            "p99_ratio": round(p99 / p99_alone, 2),
            "chat_tokens_a_second": round(self.tokens / self.seconds, 1),
        }


def percentiles(keys: list[Key]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    totals = [key.total for key in keys]
    return statistics.median(totals), statistics.quantiles(totals, n=100, method="inclusive")[98]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.rounds)
    if options.json:
        print(json.dumps(figures))
        return
    for name, values in figures.items():
        print(name, *(f"{key} {value}" for key, value in values.items()), sep="  ")


def measure(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return the figures of each way."""
    shared, other, workspace = (folder / name for name in ("shared", "other", "workspace"))
    workspace.mkdir()
    doors = {"beside": Door(shared), "unaware": Door(other)}
    env = {**os.environ, "NEARFIELD_DATA_DIR": str(shared)}
    ways = {name: Way() for name in WAYS}
    try:
        with Editor(workspace, env=env) as editor:
            editor.wait_ready()
            for door in doors.values():
                door.warm_up()
            typist = Typist(editor, workspace)
            index_is(editor, "ready")
            for _ in range(rounds):
                ways["alone"].type(typist, None)
                for name, door in doors.items():
                    with door:
                        ways[name].type(typist, door)
    finally:
        for door in doors.values():
            door.process.terminate()
            door.process.wait()
    return {name: way.figures(ways["alone"]) for name, way in ways.items()}


if __name__ == "__main__":
    main()
