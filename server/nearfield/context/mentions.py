"""The names that the code around a cursor uses, and what the document says about them.

A name near the cursor weighs more than a distant one, and the one right before it most. Imports
tell which file a name is from; assignments and annotations tell the class of a variable. Both are
read roughly, from the tree and the text, in the same way for every language.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.files.lines import line_start
from nearfield.syntax.languages import Language, grammar
from nearfield.syntax.parser import Parsed

ABOVE_CHARS = 1_600
"""Text above the cursor that names are taken from: about forty lines."""
BELOW_CHARS = 400
"""Text below it: about ten lines."""
TYPED_CHARS = 12_000
"""Text above the cursor that is searched for a variable's class; parameters are further away only
in functions that are too long to read."""
HALF_LINES = 10.0
"""Distance at which a name weighs half."""
MAX_MENTIONS = 32
RECEIVER = 3.0
"""Weight of the class of the value before a dot at the cursor: its members come next."""
SCOPE_WEIGHT = 0.7
"""Weight of names in the signatures of the enclosing scopes: parameter types and base classes."""
UNUSED_IMPORT = 0.25
"""Weight of an import that is not used near the cursor: the next line may need it."""
IMPORTED = 1.5
"""Factor for imported names: their definition is surely in another file."""

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
    """A name that is used near the cursor; a higher `weight` means nearer.

    `modules` are the words of the import that binds it (empty: not imported). `holder` is the name
    before its dot, or that name's class if known ("" without a dot). `inferred`: the name is that
    of a class which the text gives to some variable.
    """

    name: str
    weight: float
    modules: frozenset[str] = frozenset()
    holder: str = ""
    inferred: bool = False


def mentions(parsed: Parsed | None, text: str, offset: int) -> list[Mention]:
    """Return the names around `offset`, the heaviest first; without a tree, all words."""
    imported, bound = _imports(parsed)
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
    line = text[max(line_start(text, offset), offset - 200) : offset]
    receiver = _RECEIVER.search(line)
    if receiver and receiver[1]:
        # `holder.name` is being typed at the cursor.
        name, holder = receiver[2] or "", _WORD.findall(receiver[1])[-1]
        kind = class_of(holder, text, offset)
        note(kind or holder, RECEIVER, inferred=bool(kind))
        if name:
            note(name, RECEIVER / 2, kind or holder)
    for name in bound:
        if (name, "") not in found:
            found[name, ""] = Mention(name, UNUSED_IMPORT, imported[name])
    return sorted(found.values(), key=lambda one: -one.weight)[:MAX_MENTIONS]


def class_of(name: str, text: str, offset: int) -> str:
    """Return the class that the text last gives to `name` before `offset`, by assignment from a
    call or by annotation; "" if unknown."""
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
    """Return every word of the import statements with the other words of its statement, and the
    names that the statements bind, in order."""
    found: dict[str, frozenset[str]] = {}
    bound: dict[str, None] = {}
    if parsed is None or not parsed.language.imports:
        return found, []
    statements = tree_sitter.QueryCursor(_import_query(parsed.language))
    for statement in statements.captures(parsed.root).get("import", ()):
        source = _text(parsed, statement)
        words = frozenset(_WORD.findall(source)) - _IMPORT_WORDS
        for name in words:
            found[name] = found.get(name, frozenset[str]()) | words
        bound.update((name, None) for name in _bound_names(source) if name in words)
    return found, list(bound)


def _bound_names(statement: str) -> list[str]:
    """Return the names that an import binds: those that are no module path, else the path's end."""
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
    """Yield names, with the name before their dot and their weight."""
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
    """Yield the identifiers under `root` that touch `start:end`, except in imports."""
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
    """Return the name right before the dot of `node`, "" without a dot."""
    before = parsed.source[max(node.start_byte - 80, 0) : node.start_byte]
    match = re.search(rb"([A-Za-z_$][\w$]*)(?:\(\))?(?:\.|->|::)$", before)
    return match[1].decode() if match else ""


def _text(parsed: Parsed, node: tree_sitter.Node) -> str:
    return parsed.source[node.start_byte : node.end_byte].decode("utf-8", "replace")
