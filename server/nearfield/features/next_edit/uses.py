"""The other uses of a name in a document, by the tree.

Local names come from syntax/scopes.py, members of classes from members.py. Here are also the names
of a file: functions, classes, variables, imports. What may be another symbol is left out: an offer
must be right, it need not be complete.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tree_sitter

from nearfield.features.next_edit.members import member_of, members
from nearfield.features.next_edit.rust_members import may_be_variant
from nearfield.syntax.definitions import name_node
from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import ITEMS, is_imported
from nearfield.syntax.rust_paths import is_of_file, is_of_outer_module, reaches
from nearfield.syntax.scopes import (
    INNER,
    Scope,
    binds,
    captured,
    declares,
    is_member,
    is_name,
    is_parameter,
    scope_of,
    text_of,
)
from nearfield.types import Span

__all__ = ["Uses", "holder_of", "is_taken", "is_variable", "named", "places_of", "uses_of"]

MAX_USES = 300
"""A name that is used more often in one file is looked up no further."""
_PLAIN = frozenset({"identifier", "type_identifier"})
_SHORT = frozenset({"shorthand_property_identifier", "shorthand_property_identifier_pattern"})
_IMPORTS = frozenset({"import_specifier", "import_clause", "namespace_import", "aliased_import",
                      "import_statement", "import_from_statement"})  # fmt: skip
_DEFINITIONS = ITEMS | {"type_spec", "type_alias_declaration", "type_alias"}
_PYTHON = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Uses:
    """A name at one place: `others` are the spans of its other uses; `within` is the part of the
    text in which it means this. `bound` tells whether the place defines it."""

    name: str
    within: Span
    others: tuple[Span, ...]
    bound: bool
    owner: str = ""
    """The class whose member it is."""
    local: bool = False
    """True for a variable or a parameter of one function."""
    is_parameter: bool = False


def uses_of(parsed: Parsed, span: Span) -> Uses | None:
    """Return the other uses of the name at `span`; None where its meaning is not certain."""
    path = parsed.path_to(span.start)
    node = path[-1] if path else None
    if node is None or parsed.span(node) != span or any(one.is_error for one in path):
        return None
    if (owner := member_of(parsed, node)) is not None:
        found = list(members(parsed, text_of(node), owner))
        definitions = [one.node for one in found if one.defines]
        if not definitions and is_imported(node):
            return _wider(parsed, node)  # an enum's variant, of another file
        if not definitions or len(found) > MAX_USES or node in definitions[1:]:
            return None
        others = [parsed.span(one.node) for one in found if one.node != node]
        bound = node == definitions[0]
        whole = Span(0, len(parsed.text))
        return Uses(text_of(node), whole, tuple(others), bound, owner)
    if node.type not in _PLAIN or is_member(node) or text_of(node) in ("self", "cls", "this", "_"):
        return None
    return _local(parsed, node) or _wider(parsed, node)


def is_taken(parsed: Parsed, uses: Uses, name: str) -> bool:
    """Return whether `name` cannot replace the old one: it is no name, or is in use there."""
    if not is_name(name, parsed.language.name):
        return True
    if uses.owner:
        return any(True for _ in members(parsed, name, uses.owner))
    if not uses.bound and name in _PYTHON:
        return True
    within = uses.within if uses.bound else Span(0, len(parsed.text))
    return any(
        node.type in _PLAIN | _SHORT and not is_member(node) for node in named(parsed, name, within)
    )


def places_of(parsed: Parsed, uses: Uses, within: Span) -> set[Span]:
    """Return where in `within` there is a variable of the name, or a member of the class, be it the
    same one or another."""
    if uses.owner:
        return {parsed.span(one.node) for one in members(parsed, uses.name, uses.owner)}
    return {
        parsed.span(node)
        for node in named(parsed, uses.name, within)
        if node.type in _PLAIN | _SHORT and not is_member(node)
    }


def named(parsed: Parsed, name: str, within: Span) -> Iterator[tree_sitter.Node]:
    """Yield the leaves in `within` whose text is `name`."""
    pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    for match in pattern.finditer(parsed.text, within.start, within.end):
        path = parsed.path_to(match.start())
        if path and not path[-1].named_children and parsed.span(path[-1]).start == match.start():
            yield path[-1]


def is_variable(node: tree_sitter.Node) -> bool:
    """Return whether a leaf is a name of a variable, a function or a type."""
    return node.type in _PLAIN


def _local(parsed: Parsed, node: tree_sitter.Node) -> Uses | None:
    """Return the uses of a local variable or a parameter."""
    if _is_property(node):
        return None
    scope = scope_of(parsed, node)
    # A value that is given later is no new name.
    if scope is None or node in scope.bindings[1:]:
        return None
    uses = scope.uses if parsed.language.name == "rust" else _first_value(scope)
    others = [*(parsed.span(one) for one in uses if one != node), *captured(parsed, scope)]
    if scope.parameter:
        others.extend(_keywords(parsed, scope.function, scope.name))
    bound = node == scope.bindings[0]
    if not bound and _are_several(parsed, scope.bindings):
        return None
    within = parsed.span(scope.function)
    return Uses(scope.name, within, tuple(others), bound, local=True, is_parameter=scope.parameter)


def _first_value(scope: Scope) -> Sequence[tree_sitter.Node]:
    """Return the uses of a variable until it is given a value made from itself, as in `path =
    Path(path)`: a new name is then mostly for the first value alone."""
    for one in scope.bindings[1:]:
        up = one.parent
        if up is None or up.type not in ("assignment", "assignment_expression"):
            continue
        value = up.child_by_field_name("right")
        if value is not None and any(_within(use, value) for use in scope.uses):
            return [
                use for use in scope.uses if use.end_byte <= up.start_byte or _within(use, value)
            ]
    return scope.uses


def _are_several(parsed: Parsed, bindings: Sequence[tree_sitter.Node]) -> bool:
    """Return whether several blocks declare the name, each for itself: then a use is of one of
    them."""
    declared = sum(declares(one) for one in bindings)
    return declared > 1 and parsed.language.name != "python"


def _is_property(node: tree_sitter.Node) -> bool:
    """Return whether it is a parameter of TypeScript that is a field as well."""
    up = node.parent
    return up is not None and any(
        one.type in ("accessibility_modifier", "readonly") for one in up.children
    )


def _keywords(parsed: Parsed, function: tree_sitter.Node, name: str) -> Iterator[Span]:
    """Yield the places where calls of `function` name its parameter `name`."""
    own = name_node(function)
    if own is None or parsed.language.name != "python":
        return
    called = text_of(own)
    if called == "__init__":
        owner = member_of(parsed, own)
        called = owner or called
    # Most places of a common name are no arguments, and the text tells.
    for match in re.finditer(rf"(?<!\w){re.escape(name)}\s*=(?!=)", parsed.text):
        path = parsed.path_to(match.start())
        node = path[-1]
        up = node.parent
        if up is None or up.type != "keyword_argument" or up.child_by_field_name("name") != node:
            continue
        call = up.parent.parent if up.parent is not None else None
        callee = call.child_by_field_name("function") if call is not None else None
        if callee is not None and text_of(callee).rpartition(".")[2] == called:
            yield parsed.span(node)


def _wider(parsed: Parsed, node: tree_sitter.Node) -> Uses | None:
    """Return the uses of a name of the file, or of a function within a function: of the innermost
    scope around `node` that defines it."""
    scope = _scope_around(parsed, node)
    while scope is not None:
        found: list[tree_sitter.Node] = []
        for one in named(parsed, text_of(node), parsed.span(scope)):
            if one.type in _SHORT:
                return None
            if _is_of_file(parsed, one):
                found.append(one)
            if len(found) > MAX_USES:
                return None
        holders = {one.id: holder_of(parsed, one) for one in found}
        is_class = scope.type in parsed.language.classes - {"mod_item"}
        if scope in holders.values() and not is_class:
            return _within_scope(parsed, node, scope, found, holders)
        scope = _scope_around(parsed, scope)
    return None


def _within_scope(
    parsed: Parsed,
    node: tree_sitter.Node,
    scope: tree_sitter.Node,
    found: list[tree_sitter.Node],
    holders: dict[int, tree_sitter.Node | None],
) -> Uses | None:
    """Return those of `found` that are the name that `scope` defines, not one of an inner scope."""
    inner = [one for one in holders.values() if one is not None and one != scope]
    kept = [one for one in found if not any(_within(one, other) for other in inner)]
    if parsed.language.name == "rust":
        kept = [one for one in kept if reaches(one, scope) and not may_be_variant(parsed, one)]
    own = [one for one in kept if holders[one.id] == scope]
    # A value that is given later is no new name.
    if not own or node not in kept or (node in own and node != own[0]):
        return None
    if node not in own and _are_several(parsed, own):
        return None
    if node not in own and _is_imported(own[0]):
        return None  # its definition is in another file, and this use now means another name
    others = tuple(parsed.span(one) for one in kept if one != node)
    return Uses(text_of(node), parsed.span(scope), others, node in own)


def holder_of(parsed: Parsed, node: tree_sitter.Node) -> tree_sitter.Node | None:
    """Return the scope in which `node` defines its name; None where it only uses it."""
    up = node.parent
    if up is None:
        return None
    if is_parameter(node, None):
        while up is not None and up.type not in parsed.language.functions | INNER:
            up = up.parent
        return up
    scope = _scope_around(parsed, node)
    is_rust = parsed.language.name == "rust"
    if up.type in parsed.language.scopes | _DEFINITIONS and name_node(up) == node:
        return _scope_around(parsed, up)
    if is_rust and up.type == "type_parameter" and up.parent is not None:
        return up.parent.parent
    if scope is None:
        return None
    if _is_imported(node) or (binds(node, scope) and _is_own(parsed, node, scope)):
        return scope
    return None


def _is_of_file(parsed: Parsed, node: tree_sitter.Node) -> bool:
    """Return whether a leaf is a variable, a function or a type that has this name in the file."""
    if node.type not in _PLAIN:
        return False
    is_own = is_of_file(node) if parsed.language.name == "rust" else None
    return is_own if is_own is not None else not is_member(node) and not _is_foreign(node)


def _is_own(parsed: Parsed, node: tree_sitter.Node, scope: tree_sitter.Node) -> bool:
    """Return whether what is assigned in `scope` belongs to it."""
    if parsed.language.name != "python":
        return declares(node)
    head = rf"^\s*(?:global|nonlocal)\b[^\n]*\b{re.escape(text_of(node))}\b"
    return not re.search(head, text_of(scope), re.MULTILINE)


def _is_foreign(node: tree_sitter.Node) -> bool:
    """Return whether it is the name that something has in the file from which it is imported, and
    another one here: `loads` of `from json import loads as parse`."""
    if (imports := is_imported(node)) is not None:
        return not imports
    up = node.parent
    if up is not None and up.type == "dotted_name":
        up = up.parent
    return up is not None and up.type in _IMPORTS and not _is_imported(node)


def _is_imported(node: tree_sitter.Node) -> bool:
    if (imports := is_imported(node)) is not None:
        return imports and not is_of_outer_module(node)
    up = node.parent
    if up is not None and up.type == "dotted_name":
        if up.named_child_count > 1 or up.parent is None:
            return False
        node, up = up, up.parent
        if up.type == "import_from_statement" and up.child_by_field_name("module_name") == node:
            return False
    if up is None or up.type not in _IMPORTS:
        return False
    alias = up.child_by_field_name("alias")
    return alias is None or alias == node


def _scope_around(parsed: Parsed, node: tree_sitter.Node) -> tree_sitter.Node | None:
    """Return the innermost function, class or comprehension around `node`, or the file."""
    scopes = (parsed.language.scopes - {"type_declaration"}) | INNER
    up = node.parent
    while up is not None and up.parent is not None and up.type not in scopes:
        up = up.parent
    return up


def _within(node: tree_sitter.Node, outer: tree_sitter.Node) -> bool:
    return outer.start_byte <= node.start_byte and node.end_byte <= outer.end_byte
