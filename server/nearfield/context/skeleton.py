"""A definition in few words: its signature, its documentation, and for a class its members.

What somebody who uses it must know stays: names, parameters, types, fields, the first lines of the
documentation. Bodies go, but for a short one, and for a constructor's, which says what the object
holds.
"""

from __future__ import annotations

import re

import tree_sitter

from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse

SHORT_BODY_CHARS = 240
"""A body up to this long stays: it says more than its elision saves."""
CONSTRUCTOR_CHARS = 700
DOC_LINES = 3
"""So many lines of a docstring stay."""
ELISION = "..."

_CONSTRUCTORS = re.compile(rb"\b(?:__init__|constructor|__new__|initialize)\b")


def skeleton(text: str, language: Language | None, most: int) -> str:
    """`text`, the whole of one definition with its indentation, in at most `most` characters:
    bodies are left out, then members from the end, and it always ends with a whole line."""
    text = _outdented(text)
    if language is not None and len(text) > SHORT_BODY_CHARS:
        parsed = parse(language, text)
        if parsed is not None:
            text = _elided(parsed)
    return cut_lines(text, most)


def cut_lines(text: str, most: int) -> str:
    """The first lines of `text`, at most `most` characters."""
    if len(text) <= most:
        return text
    return text[: max(text.rfind("\n", 0, most), 0)].rstrip()


def _elided(parsed: Parsed) -> str:
    source = parsed.source
    gone: list[tuple[int, int, bytes]] = []
    stack = [parsed.root]
    while stack:
        node = stack.pop()
        if node.type in parsed.language.functions:
            if (cut := _body(parsed, node)) is not None:
                gone.append(cut)
            continue
        stack.extend(node.children)
    out: list[bytes] = []
    at = 0
    for start, end, instead in sorted(gone):
        if start >= at:
            out += [source[at:start], instead]
            at = end
    out.append(source[at:])
    return re.sub(r"\n\s*\n+", "\n", b"".join(out).decode("utf-8", "replace")).strip("\n")


def _body(parsed: Parsed, function: tree_sitter.Node) -> tuple[int, int, bytes] | None:
    """What of a function's body goes, and what stands for it; None when it stays."""
    body = function.child_by_field_name("body")
    if body is None:
        return None
    head = parsed.source[function.start_byte : body.start_byte]
    most = CONSTRUCTOR_CHARS if _CONSTRUCTORS.search(head) else SHORT_BODY_CHARS
    start, end = body.start_byte, body.end_byte
    if end - start <= most:
        return None
    if not parsed.language.indented:
        return start, end, b"{ " + ELISION.encode() + b" }"
    first = body.named_children[0] if body.named_children else None
    if first is not None and first.type == "expression_statement" and first.named_children:
        string = first.named_children[0]
        if string.type in parsed.language.strings:
            return _after_doc(parsed.source, string, end)
    return start, end, ELISION.encode()


def _after_doc(source: bytes, string: tree_sitter.Node, end: int) -> tuple[int, int, bytes]:
    """Keeps the first lines of a docstring."""
    doc = source[string.start_byte : string.end_byte]
    lines = doc.split(b"\n")
    if len(lines) <= DOC_LINES:
        return string.end_byte, end, b""
    quote = doc[-3:] if doc[-3:] in (b'"""', b"'''") else doc[-1:]
    kept = b"\n".join(lines[: DOC_LINES - 1]).rstrip()
    return string.start_byte, end, kept + quote


def _outdented(text: str) -> str:
    """`text` with the indentation of its first line taken from every line."""
    lines = text.expandtabs(4).split("\n") if text[:1] in " \t" else text.split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:].rstrip() for line in lines).strip("\n")
