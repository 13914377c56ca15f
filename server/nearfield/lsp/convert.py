"""Positions and offsets: the only arithmetic between LSP's columns and the inside's offsets.

A position counts lines from 0 and, within a line, units of the negotiated encoding (bytes of UTF-8,
16-bit units of UTF-16, or code points). An offset counts code points from the document's start.
Clamping is the specification's: a column beyond its line means the line's end, a line beyond the
document the document's end. A position within a character means that character's start.
"""

from __future__ import annotations

from lsprotocol.types import Position, PositionEncodingKind, Range

from nearfield.lsp.lines import LineTable
from nearfield.types import Span

UTF8 = PositionEncodingKind.Utf8.value
UTF16 = PositionEncodingKind.Utf16.value
UTF32 = PositionEncodingKind.Utf32.value

_CODEC = {UTF8: ("utf-8", 1), UTF16: ("utf-16-le", 2)}


def units(text: str, encoding: str) -> int:
    """The length of `text` in units of `encoding`."""
    if encoding == UTF32 or text.isascii():
        return len(text)
    codec, width = _CODEC[encoding]
    return len(text.encode(codec)) // width


def characters(line: str, column: int, encoding: str) -> int:
    """Return the number of characters of `line` before `column` (units of `encoding`),
    at most all.
    """
    if column <= 0:
        return 0
    # A character is at least one unit, so only the first `column` characters matter.
    head = line[:column]
    if encoding == UTF32 or head.isascii():
        return len(head)
    codec, width = _CODEC[encoding]
    # Cut in the middle of a character, the rest of it is not decodable: that is the clamping.
    return len(head.encode(codec)[: column * width].decode(codec, "ignore"))


def offset_at(text: str, lines: LineTable, position: Position, encoding: str) -> int:
    """The offset of `position`, clamped into the document."""
    if position.line < 0:
        return 0
    if position.line >= len(lines):
        return len(text)
    start = lines.start(position.line)
    end = lines.content_end(position.line, text)
    if position.character <= 0:
        return start
    # Slicing before looking keeps a 2 MB line cheap when the cursor is at its start.
    end = min(end, start + position.character)
    return start + characters(text[start:end], position.character, encoding)


def position_at(text: str, lines: LineTable, offset: int, encoding: str) -> Position:
    """The position of `offset`, clamped into the document."""
    offset = min(max(offset, 0), len(text))
    line = lines.line_at(offset)
    start = lines.start(line)
    return Position(line, units(text[start:offset], encoding))


def span_of(text: str, lines: LineTable, where: Range, encoding: str) -> Span:
    """The offsets of a range; its ends may come in either order."""
    start = offset_at(text, lines, where.start, encoding)
    end = offset_at(text, lines, where.end, encoding)
    return Span(min(start, end), max(start, end))


def range_of(text: str, lines: LineTable, span: Span, encoding: str) -> Range:
    """The range of a span."""
    return Range(
        position_at(text, lines, span.start, encoding), position_at(text, lines, span.end, encoding)
    )
