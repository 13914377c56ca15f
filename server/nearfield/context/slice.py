"""The slice of a document around the cursor that a model sees, and the prompts made of it.

A document that fits into the budget is shown as a whole. Of a longer one the model sees the
imports, the signatures of the enclosing scopes, the lines above the cursor and a few below: whole
lines, cut where a statement begins.

The window is sticky. Its top stays at the same line while the user types, so that the beginning of
the prompt stays the same, token by token, and is not evaluated again. When the lines outgrow the
budget, the top jumps down by a large step. The caller keeps the `Window` of the last slice.

A prompt that was sent for a document can be continued at another cursor, because the order within
it puts what changes least first: snippets of other files, the lines above, the suffix, and then,
after the middle token, what was written last. As long as only that grows, nothing else has to be
evaluated: not at a keystroke, not at a new line, not after a suggestion was accepted. It also helps
the model, which continues lines better than it begins them. Which prompts the KV cache still holds
is known to the engine alone; it chooses among those that are offered to it.

Line breaks are normalized to "\\n"; everything else is the document's own text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import tree_sitter

from nearfield.files.lines import line_end, line_start, next_line, plain_breaks, previous_line
from nearfield.syntax.languages import language_for
from nearfield.syntax.notebook import shown_above
from nearfield.syntax.parser import Parsed
from nearfield.types import Cell, Edit, Selected, Snapshot, Snippet, Window

FULL = 0.80
"""Maximum distance of a new window's top above the cursor, as a share of the budget's lines."""
STEP = 0.55
"""Minimum distance, if the better cut is there. The rest is room to type before the next jump:
evaluating a window costs a few hundred tokens, and with a quarter of a usual budget free it
happens once in about twenty lines."""
NEAR = 0.25
"""The window moves up when the cursor is closer to its top than this share."""
HEAD_SHARE = 0.25
"""Maximum share of the prefix for the imports and signatures above the gap."""
MAX_SIGNATURE_CHARS = 400
"""A longer signature is cut after its first line."""
ANCHOR_CHARS = 200
"""Length of the text after the window's top that finds it again after edits above."""
MAX_IMPORT_STATEMENTS = 2_000
"""Number of statements at the top of a file that are searched for imports."""
CELL_STEPS = 4
"""Number of steps in which the cells above get less room while a cell grows."""
MAX_CUTS = 16
"""Number of positions at which the tree is asked whether a statement begins."""

MAX_WRITTEN_LINES = 12
"""Lines after the middle token before a new prompt is made."""

MAX_WRITTEN_CHARS = 800

AUTO_CLOSERS = frozenset(")]}>\"'`;,")
"""Characters that editors insert right of the cursor by themselves."""

MAX_AUTO_CLOSERS = 3


