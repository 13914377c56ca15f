"""Names in a model's proposal, as the project knows them.

The gate knows one document. The index knows whether anything defines what a proposal calls, and
which definition an edit of another document was in. Each question is bounded, and most proposals
need none. What the index cannot say in time, or does not know yet, is no objection.
"""

from __future__ import annotations

import asyncio
import builtins
import re
from collections.abc import Collection, Sequence
from typing import Protocol

import tree_sitter

from nearfield.features.next_edit.edit_prompt import Hunk
from nearfield.features.next_edit.uses import named
from nearfield.syntax.parser import Parsed
from nearfield.types import Reason, Snapshot, Span

__all__ = ["IndexedNames", "edited_definitions", "new_calls", "objection"]

ASK_SECONDS = 0.2
"""Longest wait for an answer of the index, which usually takes a millisecond."""
MAX_NAMES = 8
"""Names that are asked about at once."""
_CALLED = re.compile(r"(?<![\w.:$#@])[^\W\d]\w*(?=\s*\()")
_TAKES_ALL = re.compile(
    r"^\s*from\s+[\w.]+\s+import\s+\*|\buse\s[^;]*::\s*(?:\{[^}]*)?\*|^\s*(?:import\s+)?\.\s+\"",
    re.MULTILINE,
)
"""An import of names that it does not name, in Python, Rust and Go."""
_ECMA = frozenset(
    {
        "Array", "BigInt", "Boolean", "Date", "Error", "Function", "Number", "Object", "Promise",
        "Proxy", "RangeError", "RegExp", "String", "Symbol", "TypeError", "addEventListener",
        "afterAll", "afterEach", "alert", "atob", "beforeAll", "beforeEach", "btoa",
        "cancelAnimationFrame", "clearInterval", "clearTimeout", "confirm", "decodeURI",
        "decodeURIComponent", "describe", "dispatchEvent", "encodeURI", "encodeURIComponent",
        "eval", "expect", "fetch", "getComputedStyle", "import", "isFinite", "isNaN", "it",
        "matchMedia", "parseFloat", "parseInt", "postMessage", "prompt", "queueMicrotask",
        "removeEventListener", "requestAnimationFrame", "require", "setImmediate", "setInterval",
        "setTimeout", "structuredClone", "super", "test",
    }
)  # fmt: skip
_GIVEN = {
    "python": frozenset(dir(builtins)),
    "javascript": _ECMA,
    "typescript": _ECMA,
    "typescriptreact": _ECMA,
    "go": frozenset(
        {
            "any", "append", "bool", "byte", "cap", "clear", "close", "complex", "complex128",
            "complex64", "copy", "delete", "error", "float32", "float64", "imag", "int", "int16",
            "int32", "int64", "int8", "len", "make", "max", "min", "new", "panic", "print",
            "println", "real", "recover", "rune", "string", "uint", "uint16", "uint32", "uint64",
            "uint8", "uintptr",
        }
    ),
    "rust": frozenset({"Box", "Err", "None", "Ok", "Self", "Some", "String", "Vec", "drop"}),
}  # fmt: skip
"""The functions and types that each language gives to every file."""


class IndexedNames(Protocol):
    """The names in the index of a document's folder; all empty while it is not complete."""

    async def unknown(self, names: Collection[str], snapshot: Snapshot) -> frozenset[str]:
        """Return those of `names` that no file defines or refers to."""
        ...

    async def defined_around(
        self, places: Sequence[tuple[str, int]], snapshot: Snapshot
    ) -> frozenset[str]:
        """Return the names of the innermost definitions at rows (from 0) of files."""
        ...


async def edited_definitions(
    names: IndexedNames | None, snapshot: Snapshot, hunks: Sequence[tuple[Snapshot, Hunk]]
) -> frozenset[str]:
    """Return the definitions that the recent edits of other documents than `snapshot` are in."""
    places = [
        (document.path, hunk.row - 1)
        for document, hunk in hunks
        if document.uri != snapshot.uri and document.path is not None and not document.is_cell
    ]
    if names is None or not places:
        return frozenset()
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await names.defined_around(places, snapshot)
    except TimeoutError:
        return frozenset()


async def objection(
    names: IndexedNames | None,
    snapshot: Snapshot,
    calls: Collection[str],
) -> Reason | None:
    """Return what the index has against a proposal, None for nothing. `calls` are what it calls and
    its document does not know."""
    if names is None or not calls:
        return None
    try:
        async with asyncio.timeout(ASK_SECONDS):
            unknown = await names.unknown(sorted(calls)[:MAX_NAMES], snapshot)
    except TimeoutError:
        return None
    return Reason.UNKNOWN_NAME if unknown else None


def new_calls(after: Parsed, span: Span, before: str, hunks: Sequence[Hunk]) -> frozenset[str]:
    """Return the functions and types that the text at `span` calls by a plain name, and that are
    nowhere else: not in the text `before`, nor in the recent edits, nor part of the language."""
    given = _GIVEN.get(after.language.name)
    if given is None or _TAKES_ALL.search(before):
        return frozenset()
    known = "\n".join((before, *(text for hunk in hunks for text in (hunk.old, hunk.new))))
    found: set[str] = set()
    for name in set(_CALLED.findall(after.text, span.start, span.end)) - given:
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", known):
            continue
        places = list(named(after, name, span))
        if places and all(map(_is_called, places)):
            found.add(name)
    return frozenset(found)


def _is_called(node: tree_sitter.Node) -> bool:
    up = node.parent
    is_call = up is not None and up.type in ("call", "call_expression")
    return is_call and up is not None and up.child_by_field_name("function") == node
