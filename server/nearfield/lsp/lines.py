"""Starts of a document's lines, kept up to date edit by edit.

`files/lines.py` defines line ends. Offsets are Unicode code points.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate

from nearfield.files.lines import LINE_END


class LineTable:
    """The offsets at which lines start: always at least one, the first is 0.

    An edit moves every later line, and rewriting 20,000 numbers a keystroke is too slow. So the
    numbers from index `_settled` on lag behind by `_lag`. An edit moves that border to its own
    place, which costs the distance to the edit before it: nothing during typing.
    """

    __slots__ = ("_lag", "_settled", "_starts")

    def __init__(self, text: str) -> None:
        if "\r" in text:
            self._starts = [0, *(match.end() for match in LINE_END.finditer(text))]
        else:  # the same in a third of the time
            lengths = map(len, text.split("\n"))
            self._starts = [0, *accumulate(map((1).__add__, lengths))]
            self._starts.pop()
        self._settled = len(self._starts)
        self._lag = 0

    def __len__(self) -> int:
        return len(self._starts)

    def start(self, line: int) -> int:
        """Return where `line` (from 0) starts. Raises IndexError when there is no such line."""
        return self._starts[line] + (self._lag if line >= self._settled else 0)

    def content_end(self, line: int, text: str) -> int:
        """Return where the visible part of `line` ends: before its line end. `text` is the
        document's.
        """
        if line + 1 >= len(self._starts):
            return len(text)
        end = self.start(line + 1)
        if text[end - 1] == "\n" and end - 2 >= self.start(line) and text[end - 2] == "\r":
            return end - 2
        return end - 1

    def line_at(self, offset: int) -> int:
        """The line that holds `offset`."""
        return self._count_up_to(offset, bisect_right) - 1

    def edit(self, start: int, end: int, inserted: int, text: str) -> None:
        """Follow one edit: [start, end) of the text before it became `inserted` characters, which
        made it `text`."""
        # A character at p makes p + 1 a line's start, and whether a CR does depends on what follows
        # it: so the starts from `start` to `end` are in doubt, and none beyond.
        first = max(1, self._count_up_to(start, bisect_left))
        beyond = max(first, self._count_up_to(end, bisect_right))
        self._settle(beyond)
        last = start + inserted
        found = [
            match.end()
            for match in LINE_END.finditer(text, max(0, start - 1), min(len(text), last + 1))
            if start <= match.end() <= last
        ]
        self._starts[first:beyond] = found
        self._settled = first + len(found)
        self._lag += inserted - (end - start)

    def _count_up_to(self, offset: int, bisect: Callable[..., int]) -> int:
        """Return the number of starts before `offset` (`bisect_left`), or up to it
        (`bisect_right`).
        """
        settled = self._settled
        if settled == len(self._starts) or offset < self._starts[settled] + self._lag:
            return bisect(self._starts, offset, 0, settled)
        return bisect(self._starts, offset - self._lag, settled)

    def _settle(self, border: int) -> None:
        """Move the border between numbers that are true and numbers that lag."""
        starts, lag = self._starts, self._lag
        if self._settled == len(starts):
            lag = self._lag = 0
        if border > self._settled:
            starts[self._settled : border] = [s + lag for s in starts[self._settled : border]]
        elif lag:
            starts[border : self._settled] = [s - lag for s in starts[border : self._settled]]
        self._settled = border
