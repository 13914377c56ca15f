"""What the workspace's index does for completions across files.

    python tests/bench/cross_file.py found [--trees FOLDER...] [--cases N]
    python tests/bench/cross_file.py answers [--trees FOLDER...] [--cases N] [--json FILE]
    python tests/bench/cross_file.py cceval [--trees FOLDER...] [--cases N] [--json FILE]
    python tests/bench/cross_file.py cceval-found --trees FOLDER... [--cases N]

`found` asks, without a model, for how many cases the defining file is in the prompt, and for how
many the very name that follows. `answers` lets the model complete the same cases with the index on
and off, in turns; `cceval` and `cceval-found` do the same with those of CrossCodeEval's part in
../shared/bench, in the trees that are given or else among their retrieved chunks. Exact match and
edit similarity (difflib's ratio) are of the rest of the line, white space at its end aside; `name`
is the first word of it.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import importlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cross_cases import Case, cases
from cross_eval import workspaces
from editor import Editor

import nearfield

PACKAGES = ("nearfield", "pygls", "httpx", "typer", "stamina", "huggingface_hub")
"""Trees that a development environment has anyway; ours is one that no model has seen."""
SKIPPED = shutil.ignore_patterns("*.onnx", "*.json", "*.pyc", "__pycache__", "*.so")


def copied(folders: Sequence[Path], base: Path) -> list[Path]:
    """Copies of the folders, each as a workspace of its own."""
    copies: list[Path] = []
    for folder in folders:
        copy = base / folder.name
        shutil.copytree(folder, copy / folder.name, ignore=SKIPPED)
        copies.append(copy)
    return copies


def installed() -> list[Path]:
    """The folders of `PACKAGES`."""
    found: list[Path] = []
    for name in PACKAGES:
        file = nearfield.__file__ if name == "nearfield" else importlib.import_module(name).__file__
        found.append(Path(file or "").parent)
    return found


# --- is it found ----------------------------------------------------------------------------


async def found(todo: Sequence[Case], verbose: bool) -> dict[str, Any]:
    """For each tree: cases, and in how many the defining file is among the snippets."""
    from nearfield.config.schema import Config, Index
    from nearfield.features.completion.prompting import CHARS_PER_TOKEN, SNIPPET_TOKENS
    from nearfield.features.service import Service
    from nearfield.features.workspace_context.prepared import PreparedSnippets
    from nearfield.types import Snapshot

    table: dict[str, Any] = {}
    for root in dict.fromkeys(case.root for case in todo):
        service = Service(Config(index=Index(vectors=False)), {})
        service.knowledge.wait_seconds = 0
        service.knowledge.folders([str(root)])
        await service.start()
        while service.knowledge.state.state not in ("ready", "embedding"):
            await asyncio.sleep(0.05)
        row = {"cases": 0, "found": 0, "shown": 0, "ms": 0.0}
        for case in (one for one in todo if one.root == root):
            path = root / case.path
            text = f"{case.prefix}\n{case.suffix}"
            snapshot = Snapshot(path.as_uri(), "python", 1, text, str(path), str(root))
            service.opened(snapshot)
            offset = len(case.prefix)
            begun = time.perf_counter()
            await service.knowledge.prepare(snapshot, offset)
            row["ms"] += (time.perf_counter() - begun) * 1000
            budget = int(SNIPPET_TOKENS * CHARS_PER_TOKEN)
            held = PreparedSnippets(service.knowledge.pieces(snapshot.uri))
            shown = held.ready(budget)
            row["cases"] += 1
            hit = any(one.path == case.defining for one in shown)
            row["found"] += hit
            word = re.match(r"\w+", case.truth)
            named = any(word is not None and word[0] in one.text for one in shown)
            row["shown"] += named
            if verbose and not (hit and named):
                line = case.prefix.rpartition("\n")[2]
                print(
                    f"{root.name} {case.path} {line!r} {case.truth!r} {case.defining}",
                    [one.path for one in shown],
                )
            service.closed(path.as_uri())
        row["ms"] /= max(row["cases"], 1)
        table[root.name] = row
        await service.aclose()
    return table


def say_found(table: dict[str, Any]) -> None:
    """The shares of all trees."""
    total = sum(row["cases"] for row in table.values())
    for key in ("found", "shown"):
        share = sum(row[key] for row in table.values()) / max(total, 1)
        print(f"{key}: {share:.3f} of {total}")


# --- is it better ---------------------------------------------------------------------------


def similarity(one: str, other: str) -> float:
    """0..1."""
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


class Side:
    """A server with the index on or off, and what it answered."""

    def __init__(self, root: Path, on: bool) -> None:
        options = {
            "index": {"enabled": on, "vectors": False},
            # A short file around the cursor, so that a run takes minutes; the same for both.
            "completion": {
                "multiline": "never", "prefix_lines": 40, "suffix_lines": 8,
                "invoked_deadline_ms": 120_000,
            },
        }  # fmt: skip
        self.editor = Editor(root, options)
        self.editor.wait_ready()
        while on and self.editor.call("nearfield/status", {})["index"]["state"] != "ready":
            time.sleep(0.1)

    def line(self, case: Case) -> tuple[str, list[dict[str, Any]]]:
        """What follows the cursor on its line when the suggestion is taken, and what was shown to
        the model."""
        uri = (case.root / case.path).as_uri()
        typed = case.prefix.rpartition("\n")[2]
        self.editor.open(uri, f"{case.prefix}\n{case.suffix}")
        place = case.prefix.count("\n"), len(typed)
        items = self.editor.complete(uri, *place, invoked=True)
        included = self.editor.trace()[0]["included"]
        self.editor.close(uri)
        if not items:
            return "", included
        span = items[0].get("range")
        start = span["start"]["character"] if span else len(typed)
        whole: str = typed[:start] + items[0]["insertText"]
        return whole[len(typed) :].split("\n")[0].rstrip(), included


def compared(todo: Sequence[Case]) -> list[dict[str, Any]]:
    """Every case, completed with the index on and off; the cases of a root one after the other."""
    rows: list[dict[str, Any]] = []
    for root in dict.fromkeys(case.root for case in todo):
        sides = {"off": Side(root, on=False), "on": Side(root, on=True)}
        for case in (one for one in todo if one.root == root):
            row: dict[str, Any] = {"path": f"{root.name}/{case.path}", "truth": case.truth}
            for name, side in sides.items():
                said, included = side.line(case)
                row[name] = said
                row[f"{name}_included"] = included
            row["found"] = any(one["path"] == case.defining for one in row["on_included"])
            rows.append(row)
            print(json.dumps({k: row[k] for k in ("truth", "off", "on", "found")}), flush=True)
        for side in sides.values():
            side.editor.__exit__(None, None, None)
    return rows


def report(rows: Sequence[dict[str, Any]]) -> None:
    """The table."""
    print(f"{'':6}{'cases':>7}{'exact':>7}{'similar':>9}{'name':>7}")
    for side in ("off", "on"):
        exact = sum(row[side] == row["truth"].rstrip() for row in rows)
        like = sum(similarity(row[side], row["truth"].rstrip()) for row in rows) / len(rows)
        name = sum(_word(row[side]) == _word(row["truth"]) for row in rows)
        print(f"{side:6}{len(rows):7}{exact:7}{like:9.3f}{name:7}")
    print(f"defining file in the prompt: {sum(row['found'] for row in rows)}")


def _word(text: str) -> str:
    match = re.match(r"\w+", text)
    return match[0] if match else ""


def main() -> None:
    """Run one of the benches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("found", "answers", "cceval", "cceval-found"))
    parser.add_argument("--trees", nargs="*", type=Path, default=[])
    parser.add_argument("--cases", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nearfield-bench-") as base:
        if options.what.startswith("cceval"):
            todo = workspaces(options.cases, Path(base), options.trees)
        else:
            roots = copied(options.trees or installed(), Path(base))
            todo = [case for root in roots for case in cases(root, options.cases, options.seed)]
        if options.what.endswith("found"):
            told = [case for case in todo if case.defining]
            print(f"{len(told)} of {len(todo)} cases whose defining file is known")
            table = asyncio.run(found(told, options.verbose))
            for name, row in table.items():
                print(f"{name:20}", row)
            say_found(table)
            return
        rows = compared(todo)
    report(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
