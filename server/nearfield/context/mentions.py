"""The names that the code around a cursor uses, and what the document itself says about them.

A name near the cursor is worth more than one far away, and the one right before it most.
An import says which file a name is from; an assignment or an annotation says which class a variable
is of. Both are read from the tree and the text, roughly, in every language the same way: whoever
looks the names up decides what they are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.syntax.languages import Language, grammar
from nearfield.syntax.parser import Parsed

ABOVE_CHARS = 1_600
"""Names are taken from about the last forty lines …"""
BELOW_CHARS = 400
"""… and the next ten."""
TYPED_CHARS = 12_000
"""So far above the cursor it is looked what a variable is; parameters are further up only in
functions that nobody reads."""
HALF_LINES = 10.0
"""So many lines away a name counts half."""
MOST = 32
RECEIVER = 3.0
"""Weight of the class of what stands before a dot at the cursor: its members come next."""
SCOPE_WEIGHT = 0.7
"""Of the names in the signatures of the enclosing scopes: the classes of the parameters and the
bases of the class."""
UNUSED_IMPORT = 0.25
"""An import that is not used near the cursor may be what the next line needs."""
IMPORTED = 1.5
"""What is imported surely stands in another file."""

_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_NAME_TYPES = frozenset({"constant", "name", "word", "shorthand_field_identifier"})
_RECEIVER = re.compile(r"((?:[A-Za-z_$][\w$]*(?:\.|->|::))*)([A-Za-z_$][\w$]*)?$")
_GIVEN_AFTER = re.compile(
    r"[ \t]*(?::[ \t]*[\"']?(?:Optional\[|list\[|type\[)?([A-Za-z_][\w.]*)"
    r"|:?=\s*(?:await\s+|new\s+|&)?([A-Za-z_][\w.]*)\s*(?:::new|\.new)?\s*[({])"
)
"""`name: Kind`, `name = Kind(`, `name := Kind{`, `name = new Kind(`."""
_GIVEN_BEFORE = re.compile(
    r"(?<!\w)([A-Z][\w.]*)\([^()]*\)\s+as\s+$|(?<!\w)([A-Z]\w*)(?:<[^<>]*>)?[\s*&]+$"
)
"""`with Kind(…) as name`, `Kind name`."""
_IMPORT_WORDS = frozenset({"import", "from", "as", "use", "include", "require"})
_COMMON = frozenset(
    ["self", "cls", "this", "super", "args", "kwargs", "i", "j", "k", "n", "x", "_"]
)


@dataclass(frozen=True, slots=True)
class Mention:
    """`name` is used near the cursor, the more the higher its `weight`.

    `modules` are the words of the import that brings it (empty: not imported); `holder` is the
    name before its dot ("" where there is none), or the class of that where it is known.
    `inferred` tells that the name is that of a class which something is of, as the text says.
    """

    name: str
    weight: float
    modules: frozenset[str] = frozenset()
    holder: str = ""
    inferred: bool = False


def mentions(parsed: Parsed | None, text: str, offset: int) -> list[Mention]:
    """The names around `offset`, the weightiest first; without a tree, by their letters."""
    imported, brought = _imports(parsed)
    found: dict[tuple[str, str], Mention] = {}

    def note(name: str, weight: float, holder: str = "", inferred: bool = False) -> None:
        if name in _COMMON or len(name) < 2:
            return
        modules = imported.get(name, frozenset()) if not holder else frozenset[str]()
        if holder in imported:
            modules = imported[holder]
        weight *= IMPORTED if modules else 1.0
        known = found.get((name, holder))
        if known is None or known.weight < weight:
            found[name, holder] = Mention(name, weight, modules, holder, inferred)

    kinds: dict[str, str] = {}

    def kind_of(name: str) -> str:
        if name not in kinds:
            kinds[name] = class_of(name, text, offset)
        return kinds[name]

    for name, holder, weight in _names(parsed, text, offset):
        kind = kind_of(holder) if holder else ""
        note(name, weight, kind or holder)
        for used in (kind, kind_of(name) if not holder else ""):
            if used:
                note(used, weight, inferred=True)
    for name, holder in _before_cursor(text, offset):
        kind = class_of(holder, text, offset)
        note(kind or holder, RECEIVER, inferred=bool(kind))
        if name:
            note(name, RECEIVER / 2, kind or holder)
    for name in brought:
        if (name, "") not in found:
            found[name, ""] = Mention(name, UNUSED_IMPORT, imported[name])
    return sorted(found.values(), key=lambda one: -one.weight)[:MOST]


def class_of(name: str, text: str, offset: int) -> str:
    """The class that `name` was last given before `offset`, as far as the text says: assigned from
    a call, or annotated. "" when it says nothing."""
    last = name.rpartition(".")[2]
    if not last or not last.isidentifier() or last[0].isupper():
        return ""
    lowest = max(offset - TYPED_CHARS, 0)
    at = text.rfind(last, lowest, offset)
    while at >= 0:
        end = at + len(last)
        if not (text[at - 1 : at].isidentifier() or text[end : end + 1].isidentifier()):
            before = _GIVEN_BEFORE.search(text[max(at - 120, 0) : at])
            for said in (before, _GIVEN_AFTER.match(text, end)):
                kind = next(filter(None, said.groups()), "") if said else ""
                kind = kind.rpartition(".")[2]
                if kind[:1].isupper():
                    return kind
        at = text.rfind(last, lowest, at)
    return ""


def _imports(parsed: Parsed | None) -> tuple[dict[str, frozenset[str]], list[str]]:
    """Every word of an import statement, wherever it stands, with its other words; and those that
    it brings, in order."""
    found: dict[str, frozenset[str]] = {}
    brought: dict[str, None] = {}
    if parsed is None or not parsed.language.imports:
        return found, []
    statements = tree_sitter.QueryCursor(_import_query(parsed.language))
    for statement in statements.captures(parsed.root).get("import", ()):
        source = _text(parsed, statement)
        words = frozenset(_WORD.findall(source)) - _IMPORT_WORDS
        for name in words:
            found[name] = found.get(name, frozenset[str]()) | words
        brought.update((name, None) for name in _brought(source) if name in words)
    return found, list(brought)


def _brought(statement: str) -> list[str]:
    """The names that an import brings: what is not the path of a module, else the path's end."""
    before, word, after = statement.partition("import")
    if word and before.lstrip().startswith("from"):
        return _WORD.findall(after)
    names, word, _ = statement.partition(" from ")
    return _WORD.findall(names) if word else _WORD.findall(statement)[-1:]


