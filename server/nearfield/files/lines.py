r"""Split text into lines as editors do: at "\n", "\r\n" and a lone "\r", and nowhere else.

`str.splitlines` also splits at form feeds, vertical tabs, U+0085, U+2028, U+2029 and the
separators U+001C to U+001E. Line numbers counted that way are not those of the editor, of git or of
a compiler, so a test keeps it out of this package.
"""

from __future__ import annotations

import re

LINE_END = re.compile(r"\r\n?|\n")
"""What ends a line."""

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
    """Return the offset at which the line that holds `offset` begins."""
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
