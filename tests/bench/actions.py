"""How long `textDocument/codeAction` takes: the list of actions, in documents of several lengths.

    python tests/bench/actions.py [--json]

A real server with a scripted model; Python code; the first request after each edit, which is the
one that an editor sends, on each function in turn, with one diagnostic.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from editor import Editor

ROUNDS = 40
FUNCTION = (
    'def total{n}(prices, discount):\n    """The sum."""\n    found = 0\n    for price in prices:\n'
    "        found += price\n    return found * (1 - discount)\n\n\n"
)
LINES = FUNCTION.count("\n")


def measure(editor: Editor, folder: Path, functions: int) -> list[float]:
    """Milliseconds of each request."""
    uri = (folder / f"m{functions}.py").as_uri()
    editor.open(uri, "".join(FUNCTION.format(n=n) for n in range(functions)))
    took: list[float] = []
    for number in range(ROUNDS):
        row = (number * 7 % functions) * LINES + 4
        here = {"line": row, "character": 9}
        where = {"start": here, "end": here}
        version = {"uri": uri, "version": 100 + number}
        change = {"range": where, "text": "x"}
        editor.notify(
            "textDocument/didChange", {"textDocument": version, "contentChanges": [change]}
        )
        params: dict[str, Any] = {
            "textDocument": {"uri": uri},
            "range": where,
            "context": {"diagnostics": [{"range": where, "message": "wrong"}]},
        }
        begun = time.perf_counter()
        actions = editor.call("textDocument/codeAction", params)
        took.append((time.perf_counter() - begun) * 1000)
        if not actions:
            raise SystemExit("no actions were offered")
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = {
        "engine": {"enabled": False},
        "index": {"enabled": False},
        "providers": {"demo": {"kind": "scripted"}},
        # So that the client counts as one that can apply an edit.
        "clientCapabilities": {"workspace": {"applyEdit": True}},
    }
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name, Editor(Path(name), settings) as editor:
        editor.wait_ready()
        for functions in (10, 100, 1000):
            took = sorted(measure(editor, Path(name), functions))
            p95 = took[int(len(took) * 0.95)]
            rows.append({"lines": functions * LINES, "p50": statistics.median(took), "p95": p95})
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['lines']:6.0f} lines   p50 {row['p50']:.1f} ms   p95 {row['p95']:.1f} ms")


if __name__ == "__main__":
    main()
