"""The uses of a Rust item in another file of its workspace, as far as modules and paths prove them.

A file's place says which module it is. A path leads to a module by `crate`, `self`, `super`, the
name of the crate, or a module that the file declares or imports. A wildcard proves a name where
it is the only one of its module. What `cfg`, `#[path]` or a macro changes is not seen.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.features.next_edit.uses import holder_of, is_variable, named, uses_of
from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import PATHS, ancestors, is_imported, reaches
from nearfield.syntax.scopes import is_member, text_of
from nearfield.types import Span

__all__ = ["crate_name", "rust_uses"]

_MAIN = ("lib", "main")
_ALONE = ("bin", "tests", "examples", "benches")
"""Folders in which each file is a crate of its own."""
_KEYWORDS = frozenset({"crate", "self", "super"})
_NAME = re.compile(r"^\s*name\s*=\s*[\"']([\w-]+)[\"']\s*(?:#.*)?$", re.MULTILINE)

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """A module: the folder of its crate's sources, and the names that lead to it from there."""

    crate: str
    names: Path


@dataclass(frozen=True, slots=True)
class Import:
    """A name that a `use` brings in: the names of its path, the last one's node (None for a
    wildcard) and what it is called here. `within` is the module or block that it is for."""

    path: Path
    node: tree_sitter.Node | None
    alias: tree_sitter.Node | None
    within: tree_sitter.Node
    is_public: bool


def crate_name(manifest: str) -> str:
    """Return the name that code calls the crate of a `Cargo.toml`, "" for none."""
    package = manifest.partition("[package]")[2].partition("\n[")[0]
    found = _NAME.search(package)
    return found[1].replace("-", "_") if found else ""


def rust_uses(
    parsed: Parsed, path: str, name: str, homes: Collection[str], alike: Collection[str], crate: str
) -> tuple[list[Span], bool]:
    """Return the uses of `name` of one of the files `homes` in the file at `path`, and whether
    others can import it from there. `crate` is the name of the home's crate."""
    file = _RustFile(parsed, path, {_module(home) for home in homes}, crate)
    if _roots(path) <= {*homes, *alike} and len(_roots(path) & {*homes}) == 1:
        return [], False  # a crate with a program beside its library: which of them is not known
    spans: list[Span] = []
    is_passed_on = False
    for one in file.imports:
        if one.node is None:
            if file.is_home(one.path, one.within):
                found = file.by_wildcard(name, one.within)
                spans += found
                is_passed_on = is_passed_on or (one.is_public and one.within == parsed.root)
        elif one.path[-1:] == (name,) and file.is_home(one.path[:-1], one.within):
            uses = uses_of(parsed, parsed.span(one.node)) if one.alias is None else None
            if one.alias is None and (uses is None or not uses.bound):
                return [], False
            spans += [parsed.span(one.node), *(uses.others if uses is not None else ())]
            is_plain = one.alias is None and one.within == parsed.root
            is_passed_on = is_passed_on or (one.is_public and is_plain)
    for node in named(parsed, name, Span(0, len(parsed.text))):
        up = node.parent
        steps = None
        if up is not None and up.type == "token_tree":
            steps = _steps_of_tokens(node)
        elif up is not None and up.type in PATHS and up.child_by_field_name("name") == node:
            steps = _steps(up.child_by_field_name("path")) if is_imported(node) is None else None
        if steps and file.is_home(steps, node):
            spans.append(parsed.span(node))
    return list(dict.fromkeys(spans)), is_passed_on


class _RustFile:
    """A file with its imports and the modules that it declares."""

    def __init__(self, parsed: Parsed, path: str, homes: set[Module], crate: str) -> None:
        self._parsed = parsed
        self._module = _module(path)
        self._homes = homes
        self._crate = crate
        self.imports = list(_imports(parsed))
        modules = (node.parent for node in named(parsed, "mod", Span(0, len(parsed.text))))
        self._declared = {
            self._at(one).names for one in modules if one is not None and one.type == "mod_item"
        }

    def is_home(self, path: Path, at: tree_sitter.Node) -> bool:
        """Return whether `path` leads to a home from the place of the node `at`."""
        return self._resolved(path, at) in self._homes

    def by_wildcard(self, name: str, within: tree_sitter.Node) -> list[Span]:
        """Return the uses of `name` that the wildcard of `within` brings in, none where another may
        bring it in or a definition hides it."""
        if sum(one.node is None and one.within == within for one in self.imports) > 1:
            return []
        found = [
            node
            for node in named(self._parsed, name, self._parsed.span(within))
            if is_variable(node) and not is_member(node) and reaches(node, within)
        ]
        if any(holder_of(self._parsed, node) is not None for node in found):
            return []
        return [self._parsed.span(node) for node in found if is_imported(node) is None]

    def _at(self, node: tree_sitter.Node) -> Module:
        """Return the module that a node is in, or is."""
        inner = [
            text_of(name)
            for up in (node, *ancestors(node))
            if up.type == "mod_item" and (name := up.child_by_field_name("name")) is not None
        ]
        return Module(self._module.crate, self._module.names + tuple(reversed(inner)))

    def _resolved(self, path: Path, at: tree_sitter.Node, depth: int = 0) -> Module | None:
        if not path:
            return None
        here = self._at(at)
        first, rest = path[0], path[1:]
        if first == "crate":
            return Module(here.crate, rest)
        if first in ("self", "super"):
            names = here.names
            while path and path[0] in ("self", "super"):
                if path[0] == "super":
                    if not names:
                        return None
                    names = names[:-1]
                path = path[1:]
            return Module(here.crate, names + path)
        if (*here.names, first) in self._declared:
            return Module(here.crate, here.names + path)
        for one in self.imports if depth == 0 else ():
            local = one.alias or one.node
            is_around = one.within == at or any(up == one.within for up in ancestors(at))
            if local is not None and text_of(local) == first and is_around:
                whole = self._resolved(one.path, one.within, 1)
                return Module(whole.crate, whole.names + rest) if whole is not None else None
        if self._crate and first == self._crate:
            crates = {home.crate for home in self._homes}
            return Module(crates.pop(), rest) if len(crates) == 1 else None
        return None


