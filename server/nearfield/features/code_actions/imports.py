"""Imports and further definitions that come with an answer, and their places in the file.

A corrected function may need a module that the file does not import, or a function that the model
split off. Both are outside the unit, so they are separate edits, which the user confirms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nearfield.features.code_actions.answer import ExtractedCode
from nearfield.files.lines import line_start, split_lines
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Span

__all__ = ["companions", "import_edit", "needed"]

_WORD = re.compile(r"[^\W\d]\w*")
_QUOTED = re.compile(r"([\"'`])(?:[^\"'`]*/)?([^\"'`/]*)\1")
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


def needed(statements: Sequence[str], code: str, document: str) -> list[str]:
    """Return the imports that bind a name which `code` uses and `document` does not have."""
    used = set(_WORD.findall(code)) - set(_WORD.findall(document)) - _KEYWORDS
    # Of a path in quotes the last part counts, as Go binds it.
    names = (_QUOTED.sub(r" \2 ", statement) for statement in statements)
    return [
        one for one, text in zip(statements, names, strict=True) if used & {*_WORD.findall(text)}
    ]


def go_packages(code: str, document: str) -> list[str]:
    """Return imports of the packages of Go's library that `code` uses and `document` does not
    import, because models forget them."""
    used = dict.fromkeys(re.findall(r"(?<![\w.])([a-z]+)\.[A-Z]", code))
    return [
        f'import "{_GO_PACKAGES[name]}"'
        for name in used
        if name in _GO_PACKAGES and f'"{_GO_PACKAGES[name]}"' not in document
    ]


def import_edit(parsed: Parsed, statements: Sequence[str], newline: str) -> Edit | None:
    """Return the edit that puts `statements` below the file's imports, or where these would be;
    None without statements."""
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
    head = parsed.source[first.start_byte : first.start_byte + 4] if first is not None else b""
    is_docstring = head.lstrip(b"rRuU")[:1] in (b'"', b"'")
    if first is not None and is_docstring and parsed.language.name == "python":
        return _below(parsed, first.end_byte, newline + text, newline)
    start = 0 if first is None else line_start(parsed.text, parsed.offset(first.start_byte))
    return Edit(Span(start, start), text + newline)


def companions(
    parsed: Parsed, start: int, answer: ExtractedCode, known: frozenset[str], newline: str
) -> Edit | None:
    """Return the edit that puts further definitions of the answer above the statement that holds
    `start`: those that the code uses and the file does not have."""
    used = set(_WORD.findall(answer.code))
    wanted = [code for name, code in answer.others if name in used and name not in known]
    if not wanted:
        return None
    byte = parsed.byte(start)
    top = next((c for c in parsed.root.named_children if c.end_byte > byte), None)
    place = start if top is None else line_start(parsed.text, parsed.offset(top.start_byte))
    gap = newline * (3 if parsed.language.name == "python" else 2)
    text = "".join(newline.join(code.strip("\n").split("\n")) + gap for code in wanted)
    return Edit(Span(place, place), text)


def _below(parsed: Parsed, byte: int, text: str, newline: str) -> Edit:
    """Return the edit that puts `text` on the lines below the one that holds `byte`."""
    offset = parsed.offset(byte)
    rest = split_lines(parsed.text[offset:], keepends=True)
    if offset and parsed.text[offset - 1] in "\r\n":
        return Edit(Span(offset, offset), text)
    if not rest or not rest[0].endswith(("\r", "\n")):
        end = len(parsed.text) if not rest else offset + len(rest[0])
        return Edit(Span(end, end), newline + text.removesuffix(newline))
    end = offset + len(rest[0])
    return Edit(Span(end, end), text)
