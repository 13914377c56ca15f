"""The real llama.vim, typing the same with our server and with llama.cpp's own.

    python tests/bench/llama_vim.py --plugin …/llama.vim --editor …/nvim [--editor …/vim]
        [--llama-server …/llama-server] [--model NAME] [--places N] [--json]

Vim (9.1 or newer) and Neovim in a terminal of their own, with the plugin as it is shipped: its
keys, its waits, its ring of chunks. `llama_vim.vim` types functions of this repository into their
files, which lack them, and takes what fits. Both servers have the same model file, threads and
machine; they take turns, with a fresh editor for each function. Without `--llama-server` the peer
is the server in the xllamacpp wheel, with the options that llama.vim recommends.

A key's time is until a suggestion is seen, at most until the next key. Until the first one of a
file the server is cold, as it has to read the file; that is counted from the first key. A session
ends after a minute, whatever is typed by then. Needs a quiet machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from nearfield.catalog.models import Catalog
from nearfield.engine.client import physical_cores

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TYPIST = HERE / "llama_vim.vim"
PEER = HERE / "replay" / "serve_peer.py"
CONTEXT, BATCH, REUSE = 8192, 1024, 256
START_SECONDS = 120
END_SECONDS = 20
PLAN = {"pace": 200, "look": 1500, "read": 150, "settle": 1200, "limit": 60_000}
"""Milliseconds; see the typist. `settle` lets the plugin say which file is open."""
PLACES = (
    ("server/nearfield/engine/rates.py", r"    def prefilled\(", 4),
    ("server/nearfield/files/lines.py", r"def line_end", 6),
    ("editors/neovim/lua/nearfield/question.lua", r"function Question:forget", 9),
    ("editors/vscode/src/inline/difference.ts", r"export function columns", 5),
)
"""The files, the first line of what is typed, and its number of lines."""


@dataclass
class Side:
    """What was seen with a server."""

    characters: int = 0
    keys: int = 0
    taken: int = 0
    taken_characters: int = 0
    shown: int = 0
    cold: list[float] = field(default_factory=list[float])
    warm: list[float] = field(default_factory=list[float])

    def add(self, text: str, result: dict[str, Any]) -> None:
        """Count a session."""
        self.characters += len(text) - len(result["left"])
        begun, is_cold = result["log"][0]["at"], True
        for one in result["log"]:
            self.keys += 1
            if one["bytes"] > 1:
                self.taken += 1
                self.taken_characters += one["bytes"]
            if one["shown"] >= 0:
                self.shown += 1
                if is_cold:
                    self.cold.append(one["at"] + one["shown"] - begun)
                else:
                    self.warm.append(one["shown"])
                is_cold = False

    def figures(self) -> dict[str, float | None]:
        """The numbers of a table."""
        deciles = statistics.quantiles(self.warm, n=10, method="inclusive") if self.warm else []
        return {
            "characters": self.characters,
            "keys": self.keys,
            "keys_share": round(self.keys / self.characters, 3),
            "shown": self.shown,
            "taken": self.taken,
            "taken_characters": self.taken_characters,
            "cold_p50_ms": round(statistics.median(self.cold)) if self.cold else None,
            "warm_p50_ms": round(deciles[4]) if deciles else None,
            "warm_p90_ms": round(deciles[8]) if deciles else None,
        }


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: list[str], url: str, env: dict[str, str]) -> Generator[None]:
    """A server, from when it is well to the end of the block."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=env,
    )  # fmt: skip
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url + "/health").json() == {"status": "ok"}:
                    break
            if time.monotonic() > end or process.poll() is not None:
                raise SystemExit(f"{command[0]} does not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def servers(options: argparse.Namespace, home: Path) -> Generator[dict[str, dict[str, str]]]:
    """The settings of llama.vim for each server."""
    model = Catalog.load().local_path(options.model)
    if model is None:
        raise SystemExit(f"{options.model} is not here")
    threads = str(physical_cores())
    token = "bench" * 8
    ours, peer = free_port(), free_port()
    env = {**os.environ, "NEARFIELD_DATA_DIR": str(home / "data"), "NEARFIELD_HTTP_TOKEN": token}
    command = [sys.executable, str(PEER), str(model), threads, str(peer), str(BATCH)]
    if options.llama_server:
        command = [
            options.llama_server, "-m", str(model), "-t", threads, "--port", str(peer), "-c",
            str(CONTEXT), "-np", "1", "-b", str(BATCH), "-ub", str(BATCH), "--cache-reuse",
            str(REUSE),
        ]  # fmt: skip
    serve = [sys.executable, "-m", "nearfield", "serve", "--http", f"127.0.0.1:{ours}"]
    with (
        running(serve, f"http://127.0.0.1:{ours}", env),
        running(command, f"http://127.0.0.1:{peer}", dict(os.environ)),
    ):
        yield {
            "nearfield": {"endpoint_fim": f"http://127.0.0.1:{ours}/infill", "api_key": token},
            "llama.cpp": {"endpoint_fim": f"http://127.0.0.1:{peer}/infill"},
        }


def session(
    editor: str, plugin: str, config: dict[str, str], place: tuple[str, str, int], folder: Path
) -> tuple[str, dict[str, Any]]:
    """Type what is missing at a place; return it, and what the typist wrote down."""
    path, first, count = place
    lines = (ROOT / path).read_text("utf-8").splitlines()
    row = next(i for i, line in enumerate(lines) if re.match(first, line))
    text = "\n".join(lines[row : row + count])
    file, out, init = (folder / name for name in (Path(path).name, "out.json", "init.vim"))
    rest = [*lines[:row], "", *lines[row + count :]]
    file.write_text("\n".join(rest) + "\n", "utf-8")
    plan = {**PLAN, "text": text, "row": row + 1, "out": str(out)}
    init.write_text(
        f"set nocompatible\nlet g:llama_config = {json.dumps(config)}\nlet g:plan = json_decode("
        f"'{json.dumps(plan).replace(chr(39), chr(39) * 2)}')\n"
        f"set runtimepath^={plugin}\nruntime plugin/llama.vim\nsource {TYPIST}\n",
        "utf-8",
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [editor, "-u", str(init), "-i", "NONE", str(file)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, cwd=folder,
        env={**os.environ, "TERM": "xterm", "HOME": str(folder)},
    )  # fmt: skip
    os.close(theirs)
    threading.Thread(target=drain, args=(ours,), daemon=True).start()
    try:
        process.wait(PLAN["limit"] / 1000 + END_SECONDS)
    finally:
        process.kill()
        process.wait()
    result = json.loads(out.read_text("utf-8"))
    if not result["left"] and "\n".join(result["lines"]) != "\n".join(lines):
        raise SystemExit(f"{editor} has typed something else:\n" + "\n".join(result["lines"]))
    return text, result


def drain(terminal: int) -> None:
    """Read what the editor draws, so that it goes on."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--editor", action="append", required=True)
    parser.add_argument("--llama-server", default="")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct")
    parser.add_argument("--places", type=int, default=len(PLACES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, Side]] = {}
    with tempfile.TemporaryDirectory() as home:
        for editor in options.editor:
            with servers(options, Path(home)) as configs:
                sides = found[Path(editor).name] = {name: Side() for name in configs}
                for place in PLACES[: options.places]:
                    for name, config in configs.items():
                        with tempfile.TemporaryDirectory() as folder:
                            text, result = session(
                                editor, options.plugin, config, place, Path(folder)
                            )
                        sides[name].add(text, result)
    figures = {
        editor: {name: side.figures() for name, side in sides.items()}
        for editor, sides in found.items()
    }
    if options.json:
        print(json.dumps(figures))
        return
    for editor, sides_of in figures.items():
        for name, values in sides_of.items():
            print(editor, name, *(f"{key} {value}" for key, value in values.items()), sep="  ")


if __name__ == "__main__":
    main()
