"""Where the text above the cursor goes in a fill-in-the-middle prompt, and what answers come of it.

    python tests/bench/forms.py [--cases N] [--json]

`fim_single_line`, the cursor at the line's start or a third into it. "classic" is prefix, suffix,
middle. The others write the end of the prefix behind the middle token: what is typed on the
cursor's line, and so many lines above it. All are healed. A match is the true line.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

from nearfield.catalog.models import Catalog
from nearfield.catalog.templates import fim_template
from nearfield.config.schema import Engine as EngineSettings
from nearfield.engine.client import EngineClient
from nearfield.engine.frames import Variant
from nearfield.providers import fim
from nearfield.providers.embedded import Embedded
from nearfield.types import FimTemplate, InfillRequest

DATA = Path(__file__).parents[3] / "shared" / "bench" / "fim_single_line.jsonl.gz"
CLASSIC = -1
LEADS: tuple[int, ...] = (CLASSIC, 0, 1, 2, 4)


class Fixed(Embedded):
    """Takes the form it is asked for, whatever time affords."""

    def _variants(
        self, request: InfillRequest, template: FimTemplate | None
    ) -> list[tuple[int | None, Variant]]:
        form = fim.render(template, request, last=request.written)
        pieces = [(segment.text, segment.special) for segment in form]
        return [(None, Variant(pieces, fim.heal_index(template, request, form)))]


def cut(line: str, place: str) -> int:
    """The cursor's column in `line`."""
    indent = len(line) - len(line.lstrip())
    return 0 if place == "start" else indent + (len(line) - indent) // 3


def request(case: dict[str, Any], typed: str, lead: int) -> InfillRequest:
    """The question of a case; `lead` lines above the cursor's go behind the middle token."""
    above = case["prefix"].splitlines(keepends=True)
    written = "" if lead == CLASSIC else "".join(above[max(0, len(above) - lead) :]) * (lead > 0)
    return InfillRequest(
        document="forms",
        path="a.py",
        language="python",
        prefix=case["prefix"] + typed,
        suffix="\n" + case["suffix"],
        typed=typed,
        written="" if lead == CLASSIC else written + typed,
        single_line=True,
        max_tokens=48,
    )


async def first_line(provider: Fixed, asked: InfillRequest) -> str:
    """The cursor's line with the answer in it."""
    text = asked.typed
    async for delta in provider.infill(asked):
        text += delta.text
    return next((line for line in text.split("\n") if line.strip()), "").rstrip()


async def measure(cases: list[dict[str, Any]]) -> dict[str, dict[int, int]]:
    """Matches by the cursor's place and the form."""
    catalog = Catalog.load()
    path, entry = catalog.local_path(catalog.default), catalog.get(catalog.default)
    if path is None:
        raise SystemExit(f"needs the model {catalog.default}")
    engine = EngineClient(EngineSettings())
    provider = Fixed(engine, model=entry.name, path=path, template=fim_template(entry.fim))
    table = {place: dict.fromkeys(LEADS, 0) for place in ("start", "third")}
    try:
        for case in cases:
            line = case["truth"].rstrip("\n")
            for place, row in table.items():
                typed = line[: cut(line, place)]
                for lead in LEADS:
                    answer = await first_line(provider, request(case, typed, lead))
                    row[lead] += answer == line.rstrip()
    finally:
        await provider.aclose()
    return table


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"needs {DATA.name}")
    with gzip.open(DATA, "rt") as lines:
        cases = [json.loads(line) for line in lines][: options.cases]
    table = asyncio.run(measure(cases))
    if options.json:
        print(json.dumps(table))
        return
    print(f"exact match of {len(cases)}")
    print(f"{'cursor':8}{'classic':>9}" + "".join(f"{f'{n} above':>9}" for n in LEADS[1:]))
    for place, row in table.items():
        print(f"{place:8}" + "".join(f"{hits:9}" for hits in row.values()))


if __name__ == "__main__":
    main()
