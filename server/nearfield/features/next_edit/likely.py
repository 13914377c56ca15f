"""The line that most likely has to change next, what a model is told of it, and whether what it
says may be offered.

Only where two changes are alike without a rule that explains both: after one change a small model
repeats it at whatever stands next, be it meant or not (tests/bench/RESULTS.md, Next edits). Plain
functions; who asks is guess.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from nearfield.features.completion.generate import Confidence
from nearfield.features.next_edit.derive import Change
from nearfield.features.next_edit.edit_history import Followed
from nearfield.features.next_edit.repeat import AGE_SECONDS, Changed
from nearfield.features.next_edit.tokens import Kind, tokens_of
from nearfield.syntax.parser import Parsed
from nearfield.types import Span

__all__ = ["Guessed", "Place", "judged", "likely_place", "prompt_of"]

ALIKE = 0.5
"""Share of tokens in common from which two lines are of one kind."""
NEAR_LINES = 25
"""A line further away is not looked for: nothing says that it belongs to the others."""
LONGEST = 200
"""Characters of a line that a model is asked to write anew."""
SHOWN = 3
"""Changes that a model is shown."""
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+|_+|[^\s\w]|\w")
"""`userName` and `user_name` have one in common."""
LEAST_MEAN = -0.25
LEAST_TOKEN = -0.8
"""Log-probabilities below which an answer is not offered; chosen on tests/bench/next_edit.py."""


@dataclass(frozen=True, slots=True)
class Guessed:
    """What a model made of the line `old` when `after` was the last change: "" for nothing."""

    after: Change
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Place:
    """The line `old` at `span` (without its indent) might have to change as `examples` did, of
    which the last one is the latest. `above` is the line before it."""

    examples: tuple[tuple[str, Change], ...]
    above: str
    indent: str
    old: str
    span: Span

    @property
    def after(self) -> Change:
        """The latest change."""
        return self.examples[-1][1]


def likely_place(now: Parsed, followed: Followed, changes: Sequence[Changed]) -> Place | None:
    """The next line in the direction in which the user goes through a list; None where it is not
    plain that they do, or where a model was asked about it before."""
    last = changes[-1] if changes else None
    first = next((one for one in reversed(changes[:-1]) if last and _is_alike(one, last)), None)
    if first is None or last is None:
        return None
    lines = now.text.split("\n")
    done = {one.row for one in changes}
    done |= {
        now.text.count("\n", 0, site.span.start)
        for group in followed.series
        for site in group.sites
    }

    def fits(row: int) -> bool:
        line = lines[row].strip()
        return row not in done and len(line) <= LONGEST and alike(line, last.change.old) >= ALIKE

    step = 1 if last.row > first.row else -1
    if any(fits(row) for row in range(first.row + step, last.row, step)):
        return None  # the user has passed one over
    before = first.row - step
    if 0 <= before < len(lines) and fits(before):
        return None  # the list begins elsewhere
    for row in range(last.row + step, last.row + step * NEAR_LINES, step):
        if not 0 <= row < len(lines):
            break
        if fits(row) and _is_code(now, lines, row):
            place = _place(lines, row, [one for one in changes if _is_alike(one, last)])
            known = [one.cause for one in followed.series if isinstance(one.cause, Guessed)]
            asked = any(one.after == place.after and one.old == place.old for one in known)
            return None if asked else place
    return None


def prompt_of(place: Place, name: str) -> str:
    """The changes as a diff of the file `name` that the model has to go on with."""
    parts = [f"--- a/{name}\n+++ b/{name}\n"]
    for above, change in place.examples:
        parts.append(f"@@\n{_context(above)}-{change.old}\n+{change.new}\n")
    parts.append(f"@@\n{_context(place.above)}-{place.old}\n+")
    return "".join(parts)


def judged(place: Place, answer: str, confidence: Confidence | None) -> str:
    """The line that `answer` proposes; "" where it is none to offer."""
    new = answer.split("\n")[0].strip()
    if confidence is not None and (
        confidence.mean < LEAST_MEAN or confidence.min_logprob < LEAST_TOKEN
    ):
        return ""
    if not new or len(new) > 2 * LONGEST or "".join(new.split()) == "".join(place.old.split()):
        return ""
    if any(new == change.new for _, change in place.examples) or new == place.above.strip():
        return ""
    return new if _is_like_the_others(place, new) else ""


def alike(one: str, two: str) -> float:
    """The share of tokens that two lines have in common, in their order."""
    a, b = ([token.text for token in tokens_of(line)] for line in (one, two))
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def _is_alike(one: Changed, last: Changed) -> bool:
    recent = last.at - one.at <= AGE_SECONDS
    return recent and alike(one.change.old, last.change.old) >= ALIKE


def _place(lines: Sequence[str], row: int, examples: Sequence[Changed]) -> Place:
    line = lines[row]
    indent = line[: len(line) - len(line.lstrip())]
    start = sum(len(one) + 1 for one in lines[:row]) + len(indent)
    shown = [(lines[one.row - 1] if one.row else "", one.change) for one in examples[-SHOWN:]]
    above = lines[row - 1] if row else ""
    return Place(tuple(shown), above, indent, line.strip(), Span(start, start + len(line.strip())))


def _context(line: str) -> str:
    return f" {line.strip()}\n" if line.strip() else ""


def _is_code(now: Parsed, lines: Sequence[str], row: int) -> bool:
    start = sum(len(one) + 1 for one in lines[:row])
    start += len(lines[row]) - len(lines[row].lstrip())
    path = now.path_to(start)
    within = [node.type for node in path if node.start_point[0] != node.end_point[0]]
    return not any("string" in one or one in now.language.comments for one in within) and not (
        path and path[-1].type in now.language.comments
    )


def _is_like_the_others(place: Place, new: str) -> bool:
    """Whether the line changes as the others did: something that was put in or taken out there is
    so here, and no number comes from nowhere."""
    here = _difference(place.old, new)
    there = [_difference(change.old, change.new) for _, change in place.examples]
    shared = [(put & here[0]) | (out & here[1]) for put, out in there]
    known = {token.text for token in tokens_of(place.old)}
    known |= {token.text for _, change in place.examples for token in tokens_of(change.new)}
    numbers = {token.text for token in tokens_of(new) if token.kind is Kind.NUMBER}
    return all(shared) and numbers <= known


def _difference(old: str, new: str) -> tuple[set[str], set[str]]:
    """The pieces of words that were put in, and those that were taken out."""
    a, b = (_PIECES.findall(line) for line in (old, new))
    put: set[str] = set()
    out: set[str] = set()
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal":
            out.update(a[i1:i2])
            put.update(b[j1:j2])
    return put, out
