"""The skeleton of a definition: its signature, its documentation, and for a class its members.

A caller's view stays: names, parameters, types, fields, the first lines of the documentation.
Bodies are left out, except short ones and constructors, which tell an object's fields. The room
decides how much more is left out: all names of a large class tell more than half of its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import tree_sitter

from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse

ELISION = b"..."
PARSED_CHARS = 300_000
"""A longer definition is cut without parsing, which would take 0.1 s."""


@dataclass(frozen=True, slots=True)
class _Detail:
    """The amount of detail: the longest body and constructor (characters), the lines of
    documentation, and whether parameters and comments are kept."""

    body: int
    constructor: int
    doc_lines: int
    parameters: bool = True
    comments: bool = True


DETAILS = (
    _Detail(body=240, constructor=700, doc_lines=3),
    _Detail(body=60, constructor=500, doc_lines=1, comments=False),
    _Detail(body=0, constructor=300, doc_lines=0, comments=False),
    _Detail(body=0, constructor=0, doc_lines=0, parameters=False, comments=False),
)

_CONSTRUCTORS = re.compile(rb"\b(?:__init__|constructor|__new__|initialize)\b")
_Cut = tuple[int, int, bytes]


def skeleton(text: str, language: Language | None, most: int) -> str:
    """Return a definition, given with its indentation, in at most `most` characters: with as much
    detail as fits, cut after a line if nothing else helps."""
    text = _outdented(text)
    if len(text) <= DETAILS[0].body or language is None or len(text) > PARSED_CHARS:
        return cut_lines(text, most)
    parsed = parse(language, text)
    if parsed is None:
        return cut_lines(text, most)
    for detail in DETAILS:
        text = _Skeleton(parsed, detail).text()
        if len(text) <= most:
            break
    return cut_lines(text, most)


def cut_lines(text: str, most: int) -> str:
    """Return the first lines of `text`, at most `most` characters."""
    if len(text) <= most:
        return text
    return text[: max(text.rfind("\n", 0, most + 1), 0)].rstrip()


class _Skeleton:
    """Cuts one text down to one amount of detail."""

    def __init__(self, parsed: Parsed, detail: _Detail) -> None:
        self._parsed = parsed
        self._language = parsed.language
        self._detail = detail

    def text(self) -> str:
        source = self._parsed.source
        out: list[bytes] = []
        at = 0
        for start, end, instead in sorted(self._cuts()):
            if start >= at:
                out += [source[at:start], instead]
                at = end
        out.append(source[at:])
        plain = b"".join(out).decode("utf-8", "replace")
        return re.sub(r"(?<![ \t])[ \t]*+\n(?:[ \t]*+\n)+", "\n", plain).strip("\n")

    def _cuts(self) -> list[_Cut]:
        cuts: list[_Cut] = []
        stack = [self._parsed.root]
        while stack:
            node = stack.pop()
            if node.type in self._language.functions:
                cuts += self._of_function(node)
                continue
            if node.type in self._language.comments and not self._detail.comments:
                cuts.append((node.start_byte, node.end_byte, b""))
            elif node.type in self._language.classes:
                body = node.child_by_field_name("body")
                string = self._docstring(body)
                if string is not None:
                    cuts += self._of_doc(string, string.end_byte)
            stack.extend(node.children)
        return cuts

    def _of_function(self, function: tree_sitter.Node) -> list[_Cut]:
        cuts: list[_Cut] = []
        body = function.child_by_field_name("body")
        parameters = function.child_by_field_name("parameters")
        if parameters is not None:
            cuts.append(self._of_parameters(parameters))
        if body is None:
            return cuts
        head = self._parsed.source[function.start_byte : body.start_byte]
        is_constructor = _CONSTRUCTORS.search(head) is not None
        most = self._detail.constructor if is_constructor else self._detail.body
        start, end = body.start_byte, body.end_byte
        if end - start <= most:
            return cuts
        string = self._docstring(body)
        if not self._language.indented:
            cuts.append((start, end, b"{ " + ELISION + b" }"))
        elif string is not None and self._detail.doc_lines:
            cuts += self._of_doc(string, end)
        else:
            # On the signature's line: a line of its own costs as much as a short name.
            colon = len(head.rstrip())
            fields = _fields(self._parsed.source[start:end]) if is_constructor else b""
            cuts.append((function.start_byte + colon, end, b" " + (fields or ELISION)))
        return cuts

    def _of_parameters(self, parameters: tree_sitter.Node) -> _Cut:
        start, end = parameters.start_byte, parameters.end_byte
        if not self._detail.parameters:
            return start, end, b"(" + ELISION + b")"
        lines = self._parsed.source[start:end].split(b"\n")
        plain = b" ".join(line for one in lines if (line := one.strip()))
        return start, end, plain.replace(b"( ", b"(").replace(b", )", b")").replace(b" )", b")")

    def _docstring(self, body: tree_sitter.Node | None) -> tree_sitter.Node | None:
        first = body.named_children[0] if body is not None and body.named_children else None
        if first is None or first.type != "expression_statement" or not first.named_children:
            return None
        string = first.named_children[0]
        return string if string.type in self._language.strings else None

    def _of_doc(self, string: tree_sitter.Node, end: int) -> list[_Cut]:
        """Keep the first lines of a docstring; cut what follows it up to `end`."""
        doc = self._parsed.source[string.start_byte : string.end_byte]
        lines = doc.split(b"\n")
        most = self._detail.doc_lines
        if not most:
            return [(string.start_byte, end, b"")]
        if len(lines) <= most:
            return [(string.end_byte, end, b"")] if end > string.end_byte else []
        quote = doc[-3:] if doc[-3:] in (b'"""', b"'''") else doc[-1:]
        return [(string.start_byte, end, b"\n".join(lines[:most]).rstrip() + quote)]


def _fields(constructor: bytes) -> bytes:
    """Return the attributes that a constructor assigns."""
    names = dict.fromkeys(re.findall(rb"\bself\.(\w+)(?::[^=\n]+)?[ \t]*=(?!=)", constructor))
    return b"; ".join(b"self." + name for name in names)


def _outdented(text: str) -> str:
    """Return `text` without the indentation that all its lines share."""
    lines = text.expandtabs(4).split("\n") if text[:1] in " \t" else text.split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:].rstrip() for line in lines).strip("\n")
