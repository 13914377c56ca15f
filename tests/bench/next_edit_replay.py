"""Changes that people really made, done once more line by line: what is offered meanwhile, and what
they made of the places for which it was.

A file before and after is replayed from top to bottom, lines that were added and taken away too, so
that the document is what it was to its author at every step (which of several changes came first
nobody knows). After each step the next edit is asked for. It is

- right, where it is a step on the shortest way from the line to what the author made of it: words
  that it puts in or takes away are words that the author did. It is accepted, and asked on;
- not to be judged, where the author took the line away, so that nobody knows what he would have
  made of it. It is dismissed;
- wrong otherwise, and dismissed.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from next_edit_kept import Kept, changed_words
from next_edit_user import SUFFIXES, Case, Line, User, words

from nearfield.features.next_edit.edits import NextEdit
from nearfield.features.service import Service

__all__ = ["Replay", "Revised", "history", "versions"]

MAX_LINES = 40
"""Changed lines of a file in one commit; more is a formatter's."""
MAX_LINES_OF_VERSIONS = 200
"""The same between two versions, which have many commits between them."""
SIMILAR = 0.6
"""Of two lines: below it the one was not made of the other."""


@dataclass(frozen=True, slots=True)
class Revised:
    """A file before and after."""

    name: str
    language: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one line: `old` is its row before, None for one that is added; `new` is what
    it becomes, None for one that is taken away."""

    old: int | None
    new: str | None


def steps_of(before: Sequence[str], after: Sequence[str]) -> list[Step]:
    """What was done to each line of `before`, those that stay as they are too."""
    found: list[Step] = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            found += [Step(row, before[row]) for row in range(i1, i2)]
            continue
        at = j1
        for row in range(i1, i2):
            # Lines of one place are paired in their order, like with like.
            last = min(j1 + row - i1 + 1, j2) if i2 - i1 == j2 - j1 else j2
            pair = next((j for j in range(at, last) if is_rewritten(before[row], after[j])), None)
            if pair is None:
                found.append(Step(row, None))
                continue
            found += [Step(None, after[j]) for j in range(at, pair)]
            found.append(Step(row, after[pair]))
            at = pair + 1
        found += [Step(None, after[j]) for j in range(at, j2)]
    return found


def is_rewritten(old: str, new: str) -> bool:
    """Whether somebody would make `new` of `old`, rather than write it anew."""
    matcher = SequenceMatcher(None, old.strip(), new.strip(), autojunk=False)
    return bool(old.strip() and new.strip()) and matcher.ratio() >= SIMILAR


def is_on_the_way(now: str, offered: str, meant: str) -> bool:
    """Whether who makes `meant` of `now` comes past `offered`, in no more words than it takes."""
    if offered == now:
        return False
    return _distance(now, offered) + _distance(offered, meant) == _distance(now, meant)


def _distance(one: str, two: str) -> int:
    """Words to put in, take away or replace, white space aside."""
    first = [word for word in words(one) if word.strip()]
    second = [word for word in words(two) if word.strip()]
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        above, row = row, [i]
        for j, b in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


@dataclass(slots=True)
class Row:
    """A line of a document, and what becomes of it: None where it is taken away."""

    text: str
    meant: str | None


class Replay:
    """Somebody who does to a file once more what its author did (next_edit_replay.py)."""

    def __init__(
        self, service: Service, revised: Revised, number: int, kept: Kept | None = None
    ) -> None:
        self._service = service
        self._kept = kept or Kept()
        self._last: list[tuple[Counter[str], Counter[str]]] = []
        before = revised.before.removesuffix("\n").split("\n")
        after = revised.after.removesuffix("\n").split("\n")
        self._name = revised.name
        self._user = User(service, Case(revised.name, revised.language, before), number)
        self._rows = [Row("", None) for _ in before]
        self._steps = steps_of(before, after)
        for step in self._steps:
            if step.old is not None:
                self._rows[step.old] = Row(before[step.old], step.new)
        self._made = set(after) - set(before)
        self.found: list[dict[str, object]] = []
        self.asked = self.saved = self.changed = 0

    async def run(self) -> None:
        """Every step, with what is offered behind it."""
        at = 0
        for index, step in enumerate(self._steps):
            if step.old is None:
                if step.new is not None:
                    self._user.change(at, Line(None, step.new))
                    self._rows.insert(at, Row(step.new, step.new))
                    at += 1
            elif step.new is None:
                self._take_away(at)
            else:
                changes = self._user_changes(at, step.new)
                at += 1
                if not changes:
                    continue
            following = self._steps[index + 1] if index + 1 < len(self._steps) else None
            if following is None or (following.old is not None and following.new is not None):
                await self._ask(step.new or "")
        self._service.closed(self._user.snapshot.uri)

    def _user_changes(self, at: int, new: str) -> bool:
        """Whether the line had to be changed, and was not by an offer."""
        row = self._rows[at]
        if row.text != new:
            self.changed += 1
            self._last.append(changed_words(row.text, new))
            self._user.change(at, Line(row.text, new))
            row.text = new
            return True
        return False

    def _take_away(self, at: int) -> None:
        start = self._start(at)
        end = min(start + len(self._rows[at].text) + 1, len(self._user.snapshot.text))
        self._user.edit(start, end, "")
        del self._rows[at]

    def _start(self, at: int) -> int:
        return sum(len(row.text) + 1 for row in self._rows[:at])

    async def _ask(self, after: str) -> None:
        """Ask, and accept as long as what is offered is right."""
        self.asked += 1
        while True:
            offer = await self._user.offered()
            if offer is None:
                return
            made = self._user.line_after(offer)
            right = self._judge(offer, made)
            first, last = self._rows_of(offer)
            rows = self._rows[first : last + 1]
            now = "\n".join(row.text for row in rows)
            if "\n" not in offer.new:
                meant = [row.meant for row in rows if row.meant is not None]
                whole = "\n".join(meant) if len(meant) == len(rows) else None
                self._kept.add(now, made, whole)
                self._kept.reverse(now, made, self._last)
            self.found.append(
                {
                    "name": f"{self._name}:{first + 1}",
                    "by": offer.by,
                    "right": right,
                    "made": made,
                    "after": after,
                    "now": now,
                    "meant": [row.meant for row in rows],
                }
            )
            if not right or "\n" in made:
                self._service.next_edits.dismiss(offer.id)
                return
            self._accept(offer)

    def _judge(self, offer: NextEdit, made: str) -> bool | None:
        """Whether the author made it as well; None where nobody knows."""
        if "\n" in offer.new:
            return all(line in self._made for line in offer.new.split("\n") if line.strip())
        first, last = self._rows_of(offer)
        rows = self._rows[first : last + 1]
        meant = [row.meant for row in rows if row.meant is not None]
        if len(meant) < len(rows):
            return None
        now = "\n".join(row.text for row in rows)
        return is_on_the_way(now, made, "\n".join(meant))

    def _accept(self, offer: NextEdit) -> None:
        first, _ = self._rows_of(offer)
        row = self._rows[first]
        made = self._user.line_after(offer)
        self._last.append(changed_words(row.text, made))
        row.text = made
        self._user.edit(offer.span.start, offer.span.end, offer.new)
        self.saved += row.text == row.meant

    def _rows_of(self, offer: NextEdit) -> tuple[int, int]:
        text = self._user.snapshot.text
        first = text.count("\n", 0, offer.span.start)
        return first, first + text.count("\n", offer.span.start, offer.span.end)


def history(repository: Path, commits: int) -> Iterator[Revised]:
    """Each file of the last commits in which several lines were rewritten."""

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
            found = Revised(f"{commit[:8]} {name}", language, before, after)
            if _is_worth(found, MAX_LINES):
                yield found


def versions(old: Path, new: Path) -> Iterator[Revised]:
    """Each file of two folders in which several lines were rewritten."""
    for path in sorted(new.rglob("*")):
        name = path.relative_to(new)
        language = SUFFIXES.get(path.suffix)
        if language is None or name.name.endswith((".d.ts", ".min.js")):
            continue
        if path.is_file() and (old / name).is_file():
            before, after = ((one / name).read_text("utf-8", "replace") for one in (old, new))
            found = Revised(f"{new.name} {name}", language, before, after)
            if before != after and _is_worth(found, MAX_LINES_OF_VERSIONS):
                yield found


def _is_worth(found: Revised, most: int) -> bool:
    """Whether lines were rewritten, and not all of them."""
    before = found.before.split("\n")
    steps = steps_of(before, found.after.split("\n"))
    rewritten = sum(
        step.old is not None and step.new is not None and before[step.old] != step.new
        for step in steps
    )
    return 2 <= rewritten <= most