def _module(path: str) -> Module:
    """Return the module of the file at `path`."""
    folders = path.split("/")[:-1]
    stem = posixpath.basename(path).removesuffix(".rs")
    at = len(folders) - folders[::-1].index("src") if "src" in folders else 0
    crate, names = "/".join(folders[:at]), folders[at:]
    is_alone = (names if at else folders[-1:])[:1] in ([one] for one in _ALONE)
    if is_alone and stem not in ("mod", "main"):
        return Module(path, ())
    if stem == "mod" or (stem in _MAIN and not names):
        return Module(crate, tuple(names))
    return Module(crate, (*names, stem))


def _roots(path: str) -> set[str]:
    """Return the files that may be the root of the crate of `path`."""
    crate = _module(path).crate
    return {posixpath.join(crate, f"{main}.rs") for main in _MAIN}


def _imports(parsed: Parsed) -> Iterator[Import]:
    for word in named(parsed, "use", Span(0, len(parsed.text))):
        statement = word.parent
        if statement is None or statement.type != "use_declaration":
            continue
        held = statement.child_by_field_name("argument")
        within = next(
            (up for up in ancestors(statement) if up.type in ("mod_item", "block", "source_file")),
            parsed.root,
        )
        is_public = any(child.type == "visibility_modifier" for child in statement.children)
        if held is not None:
            for path, node, alias in _flat(held, ()):
                yield Import(path, node, alias, within, is_public)


def _flat(
    node: tree_sitter.Node, before: Path
) -> Iterator[tuple[Path, tree_sitter.Node | None, tree_sitter.Node | None]]:
    """Yield the paths of a tree of imports, with the last name's node and its alias."""
    if node.type == "use_wildcard":
        steps = _steps(node.named_children[0]) if node.named_children else ()
        if steps is not None:
            yield before + steps, None, None
    elif node.type == "use_list":
        for child in node.named_children:
            yield from _flat(child, before)
    elif node.type == "scoped_use_list":
        path, held = node.child_by_field_name("path"), node.child_by_field_name("list")
        steps = _steps(path) if path is not None else ()
        if steps is not None and held is not None:
            yield from _flat(held, before + steps)
    elif node.type == "use_as_clause":
        path, alias = node.child_by_field_name("path"), node.child_by_field_name("alias")
        for whole, last, _ in _flat(path, before) if path is not None else ():
            yield whole, last, alias
    elif node.type == "self" and before:
        yield before, node, None
    elif (steps := _steps(node)) is not None:
        last = node.child_by_field_name("name") if node.type in PATHS else node
        yield before + steps, last, None


def _steps_of_tokens(node: tree_sitter.Node) -> Path:
    """Return the names of the path before a name that is an argument of a macro."""
    found: list[str] = []
    marks, after = node.prev_sibling, node.next_sibling
    if after is not None and after.type in ("::", "!"):
        return ()
    while marks is not None and marks.type == "::":
        name = marks.prev_sibling
        if name is None or name.type not in ("identifier", *_KEYWORDS):
            return ()
        found.append(text_of(name))
        marks = name.prev_sibling
    return tuple(reversed(found))


def _steps(node: tree_sitter.Node | None) -> Path | None:
    """Return the names of a path; None for one with types in it."""
    if node is None:
        return None
    if node.type in ("identifier", "type_identifier", *_KEYWORDS):
        return (text_of(node),)
    if node.type not in PATHS:
        return None
    name = node.child_by_field_name("name")
    before = _steps(node.child_by_field_name("path"))
    return (*before, text_of(name)) if before is not None and name is not None else None
