"""Decide which parts of a model's proposal are shown: whole hunks pass or not, each for a named
reason.

Small models rewrite more than needed: they undo the user's last edit, delete the code beside it, or
change something unrelated. A hunk is shown only where the recent edits explain it. Nothing is read
from a disk here; what the index has to say is asked of the result (project_names.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from nearfield.features.next_edit.edit_prompt import Hunk
from nearfield.features.next_edit.no_change import gives_to_itself
from nearfield.features.next_edit.project_names import new_calls
from nearfield.syntax.definitions import name_of
from nearfield.syntax.differences import unspaced
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Reason, Span

__all__ = ["EditProposal", "Judged", "judge"]

MAX_ADDED_LINES = 20
"""More new lines than this are no follow-up of an edit; Sweep's client drops them as well."""
MAX_REVERSAL = 0.6
"""Share of the changed words that restore what the recent edits removed, or remove what they put
in; from here on a hunk is an undo. A name that was put in and becomes another one has 0.5, an undo
has 1.0; tests/bench/next_edit_gate.py shows that nothing recorded is between."""
MIN_KEPT = 0.5
"""Share of a line's words that a replacement has to keep; below it the line was deleted."""
NEAR_LINES = 1
"""A hunk this close to the latest edit continues it."""
_WORD = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|[^\s\w]")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_COMMON = frozenset(
    {"and", "as", "async", "await", "break", "case", "catch", "class", "const", "continue", "def",
     "default", "do", "else", "enum", "except", "export", "extends", "false", "final", "finally",
     "for", "from", "func", "function", "if", "impl", "import", "in", "interface", "is", "let",
     "match", "mod", "mut", "new", "nil", "none", "not", "null", "or", "package", "pass", "private",
     "protected", "pub", "public", "raise", "return", "self", "static", "struct", "super", "switch",
     "this", "throw", "true", "try", "type", "undefined", "use", "var", "void", "while", "with",
     "yield", "err", "error", "int", "str", "string", "bool", "number", "any", "object"}
)  # fmt: skip
"""Words that say nothing of what a line is about."""


@dataclass(frozen=True, slots=True)
class EditProposal:
    """A model's new text `new` for `window` of `text`. `hunks` are the recent edits, oldest first;
    `states` earlier texts of the document. `parsed` is the tree of `text`, None without a grammar.
    `logprobs` has for each token its offset in `new`, and the logarithm of its probability.
    `edited` are the definitions that the recent edits of other documents were in."""

    text: str
    window: Span
    cursor: int
    new: str
    hunks: Sequence[Hunk] = ()
    states: Sequence[str] = ()
    parsed: Parsed | None = None
    logprobs: Sequence[tuple[int, float]] = ()
    least_mean: float = float("-inf")
    edited: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judged:
    """The edit that may be shown, None for none; `reasons` of the hunks that may not, in order.
    `calls` are names that it calls and its document does not know."""

    edit: Edit | None
    reasons: tuple[Reason, ...]
    calls: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Change:
    """Rows `start` to `end` of the window (of the text, from 0) become `new`."""

    start: int
    end: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    at: Span
    """Span of the new lines in the proposal, in characters."""

    @property
    def words(self) -> tuple[Counter[str], Counter[str]]:
        """The words of the old lines, and of the new ones."""
        return _words("\n".join(self.old)), _words("\n".join(self.new))


def judge(proposal: EditProposal) -> Judged:
    """Return the part of the proposal that may be shown. It parses, so call it off the
    event loop.
    """
    changes = list(_changes(proposal))
    if not changes:
        return Judged(None, (Reason.NOTHING,))
    reasons: list[Reason] = []
    kept: list[_Change] = []
    known = _Known.of(proposal)
    for change in changes:
        reason = _reason(proposal, known, change)
        if reason is None:
            kept.append(change)
        else:
            reasons.append(reason)
    if not kept:
        return Judged(None, tuple(reasons))
    edit = _edit(proposal, kept)
    after = proposal.text[: edit.span.start] + edit.text + proposal.text[edit.span.end :]
    squeezed = unspaced(after)
    if any(squeezed == unspaced(state) for state in proposal.states) and not (
        len(kept) == 1 and _mends_a_slip(proposal, kept[0])
    ):
        return Judged(None, (*reasons, Reason.UNDOES))
    is_fine, calls = _goes_on(proposal, edit), frozenset[str]()
    if proposal.parsed is not None:
        parsed = proposal.parsed.edited(edit)
        if parsed is None or parsed.all_errors > proposal.parsed.all_errors:
            return Judged(None, (*reasons, Reason.SYNTAX))
        is_fine = is_fine or parsed.all_errors < proposal.parsed.all_errors
        put = Span(edit.span.start, edit.span.start + len(edit.text))
        if gives_to_itself(parsed, put) and not gives_to_itself(proposal.parsed, edit.span):
            return Judged(None, (*reasons, Reason.REPEATS))
        calls = new_calls(parsed, put, proposal.text, proposal.hunks)
    if not (known.explains(kept) or is_fine or known.shares(kept)):
        return Judged(None, (*reasons, Reason.UNRELATED))
    return Judged(edit, tuple(reasons), calls)


