"""Exact match on `fim_single_line`: the real server against the raw model, case by case.

    python tests/bench/exact_match.py [--cases N] [--json]

The document is what an editor holds: everything before the line, the line's typed part, a line
break, everything after. The cursor stands at the line's start or a third into it. Both sides get
the same model file; a match is the true line, white space at its end aside.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from pathlib import Path

from bare import BareModel
from editor import Editor
from forms import cut

from nearfield.catalog.models import Catalog
from nearfield.engine.client import physical_cores

DATA = Path(__file__).parents[3] / "shared" / "bench" / "fim_single_line.jsonl.gz"


def served(editor: Editor, uri: str, above: str, typed: str, below: str) -> str:
    """The cursor's line after the server's suggestion is accepted; "" when it shows nothing."""
    text = above + typed + "\n" + below
    editor.open(uri, text)
    items = editor.complete(uri, above.count("\n"), len(typed), invoked=True)
    editor.close(uri)
    if not items:
        return ""
    span = items[0].get("range")
    start = span["start"]["character"] if span else len(typed)
    middle = typed[:start] + items[0]["insertText"]
    return next((line for line in middle.split("\n") if line.strip()), "")


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalog = Catalog.load()
    path = catalog.local_path(catalog.default)
    if path is None or not DATA.exists():
        raise SystemExit(f"needs the model {catalog.default} and {DATA.name}")
    with gzip.open(DATA, "rt") as lines:
        cases = [json.loads(line) for line in lines][: options.cases]
    bare = BareModel(path, physical_cores())
    table: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder, Editor(Path(folder)) as editor:
        editor.wait_ready()
        for place in ("start", "third"):
            row = {"cases": 0, "nearfield": 0, "raw": 0, "only_nearfield": 0, "only_raw": 0}
            for i, case in enumerate(cases):
                line = case["truth"].rstrip("\n")
                typed = line[: cut(line, place)]
                uri = (Path(folder) / f"{place}{i}.py").as_uri()
                ours = served(editor, uri, case["prefix"], typed, case["suffix"]).rstrip()
                raw = bare.fim(
                    case["prefix"] + typed, "\n" + case["suffix"], started=bool(typed.strip())
                )
                theirs = (typed + raw.text).rstrip()
                hit, raw_hit = ours == line.rstrip(), theirs == line.rstrip()
                row["cases"] += 1
                row["nearfield"] += hit
                row["raw"] += raw_hit
                row["only_nearfield"] += hit and not raw_hit
                row["only_raw"] += raw_hit and not hit
            table[place] = row
    if options.json:
        print(json.dumps(table))
        return
    print(f"{'cursor':8}{'cases':>7}{'nearfield':>11}{'raw':>6}{'only ours':>11}{'only raw':>10}")
    for place, row in table.items():
        print(
            f"{place:8}{row['cases']:7}{row['nearfield']:11}{row['raw']:6}"
            f"{row['only_nearfield']:11}{row['only_raw']:10}"
        )


if __name__ == "__main__":
    main()
