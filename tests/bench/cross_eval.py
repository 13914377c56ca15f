"""CrossCodeEval's cases as workspaces, and which file defines what follows the cursor.

The data set holds for each case its file and five retrieved chunks, not the repository. Where a
folder holds the project's source distribution (`pip download --no-deps --no-binary :all:`), that is
the workspace, with the case's own file in the state of the case; elsewhere each chunk goes into a
file under its own path. What follows the cursor is found in the tree by Python's own rules.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cross_cases import Case, Tree, imports

DATA = Path(__file__).parents[3] / "shared" / "bench" / "fim_cross_file.jsonl.gz"


def workspaces(count: int, base: Path, trees: Sequence[Path] = ()) -> list[Case]:
    """The first `count` cases, each in a workspace of its own below `base`; `trees` are projects'
    source trees, found by their names."""
    made: list[Case] = []
    with gzip.open(DATA, "rt") as lines:
        entries = [json.loads(line) for line in lines][:count]
    for number, entry in enumerate(entries):
        root = base / f"case{number}"
        tree = next((one for one in trees if _is_of(one, entry["repo"])), None)
        if tree is None:
            _chunks(entry, root)
        else:
            shutil.copytree(tree, root)
        file = root / entry["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(entry["prefix"] + entry["truth"] + entry["suffix"])
        defining = "" if tree is None else defined_in(Tree(root), entry)
        file.write_text(f"{entry['prefix']}\n{entry['suffix']}")
        made.append(
            Case(root, entry["file"], entry["prefix"], entry["truth"], entry["suffix"], defining)
        )
    return made


def _is_of(tree: Path, repo: str) -> bool:
    """`…-openai-forward-c2c2757` is of the tree openai_forward-0.6.5."""
    return f"-{tree.name.rpartition('-')[0].replace('_', '-')}-" in f"-{repo}-"


def _chunks(entry: dict[str, Any], root: Path) -> None:
    chunks = re.split(r"# the below code fragment can be found in:\n", entry["context"])[1:]
    for place, chunk in enumerate(chunks):
        path, _, body = chunk.partition("\n")
        code = "\n".join(re.sub(r"^# ?", "", line) for line in body.rstrip().split("\n"))
        file = root / path.removeprefix("# ").strip()
        # Several chunks may be of one file; they stay apart, as they were retrieved.
        file = file.with_name(f"{file.stem}_{place}{file.suffix}") if file.exists() else file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code + "\n")


# --- what follows the cursor ----------------------------------------------------------------


def defined_in(tree: Tree, entry: dict[str, Any]) -> str:
    """The other file that defines the member behind the cursor; "" when none of the tree does, or
    nothing tells."""
    # Packages lie below src/ or not; a module's name does not say.
    prefixes = ("src/", "")
    file, prefix = entry["file"], entry["prefix"]
    if file not in tree.parsed:
        return ""
    row = prefix.count("\n") + 1
    column = len(prefix.rpartition("\n")[2].encode())
    for node in ast.walk(tree.parsed[file]):
        if not isinstance(node, ast.Attribute):
            continue
        if (node.value.end_lineno, (node.value.end_col_offset or 0) + 1) == (row, column):
            found = _Resolver(tree, file, prefixes).member(node.value, node.attr, row)
            return found if found != file else ""
    return ""


class _Resolver:
    """Follows names through one tree. A class is (file, name)."""

    def __init__(self, tree: Tree, file: str, prefixes: Sequence[str]) -> None:
        self._tree = tree
        self._file = file
        self._prefixes = prefixes

    def member(self, holder: ast.expr, name: str, row: int) -> str:
        """The file that defines `holder.name`."""
        module = self._module(holder)
        if module:
            if name in self._tree.top_level(module):
                return module
            inner = f"{module.removesuffix('__init__.py')}{name}.py"
            if module.endswith("__init__.py") and inner in self._tree.parsed:
                return inner
            return self._imported(module, name)[0]
        kind = self._class_of(holder, row)
        return next((file for file, _, has in self._bases(*kind) if name in has), "")

    def _imported(self, file: str, name: str) -> tuple[str, str]:
        """Where `name` of `file` comes from."""
        for prefix in self._prefixes:
            known = self._with_prefix(prefix, file)
            if name in known:
                return known[name]
        for star in self._starred(file):
            if name in self._tree.top_level(star):
                return star, name
        return "", ""

    def _starred(self, file: str) -> Iterator[str]:
        """The files of the same package from which everything is imported."""
        folder = file.rpartition("/")[0]
        for node in self._tree.parsed[file].body:
            if not (isinstance(node, ast.ImportFrom) and node.level == 1 and node.module):
                continue
            if node.names[0].name == "*":
                module = node.module.replace(".", "/")
                if found := self._tree.file_of(f"{folder}/{module}"):
                    yield found

    def _with_prefix(self, prefix: str, file: str) -> dict[str, tuple[str, str]]:
        if not prefix:
            return imports(self._tree, file)
        found: dict[str, tuple[str, str]] = {}
        for node in ast.walk(self._tree.parsed[file]):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    known = alias.asname or alias.name
                    module = prefix + node.module.replace(".", "/")
                    if inner := self._tree.file_of(f"{module}/{alias.name}"):
                        found[known] = inner, ""
                    elif outer := self._tree.file_of(module):
                        found[known] = outer, alias.name
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    base = prefix + alias.name.replace(".", "/")
                    if file_of := self._tree.file_of(base):
                        found[alias.asname or alias.name] = file_of, ""
        return found

    def _module(self, holder: ast.expr) -> str:
        """The file of the module that an expression names."""
        if not isinstance(holder, ast.Name):
            return ""
        for prefix in ("", *self._prefixes):
            for node in ast.walk(self._tree.parsed[self._file]):
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        if (alias.asname or alias.name) == holder.id:
                            found = self._tree.file_of(prefix + alias.name.replace(".", "/"))
                            if found:
                                return found
        file, name = self._imported(self._file, holder.id)
        return file if file and not name else ""

    def _class_of(self, holder: ast.expr, row: int) -> tuple[str, str]:
        """The class of an expression, ("", "") when nothing tells."""
        if isinstance(holder, ast.Call):
            return self._class_of(holder.func, row)
        if isinstance(holder, ast.Attribute):
            owner = self._class_of(holder.value, row)
            for file, node, _ in self._bases(*owner):
                if kind := _attribute(node, holder.attr):
                    return self._named(file, kind)
            return "", ""
        if not isinstance(holder, ast.Name):
            return "", ""
        around = self._around(row)
        if holder.id in {"self", "cls"} and around is not None:
            return self._file, around.name
        for node in ast.walk(self._tree.parsed[self._file]):
            if kind := _variable(node, holder.id):
                return self._named(self._file, kind)
        return self._named(self._file, holder.id)

    def _around(self, row: int) -> ast.ClassDef | None:
        for node in ast.walk(self._tree.parsed[self._file]):
            if isinstance(node, ast.ClassDef) and node.lineno <= row <= (node.end_lineno or 0):
                return node
        return None

    def _named(self, file: str, name: str) -> tuple[str, str]:
        """The class that is called `name` in a file, followed through imports."""
        for _ in range(5):
            if not file or not name:
                break
            if any(
                isinstance(node, ast.ClassDef) and node.name == name
                for node in self._tree.parsed[file].body
            ):
                return file, name
            file, name = self._imported(file, name)
        return "", ""

    def _bases(
        self, file: str, name: str, depth: int = 0
    ) -> Iterator[tuple[str, ast.ClassDef, set[str]]]:
        """A class and those it is derived from: where, what, and with which members."""
        node = next(
            (
                one
                for one in (self._tree.parsed[file].body if file else ())
                if isinstance(one, ast.ClassDef) and one.name == name
            ),
            None,
        )
        if node is None or depth > 5:
            return
        yield file, node, self._tree.members(file, name)[1]
        for base in node.bases:
            if isinstance(base, ast.Name):
                yield from self._bases(*self._named(file, base.id), depth + 1)
            elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
                module = self._imported(file, base.value.id)[0]
                yield from self._bases(*self._named(module, base.attr), depth + 1)


def _variable(node: ast.AST, name: str) -> str:
    """The class of which `node` makes the variable `name`."""
    if isinstance(node, ast.arg) and node.arg == name and isinstance(node.annotation, ast.Name):
        return node.annotation.id
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        targets = [one.id for one in node.targets if isinstance(one, ast.Name)]
        if name in targets and isinstance(node.value.func, ast.Name):
            return node.value.func.id
    return ""


def _attribute(node: ast.ClassDef, name: str) -> str:
    """The class of an attribute: annotated, or made by a call in a method."""
    arguments: dict[str, str] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.arg) and isinstance(one.annotation, ast.Name):
            arguments[one.arg] = one.annotation.id
        if isinstance(one, ast.AnnAssign) and isinstance(one.annotation, ast.Name):
            target = one.target
            said = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
            if said == name:
                return one.annotation.id
        if isinstance(one, ast.Assign) and name in [getattr(t, "attr", "") for t in one.targets]:
            value = one.value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
                return value.func.id
            if isinstance(value, ast.Name) and value.id in arguments:
                return arguments[value.id]
    return ""
