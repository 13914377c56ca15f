r"""Split text into lines as editors do: at "\n", "\r\n" and a lone "\r", and nowhere else.

`str.splitlines` also splits at form feeds, vertical tabs, U+0085, U+2028, U+2029 and the
separators U+001C to U+001E. Line numbers counted that way are not those of the editor, of git or of
a compiler, so a test keeps it out of this package.
"""

from __future__ import annotations

import re

LINE_END = re.compile(r"\r\n?|\n")
"""A line end."""

_KEPT = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


def split_lines(text: str, *, keepends: bool = False) -> list[str]:
    """Return the lines of `text`, with their ends if `keepends`. A line end at the end of `text`
    begins no further line, and an empty text has none."""
    if keepends:
        return _KEPT.findall(text)
    if "\r" in text:
        text = LINE_END.sub("\n", text)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def line_number(text: str, offset: int) -> int:
    """Return the line, from 0, that holds `offset` of `text`."""
    if "\r" not in text:
        return text.count("\n", 0, offset)
    # The "\n" of a "\r\n" belongs to the line that it ends.
    return sum(1 for end in LINE_END.finditer(text) if end.end() <= offset)


def line_start(text: str, offset: int) -> int:
    """Return where the line that holds `offset` begins."""
    start = text.rfind("\n", 0, offset) + 1
    return max(text.rfind("\r", start, offset) + 1, start)


def line_end(text: str, offset: int) -> int:
    """Return where the line that holds `offset` ends, before its line break."""
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    carriage = text.find("\r", offset, end)
    return end if carriage < 0 else carriage


def line_at(text: str, offset: int) -> str:
    """Return the line that holds `offset`, without the white space at its ends."""
    return text[line_start(text, offset) : line_end(text, offset)].strip()


def next_line(text: str, end: int) -> int:
    """Return the offset after the line break at `end`; `len(text)` if there is none."""
    return end + 2 if text.startswith("\r\n", end) else min(end + 1, len(text))


def previous_line(text: str, start: int) -> int:
    """Return the start of the line above the one that begins at `start`, which is not the first."""
    is_pair = start >= 2 and text.startswith("\r\n", start - 2)
    return line_start(text, start - 2 if is_pair else start - 1)


def plain_breaks(text: str) -> str:
    """Return `text` with every line break as "\\n"."""
    return LINE_END.sub("\n", text) if "\r" in text else text