@functools.cache
def _import_query(language: Language) -> tree_sitter.Query:
    kinds = " ".join(f"({kind})" for kind in sorted(language.imports))
    return tree_sitter.Query(grammar(language), f"[{kinds}] @import")


def _names(parsed: Parsed | None, text: str, offset: int) -> Iterator[tuple[str, str, float]]:
    """Names with what stands before their dot, and their weight."""
    start, end = max(offset - ABOVE_CHARS, 0), min(offset + BELOW_CHARS, len(text))
    row = text.count("\n", 0, offset)

    def weight(at: int) -> float:
        return 1.0 / (1.0 + abs(row - at) / HALF_LINES)

    if parsed is None:
        first = text.count("\n", 0, start)
        for match in _WORD.finditer(text, start, end):
            yield match[0], "", weight(first + text.count("\n", start, match.start()))
        return
    for node in _leaves(parsed, parsed.root, parsed.byte(start), parsed.byte(end)):
        yield _text(parsed, node), _holder(parsed, node), weight(node.start_point.row)
    for scope in parsed.path_to(min(offset, max(len(text) - 1, 0))):
        if scope.type in parsed.language.scopes:
            body = scope.child_by_field_name("body")
            last = body.start_byte if body is not None else scope.end_byte
            for node in _leaves(parsed, scope, scope.start_byte, last):
                yield _text(parsed, node), _holder(parsed, node), SCOPE_WEIGHT


def _leaves(
    parsed: Parsed, root: tree_sitter.Node, start: int, end: int
) -> Iterator[tree_sitter.Node]:
    """The names at and under `root` that touch `start:end`, imports and comments aside."""
    imports = parsed.language.imports
    stack = [root]
    while stack:
        node = stack.pop()
        if node.end_byte <= start or node.start_byte >= end:
            continue
        if not node.child_count:
            if node.type.endswith("identifier") or node.type in _NAME_TYPES:
                yield node
        elif node.type not in imports:
            stack.extend(node.children)


def _holder(parsed: Parsed, node: tree_sitter.Node) -> str:
    """The name right before the dot of `node`, "" when there is none."""
    before = parsed.source[max(node.start_byte - 80, 0) : node.start_byte]
    match = re.search(rb"([A-Za-z_$][\w$]*)(?:\(\))?(?:\.|->|::)$", before)
    return match[1].decode() if match else ""


def _before_cursor(text: str, offset: int) -> Iterator[tuple[str, str]]:
    """What is begun at the cursor behind a dot, and the name before that dot."""
    line = text[max(text.rfind("\n", 0, offset) + 1, offset - 200) : offset]
    match = _RECEIVER.search(line)
    if match and match[1]:
        holders = _WORD.findall(match[1])
        yield match[2] or "", holders[-1]


def _text(parsed: Parsed, node: tree_sitter.Node) -> str:
    return parsed.source[node.start_byte : node.end_byte].decode("utf-8", "replace")
