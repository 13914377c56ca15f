"""Decode speed through the whole server as a share of a bare `llama_decode` loop.

    python tests/bench/decode.py [--rounds N] [--json]

Both generate from the same documents, in turns, so that other load on the machine hits both. The
server's figure is generated tokens over its whole decode time, sampling, streaming and scheduling
included; the bare loop's is over its loop.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from bare import BareModel
from editor import Editor

from nearfield.catalog.models import Catalog
from nearfield.engine.client import physical_cores

DOCUMENT = '''"""A table of the planets, and what one can ask of it."""

PLANETS = [
    ("Mercury", 0.39, 88),
    ("Venus", 0.72, 225),
]


def describe_round{round}(name: str) -> str:
    """A long paragraph about the planet, its moons, its weather and its history."""
'''


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalog = Catalog.load()
    path = catalog.local_path(catalog.default)
    if path is None:
        raise SystemExit(f"needs the model {catalog.default}")
    bare = BareModel(path, physical_cores())
    settings = {"completion": {"multiline": "always", "max_tokens": 96, "max_lines": 40}}
    ratios: list[float] = []
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Editor(Path(folder), settings) as editor:
        editor.wait_ready()
        for i in range(options.rounds):
            text = DOCUMENT.replace("{round}", str(i))
            uri = (Path(folder) / f"round{i}.py").as_uri()
            editor.open(uri, text)
            editor.complete(uri, text.count("\n"), 0, invoked=True)
            trace = editor.trace()[0]
            tokens = trace["generated_tokens"]
            if not tokens or tokens < 8:
                continue
            ours = tokens * 1000 / trace["decode_ms"]
            raw = bare.generate(bare.tokens(text), tokens)
            theirs = raw.tokens * 1000 / raw.decode_ms
            rates.append(ours)
            ratios.append(ours / theirs)
    if not ratios:
        raise SystemExit("the server generated too little to measure")
    result = {
        "rounds": len(ratios),
        "share_of_bare": round(statistics.median(ratios), 3),
        "tokens_per_second": round(statistics.median(rates), 1),
    }
    print(json.dumps(result) if options.json else result)


if __name__ == "__main__":
    main()
