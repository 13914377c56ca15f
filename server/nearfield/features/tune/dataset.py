"""Training cases and held-out holes of a repository's history.

The newest commits are held out: what the model is judged by was written after everything that it
was trained on. No case and no hole holds what looks like a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from nearfield.errors import ConfigError
from nearfield.features.holes import CodeHole, digest
from nearfield.features.own_holes import holes_in, is_fit
from nearfield.features.tune.history import History, WrittenFile
from nearfield.routing.guard import has_secrets
from nearfield.types import InfillRequest

ABOVE_CHARS, BELOW_CHARS = 900, 400
"""Text around a case. Half of what holes have: twice as many cases in a minute, as a processor
spends its time on the text around."""
MIDDLE_LINES = 12
MIDDLE_CHARS = 480
CASES_PER_FILE = 4
"""Of one change of a file, so that one large commit is not most of the cases."""
HELD_OUT_SHARE = 0.2
MAX_CASES = 2_000
MIN_CASES = 40
MIN_HOLES = 20
"""With fewer holes a difference of seven is needed before it is more than chance."""


One = TypeVar("One", "TuneCase", CodeHole)


@dataclass(frozen=True, slots=True)
class TuneCase:
    """A place where code was written: `middle` between two texts. `prefix` ends with the beginning
    of the middle's first line."""

    path: str
    language: str
    prefix: str
    middle: str
    suffix: str

    @property
    def key(self) -> str:
        """A digest of what was written where."""
        return digest(f"{self.path}\0{self.prefix[-200:]}\0{self.middle}")

    def request(self, number: int) -> InfillRequest:
        """Return the request that would be answered by the middle. Every second one is made by
        hand: both forms of a prompt are trained."""
        return InfillRequest(
            document=f"case {self.key}",
            path=self.path,
            language=self.language,
            prefix=self.prefix,
            suffix=self.suffix,
            typed=self.prefix.rpartition("\n")[2],
            patient=bool(number % 2),
        )


@dataclass(slots=True)
class TuneData:
    """Cases, the newest first, and the holes that are held out. `secret` counts what was left out
    because it may hold a secret."""

    cases: list[TuneCase] = field(default_factory=list[TuneCase])
    holes: list[CodeHole] = field(default_factory=list[CodeHole])
    commits: int = 0
    held_out_commits: int = 0
    secret: int = 0


def gather(history: History, holes: int, seed: int) -> TuneData:
    """Return the data of a history, with at most `holes` holes, which are at most a fifth of all.

    Raises `ConfigError` where there is too little, and `GitFailed`.
    """
    data = TuneData()
    commits = list(_enough(history, holes))
    data.commits = len(commits)
    cut = _held_out(commits, holes, seed)
    for number, files in enumerate(commits):
        if number < cut:
            data.holes += [h for one in files for h in _holes(one, seed) if _is_clean(h, data)]
        else:
            data.cases += [c for one in files for c in _cases(one, seed) if _is_clean(c, data)]
    data.held_out_commits = cut
    data.holes = _once(data.holes)[:holes]
    data.cases = _once(data.cases)[:MAX_CASES]
    if len(data.cases) < MIN_CASES or len(data.holes) < MIN_HOLES:
        raise ConfigError(
            f"The history here has too little code that models may see: {len(data.cases)} places"
            f" to learn from and {len(data.holes)} to judge by, of {MIN_CASES} and {MIN_HOLES}.",
            "Tune in a repository with a longer history.",
        )
    return data


def _enough(history: History, holes: int) -> Iterator[list[WrittenFile]]:
    """Yield commits until they have all the cases that are used."""
    files = 0
    for commit in history.commits():
        yield commit
        files += len(commit)
        if files >= MAX_CASES // 2 + holes:
            return


def _held_out(commits: Sequence[Sequence[WrittenFile]], holes: int, seed: int) -> int:
    """Return the number of the newest commits that are held out."""
    counts = [sum(len(list(_holes(one, seed))) for one in files) for files in commits]
    most = min(holes, int(sum(counts) * HELD_OUT_SHARE))
    found = 0
    for number, count in enumerate(counts):
        if found >= most:
            return number
        found += count
    return len(counts)


def _holes(written: WrittenFile, seed: int) -> Iterator[CodeHole]:
    rows = {row for block in written.blocks for row in block}
    yield from holes_in(written.path, written.language, written.text, seed, rows)


def _cases(written: WrittenFile, seed: int) -> Iterator[TuneCase]:
    lines = written.text.split("\n")
    spans = [piece for block in written.blocks for piece in _pieces(block, lines)]
    spans = [span for span in spans if is_fit(lines[span.start].strip(), written.language)]
    spans.sort(key=lambda span: digest(f"{seed}\0{written.path}\0{lines[span.start]}"))
    for span in spans[:CASES_PER_FILE]:
        first = lines[span.start].rstrip()
        indent = len(first) - len(first.lstrip())
        # Every second one begins a third into its line.
        begun = int(digest(f"{written.path}\0{first}"), 16) % 2
        column = indent + (len(first) - indent) // 3 * begun
        above = "\n".join(lines[: span.start]) + "\n" * bool(span.start)
        middle = "\n".join([first, *lines[span.start + 1 : span.stop]])
        yield TuneCase(
            path=written.path,
            language=written.language.name,
            prefix=above[-ABOVE_CHARS:] + first[:column],
            middle=middle[column:],
            suffix="\n" + "\n".join(lines[span.stop :])[:BELOW_CHARS],
        )


def _pieces(block: range, lines: Sequence[str]) -> Iterator[range]:
    """Yield the parts of a block, each of some lines, that begin and end with a visible one."""
    start = block.start
    while start < block.stop:
        end, size = start, 0
        while end < min(block.stop, start + MIDDLE_LINES) and size <= MIDDLE_CHARS:
            size += len(lines[end])
            end += 1
        last = end
        while last > start and not lines[last - 1].strip():
            last -= 1
        while start < last and not lines[start].strip():
            start += 1
        if start < last:
            yield range(start, last)
        start = max(end, start + 1)


def _is_clean(one: TuneCase | CodeHole, data: TuneData) -> bool:
    rest = one.middle if isinstance(one, TuneCase) else one.rest
    if has_secrets([one.prefix + rest + one.suffix]):
        data.secret += 1
        return False
    return True


def _once(found: Sequence[One]) -> list[One]:
    return list({one.key: one for one in found}.values())
