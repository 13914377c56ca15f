"""The slice of a document that a model is shown around the cursor.

A document that fits into the budget is shown whole and exact. Of a longer one the model sees the
imports, the signatures of the scopes that enclose what follows, the lines above the cursor and a
few below, so that it still reads as code: whole lines, cut where a statement begins.

The window is sticky. Its top stays at the same line while the user types, so that the prompt's
beginning stays the same, token by token, and need not be evaluated again; when the lines outgrow
the budget the top jumps down by a good step. The caller keeps the `Window` of the last slice.

Line breaks come out as "\\n". Everything else is the document's own text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath

import tree_sitter

from nearfield.syntax.languages import language_for
from nearfield.syntax.notebook import shown_above
from nearfield.syntax.parser import Parsed
from nearfield.types import Selected, Snapshot, Snippet

__all__ = ["Budget", "Slice", "Window", "breaks", "build", "line_above", "shown_path"]

FULL = 0.80
"""A new window starts so far above the cursor, as a share of what the budget allows, …"""
STEP = 0.55
"""… or down to so far, where a better place to cut is: the rest is room to type before the next
jump. Evaluating a window anew costs a few hundred tokens; at a quarter of a usual budget free, that
happens once in about twenty lines."""
NEAR = 0.25
"""The window moves up when the cursor has come closer to its top than this share."""
HEAD_SHARE = 0.25
"""The imports and signatures above the gap take at most this share of the prefix."""
SIGNATURE_CHARS = 400
"""A longer signature is cut at its first line."""
ANCHOR_CHARS = 200
"""So much text below the window's top finds it again after edits above."""
IMPORTS_WITHIN = 2_000
"""Among so many statements at the top of a file its imports are looked for."""
CELL_STEPS = 4
"""The cells above a cell get less in so many steps while it grows."""
CUTS_TRIED = 16
"""Places at which the tree is asked whether a statement begins there."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be shown: `tokens` for prefix and suffix together, of which the suffix takes at
    most `suffix_share`; at most so many lines of each. `chars_per_token` is the model's usual
    ratio for code."""

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
class Window:
    """Where the lines of a slice begin: an offset, and the text that is there (empty at the
    document's start, where no edit moves it)."""

    top: int
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """What the model sees. `prefix` ends with `typed`, the cursor's line up to the cursor. `path`
    is relative to the workspace, with '/'. `window` goes into the document's next call. `end` is
    the offset at which the suffix ends. `snippets` are of other files; whoever has such adds
    them. `cells` counts the characters of `prefix` that are of cells above, in a notebook."""

    prefix: str
    suffix: str
    typed: str
    path: str
    language: str
    window: Window
    end: int = 0
    snippets: tuple[Snippet, ...] = ()
    cells: int = 0


