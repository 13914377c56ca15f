"""Rust's paths and `use` declarations: which names lead to another one, and what a file imports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

import tree_sitter

from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import PATHS, ancestors, is_imported
from nearfield.syntax.scopes import text_of

__all__ = [
    "Import",
    "Path",
    "imports",
    "is_of_file",
    "is_of_outer_module",
    "kept_with_tree",
    "path_before",
    "path_in_tokens",
    "reaches",
    "steps_of",
]

Path = tuple[str, ...]
_T = TypeVar("_T")

_KEYWORDS = frozenset({"crate", "self", "super"})
_PARTS = PATHS | {"scoped_use_list", "use_as_clause", "use_list", "use_wildcard"}
_AROUND = ("block", "mod_item", "source_file")
_USE = re.compile(r"(?<!\w)use(?!\w)")


@dataclass(frozen=True, slots=True)
class Import:
    """A name that a `use` brings in, or all of a wildcard: `nodes` are those of its path, of which
    the last one is the name, but for a wildcard, and `path` their names. `local` is what it is
    called here, "" for a wildcard, and `alias` the node where that is another name. `within` is the
    module or block that it is for."""

    nodes: tuple[tree_sitter.Node, ...]
    path: Path
    local: str
    alias: tree_sitter.Node | None
    is_wildcard: bool
    within: tree_sitter.Node
    is_public: bool


def kept_with_tree(work: Callable[[Parsed], _T]) -> Callable[[Parsed], _T]:
    """Return `work`, done once for a view of a text. What it returns must not hold the view, which
    would then never be freed; nodes may be held."""
    found: WeakKeyDictionary[Parsed, _T] = WeakKeyDictionary()

    @wraps(work)
    def kept(parsed: Parsed) -> _T:
        if parsed not in found:
            found[parsed] = work(parsed)
        return found[parsed]

    return kept


@kept_with_tree
def imports(parsed: Parsed) -> tuple[Import, ...]:
    """Return what the `use` declarations of a file bring in."""
    return tuple(_imports(parsed))


def _imports(parsed: Parsed) -> Iterator[Import]:
    for match in _USE.finditer(parsed.text):
        word = parsed.path_to(match.start())[-1]
        statement = word.parent
        held = statement.child_by_field_name("argument") if statement is not None else None
        if statement is None or held is None or statement.type != "use_declaration":
            continue
        within = next((up for up in ancestors(statement) if up.type in _AROUND), parsed.root)
        is_public = any(child.type == "visibility_modifier" for child in statement.children)
        for nodes, alias, is_wildcard in _flat(held):
            if nodes or is_wildcard:
                local = "" if is_wildcard else text_of(alias or nodes[-1])
                path = tuple(map(text_of, nodes))
                yield Import(nodes, path, local, alias, is_wildcard, within, is_public)


def steps_of(node: tree_sitter.Node | None) -> Path | None:
    """Return the names of a path; None for one with types in it."""
    found = _nodes(node)
    return tuple(map(text_of, found)) if found is not None else None


def path_before(node: tree_sitter.Node) -> Path | None:
    """Return the names that lead to the name `node` in its path or its `use`, which may be none;
    None for an alias, or where there are types in the path."""
    found: Path = ()
    child, up = node, node.parent
    if up is not None and up.type == "token_tree":
        return path_in_tokens(node)
    while up is not None and up.type in _PARTS:
        if up.child_by_field_name("alias") == child:
            return None
        is_behind = child in (up.child_by_field_name("name"), up.child_by_field_name("list"))
        if up.type in PATHS | {"scoped_use_list"} and is_behind:
            before = up.child_by_field_name("path")
            steps = steps_of(before) if before is not None else ()
            if steps is None:
                return None
            found = steps + found
        child, up = up, up.parent
    return found


def path_in_tokens(node: tree_sitter.Node) -> Path:
    """Return the names of the path before a name that is an argument of a macro."""
    found: list[str] = []
    marks, after = node.prev_sibling, node.next_sibling
    is_type = text_of(node)[:1].isupper()
    if after is not None and (after.type == "!" or (after.type == "::" and not is_type)):
        return ()
    while marks is not None and marks.type == "::":
        name = marks.prev_sibling
        if name is None or name.type not in ("identifier", *_KEYWORDS):
            return ()
        found.append(text_of(name))
        marks = name.prev_sibling
    return tuple(reversed(found))


def is_of_outer_module(node: tree_sitter.Node) -> bool:
    """Return whether a `use` of a module within the file takes `node` from a module around it:
    `use super::node`."""
    before = path_before(node)
    if not before or "super" not in before or any(one not in ("self", "super") for one in before):
        return False
    return _left(node)[1]


def is_of_file(node: tree_sitter.Node) -> bool | None:
    """Return whether a name in a path or a `use` is one of the file: imported, or reached by
    `self` and `super` alone. None for a name without a path."""
    is_new = is_imported(node)
    if is_new:
        return True
    before = path_before(node)
    if is_new is None and before == ():
        return None
    if before is None or any(one not in ("self", "super") for one in before):
        return False
    up = node.parent
    is_end = up is not None and (up.parent is None or up.parent.type not in PATHS)
    # What others are reached through is a module if its name is in small letters.
    return text_of(node)[:1].isupper() or (is_new is None and is_end)


def reaches(node: tree_sitter.Node, scope: tree_sitter.Node) -> bool:
    """Return whether a name of `scope` may be meant at `node`: each module between them takes all
    or this name from the one around it, but for those that a path with `super` leaves."""
    child, is_here = _left(node)
    if not is_here:
        if not is_imported(node):
            return False
        child = _module_of(node)  # the name that another file's thing has here
    name = node.text
    while child is not None and child != scope and scope.start_byte <= child.start_byte:
        body = child.child_by_field_name("body")
        taken = (one for one in (body.named_children if body is not None else ())
                 if one.type == "use_declaration")  # fmt: skip
        if not any(_takes(one, name) for one in taken):
            return False
        child = _module_of(child)
    return True


def _takes(statement: tree_sitter.Node, name: bytes | None) -> bool:
    held = statement.child_by_field_name("argument")
    for nodes, alias, is_wildcard in _flat(held) if held is not None else ():
        before = nodes if is_wildcard else nodes[:-1]
        is_taken = is_wildcard or (alias is None and nodes[-1].text == name)
        if is_taken and [one.type for one in before] == ["super"]:
            return True
    return False


def _module_of(node: tree_sitter.Node) -> tree_sitter.Node | None:
    return next((up for up in ancestors(node) if up.type == "mod_item"), None)


def _left(node: tree_sitter.Node) -> tuple[tree_sitter.Node | None, bool]:
    """Return the module within the file that is left where the `super` before the name `node` are
    followed (None for the file itself), and whether they stay in the file."""
    module = _module_of(node)
    for _ in range((path_before(node) or ()).count("super")):
        if module is None:
            return None, False
        module = _module_of(module)
    return module, True


_Nodes = tuple[tree_sitter.Node, ...]


def _flat(
    tree: tree_sitter.Node,
) -> Iterator[tuple[_Nodes, tree_sitter.Node | None, bool]]:
    """Yield the nodes of each path in a tree of imports, its alias, and whether it ends in a
    wildcard."""
    left: list[tuple[tree_sitter.Node, _Nodes]] = [(tree, ())]
    # A loop, because a broken text can nest thousands of lists, unlike Python's calls.
    while left:
        node, before = left.pop()
        path, held = node.child_by_field_name("path"), node.child_by_field_name("list")
        alias = node.child_by_field_name("alias")
        if node.type == "use_wildcard":
            nodes = _nodes(node.named_children[0]) if node.named_children else ()
            if nodes is not None:
                yield before + nodes, None, True
        elif node.type == "use_list":
            left += [(child, before) for child in reversed(node.named_children)]
        elif node.type == "scoped_use_list":
            nodes = _nodes(path) if path is not None else ()
            if nodes is not None and held is not None:
                left.append((held, before + nodes))
        else:
            end = path if node.type == "use_as_clause" else node
            is_self = end is not None and end.type == "self" and before
            nodes = () if is_self else _nodes(end)
            if nodes is not None:
                yield before + nodes, alias, False


def _nodes(node: tree_sitter.Node | None) -> _Nodes | None:
    """Return the leaves of a path; None for one with types in it."""
    found: list[tree_sitter.Node] = []
    while node is not None and node.type in PATHS:
        name, node = node.child_by_field_name("name"), node.child_by_field_name("path")
        if name is None:
            return None
        found.append(name)
        if node is None:
            return tuple(reversed(found))
    if node is None or node.type not in ("identifier", "type_identifier", *_KEYWORDS):
        return None
    return (node, *reversed(found))
