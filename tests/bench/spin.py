"""How long the engine's threads should spin: speed on an idle machine and beside a busy process.

    python tests/bench/spin.py [--json]

GCC's OpenMP reads `GOMP_SPINCOUNT` when it is loaded, so each setting runs in a process of its own:
a bare `llama_decode` loop over the default model, alone and with one process that only counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from nearfield.catalog.models import Catalog
from nearfield.engine.client import SPIN_COUNT, physical_cores

MEASURE = """
import json, sys
import llama_cpp  # before `bare`, which sets our own count
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from bare import BareModel
model = BareModel(Path(sys.argv[2]), int(sys.argv[3]))
prompt = model.tokens(Path(sys.argv[1], "bare.py").read_text())[:128]
model.generate(prompt[:32], 2)
answer = model.generate(prompt, 16)
print(json.dumps([128_000 / answer.prefill_ms, answer.tokens * 1000 / answer.decode_ms]))
"""
UNSET = ""
"""Leaves it to libgomp."""


def measure(path: Path, spin: str, *, busy: bool) -> tuple[float, float]:
    """Prompt and generated tokens a second."""
    environment = {**os.environ, "GOMP_SPINCOUNT": spin}
    if spin == UNSET:
        del environment["GOMP_SPINCOUNT"]
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        out = subprocess.run(
            [
                sys.executable,
                "-c",
                MEASURE,
                str(Path(__file__).parent),
                path,
                f"{physical_cores()}",
            ],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    finally:
        if other is not None:
            other.kill()
            other.wait()
    prefill, decode = json.loads(out)
    return round(prefill, 1), round(decode, 1)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalog = Catalog.load()
    path = catalog.local_path(catalog.default)
    if path is None:
        raise SystemExit(f"needs the model {catalog.default}")
    rows = [
        (name, "one busy process" if busy else "alone", *measure(path, spin, busy=busy))
        for busy in (False, True)
        for name, spin in (("GCC's default", UNSET), ("ours", SPIN_COUNT))
    ]
    if options.json:
        print(json.dumps(rows))
        return
    for name, beside, prefill, decode in rows:
        print(f"{name:15}{beside:18}{prefill:8} prompt tokens/s{decode:8} generated tokens/s")


if __name__ == "__main__":
    main()
