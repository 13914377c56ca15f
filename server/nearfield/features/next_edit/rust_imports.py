"""The uses of a Rust item in another file of its workspace, as far as modules and paths prove them.

A file's place says which module it is. A path leads to a module by `crate`, `self`, `super`, the
name of the crate, or a module that the file declares or imports. A wildcard proves a name where
it is the only one of its module. What `cfg`, `#[path]` or a macro changes is not seen.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from dataclasses import dataclass

import tree_sitter

from nearfield.features.next_edit.uses import holder_of, is_variable, named, uses_of
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import Parsed, parse
from nearfield.syntax.rust import PATHS, ancestors, is_imported
from nearfield.syntax.rust_paths import (
    Import,
    Path,
    imports,
    path_before,
    reaches,
)
from nearfield.syntax.scopes import is_member, text_of
from nearfield.types import Span

__all__ = ["crate_name", "inner_homes", "rust_uses"]

_MAIN = ("lib", "main")
_ALONE = ("bin", "tests", "examples", "benches")
"""Folders in which each file is a crate of its own."""
_NAME = re.compile(r"^\s*name\s*=\s*[\"']([\w-]+)[\"']\s*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Module:
    """A module: the folder of its crate's sources, and the names that lead to it from there."""

    crate: str
    names: Path


def crate_name(manifest: str) -> str:
    """Return the name that code calls the crate of a `Cargo.toml`, "" for none."""
    package = manifest.partition("[package]")[2].partition("\n[")[0]
    found = _NAME.search(package)
    return found[1].replace("-", "_") if found else ""


def rust_uses(
    parsed: Parsed, path: str, name: str, homes: Collection[str], alike: Collection[str], crate: str
) -> tuple[list[Span], list[str]]:
    """Return the uses of `name` of one of `homes` in the file at `path`, and from which homes in
    this file others can import it. `crate` is the name of the first home's crate. A home is a file,
    or a module within one: `src/lib.rs::prelude`."""
    file = _RustFile(parsed, path, {_module(home) for home in homes}, crate)
    if _roots(path) <= {*homes, *alike} and len(_roots(path) & {*homes}) == 1:
        return [], []  # a crate with a program beside its library: which of them is not known
    spans: list[Span] = []
    for one in file.imports:
        found = _from_import(parsed, file, one, name)
        if found is None:
            return [], []
        spans += found
    for node in named(parsed, name, Span(0, len(parsed.text))):
        if is_imported(node) is not None or (_is_led_through(node) and not _is_type(name)):
            continue
        if (steps := path_before(node)) and file.is_home(steps, node):
            spans.append(parsed.span(node))
    return list(dict.fromkeys(spans)), _homes(file, name)


def inner_homes(text: str, path: str, name: str, crate: str) -> list[str]:
    """Return the modules within the file at `path`, which defines `name`, that pass it on.
    Blocks."""
    language = language_for("rust")
    parsed = parse(language, text) if language is not None else None
    if parsed is None:
        return []
    homes = _homes(_RustFile(parsed, path, {_module(path)}, crate), name)
    return [home for home in homes if home != path]


def _homes(file: _RustFile, name: str) -> list[str]:
    """Return the homes in a file from which others can import `name`."""
    found = (
        file.home_of(one.within)
        for one in file.imports
        if one.is_public and one.alias is None and file.is_brought(one, name)
    )
    return list(dict.fromkeys(filter(None, found)))


def _from_import(parsed: Parsed, file: _RustFile, one: Import, name: str) -> list[Span] | None:
    """Return the uses of `name` that an import proves, and the places in its path; None where one
    is not certain."""
    path = one.path
    spans = [
        parsed.span(node)
        for at, node in enumerate(one.nodes[: None if one.is_wildcard else -1])
        if path[at] == name and _is_type(name) and file.is_home(path[:at], one.within)
    ]
    if not file.is_brought(one, name):
        return spans
    if one.is_wildcard:
        return spans + file.by_wildcard(name, one.within)
    spans.append(parsed.span(one.nodes[-1]))
    if one.alias is not None:
        return spans
    uses = uses_of(parsed, parsed.span(one.nodes[-1]))
    return spans + list(uses.others) if uses is not None and uses.bound else None


def _is_led_through(node: tree_sitter.Node) -> bool:
    """Return whether a path goes on behind the name `node`."""
    up = node.parent.parent if node.parent is not None else None
    return up is not None and up.type in PATHS


def _is_type(name: str) -> bool:
    """Return whether a name that leads to others is one of a type; those of modules are small."""
    return name[:1].isupper()


class _RustFile:
    """A file with its imports and the modules that it declares."""

    def __init__(self, parsed: Parsed, path: str, homes: set[Module], crate: str) -> None:
        self._parsed = parsed
        self._path = path
        self._module = _module(path)
        self._homes = homes
        self._crate = crate
        self.imports = list(imports(parsed))
        modules = (node.parent for node in named(parsed, "mod", Span(0, len(parsed.text))))
        self._declared = {
            self._at(one).names for one in modules if one is not None and one.type == "mod_item"
        }

    def is_home(self, path: Path, at: tree_sitter.Node) -> bool:
        """Return whether `path` leads to a home from the place of the node `at`."""
        return self._resolved(path, at) in self._homes

    def is_brought(self, one: Import, name: str) -> bool:
        """Return whether an import brings in `name` of a home."""
        if one.is_wildcard:
            return self.is_home(one.path, one.within)
        return one.path[-1] == name and self.is_home(one.path[:-1], one.within)

    def home_of(self, module: tree_sitter.Node) -> str | None:
        """Return the home that a module of this file is, None for a block."""
        if module.type not in ("mod_item", "source_file"):
            return None
        inner = self._at(module).names[len(self._module.names) :]
        return "::".join((self._path, *inner))

    def by_wildcard(self, name: str, within: tree_sitter.Node) -> list[Span]:
        """Return the uses of `name` that the wildcard of `within` brings in, none where another may
        bring it in or a definition hides it."""
        wildcards = (one for one in self.imports if one.is_wildcard and one.within == within)
        if not all(self.is_home(one.path, within) for one in wildcards):
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
            is_around = one.within == at or any(up == one.within for up in ancestors(at))
            if one.local == first and is_around:
                whole = self._resolved(one.path, one.within, 1)
                return Module(whole.crate, whole.names + rest) if whole is not None else None
        if self._crate and first == self._crate:
            crates = {home.crate for home in self._homes}
            return Module(crates.pop(), rest) if len(crates) == 1 else None
        return None


def _module(home: str) -> Module:
    """Return the module of the file, or within the file, at `home`."""
    path, _, inner = home.partition("::")
    if inner:
        outer = _module(path)
        return Module(outer.crate, (*outer.names, *inner.split("::")))
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