def _changes(proposal: EditProposal) -> Iterator[_Change]:
    first = proposal.text.count("\n", 0, proposal.window.start)
    old = proposal.text[proposal.window.start : proposal.window.end].split("\n")
    new = proposal.new.split("\n")
    starts = [0]
    for line in new:
        starts.append(starts[-1] + len(line) + 1)
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            span = Span(starts[j1], max(starts[j2] - 1, starts[j1]))
            yield _Change(first + i1, first + i2, tuple(old[i1:i2]), tuple(new[j1:j2]), span)


def _reason(proposal: EditProposal, known: _Known, change: _Change) -> Reason | None:
    """Return why the hunk may not be shown, None where nothing speaks against it."""
    old, new = "\n".join(change.old), "\n".join(change.new)
    if unspaced(old) == unspaced(new):
        return Reason.WHITESPACE
    if len(change.new) - len(change.old) > MAX_ADDED_LINES or any(
        "<|" in line for line in change.new
    ):
        return Reason.TOO_LARGE
    if known.reversal(change) >= MAX_REVERSAL and not _mends_a_slip(proposal, change):
        return Reason.UNDOES
    if _repeats(proposal, change):
        return Reason.REPEATS
    if _deletes(change) and not known.explains_deletion(proposal.text, change):
        return Reason.DELETES
    if _is_unsure(proposal, change):
        return Reason.UNSURE
    return None


@dataclass(frozen=True, slots=True)
class _Known:
    """The words of the recent edits: what they removed, what they put in, what they are about, and
    the rows (of the text as it is) that the latest one changed. `edited` are the definitions that
    they were in."""

    removed: Counter[str]
    added: Counter[str]
    about: frozenset[str]
    parts: frozenset[str]
    rows: tuple[int, int] | None
    edited: frozenset[str]

    @classmethod
    def of(cls, proposal: EditProposal) -> _Known:
        removed: Counter[str] = Counter()
        added: Counter[str] = Counter()
        about: set[str] = set()
        rows: tuple[int, int] | None = None
        edited = set(proposal.edited)
        for hunk in proposal.hunks:
            old, new = _words(hunk.old), _words(hunk.new)
            removed += old - new
            added += new - old
            about |= _telling(old) | _telling(new)
            if (found := proposal.text.find(hunk.new)) >= 0 and hunk.new.strip():
                first = proposal.text.count("\n", 0, found)
                rows = first, first + hunk.new.count("\n") + 1
                blanks = len(hunk.new) - len(hunk.new.lstrip())
                edited |= _definition_at(proposal, found + blanks)
        changed = _telling(removed) | _telling(added)
        return cls(
            removed, added, frozenset(about), frozenset(_parts(changed)), rows, frozenset(edited)
        )

    def reversal(self, change: _Change) -> float:
        """Return the share of the hunk's changed words that take back the recent edits."""
        old, new = change.words
        put, gone = new - old, old - new
        back = (put & (self.removed - self.added)) + (gone & (self.added - self.removed))
        # Marks are in every line; words tell.
        names = {word for word in (*put, *gone) if word[0].isalnum() or word[0] == "_"}
        total = sum((put + gone)[word] for word in names)
        return sum(back[word] for word in names) / total if total else 0.0

    def explains_deletion(self, text: str, change: _Change) -> bool:
        """Return whether the lines that go name what the recent edits are about; where nothing
        takes their place, whether they name what these removed from all of the text."""
        gone = _telling(change.words[0])
        if unspaced("".join(change.new)):
            return bool(gone & self.about)
        lines = text.split("\n")
        rest = _words("\n".join((*lines[: change.start], *lines[change.end :])))
        return any(word in self.removed and word not in rest for word in gone)

    def explains(self, changes: Sequence[_Change]) -> bool:
        """Return whether any of the hunks surely follows from the recent edits. It is beside the
        latest one, changes a part of a name that they changed, or its lines have such a name or
        the definition that they were in."""
        changed = _telling(self.removed) | _telling(self.added)
        for change in changes:
            if self.rows is not None and (
                change.start <= self.rows[1] + NEAR_LINES
                and self.rows[0] - NEAR_LINES <= change.end
            ):
                return True
            old, new = change.words
            if _parts(_telling((new - old) + (old - new))) & self.parts:
                return True
            if (_telling(old) | _telling(new)) & (changed | self.edited):
                return True
        return False

    def shares(self, changes: Sequence[_Change]) -> bool:
        """Return whether lines of the hunks have a name that lines of the recent edits have too."""
        lines = (word for change in changes for words in change.words for word in _telling(words))
        return not self.about.isdisjoint(lines)


