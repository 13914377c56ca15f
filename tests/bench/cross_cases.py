"""Cases for `cross_file.py`: places where the next word is defined in another file.

Made from a tree of Python files by Python's own rules (imports, annotations, assignments), with
nothing of Nearfield in it, so that what Nearfield finds is not judged by itself. The cursor stands
behind a dot; what follows is a member that is defined in another file and not written anywhere else
in this one. So the other file is the only place that tells it.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """The cursor in `path` (of `root`): `prefix` before it, `truth` the rest of the line, `suffix`
    the lines below. `defining` is the file that tells, relative to the root."""

    root: Path
    path: str
    prefix: str
    truth: str
    suffix: str
    defining: str


class Tree:
    """The modules of a tree and what each defines."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {
            path.relative_to(root).as_posix(): path
            for path in sorted(root.rglob("*.py"))
            if "vendor" not in path.parts
        }
        self.parsed: dict[str, ast.Module] = {}
        for name, path in self.files.items():
            try:
                self.parsed[name] = ast.parse(path.read_text("utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue

    def file_of(self, module: str) -> str:
        """The file of a dotted module, "" when it is not of this tree."""
        base = module.replace(".", "/")
        return next(
            (one for one in (f"{base}.py", f"{base}/__init__.py") if one in self.parsed), ""
        )

    def members(self, file: str, name: str) -> tuple[str, set[str]]:
        """Where `name` of `file` is really defined, and the members of that class; follows imports
        and bases."""
        for _ in range(5):
            for node in self.parsed[file].body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return file, set(_members(node))
            found = imports(self, file).get(name)
            if found is None or not found[1]:
                return "", set()
            file, name = found
        return "", set()

    def top_level(self, file: str) -> set[str]:
        """The names that a module defines itself."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        return {node.name for node in self.parsed[file].body if isinstance(node, kinds)}


def _members(node: ast.ClassDef) -> Iterator[str]:
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            yield one.name
            for inner in ast.walk(one):
                if (
                    isinstance(inner, ast.Attribute)
                    and isinstance(inner.ctx, ast.Store)
                    and isinstance(inner.value, ast.Name)
                    and inner.value.id == "self"
                ):
                    yield inner.attr
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            yield one.target.id
        elif isinstance(one, ast.Assign):
            yield from (target.id for target in one.targets if isinstance(target, ast.Name))


def imports(tree: Tree, file: str) -> dict[str, tuple[str, str]]:
    """Name in `file` → the file it is from, and its name there ("" for the module itself)."""
    package = file.removesuffix("/__init__.py").removesuffix(".py").split("/")
    if not file.endswith("__init__.py"):
        package.pop()
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree.parsed[file]):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                known = alias.asname or alias.name
                if inner := tree.file_of(f"{module}.{alias.name}"):
                    found[known] = inner, ""
                elif outer := tree.file_of(module):
                    found[known] = outer, alias.name
    return found


def _classes(function: ast.AST, known: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Variable of a function → the imported class it is of: annotated, or made by a call."""
    found: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name):
            found[node.arg] = node.annotation.id
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
        ):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = node.value.func.id
    return {name: kind for name, kind in found.items() if kind in known}


def cases(root: Path, count: int, seed: int = 1) -> list[Case]:
    """At most `count` cases from the tree at `root`, at most two a file."""
    tree = Tree(root)
    found: list[Case] = []
    for file in tree.parsed:
        mine = list(_in_file(tree, file))
        random.Random(f"{seed}{file}").shuffle(mine)
        found += mine[:2]
    random.Random(seed).shuffle(found)
    return found[:count]


def _in_file(tree: Tree, file: str) -> Iterator[Case]:
    text = tree.files[file].read_text("utf-8")
    lines = text.splitlines(keepends=True)
    known = imports(tree, file)
    words = re.findall(r"\w+", text)
    for function in ast.walk(tree.parsed[file]):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        classes = _classes(function, known)
        for node in ast.walk(function):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            defining = _defining(tree, known, classes, node.value.id, node.attr)
            if not defining or defining == file or words.count(node.attr) != 1:
                continue
            if node.end_lineno is None or node.value.end_col_offset is None:
                continue
            row, line = node.end_lineno - 1, lines[node.end_lineno - 1]
            at = len(line.encode()[: node.value.end_col_offset + 1].decode())
            truth = line[at:].rstrip("\n")
            if truth.startswith(node.attr) and len(truth) >= 6:
                yield Case(
                    tree.root, file, "".join(lines[:row]) + line[:at], truth,
                    "".join(lines[row + 1 :]), defining,
                )  # fmt: skip


def _defining(
    tree: Tree,
    known: dict[str, tuple[str, str]],
    classes: dict[str, str],
    holder: str,
    member: str,
) -> str:
    """The file that defines `holder.member`, "" when the rules here do not tell."""
    if holder in known and not known[holder][1]:
        file = known[holder][0]
        return file if member in tree.top_level(file) else ""
    kind = holder if holder in known else classes.get(holder, "")
    if kind not in known or not known[kind][1]:
        return ""
    file, members = tree.members(*known[kind])
    return file if member in members else ""