@dataclass(frozen=True, slots=True)
class SliceBudget:
    """The limits of a slice: `tokens` for prefix and suffix together, of which the suffix takes at
    most `suffix_share`, and the lines of each. `chars_per_token` is the usual ratio for code."""

    tokens: int
    chars_per_token: float = 3.0
    suffix_share: float = 0.25
    prefix_lines: int = 256
    suffix_lines: int = 64

    @property
    def chars(self) -> int:
        """The whole budget in characters."""
        return max(int(self.tokens * self.chars_per_token), 64)


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a document for a prompt. `prefix` ends with `typed`, the cursor's line up to the
    cursor. `window` is passed to the document's next call. `end` is the offset at which the suffix
    ends. `snippets` of other files are added by the caller. `cells` counts the characters of
    `prefix` from notebook cells above."""

    prefix: str
    suffix: str
    typed: str
    window: Window
    end: int = 0
    snippets: tuple[Snippet, ...] = ()
    cells: int = 0


def build(
    snapshot: Snapshot,
    parsed: Parsed | None,
    offset: int,
    budget: SliceBudget,
    window: Window | None = None,
    selected: Selected | None = None,
) -> Slice:
    """Return the slice at `offset`. `parsed` is the tree of the same text, if any; `window`
    that of the document's last slice. With `selected` the slice is as if the item had been
    inserted."""
    text = snapshot.text
    left, right, item = offset, offset, ""
    if selected is not None:
        left, item = selected.span.start, selected.text
        right = max(offset, selected.span.end)
    suffix_chars = int(budget.chars * budget.suffix_share)
    whole = left + len(item) + len(text) - right <= budget.chars and _lines_fit(text, left, budget)
    suffix = text[right:] if whole else _suffix(text, right, suffix_chars, budget.suffix_lines)
    room = max(budget.chars - max(len(suffix), suffix_chars // 2) - len(item), 64)
    line = line_start(text, left)
    if whole:
        head, top = "", 0
    else:
        top = _top(text, parsed, left, room, budget.prefix_lines, window)
        head = "" if top > line else _head(text, parsed, top, int(room * HEAD_SHARE))
    shows_above = snapshot.above and not top
    cells = _cells(snapshot, text, left, room, budget) if shows_above else ""
    return Slice(
        prefix=cells + plain_breaks(head + text[top:left]) + item,
        suffix=plain_breaks(suffix),
        typed=text[max(line, top) : left] + item,
        window=Window(top, text[top : min(top + ANCHOR_CHARS, line)] if top else ""),
        end=right + len(suffix),
        cells=len(cells),
    )


def _cells(snapshot: Snapshot, text: str, left: int, room: int, budget: SliceBudget) -> str:
    """Return the cells above, in the room that the cell leaves of the prefix. The room changes in
    steps, so that the prompt's beginning stays the same while the user types."""
    step = max(budget.chars // CELL_STEPS, 1)
    chars = max(room - left, 0) // step * step
    lines = max(budget.prefix_lines - text.count("\n", 0, left), 0)
    lines -= lines % max(budget.prefix_lines // CELL_STEPS, 1)
    language = language_for(snapshot.language, snapshot.path)
    comment = language.comment if language else ""
    return shown_above(snapshot.above or (), snapshot.language, comment, chars, lines)


def _lines_fit(text: str, cursor: int, budget: SliceBudget) -> bool:
    above = text.count("\n", 0, cursor)
    return above <= budget.prefix_lines and (
        text.count("\n", cursor) <= max(budget.suffix_lines, 1) or budget.suffix_share == 0
    )


def _suffix(text: str, cursor: int, chars: int, lines: int) -> str:
    """Return the rest of the cursor's line and the whole lines below that fit. The cut depends only
    on the text after the cursor, so that typing leaves the suffix as it is."""
    end = line_end(text, cursor)
    if end - cursor > chars:
        return text[cursor : cursor + chars]
    for _ in range(lines):
        following = line_end(text, next_line(text, end))
        if following == end or following - cursor > chars:
            break
        end = following
    return text[cursor : next_line(text, end)] if chars else ""


def _top(
    text: str, parsed: Parsed | None, cursor: int, room: int, lines: int, window: Window | None
) -> int:
    """Return where the lines begin: at the last window's top while that is suitable."""
    highest = _lines_up(text, cursor, lines)
    furthest = max(cursor - int(room * (1 - HEAD_SHARE)), highest)
    if window is not None and window.top > 0:
        top = _followed(text, window)
        near = cursor - (cursor - furthest) * NEAR
        if top is not None and furthest <= top <= near:
            return top
    if max(cursor - room, highest) <= 0:
        return 0
    available = cursor - furthest
    return _cut(
        text, parsed, cursor - int(available * FULL), cursor - int(available * STEP), cursor
    )


def _followed(text: str, window: Window) -> int | None:
    """Return where the window's first line is now: the nearest occurrence of its text."""
    if text.startswith(window.anchor, window.top) or not window.anchor:
        return min(window.top, len(text))
    below = text.find(window.anchor, window.top)
    above = text.rfind(window.anchor, 0, window.top + len(window.anchor))
    places = [p for p in (above, below) if p >= 0 and p == line_start(text, p)]
    return min(places, key=lambda p: abs(p - window.top), default=None)


def _cut(text: str, parsed: Parsed | None, low: int, high: int, cursor: int) -> int:
    """Return the best line start in `low..high`: the least indented one where a statement begins.
    If no line starts there, return the next one below, or `low` within one very long line."""
    starts: list[tuple[int, int]] = []
    line = next_line(text, line_end(text, low))
    while line <= high and line < cursor:
        end = line_end(text, line)
        if indent := re.compile(r"[ \t]*(?=[^\s)\]}])").match(text, line, end):
            starts.append((len(indent[0].expandtabs()), line))
        following = next_line(text, end)
        if following == line:
            break
        line = following
    starts.sort()
    for _, start in islice(starts, MAX_CUTS):
        if parsed is None or _begins_statement(parsed, start):
            return start
    if starts:
        return starts[0][1]
    return line if line <= line_start(text, cursor) else low


def _begins_statement(parsed: Parsed, line: int) -> bool:
    """Return whether only blocks extend across the line break before `line`."""
    visible = re.compile(r"[ \t]*").match(parsed.text, line)
    path = parsed.path_to(visible.end() if visible else line)
    start = parsed.byte(line)
    outer = next((node for node in reversed(path) if node.start_byte < start), None)
    blocks, scopes = parsed.language.blocks, parsed.language.scopes
    return outer is None or outer == path[0] or outer.type in blocks | scopes


def _head(text: str, parsed: Parsed | None, top: int, chars: int) -> str:
    """Return what replaces the text above the window: imports, then the signatures of the scopes
    that enclose its first line. Depends only on the text above `top`."""
    if parsed is None or top == 0:
        return ""
    start = parsed.byte(top)
    signatures = [
        _signature(parsed, node)
        for node in parsed.path_to(top)
        if node.type in parsed.language.scopes and node.start_byte < start
    ]
    imports: list[str] = []
    left = chars - sum(map(len, signatures))
    for node in islice(_top_level(parsed), MAX_IMPORT_STATEMENTS):
        if node.end_byte > start or left <= 0:
            break
        if node.type in parsed.language.imports:
            span = parsed.span(node)
            imports.append(text[span.start : span.end].rstrip() + "\n")
            left -= len(imports[-1])
    if left < 0 and imports:
        imports.pop()
    gap = "\n" if imports else ""
    return "".join(imports) + gap + "".join(signatures)


def _top_level(parsed: Parsed) -> Iterator[tree_sitter.Node]:
    """Yield the children of the root; a list of 100,000 takes 30 ms."""
    cursor = parsed.tree.walk()
    there = cursor.goto_first_child()
    while there and cursor.node is not None:
        yield cursor.node
        there = cursor.goto_next_sibling()


def _signature(parsed: Parsed, scope: tree_sitter.Node) -> str:
    """Return the scope's lines up to where its body opens, with their indentation."""
    text, span = parsed.text, parsed.span(scope)
    first = line_start(text, span.start)
    body = scope.child_by_field_name("body")
    end = line_end(text, span.start)
    if body is not None:
        opening = len(text[: parsed.offset(body.start_byte)].rstrip())
        if not parsed.language.indented:
            opening = max(opening, min(parsed.offset(body.start_byte) + 1, len(text)))
        if opening > end and opening - first <= MAX_SIGNATURE_CHARS:
            end = line_end(text, opening - 1)
    return text[first : min(end, first + MAX_SIGNATURE_CHARS)].rstrip() + "\n"


def _lines_up(text: str, cursor: int, lines: int) -> int:
    """Return the start of the line that is `lines` above the cursor's."""
    start = line_start(text, cursor)
    for _ in range(lines):
        if start == 0:
            break
        start = previous_line(text, start)
    return start


@dataclass(frozen=True, slots=True)
class PromptText:
    """The parts of a prompt: snippets, the prefix up to `written`, the suffix, and what was written
    last, which ends at the cursor."""

    head: str
    written: str
    suffix: str
    snippets: tuple[Snippet, ...] = ()

    @property
    def hash(self) -> str:
        """The SHA-256 of the code that it shows."""
        shown = (text for one in self.snippets for text in (one.path, one.text))
        return prompt_hash((self.head + self.written, self.suffix, *shown))

    @property
    def chars(self) -> int:
        """Its length in characters."""
        return snippet_chars(self.snippets) + len(self.head) + len(self.written) + len(self.suffix)

    def begins_as(self, other: PromptText) -> bool:
        """Return whether they differ at most in what was written last."""
        same = self.head == other.head and self.suffix == other.suffix
        return same and self.snippets == other.snippets


@dataclass(slots=True)
class SentPrompt:
    """A prompt, and the place in the document that it was taken from.

    `anchor` is the offset where `text.written` began, `top` that where `above` began; both move
    with edits before them. `above` and `below` are the document's text before and after the anchor
    as they were (`text` has other line breaks where these are "\\r\\n", and imports and signatures
    before `above`); `to_end` says that `below` reached to the end. `window` is passed to the next
    slice. `full` says that idle prefill would show no more, `is_evaluated` that a provider has once
    evaluated all of it, `stale` that something above `above` has changed. `cells` are the notebook
    cells above as they were, of which `head` has `cell_chars` characters; with other cells it
    cannot be continued.
    """

    text: PromptText
    top: int
    anchor: int
    above: str
    below: str
    to_end: bool
    full: bool = False
    is_evaluated: bool = False
    stale: bool = False
    window: Window = field(default_factory=lambda: Window(0))
    cells: tuple[Cell, ...] | None = None
    cell_chars: int = 0

    def follow(self, edit: Edit) -> None:
        """Move with an edit of the document."""
        if edit.span.start <= self.top:
            self.stale = True
        if edit.span.start >= self.anchor:
            return
        grown = len(edit.text) - (edit.span.end - edit.span.start)
        if edit.span.end <= self.top:
            self.top += grown
        if edit.span.end <= self.anchor:
            self.anchor += grown

    def written(self, before: str, after: str) -> str | None:
        """Return what was written since, if a cursor between `before` and `after` can continue this
        prompt, else None. What is above `above` may have changed (`stale`): a missing import lasts
        until the next idle prefill."""
        if self.anchor > len(before):
            return None
        new = before[self.anchor :]
        if len(new) > MAX_WRITTEN_CHARS or new.count("\n") > MAX_WRITTEN_LINES:
            return None
        if before[self.top : self.anchor] != self.above or not continues_with(
            after, 0, self.below, to_end=self.to_end
        ):
            return None
        if new.startswith("\n") and self.above.endswith("\r"):
            return None  # they are one line break now
        return plain_breaks(new)


def continues_with(text: str, offset: int, expected: str, *, to_end: bool) -> bool:
    """Return whether `expected` follows `offset` in `text`, after closers that an editor may have
    inserted; with `to_end` it must reach the end of `text`."""
    for begin in range(offset, offset + MAX_AUTO_CLOSERS + 1):
        if begin > offset and text[begin - 1 : begin] not in AUTO_CLOSERS:
            return False
        is_end = begin + len(expected) == len(text)
        if text.startswith(expected, begin) and (is_end or not to_end):
            return True
    return False


def snippet_chars(snippets: Sequence[Snippet]) -> int:
    """Return how many characters snippets take in a prompt, with their paths."""
    return sum(len(snippet.path) + len(snippet.text) for snippet in snippets)


def prompt_hash(texts: Iterable[str]) -> str:
    """Return the SHA-256 of a prompt's parts, in hexadecimal."""
    digest = hashlib.sha256()
    for text in texts:
        part = text.encode("utf-8", "surrogatepass")
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
