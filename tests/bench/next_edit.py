"""Next edits on cases written for it, and on what people really changed: how often one is offered,
and how often it is right.

    python tests/bench/next_edit.py [--show] [--json]
    python tests/bench/next_edit.py --history REPOSITORY [--commits N] [--show] [--json]
    python tests/bench/next_edit.py --versions OLD NEW [--show] [--json]

A case of `next_edit_cases/` is a document as lines: those that the user changes (`-` before, `+`
after), and those that have to follow (`?` before, `!` after); a `+` or `!` alone is a new line. The
user's changes are made from top to bottom, then the next edit is asked for; the first one is right
when it makes a wanted line. Those named "none" want nothing; those named "held out" were written
after the thresholds were chosen.

`--history` takes the Python, TypeScript, JavaScript, Go and Rust files of a repository's commits,
`--versions` those of two folders: each is changed once more as its author did, line by line, and
the next edit is asked for meanwhile (next_edit_replay.py says what counts as right,
next_edit_kept.py what the kept rate and the reversal ratio are).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from next_edit_kept import Kept
from next_edit_replay import Replay, Revised, history, versions
from next_edit_user import Case, Line, User

from nearfield.config.load import load
from nearfield.config.schema import Cache, Config, Index
from nearfield.features.next_edit import edits as next_edits
from nearfield.features.service import Service

CASES = Path(__file__).parent / "next_edit_cases"


def cases() -> Iterator[Case]:
    """All of `CASES`."""
    for path in sorted(CASES.glob("*.txt")):
        for part in path.read_text(encoding="utf-8").split("## ")[1:]:
            name, *rows = part.splitlines()
            language = "typescriptreact" if "(tsx)" in name else path.stem
            yield _case(f"{path.stem} {name}", language, rows)


def _case(name: str, language: str, rows: list[str]) -> Case:
    case = Case(name, language)
    before = ""
    for row in rows:
        mark, line = row[:1], row[1:]
        last = case.lines[-1] if case.lines else None
        if mark == "+":
            if before == "-" and last is not None:
                case.done.append((len(case.lines) - 1, Line(last, line)))
            else:
                case.done.append((len(case.lines), Line(None, line)))
        elif mark == "!":
            case.wanted.append(Line(last if before == "?" else None, line))
        else:
            case.lines.append(line)
        before = mark
    return case


@dataclass(slots=True)
class Count:
    """How one way of finding next edits did."""

    right: int = 0
    wrong: int = 0

    def row(self, wanted: int) -> dict[str, float | int]:
        """The figures, of so many that could be found."""
        offered = self.right + self.wrong
        return {
            "offered": offered,
            "right": self.right,
            "precision": round(self.right / offered, 3) if offered else 1.0,
            "recall": round(self.right / wanted, 3) if wanted else 0.0,
        }


def summed(rows: list[dict[str, object]], wanted: int) -> dict[str, object]:
    """Each way with those that go before it."""
    found: dict[str, object] = {"asked": len(rows), "wanted": wanted}
    count = Count()
    for way in ("tree", "series"):
        count.right += sum(row["by"] == way and row["right"] is True for row in rows)
        count.wrong += sum(row["by"] == way and row["right"] is False for row in rows)
        found[f"up to {way}"] = count.row(wanted)
    return found


async def on_cases(service: Service) -> tuple[list[dict[str, object]], int]:
    """A row a case, and how many of them want something."""
    rows: list[dict[str, object]] = []
    wanted = 0
    for number, case in enumerate(cases()):
        user = User(service, case, number)
        for row, line in shifted(case.done):
            user.change(row, line)
        offer = await user.offered()
        made = user.line_after(offer) if offer is not None else ""
        right = any(
            made.strip() == line.new.strip()
            if line.old is not None
            else made.endswith("\n" + line.new)
            for line in case.wanted
        )
        wanted += bool(case.wanted)
        rows.append(
            {
                "name": case.name,
                "by": offer.by if offer is not None else "",
                "right": right if offer is not None else None,
                "made": made,
            }
        )
        service.closed(user.snapshot.uri)
    return rows, wanted


def shifted(done: list[tuple[int, Line]]) -> Iterator[tuple[int, Line]]:
    """The changes with the rows that they have when those before them were made."""
    more = 0
    for row, line in done:
        yield row + more, line
        more += line.old is None


# --- what people really changed ---------------------------------------------------------------


async def on_revised(
    service: Service, found: Iterator[Revised]
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """A row for each offer, and the number of questions, of changed lines and of those among them
    that accepted offers have made; with the kept rate and the reversal ratio of all offers."""
    kept = Kept()
    rows: list[dict[str, object]] = []
    sums: Counter[str] = Counter()
    for number, revised in enumerate(found):
        replay = Replay(service, revised, number, kept)
        await replay.run()
        rows += replay.found
        sums.update(files=1, asked=replay.asked, saved=replay.saved)
        sums.update(changed=replay.changed + replay.saved)
    return rows, {**sums, **kept.row()}


def summed_revised(rows: list[dict[str, object]], sums: dict[str, object]) -> dict[str, object]:
    """How each way did where it was asked."""
    found: dict[str, object] = dict(sums)
    for way in ("tree", "series"):
        mine = Counter(row["right"] for row in rows if row["by"] == way)
        judged = mine[True] + mine[False]
        found[way] = {
            "right": mine[True],
            "wrong": mine[False],
            "not judged": mine[None],
            "precision": round(mine[True] / judged, 3) if judged else 1.0,
        }
    return found


async def measure(
    options: argparse.Namespace,
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """The rows and the sums of what was asked for."""
    config: Config = msgspec.structs.replace(
        load(None).config, cache=Cache(enabled=False), index=Index(enabled=False)
    )
    service = Service(config, {})
    await service.start()
    try:
        if options.history or options.versions:
            found = (
                versions(*map(Path, options.versions))
                if options.versions
                else history(Path(options.history), options.commits)
            )
            rows, sums = await on_revised(service, found)
            return rows, summed_revised(rows, sums)
        rows, wanted = await on_cases(service)
        return rows, summed(rows, wanted)
    finally:
        await service.aclose()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", default="", metavar="REPOSITORY")
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--versions", nargs=2, metavar=("OLD", "NEW"))
    parser.add_argument("--show", action="store_true", help="each case and what was offered")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    next_edits.REST_SECONDS = 0.0  # nobody types on, so that a rest changes no answer
    rows, sums = asyncio.run(measure(options))
    if options.show:
        for row in rows:
            verdict = "-" if row["right"] is None else "right" if row["right"] else "WRONG"
            print(f"{verdict:6}{row['by']:7}{row['name']}: {row['made']!r}")
            for key in ("after", "now", "meant"):
                if key in row:
                    print(f"      {key:6} {row[key]!r}")
        print("by way:", Counter((row["by"], row["right"]) for row in rows))
    print(json.dumps(sums) if options.json else "\n".join(f"{k}: {v}" for k, v in sums.items()))


if __name__ == "__main__":
    main()
