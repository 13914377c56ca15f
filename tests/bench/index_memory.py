"""The indexer's memory on a large tree: the most that its process held, embedding included.

    python tests/bench/index_memory.py --tree FOLDER [--files N] [--minutes M]

The tree is made of links to the first N text files below FOLDER, for instance of a folder into
which packages were installed (`pip install --no-deps --target FOLDER …`). The process is the one
that a server starts; it is stopped after M minutes of embedding.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from nearfield.config.schema import Config
from nearfield.index.messages import Start, Status
from nearfield.index.workspace import Workspace

SUFFIXES = frozenset([".py", ".pyi", ".js", ".ts", ".c", ".h", ".md", ".rst", ".toml", ".css"])


def made(source: Path, root: Path, count: int) -> int:
    """Copy the files; returns their bytes."""
    total = 0
    found = (one for one in sorted(source.rglob("*")) if one.suffix in SUFFIXES and one.is_file())
    for number, file in enumerate(found):
        if number == count:
            break
        target = root / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        total += file.stat().st_size
    return total


def main() -> None:
    """Measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nearfield-bench-") as folder:
        root = Path(folder) / "tree"
        size = made(options.tree, root, options.files)
        workspace = Workspace.of(root, Config(), Path(folder) / "cache")
        start = Start(
            root=str(root), exclude=(), max_bytes=workspace.max_bytes, vectors=True,
            on_battery=True, holder=os.getpid(), place=str(workspace.place.file), kept=True,
        )  # fmt: skip
        began = time.monotonic()
        embedding_since = 0.0
        held: dict[str, int] = {}
        with subprocess.Popen(
            [sys.executable, "-m", "nearfield.index.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(msgspec.json.encode(start) + b"\n")
            process.stdin.flush()
            last = Status()
            for line in process.stdout:
                told = msgspec.json.decode(line, type=Status)
                if told.state == "embedding" and not embedding_since:
                    embedding_since = time.monotonic()
                    print(f"built in {embedding_since - began:.0f} s", flush=True)
                held[told.state] = max(held.get(told.state, 0), _kept(process.pid))
                last = told
                late = embedding_since and time.monotonic() - embedding_since > options.minutes * 60
                if late or told.state in ("ready", "failed"):
                    break
            process.stdin.close()
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(
            f"{last.files} files of {size / 1e6:.0f} MB, {last.chunks} chunks; {last.done} embedded"
        )
        for state, amount in held.items():
            print(f"its own while {state}: up to {amount / 2**20:.0f} MiB")
        print(f"with what it has mapped of files: {most / 1024:.0f} MiB")


def _kept(process: int) -> int:
    """Bytes that no file holds (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
