"""Exact match against llama.cpp's own server, case by case, on four sets.

    python tests/bench/exact_match_peer.py [--cases N] [--set NAME]... [--answers FILE] [--json]

Both sides get the same document, cursor and model file. The peer is asked as llama.vim asks: 256
lines above, 64 below, the cursor's line as `prompt`, the most probable token; but it may take as
long as it likes, as here nobody is late. Nearfield is asked
through the real server, once as by somebody who types ("typing": a first answer at a cold cursor)
and once as by somebody who waits ("asked"). A case is right when the answer's beginning, as many
lines as the true text has, is the true text, white space at the lines' ends aside; what it repeats
of the rest of the cursor's line is forgiven.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from editor import Editor

from nearfield.catalog.models import Catalog
from nearfield.engine.client import physical_cores

DATA = Path(__file__).parents[3] / "shared" / "bench"
SETS = ("fim_single_line", "fim_random_span", "fim_api", "fim_cross_file")
SUFFIXES = {"python": ".py", "cpp": ".cpp", "java": ".java", "csharp": ".cs"}
ABOVE, BELOW = 256, 64
COLUMNS: tuple[str, ...] = ("cases", "typing", "asked", "peer", "only_asked", "only_peer")
QUIET = {**os.environ, "GOMP_SPINCOUNT": "1000"}
"""Its threads sleep between batches, as ours do: beside other work it takes minutes otherwise."""
SETTINGS = {
    # Whether an answer is right is asked here, not whether it comes in time or is worth showing.
    "completion": {
        "deadline_ms": 60_000,
        "invoked_deadline_ms": 60_000,
        "min_confidence": -100.0,
        "min_token_confidence": -100.0,
    },
    "index": {"enabled": False},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A hole between `before` and `after`, which `truth` fills."""

    before: str
    after: str
    truth: str
    language: str

    def right(self, answer: str) -> bool:
        """Whether the answer begins with the true text; it may go on with what stands behind the
        cursor already, as the peer's do."""
        wanted = [line.rstrip() for line in self.truth.rstrip().split("\n")]
        found = [line.rstrip() for line in answer.split("\n")][: len(wanted)]
        rest = self.after.partition("\n")[0].rstrip()
        return found == wanted or found == [*wanted[:-1], wanted[-1] + rest]


def cases(name: str, most: int) -> Iterator[Case]:
    """The cases of a set; a whole line's line break stays in the document."""
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line, _ in zip(lines, range(most), strict=False):
            row = json.loads(line)
            after = "\n" + row["suffix"] if row["truth"].endswith("\n") else row["suffix"]
            yield Case(row["prefix"], after, row["truth"].rstrip("\n"), row.get("lang", "python"))


def ours(editor: Editor, uri: str, case: Case, *, invoked: bool) -> str:
    """Nearfield's answer; "" where it shows nothing."""
    column = len(case.before.rpartition("\n")[2])
    editor.open(uri, case.before + case.after, case.language)
    items = editor.complete(uri, case.before.count("\n"), column, invoked=invoked)
    editor.close(uri)
    if not items:
        return ""
    start = items[0]["range"]["start"]["character"]
    return items[0]["insertText"][max(0, column - start) :]


def theirs(client: httpx.Client, case: Case) -> str:
    """The peer's answer."""
    head, line_break, typed = case.before.rpartition("\n")
    above = (head + line_break).splitlines(keepends=True)[-ABOVE:]
    rest, line_break, below = case.after.partition("\n")
    lines = below.splitlines(keepends=True)[:BELOW]
    answer = client.post(
        "/infill",
        json={
            "input_prefix": "".join(above),
            "input_suffix": rest + line_break + "".join(lines),
            "prompt": typed,
            "n_predict": 128,
            "samplers": ["top_k", "infill"],
            "top_k": 1,
            "cache_prompt": True,
        },
    )
    return answer.raise_for_status().json()["content"]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100, help="of each set at most")
    parser.add_argument("--set", action="append", choices=SETS, dest="sets")
    parser.add_argument("--answers", type=Path, help="a file to add to: what each of them said")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalog = Catalog.load()
    path = catalog.local_path(catalog.default)
    if path is None or not DATA.exists():
        raise SystemExit(f"needs the model {catalog.default} and {DATA.name}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = Path(__file__).parent / "replay" / "serve_peer.py"
    command = [sys.executable, serve, path, str(physical_cores()), str(port), "1024"]
    table: dict[str, dict[str, int]] = {}
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600)
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, env=QUIET) as peer,
        tempfile.TemporaryDirectory() as folder,
        Editor(Path(folder), SETTINGS) as editor,
    ):
        editor.wait_ready()
        _wait(client)
        for name in options.sets or SETS:
            row = dict.fromkeys(COLUMNS, 0)
            for i, case in enumerate(cases(name, options.cases)):
                uris = [
                    (Path(folder) / f"{name}{i}{kind}{SUFFIXES[case.language]}").as_uri()
                    for kind in "ab"
                ]
                said = {
                    "typing": ours(editor, uris[0], case, invoked=False),
                    "asked": ours(editor, uris[1], case, invoked=True),
                    "peer": theirs(client, case),
                }
                right = {who: case.right(answer) for who, answer in said.items()}
                if options.answers:
                    with options.answers.open("a", encoding="utf-8") as file:
                        json.dump({"set": name, "case": i, "truth": case.truth, **said}, file)
                        file.write("\n")
                for who, yes in right.items():
                    row[who] += yes
                row["only_asked"] += right["asked"] and not right["peer"]
                row["only_peer"] += right["peer"] and not right["asked"]
                row["cases"] += 1
            table[name] = row
            if not options.json:
                print(f"{name:18}" + "".join(f"{k}: {v:<5}" for k, v in row.items()), flush=True)
        if peer.stdin is not None:
            peer.stdin.close()
    if options.json:
        print(json.dumps(table))


def _wait(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("the peer does not start")


if __name__ == "__main__":
    main()
