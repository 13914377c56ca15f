"""Next edits on cases written for it, and on what people really changed: how often one is offered,
and how often it is right.

    python tests/bench/next_edit.py [--model] [--show] [--json]
    python tests/bench/next_edit.py --history REPOSITORY [--commits N] [--show] [--json]

A case of `next_edit_cases/` is a document as lines: those that the user changes (`-` before, `+`
after), and those that have to follow (`?` before, `!` after); a `+` or `!` alone is a new line. The
user's changes are made from top to bottom, then the next edit is asked for; the first one is right
when it makes a wanted line. Those named "none" want nothing; those named "held out" were written
after the thresholds were chosen. `--model` lets the default model answer where nothing is certain.

`--history` takes the commits of a repository: the lines that a commit changed in a Python,
TypeScript, JavaScript or Go file are changed one after the other from top to bottom, and from the
second on the next edit is asked for; an offer is right when the commit makes the very same line,
and one that is not is dismissed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

import msgspec

from nearfield.config.load import load
from nearfield.config.schema import Cache, Config, Index
from nearfield.features.next_edit.edits import NextEdit
from nearfield.features.service import Service
from nearfield.features.status import State
from nearfield.types import Edit, Snapshot, Span

CASES = Path(__file__).parent / "next_edit_cases"
SUFFIXES = {".py": "python", ".ts": "typescript", ".tsx": "typescriptreact", ".js": "javascript",
            ".go": "go"}  # fmt: skip
MOST_LINES = 40
"""Changed lines of a file in one commit; more is a formatter's."""
SIMILAR = 0.6
"""Of two lines: below it the one was not made of the other."""
MODEL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line that changes: `old` None for a new one."""

    old: str | None
    new: str


@dataclass(slots=True)
class Case:
    """A document, and what the user does to its lines, in rows of the document before."""

    name: str
    language: str
    lines: list[str] = field(default_factory=list[str])
    done: list[tuple[int, Line]] = field(default_factory=list[tuple[int, Line]])
    wanted: list[Line] = field(default_factory=list[Line])


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


class User:
    """Somebody at one document."""

    def __init__(self, service: Service, case: Case, number: int) -> None:
        self._service = service
        suffix = next(end for end, language in SUFFIXES.items() if language == case.language)
        path = f"/bench/{number}{suffix}"
        text = "\n".join(case.lines) + "\n"
        self.snapshot = Snapshot(f"file://{path}", case.language, 1, text, path, "/bench")
        self.offset = 0
        service.opened(self.snapshot)

    def edit(self, start: int, end: int, new: str) -> None:
        """Replace a piece of the text."""
        before = self.snapshot
        text = before.text[:start] + new + before.text[end:]
        self.snapshot = Snapshot(
            before.uri, before.language, (before.version or 0) + 1, text, before.path, before.root
        )
        self.offset = start + len(new)
        self._service.changed(self.snapshot, [Edit(Span(start, end), new)])

    def change(self, row: int, line: Line) -> None:
        """Do to a row what `line` says, word by word."""
        starts = [0]
        for one in self.snapshot.text.split("\n"):
            starts.append(starts[-1] + len(one) + 1)
        at = starts[row]
        if line.old is None:
            indent = line.new[: len(line.new) - len(line.new.lstrip())]
            self.edit(at - 1, at - 1, "\n" + indent)
            self.edit(self.offset, self.offset, line.new.lstrip())
            return
        old, new = words(line.old), words(line.new)
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            piece = "".join(new[j1:j2])
            if tag == "equal":
                at += len(piece)
                continue
            self.edit(at, at + sum(map(len, old[i1:i2])), piece)
            at += len(piece)

    async def offered(self, wait: bool) -> NextEdit | None:
        """What is offered first."""
        edits = self._service.next_edits
        await asyncio.sleep(edits.settle_seconds(self.snapshot, self.offset))
        seconds = MODEL_SECONDS if wait else 0.0
        found = await edits.offered(self.snapshot, self.offset, seconds)
        return found[0] if found else None

    def line_after(self, offer: NextEdit) -> str:
        """The lines that `offer` makes."""
        text = self.snapshot.text
        start = text.rfind("\n", 0, offer.span.start) + 1
        end = text.find("\n", offer.span.end)
        return text[start : offer.span.start] + offer.new + text[offer.span.end : end]


def words(line: str) -> list[str]:
    """What a user replaces at once."""
    return re.findall(r"\w+|\s+|[^\w\s]", line)


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
    for way in ("tree", "series", "model"):
        count.right += sum(row["by"] == way and row["right"] is True for row in rows)
        count.wrong += sum(row["by"] == way and row["right"] is False for row in rows)
        found[f"up to {way}"] = count.row(wanted)
    return found


async def on_cases(service: Service, model: bool) -> tuple[list[dict[str, object]], int]:
    """A row a case, and how many of them want something."""
    rows: list[dict[str, object]] = []
    wanted = 0
    for number, case in enumerate(cases()):
        user = User(service, case, number)
        for row, line in shifted(case.done):
            user.change(row, line)
        offer = await user.offered(model)
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


def history(repository: Path, commits: int) -> Iterator[Case]:
    """A case for each file in which a commit changed several lines for as many others."""

    def git(*arguments: str) -> str:
        ran = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, check=True
        )
        return ran.stdout.decode("utf-8", "replace")

    log = git(
        "log", "--no-merges", "--diff-filter=M", "--name-only", "--format=%x00%H", f"-{commits}"
    )
    for part in log.split("\0")[1:]:
        commit, *names = part.split()
        for name in names:
            language = SUFFIXES.get(Path(name).suffix)
            if language is None:
                continue
            before, after = git("show", f"{commit}~1:{name}"), git("show", f"{commit}:{name}")
            case = _committed(f"{commit[:8]} {name}", language, before, after)
            if case is not None:
                yield case


def _committed(name: str, language: str, before: str, after: str) -> Case | None:
    old, new = before.split("\n"), after.split("\n")
    case = Case(name, language, old)
    made = set(new) - set(old)
    case.wanted = [Line(None, line) for line in new if line in made]
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "replace" and i2 - i1 == j2 - j1:
            pairs = zip(range(i1, i2), old[i1:i2], new[j1:j2], strict=True)
            case.done += [(row, Line(a, b)) for row, a, b in pairs if is_rewritten(a, b)]
    return case if 2 <= len(case.done) <= MOST_LINES else None


def is_rewritten(old: str, new: str) -> bool:
    """Whether somebody would make `new` of `old`, rather than write it anew."""
    matcher = SequenceMatcher(None, old.strip(), new.strip(), autojunk=False)
    return bool(old.strip() and new.strip()) and matcher.ratio() >= SIMILAR


async def on_history(
    service: Service, found: Iterator[Case], model: bool
) -> tuple[list[dict[str, object]], int]:
    """A row for each change but the first ones, and how many of these had others behind them."""
    rows: list[dict[str, object]] = []
    wanted = 0
    for number, case in enumerate(found):
        user = User(service, case, number)
        for at, (row, line) in enumerate(case.done):
            user.change(row, line)
            if not at:
                continue
            left = [line.new.strip() for _, line in case.done[at + 1 :]]
            lines = {line.new.strip() for line in case.wanted}
            offer = await user.offered(model)
            made = user.line_after(offer) if offer is not None else ""
            right = made.strip() in lines
            wanted += bool(left)
            if offer is not None and not right:
                service.next_edits.dismiss(offer.id)
            rows.append(
                {
                    "name": case.name,
                    "by": offer.by if offer is not None else "",
                    "right": right if offer is not None else None,
                    "made": made,
                    "after": line.new,
                }
            )
        service.closed(user.snapshot.uri)
    return rows, wanted


async def measure(options: argparse.Namespace) -> tuple[list[dict[str, object]], int]:
    """The rows of what was asked for."""
    config: Config = msgspec.structs.replace(
        load(None).config, cache=Cache(enabled=False), index=Index(enabled=False)
    )
    completion = msgspec.structs.replace(config.completion, next_edit_model=options.model)
    config = msgspec.structs.replace(config, completion=completion)
    service = Service(config, None if options.model else {})
    await service.start()
    try:
        while options.model and service.status.state is not State.READY:
            if service.status.state is State.UNAVAILABLE:
                raise SystemExit(service.status.detail)
            await asyncio.sleep(0.05)
        if options.history:
            found = history(Path(options.history), options.commits)
            return await on_history(service, found, options.model)
        return await on_cases(service, options.model)
    finally:
        await service.aclose()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="store_true")
    parser.add_argument("--history", default="")
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--show", action="store_true", help="each case and what was offered")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows, wanted = asyncio.run(measure(options))
    if options.show:
        for row in rows:
            verdict = "-" if row["right"] is None else "right" if row["right"] else "WRONG"
            print(f"{verdict:6}{row['by']:7}{row['name']}: {row['made']!r}")
        print("by way:", Counter((row["by"], row["right"]) for row in rows))
    sums = summed(rows, wanted)
    print(json.dumps(sums) if options.json else "\n".join(f"{k}: {v}" for k, v in sums.items()))


if __name__ == "__main__":
    main()
