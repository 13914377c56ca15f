"""Imports and further definitions that an answer brings along: which are needed, and where they go.

A corrected function may need a module that the file does not import, or a function that the model
split off. Both are beyond the unit, so they are edits of their own, which the user confirms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nearfield.features.code_actions.answer import Answer
from nearfield.files.lines import split_lines
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Span

__all__ = ["companions", "import_edit", "needed"]

_WORD = re.compile(r"[^\W\d]\w*")
_KEYWORDS = frozenset(
    {"as", "default", "from", "import", "package", "require", "type", "use", "using"}
)
_PACKAGES = frozenset({"package_clause", "package_declaration", "package_header"})
_GO_PACKAGES = {
    name.rpartition("/")[2]: name
    for name in (
        *("bufio", "bytes", "cmp", "context", "errors", "fmt", "io", "maps", "math", "os"),
        *("reflect", "regexp", "slices", "sort", "strconv", "strings", "sync", "testing", "time"),
        *("encoding/json", "math/rand", "net/http", "path/filepath", "unicode", "unicode/utf8"),
    )
}
_TWO_LINES = frozenset({"python"})
"""Languages in which two empty lines are between definitions."""


def needed(statements: Sequence[str], code: str, document: str) -> list[str]:
    """Those imports that bind a name which `code` uses and `document` does not know."""
    used = set(_WORD.findall(code)) - set(_WORD.findall(document))
    return [one for one in statements if used & (set(_bound(one)) - _KEYWORDS)]


def go_packages(code: str, document: str) -> list[str]:
    """Imports of the packages of Go's library that `code` uses and `document` does not import:
    models forget them, and their names are known."""
    used = dict.fromkeys(re.findall(r"(?<![\w.])([a-z]+)\.[A-Z]", code))
    return [
        f'import "{_GO_PACKAGES[name]}"'
        for name in used
        if name in _GO_PACKAGES and f'"{_GO_PACKAGES[name]}"' not in document
    ]


def import_edit(parsed: Parsed, statements: Sequence[str], newline: str) -> Edit | None:
    """The edit that puts `statements` below the file's imports, or where these would be; None for
    no statements."""
    if not statements:
        return None
    text = "".join(f"{one.strip()}{newline}" for one in statements)
    held = [c for c in parsed.root.named_children if c.type in parsed.language.imports]
    if held:
        if held[-1].type in _PACKAGES:
            text = newline + text
        return _below(parsed, held[-1].end_byte, text, newline)
    first = next(
        (c for c in parsed.root.named_children if c.type not in parsed.language.comments), None
    )
    if first is not None and _is_docstring(parsed, first.start_byte):
        return _below(parsed, first.end_byte, newline + text, newline)
    start = 0 if first is None else _line_start(parsed.text, parsed.offset(first.start_byte))
    return Edit(Span(start, start), text + newline)


def companions(
    parsed: Parsed, start: int, answer: Answer, known: frozenset[str], newline: str
) -> Edit | None:
    """The edit that puts the answer's further definitions above the statement that holds `start`;
    only those that the code uses and the file does not have."""
    used = set(_WORD.findall(answer.code))
    wanted = [code for name, code in answer.others if name in used and name not in known]
    if not wanted:
        return None
    byte = parsed.byte(start)
    top = next((c for c in parsed.root.named_children if c.end_byte > byte), None)
    place = start if top is None else _line_start(parsed.text, parsed.offset(top.start_byte))
    gap = newline * (3 if parsed.language.name in _TWO_LINES else 2)
    text = "".join(newline.join(code.strip("\n").split("\n")) + gap for code in wanted)
    return Edit(Span(place, place), text)


def _bound(statement: str) -> list[str]:
    """The names in an import statement; of a path in quotes the last part, as Go binds it."""
    words = _WORD.findall(re.sub(r"([\"'`])(?:[^\"'`]*/)?([^\"'`/]*)\1", r" \2 ", statement))
    return words


def _below(parsed: Parsed, byte: int, text: str, newline: str) -> Edit:
    """`text` on the lines under the one that ends with `byte`."""
    offset = parsed.offset(byte)
    rest = split_lines(parsed.text[offset:], keepends=True)
    if offset and parsed.text[offset - 1] in "\r\n":
        return Edit(Span(offset, offset), text)
    if not rest or not rest[0].endswith(("\r", "\n")):
        end = len(parsed.text) if not rest else offset + len(rest[0])
        return Edit(Span(end, end), newline + text.removesuffix(newline))
    end = offset + len(rest[0])
    return Edit(Span(end, end), text)


def _is_docstring(parsed: Parsed, byte: int) -> bool:
    head = parsed.source[byte : byte + 4]
    return parsed.language.name == "python" and head.lstrip(b"rRuU")[:1] in (b'"', b"'")


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