def _definition_at(proposal: EditProposal, offset: int) -> set[str]:
    """Return the name of the innermost definition at `offset`."""
    if (parsed := proposal.parsed) is None:
        return set()
    around = (node for node in parsed.path_to(offset) if node.type in parsed.language.scopes)
    names = [name for node in around if (name := name_of(parsed, node))]
    return _telling(Counter(names[-1:]))


def _goes_on(proposal: EditProposal, edit: Edit) -> bool:
    """Return whether the edit only puts something in at a cursor that is at the end of its line."""
    old, at = proposal.text[edit.span.start : edit.span.end], proposal.cursor - edit.span.start
    rest = proposal.text[proposal.cursor :].partition("\n")[0]
    if not 0 <= at <= len(old) or rest.strip(" \t)]};,"):
        return False
    left, right = old[:at], old[at:]
    return len(edit.text) > len(old) and edit.text.startswith(left) and edit.text.endswith(right)


def _mends_a_slip(proposal: EditProposal, change: _Change) -> bool:
    """Return whether one word becomes a similar one, and the syntax errors fewer: a typing error is
    put right, though that takes back what was typed."""
    if len(change.old) != 1 or len(change.new) != 1:
        return False
    old, new = _words(change.old[0]), _words(change.new[0])
    gone, put = list((old - new).elements()), list((new - old).elements())
    if len(gone) != 1 or len(put) != 1:
        return False
    similar = SequenceMatcher(None, gone[0], put[0], autojunk=False).ratio() >= MIN_KEPT
    return similar and _mends(proposal, _edit(proposal, [change]))


def _mends(proposal: EditProposal, edit: Edit) -> bool:
    """Return whether the edit leaves fewer syntax errors."""
    if proposal.parsed is None or not proposal.parsed.all_errors:
        return False
    after = proposal.parsed.edited(edit)
    return after is not None and after.all_errors < proposal.parsed.all_errors


def _repeats(proposal: EditProposal, change: _Change) -> bool:
    """Return whether the new lines are those directly above or below once more."""
    put = [line.strip() for line in change.new if line.strip()]
    if change.old and any(line.strip() for line in change.old):
        return False
    lines = proposal.text.split("\n")
    above = [line.strip() for line in lines[: change.start] if line.strip()][-len(put) :]
    below = [line.strip() for line in lines[change.end :] if line.strip()][: len(put)]
    return bool(put) and put in (above, below)


def _deletes(change: _Change) -> bool:
    """Return whether lines go without others that keep half of their words."""
    old, new = change.words
    if not old:
        return False
    kept = sum((old & new).values()) / sum(old.values())
    return kept < MIN_KEPT and sum(new.values()) < sum(old.values())


def _is_unsure(proposal: EditProposal, change: _Change) -> bool:
    values = [value for at, value in proposal.logprobs if change.at.start <= at < change.at.end]
    return bool(values) and sum(values) / len(values) < proposal.least_mean


def _edit(proposal: EditProposal, changes: Sequence[_Change]) -> Edit:
    """The smallest edit of whole lines that makes the hunks."""
    lines = proposal.text.split("\n")
    first, last = changes[0].start, changes[-1].end
    made: list[str] = []
    row = first
    for change in changes:
        made += lines[row : change.start]
        made += change.new
        row = change.end
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    if first == last:  # lines are only put in
        if first < len(lines):
            return Edit(Span(starts[first], starts[first]), "".join(f"{line}\n" for line in made))
        return Edit(
            Span(len(proposal.text), len(proposal.text)), "".join(f"\n{one}" for one in made)
        )
    if made:
        return Edit(Span(starts[first], starts[last] - 1), "\n".join(made))
    if last < len(lines):
        return Edit(Span(starts[first], starts[last]), "")
    return Edit(Span(max(starts[first] - 1, 0), len(proposal.text)), "")


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text))


def _telling(words: Counter[str]) -> set[str]:
    """The names among `words`, without those that are in every file."""
    return {
        word
        for word in words
        if len(word) > 1 and (word[0].isalpha() or word[0] == "_") and word.lower() not in _COMMON
    }


def _parts(words: set[str]) -> set[str]:
    found = {part.lower() for word in words for part in _PART.findall(word)}
    return {part for part in found if len(part) > 2}
