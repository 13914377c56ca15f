"""The uses of a definition in another file, as far as that file's imports and scopes prove them.

A file proves a name by importing it from the file that defines it, or by using it through that
module. In Go it may also be of the same package without a definition of the name; Rust has a module
of its own (rust_imports.py). Nothing is returned for an ambiguous import, a name that is bound
twice, or a wildcard.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.features.next_edit.members import ACCESS, members
from nearfield.features.next_edit.rust_imports import rust_uses
from nearfield.features.next_edit.uses import (
    Uses,
    holder_of,
    is_variable,
    named,
    uses_of,
)
from nearfield.syntax.definitions import name_node
from nearfield.syntax.differences import unspaced
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import is_member, text_of
from nearfield.types import Span

__all__ = [
    "ECMA",
    "ExportedName",
    "ForeignUses",
    "Sources",
    "exported",
    "foreign_uses",
    "go_module",
    "go_package",
]

_ECMA_SUFFIXES = (".ts", ".tsx", ".mts", ".cts", ".d.ts", ".js", ".jsx", ".mjs", ".cjs")
ECMA = frozenset({"javascript", "typescript", "typescriptreact"})
_PACKAGE = re.compile(r"^package\s+(\w+)", re.MULTILINE)
MAX_PARENTS = 12
"""Steps from the name of an import up to its statement."""


@dataclass(frozen=True, slots=True)
class ExportedName:
    """A name of a file that others can use: `owner` is the class whose member it is, `keyword` the
    parameter of the function `name` that is meant."""

    name: str
    owner: str = ""
    keyword: str = ""

    @property
    def imported(self) -> str:
        """The name that another file imports."""
        return self.owner or self.name


@dataclass(frozen=True, slots=True)
class Sources:
    """The files that an import of the definition may name, as paths in the workspace with '/':
    `homes` define it or pass it on, `alike` are all files that are named like one of these. In Rust
    a home may also be a module within a file (`src/lib.rs::prelude`). Of a
    Go definition, `package` is its package's name and `imported_as` the package's import path; of a
    Rust one, `package` is the name of its crate."""

    homes: Collection[str]
    alike: Collection[str] = ()
    package: str = ""
    imported_as: str = ""


@dataclass(frozen=True, slots=True)
class ForeignUses:
    """The spans of the uses in a file, and the `homes` in it that pass the name on to others: the
    file, or modules within it."""

    spans: tuple[Span, ...] = ()
    homes: tuple[str, ...] = ()


def exported(parsed: Parsed, uses: Uses) -> ExportedName | None:
    """Return the definition at a place with these `uses`, where other files can use it; None for a
    local one."""
    if not uses.bound:
        return None
    if uses.owner:
        is_known = any(_is_on_top(parsed, span) for span in _classes(parsed, uses.owner))
        return ExportedName(uses.name, uses.owner) if is_known else None
    if uses.local:
        return _keyword(parsed, uses)
    return ExportedName(uses.name) if uses.within == parsed.span(parsed.root) else None


def foreign_uses(parsed: Parsed, path: str, found: ExportedName, sources: Sources) -> ForeignUses:
    """Return the uses of `found` in the file at `path`."""
    language = parsed.language.name
    if language == "python":
        uses = _python(parsed, path, found.imported, sources)
    elif language in ECMA:
        uses = _ecma(parsed, path, found.imported, sources)
    elif language == "go":
        uses = _go(parsed, path, found.imported, sources)
    elif language == "rust":
        spans, homes = rust_uses(
            parsed, path, found.imported, sources.homes, sources.alike, sources.package
        )
        uses = ForeignUses(tuple(spans), tuple(homes))
    else:
        return ForeignUses()
    if found.owner:
        # The class itself is the proof; its members are read as in its own file.
        own = uses.spans and not _classes(parsed, found.owner)
        spans = (parsed.span(one.node) for one in members(parsed, found.name, found.owner))
        uses = ForeignUses(tuple(spans) if own else (), uses.homes)
    if found.keyword:
        uses = ForeignUses(tuple(_keywords(parsed, uses.spans, found.keyword)), uses.homes)
    return uses


def _keyword(parsed: Parsed, uses: Uses) -> ExportedName | None:
    """Return the parameter of a function that others can call by keyword."""
    function = next(
        (node for node in reversed(parsed.path_to(uses.within.start))
         if parsed.span(node) == uses.within),
        None,
    )  # fmt: skip
    own = name_node(function) if function is not None else None
    if own is None or parsed.language.name != "python" or not uses.is_parameter:
        return None
    around = uses_of(parsed, parsed.span(own))
    function_itself = exported(parsed, around) if around is not None else None
    if function_itself is None or function_itself.keyword:
        return None
    return ExportedName(function_itself.name, function_itself.owner, uses.name)


def _keywords(parsed: Parsed, calls: tuple[Span, ...], keyword: str) -> Iterator[Span]:
    """Yield where the calls of the functions named at `calls` pass the argument `keyword`."""
    for span in calls:
        for node in reversed(parsed.path_to(span.start)):
            callee = node.child_by_field_name("function") if node.type == "call" else None
            if callee is None or parsed.span(callee).end != span.end:
                continue
            held = node.child_by_field_name("arguments")
            for one in held.named_children if held is not None else ():
                name = one.child_by_field_name("name") if one.type == "keyword_argument" else None
                if name is not None and text_of(name) == keyword:
                    yield parsed.span(name)


def _classes(parsed: Parsed, name: str) -> list[Span]:
    """Return the names of the classes and types called `name` that the file defines."""
    found: list[Span] = []
    for node in _all(parsed, name):
        up = node.parent
        is_type = up is not None and up.type in parsed.language.classes | {"type_spec"}
        if up is not None and is_type and name_node(up) == node:
            found.append(parsed.span(node))
    return found


def _is_on_top(parsed: Parsed, span: Span) -> bool:
    """Return whether what is named at `span` is defined in no function and in no class."""
    path = parsed.path_to(span.start)
    own = path[-2] if len(path) > 1 else None
    return not any(
        node.type in parsed.language.scopes - {"type_declaration"} and node != own
        for node in path[:-2]
    )


def _all(parsed: Parsed, name: str) -> Iterator[tree_sitter.Node]:
    return named(parsed, name, Span(0, len(parsed.text)))


def _above(node: tree_sitter.Node, *types: str) -> tree_sitter.Node | None:
    """Return the nearest node of one of `types` above `node`, within the reach of an import."""
    up = node.parent
    for _ in range(MAX_PARENTS):
        if up is None or up.type in types:
            return up
        up = up.parent
    return None


def _uses_from(parsed: Parsed, node: tree_sitter.Node) -> tuple[Span, ...] | None:
    """Return the uses of what an import binds at `node`; None where that is not certain."""
    uses = uses_of(parsed, parsed.span(node))
    if uses is None or not uses.bound:
        return None
    others = (parsed.path_to(span.start)[-1] for span in uses.others)
    is_bound_again = any(holder_of(parsed, other) is not None for other in others)
    return None if is_bound_again else uses.others


# --- Python ---


def _python(parsed: Parsed, path: str, name: str, sources: Sources) -> ForeignUses:
    spans: list[Span] = []
    is_passed_on = False
    for node in _all(parsed, name):
        statement = _above(node, "import_from_statement")
        if statement is None or not _is_imported_name(node, statement):
            continue
        if not _is_home(_python_files(_module(statement), path, sources), sources):
            continue
        alias = _alias(node)
        others = () if alias is not None else _uses_from(parsed, node)
        if others is None:
            return ForeignUses()
        spans += [parsed.span(node), *others]
        is_on_top = _is_on_top(parsed, parsed.span(node))
        is_passed_on = is_passed_on or (alias is None and is_on_top)
    for binding in _python_modules(parsed, path, sources):
        spans += _through(parsed, binding, name)
    return ForeignUses(tuple(dict.fromkeys(spans)), (path,) if is_passed_on else ())


def _is_imported_name(node: tree_sitter.Node, statement: tree_sitter.Node) -> bool:
    """Return whether `node` is a name that a Python statement imports, not a module or an alias."""
    up = node.parent
    if up is None or up.type != "dotted_name" or up.named_child_count != 1:
        return False
    if statement.child_by_field_name("module_name") == up:
        return False
    holder = up.parent
    return holder == statement or (holder is not None and holder.child_by_field_name("name") == up)


def _alias(node: tree_sitter.Node) -> tree_sitter.Node | None:
    up = node.parent
    if up is not None and up.type == "dotted_name":
        up = up.parent
    return up.child_by_field_name("alias") if up is not None else None


def _module(statement: tree_sitter.Node) -> str:
    held = statement.child_by_field_name("module_name")
    return unspaced(text_of(held)) if held is not None else ""


def _python_files(module: str, path: str, sources: Sources) -> list[str]:
    """Return the files among `sources` that `module` may mean in the file at `path`."""
    dots = len(module) - len(module.lstrip("."))
    steps = [step for step in module.split(".") if step]
    tails = ("/".join(steps) + ".py", "/".join((*steps, "__init__.py")))
    known = {*sources.homes, *sources.alike}
    if dots:
        folder = posixpath.dirname(path)
        for _ in range(dots - 1):
            folder = posixpath.dirname(folder)
        return [whole for tail in tails if (whole := posixpath.join(folder, tail)) in known]
    return [one for one in known if any(one == tail or one.endswith(f"/{tail}") for tail in tails)]


def _is_home(files: Collection[str], sources: Sources) -> bool:
    """Return whether an import that may mean `files` surely means a home."""
    return bool(files) and all(one in sources.homes for one in files)


def _python_modules(parsed: Parsed, path: str, sources: Sources) -> Iterator[tree_sitter.Node]:
    """Yield the names that a file gives to a home as a module."""
    words = {posixpath.basename(home).removesuffix(".py") for home in sources.homes}
    words |= {posixpath.basename(posixpath.dirname(home)) for home in sources.homes} - {""}
    for word in words:
        for node in _all(parsed, word):
            statement = _above(node, "import_statement", "import_from_statement")
            if statement is None:
                continue
            up = node.parent
            last = up is not None and up.type == "dotted_name" and up.named_children[-1] == node
            if up is None or not last or statement.child_by_field_name("module_name") == up:
                continue
            module = text_of(up)
            if statement.type == "import_from_statement":
                before = _module(statement)
                module = before + module if before.endswith(".") else f"{before}.{module}"
            alias = _alias(node)
            is_plain = alias is not None or up.named_child_count == 1
            if is_plain and _is_home(_python_files(module, path, sources), sources):
                yield alias or node


def _through(parsed: Parsed, module: tree_sitter.Node, name: str) -> Iterator[Span]:
    """Yield the places that reach for `name` through the name `module` of an imported module."""
    for span in _uses_from(parsed, module) or ():
        node = parsed.path_to(span.start)[-1]
        up = node.parent
        if up is None or up.type not in ACCESS:
            continue
        through, reached = (up.child_by_field_name(one) for one in ACCESS[up.type])
        if through == node and reached is not None and text_of(reached) == name:
            yield parsed.span(reached)


# --- JavaScript and TypeScript ---


def _ecma(parsed: Parsed, path: str, name: str, sources: Sources) -> ForeignUses:
    spans: list[Span] = []
    is_passed_on = False
    for statement in parsed.root.named_children:
        source = statement.child_by_field_name("source")
        if source is None or not _is_ecma_home(text_of(source).strip("'\"`"), path, sources):
            continue
        if statement.type == "export_statement":
            is_passed_on = is_passed_on or "*" in [one.type for one in statement.children]
        for node in named(parsed, name, parsed.span(statement)):
            up = node.parent
            if up is None or up.child_by_field_name("name") != node:
                continue
            alias = up.child_by_field_name("alias")
            if up.type == "export_specifier":
                spans.append(parsed.span(node))
                is_passed_on = is_passed_on or alias is None
            elif up.type == "import_specifier":
                others = () if alias is not None else _uses_from(parsed, node)
                if others is None:
                    return ForeignUses()
                spans += [parsed.span(node), *others]
                is_passed_on = is_passed_on or any(_is_exported(parsed, one) for one in others)
        for clause in _descendants(statement, "namespace_import"):
            for binding in clause.named_children:
                spans += _through(parsed, binding, name)
    return ForeignUses(tuple(dict.fromkeys(spans)), (path,) if is_passed_on else ())


def _is_ecma_home(source: str, path: str, sources: Sources) -> bool:
    if not source.startswith("."):
        return False
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(path), source))
    bare = re.sub(r"\.[mc]?jsx?$", "", whole)
    names = {whole, *(base + suffix for base in {whole, bare} for suffix in _ECMA_SUFFIXES)}
    names |= {posixpath.join(whole, f"index{suffix}") for suffix in _ECMA_SUFFIXES}
    return _is_home(names & {*sources.homes, *sources.alike}, sources)


def _is_exported(parsed: Parsed, span: Span) -> bool:
    up = parsed.path_to(span.start)[-1].parent
    return up is not None and up.type == "export_specifier"


def _descendants(node: tree_sitter.Node, kind: str) -> Iterator[tree_sitter.Node]:
    for child in node.named_children:
        if child.type == kind:
            yield child
        else:
            yield from _descendants(child, kind)


# --- Go ---


def _go(parsed: Parsed, path: str, name: str, sources: Sources) -> ForeignUses:
    folders = {posixpath.dirname(home) for home in sources.homes}
    package = go_package(parsed.text)
    if posixpath.dirname(path) in folders and package and package == sources.package:
        found = [node for node in _all(parsed, name) if is_variable(node) and not is_member(node)]
        if any(holder_of(parsed, node) is not None for node in found):
            return ForeignUses()
        return ForeignUses(tuple(map(parsed.span, found)))
    spans: list[Span] = []
    for local in _go_names(parsed, sources):
        if any(holder_of(parsed, node) is not None for node in _all(parsed, local)):
            return ForeignUses()
        for node in _all(parsed, name):
            up = node.parent
            if up is None or up.type not in ("selector_expression", "qualified_type"):
                continue
            through = up.child_by_field_name("operand") or up.child_by_field_name("package")
            field = up.child_by_field_name("field") or up.child_by_field_name("name")
            if through is not None and field == node and text_of(through) == local:
                spans.append(parsed.span(node))
    return ForeignUses(tuple(spans))


def _go_names(parsed: Parsed, sources: Sources) -> Iterator[str]:
    """Yield the names under which a file imports the package."""
    if not sources.imported_as:
        return
    for statement in parsed.root.named_children:
        for spec in _descendants(statement, "import_spec"):
            where, alias = spec.child_by_field_name("path"), spec.child_by_field_name("name")
            if where is not None and text_of(where).strip('"`') == sources.imported_as:
                name = text_of(alias) if alias is not None else sources.package
                if name.isidentifier() and name != "_":
                    yield name


def go_package(text: str) -> str:
    """Return the name of the package that a Go file belongs to."""
    found = _PACKAGE.search(text)
    return found[1] if found else ""


def go_module(text: str) -> str:
    """Return the path of the module that a `go.mod` declares, "" for none."""
    found = re.search(r"^module\s+\"?([\w./~-]+)\"?\s*$", text, re.MULTILINE)
    return found[1] if found else ""
