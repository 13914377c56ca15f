"""Functions of Python's library and of installed packages, for the benches of answers and actions.

They are read where they are, chosen by a seed, and made into modules of their own: the function and
the imports that it needs, without its docstring where a bench asks about its code alone.
"""

from __future__ import annotations

import ast
import random
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nearfield.features.code_actions.names import free_names

LIBRARY = [
    "bisect", "calendar", "colorsys", "difflib", "fnmatch", "fractions", "genericpath", "heapq",
    "html/__init__", "imghdr", "ipaddress", "keyword", "mimetypes", "ntpath", "nturl2path",
    "posixpath", "pprint", "quopri", "random", "reprlib", "sched", "shlex", "sndhdr",
    "statistics", "string", "tabnanny", "textwrap", "timeit", "token", "tokenize",
    "tomllib/_parser", "tomllib/_re", "urllib/parse", "uu", "wave", "inspect", "ast", "copy",
    "csv", "dis", "functools", "glob", "gettext", "graphlib", "json/decoder", "operator",
    "optparse", "locale", "email/utils", "email/quoprimime", "email/base64mime",
    "encodings/punycode",
]  # fmt: skip
PACKAGES = [
    "more_itertools/more", "more_itertools/recipes", "packaging/version", "packaging/utils",
    "packaging/tags", "click/_textwrap", "click/utils", "click/parser", "idna/core",
    "mergedeep/mergedeep", "pathspec/util", "markdown/util", "jinja2/utils", "jinja2/filters",
    "pydantic/alias_generators", "dateutil/easter", "dateutil/utils",
    "huggingface_hub/utils/_paths", "annotated_types/__init__", "coverage/misc",
    "mkdocs/utils/__init__", "charset_normalizer/utils", "importlib_metadata/_collections",
    "babel/util", "jsonschema/_utils",
]  # fmt: skip
MIN_LINES, MAX_LINES = 4, 26
"""Of a function's body: shorter ones say nothing, longer ones take a model of this size minutes."""
DOC_LINES = 12


@dataclass(frozen=True, slots=True)
class Function:
    """A function in a module of its own: `head` are the imports, `code` the function."""

    id: str
    name: str
    head: str
    code: str
    parameters: tuple[str, ...]

    @property
    def module(self) -> str:
        """The text of the module."""
        return f"{self.head}\n\n\n{self.code}" if self.head else self.code


def functions(count: int, seed: int = 20, *, documented: bool = False) -> list[Function]:
    """Return `count` functions; with `documented` those that have a docstring, which they keep."""
    found = sorted(_all(documented), key=lambda one: one.id)
    random.Random(seed).shuffle(found)
    return found[:count]


def _all(documented: bool) -> Iterator[Function]:
    paths = sysconfig.get_paths()
    for root, names in ((paths["stdlib"], LIBRARY), (paths["purelib"], PACKAGES)):
        for name in names:
            path = Path(root, f"{name}.py")
            if path.is_file():
                yield from _of_module(name, path.read_text("utf-8"), documented)


def _of_module(name: str, text: str, documented: bool) -> Iterator[Function]:
    tree = ast.parse(text)
    bound = {name: line for node in tree.body for name, line in _imports(node)}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not _is_suitable(node, documented):
            continue
        code = _source(node, text, documented)
        lines = len(code.splitlines()) - 1
        lacking = free_names(code)
        most = MAX_LINES + DOC_LINES * documented
        if MIN_LINES <= lines <= most and all(one in bound for one in lacking):
            head = "\n".join(dict.fromkeys(bound[one] for one in lacking))
            args = node.args
            given = tuple(one.arg for one in (*args.posonlyargs, *args.args, *args.kwonlyargs))
            yield Function(f"{name}:{node.name}", node.name, head, code, given)


def _imports(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """The names that an absolute import of Python's library binds, each with a statement."""
    if isinstance(node, ast.Import):
        for one in node.names:
            if one.name.split(".")[0] in sys.stdlib_module_names:
                told = f"import {one.name}" + (f" as {one.asname}" if one.asname else "")
                yield one.asname or one.name.split(".")[0], told
    elif isinstance(node, ast.ImportFrom) and not node.level:
        top = (node.module or "").split(".")[0]
        names = node.names if top in sys.stdlib_module_names and top != "__future__" else ()
        for one in names:
            told = one.name + (f" as {one.asname}" if one.asname else "")
            yield one.asname or one.name, f"from {node.module} import {told}"


def _is_suitable(node: ast.FunctionDef, documented: bool) -> bool:
    args = node.args
    given = len(args.posonlyargs) + len(args.args) + len(args.kwonlyargs)
    if (
        node.name.startswith("__")
        or node.decorator_list
        or args.vararg
        or args.kwarg
        or not 1 <= given <= 4
    ):
        return False
    if documented and not ast.get_docstring(node):
        return False
    kinds = (ast.Yield, ast.YieldFrom, ast.Global, ast.FunctionDef, ast.ClassDef, ast.Lambda)
    inner = [one for one in ast.walk(node) if one is not node]
    if any(isinstance(one, kinds) for one in inner):
        return False
    return any(isinstance(one, ast.Return) and one.value is not None for one in inner)


def _source(node: ast.FunctionDef, text: str, documented: bool) -> str:
    lines = text.split("\n")[node.lineno - 1 : node.end_lineno]
    if not documented and ast.get_docstring(node, clean=False) is not None:
        doc = node.body[0]
        del lines[doc.lineno - node.lineno : (doc.end_lineno or doc.lineno) - node.lineno + 1]
    return "\n".join(lines) + "\n"


_SWAPPED: dict[type[Any], type[Any]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip


def mutant(code: str, name: str, seed: str) -> str:
    """Return `code` with one operator or number of `name` changed, chosen by `seed`; "" where it
    has none."""
    tree = ast.parse(code)
    node = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    places = [place for one in ast.walk(node) for place in _places(one)]
    if not places:
        return ""
    random.Random(seed).choice(places)()
    return ast.unparse(tree) + "\n"


def _places(node: ast.AST) -> list[Callable[[], None]]:
    """Return the changes of a node."""
    if isinstance(node, ast.Compare):
        return [
            partial(_swap, node.ops, at) for at, op in enumerate(node.ops) if type(op) in _SWAPPED
        ]
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in _SWAPPED:
        return [partial(_set, node, "op", _SWAPPED[type(node.op)]())]
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        is_flag = isinstance(node.value, bool)
        return [partial(_set, node, "value", not node.value if is_flag else node.value + 1)]
    return []


def _swap(ops: list[Any], at: int) -> None:
    ops[at] = _SWAPPED[type(ops[at])]()


def _set(node: ast.AST, field: str, value: object) -> None:
    setattr(node, field, value)