def build(
    snapshot: Snapshot,
    parsed: Parsed | None,
    offset: int,
    budget: Budget,
    window: Window | None = None,
    selected: Selected | None = None,
) -> Slice:
    """The slice at `offset`. `parsed` is the tree of the same text, None where there is none;
    `window` the one of the last slice of this document. With `selected` the slice is as if that
    item had been inserted."""
    text = snapshot.text
    left, right, item = offset, offset, ""
    if selected is not None:
        left, item = selected.span.start, selected.text
        right = max(offset, selected.span.end)
    suffix_chars = int(budget.chars * budget.suffix_share)
    whole = left + len(item) + len(text) - right <= budget.chars and _lines_fit(text, left, budget)
    suffix = text[right:] if whole else _suffix(text, right, suffix_chars, budget.suffix_lines)
    room = max(budget.chars - max(len(suffix), suffix_chars // 2) - len(item), 64)
    line = _line_start(text, left)
    if whole:
        head, top = "", 0
    else:
        top = _top(text, parsed, left, room, budget.prefix_lines, window)
        head = "" if top > line else _head(text, parsed, top, int(room * HEAD_SHARE))
    cells = "" if top else _cells(snapshot, text, left, room, budget)
    return Slice(
        prefix=cells + breaks(head + text[top:left]) + item,
        suffix=breaks(suffix),
        typed=text[max(line, top) : left] + item,
        path=shown_path(snapshot),
        language=parsed.language.name if parsed else snapshot.language,
        window=Window(top, text[top : min(top + ANCHOR_CHARS, line)] if top else ""),
        end=right + len(suffix),
        cells=len(cells),
    )


def _cells(snapshot: Snapshot, text: str, left: int, room: int, budget: Budget) -> str:
    """The cells above, in what the cell leaves of the prefix. How much that is changes in steps:
    while the user types, the prompt's beginning stays the same."""
    if not snapshot.above:
        return ""
    step = max(budget.chars // CELL_STEPS, 1)
    chars = max(room - left, 0) // step * step
    lines = max(budget.prefix_lines - text.count("\n", 0, left), 0)
    lines -= lines % max(budget.prefix_lines // CELL_STEPS, 1)
    language = language_for(snapshot.language, snapshot.path)
    comment = language.comment if language else ""
    return shown_above(snapshot.above, snapshot.language, comment, chars, lines)


def _lines_fit(text: str, cursor: int, budget: Budget) -> bool:
    above = text.count("\n", 0, cursor)
    return above <= budget.prefix_lines and (
        text.count("\n", cursor) <= max(budget.suffix_lines, 1) or budget.suffix_share == 0
    )


def _suffix(text: str, cursor: int, chars: int, lines: int) -> str:
    """The rest of the cursor's line and whole lines below, as many as fit. The cut depends only on
    the text behind the cursor, so that typing in front of it leaves the suffix as it is."""
    end = _line_end(text, cursor)
    if end - cursor > chars:
        return text[cursor : cursor + chars]
    for _ in range(lines):
        following = _line_end(text, _after_break(text, end))
        if following == end or following - cursor > chars:
            break
        end = following
    return text[cursor : _after_break(text, end)] if chars else ""


def _top(
    text: str, parsed: Parsed | None, cursor: int, room: int, lines: int, window: Window | None
) -> int:
    """Where the lines begin: the last window's top while that will do, else a new one."""
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
    """Where the window's first line is now: the occurrence of its text nearest to where it was."""
    if text.startswith(window.anchor, window.top) or not window.anchor:
        return min(window.top, len(text))
    below = text.find(window.anchor, window.top)
    above = text.rfind(window.anchor, 0, window.top + len(window.anchor))
    places = [p for p in (above, below) if p >= 0 and p == _line_start(text, p)]
    return min(places, key=lambda p: abs(p - window.top), default=None)


def _cut(text: str, parsed: Parsed | None, low: int, high: int, cursor: int) -> int:
    """The best line start in `low..high`: least indented, a statement's beginning, first. Where no
    line starts there: the next one below, or, in one very long line, `low` itself."""
    starts: list[tuple[int, int]] = []
    line = _after_break(text, _line_end(text, low))
    while line <= high and line < cursor:
        end = _line_end(text, line)
        if indent := re.compile(r"[ \t]*(?=[^\s)\]}])").match(text, line, end):
            starts.append((len(indent[0].expandtabs()), line))
        following = _after_break(text, end)
        if following == line:
            break
        line = following
    starts.sort()
    for _, start in islice(starts, CUTS_TRIED):
        if parsed is None or _begins_statement(parsed, start):
            return start
    if starts:
        return starts[0][1]
    return line if line <= _line_start(text, cursor) else low


def _begins_statement(parsed: Parsed, line: int) -> bool:
    """Return whether nothing but blocks reaches across the line break in front of `line`."""
    visible = re.compile(r"[ \t]*").match(parsed.text, line)
    path = parsed.path_to(visible.end() if visible else line)
    start = parsed.byte(line)
    outer = next((node for node in reversed(path) if node.start_byte < start), None)
    blocks, scopes = parsed.language.blocks, parsed.language.scopes
    return outer is None or outer == path[0] or outer.type in blocks | scopes


def _head(text: str, parsed: Parsed | None, top: int, chars: int) -> str:
    """What stands for the text above the gap: imports, then the signatures of the scopes that
    enclose the window's first line. Depends on the text above `top` alone."""
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
    for node in islice(_top_level(parsed), IMPORTS_WITHIN):
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
    """The children of the root, one by one: a list of 100,000 takes 30 ms."""
    cursor = parsed.tree.walk()
    there = cursor.goto_first_child()
    while there and cursor.node is not None:
        yield cursor.node
        there = cursor.goto_next_sibling()


def _signature(parsed: Parsed, scope: tree_sitter.Node) -> str:
    """The scope's lines from its name to where its body opens, with the indentation it has."""
    text, span = parsed.text, parsed.span(scope)
    first = _line_start(text, span.start)
    body = scope.child_by_field_name("body")
    end = _line_end(text, span.start)
    if body is not None:
        opening = len(text[: parsed.offset(body.start_byte)].rstrip())
        if not parsed.language.indented:
            opening = max(opening, min(parsed.offset(body.start_byte) + 1, len(text)))
        if opening > end and opening - first <= SIGNATURE_CHARS:
            end = _line_end(text, opening - 1)
    return text[first : min(end, first + SIGNATURE_CHARS)].rstrip() + "\n"


def shown_path(snapshot: Snapshot) -> str:
    """The document's path as a model is shown it."""
    if snapshot.path is None:
        return PurePath(snapshot.uri.rpartition(":")[2]).name
    path = PurePath(snapshot.path)
    if snapshot.root and path.is_relative_to(snapshot.root):
        shown = path.relative_to(snapshot.root).as_posix()
    else:
        shown = path.name
    return shown.encode("utf-8", "replace").decode()  # a name may hold bytes that are not text


def breaks(text: str) -> str:
    """`text` with the line breaks that a model is shown."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _line_start(text: str, offset: int) -> int:
    start = text.rfind("\n", 0, offset) + 1
    return max(text.rfind("\r", start, offset) + 1, start)


def _line_end(text: str, offset: int) -> int:
    """Where the line break of the line at `offset` begins."""
    feed = text.find("\n", offset)
    feed = len(text) if feed < 0 else feed
    carriage = text.find("\r", offset, feed)
    return feed if carriage < 0 else carriage


def _after_break(text: str, end: int) -> int:
    """The offset behind the line break at `end`, if there is one."""
    if text.startswith("\r\n", end):
        return end + 2
    return min(end + 1, len(text))


def _lines_up(text: str, cursor: int, lines: int) -> int:
    """The start of the line that is `lines` above the cursor's."""
    start = _line_start(text, cursor)
    for _ in range(lines):
        if start == 0:
            break
        start = line_above(text, start)
    return start


def line_above(text: str, start: int) -> int:
    """The start of the line above the one that starts at `start`, which is not the first."""
    back = start - 2 if start >= 2 and text.startswith("\r\n", start - 2) else start - 1
    return _line_start(text, back)
