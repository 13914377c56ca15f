"""Advice for tests, from the tree of the tested function.

Small models compare an iterator with a list, name the result of a random choice, and expect files
that do not exist.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator

__all__ = ["testing_advice"]

_LAZY = frozenset(
    {"accumulate", "chain", "count", "cycle", "enumerate", "filter", "from_iterable", "islice",
     "iter", "map", "repeat", "reversed", "starmap", "takewhile", "zip", "zip_longest"}
)  # fmt: skip
_RANDOM = frozenset({"random", "randint", "randrange", "secrets", "shuffle", "uuid", "uuid4"})
_FILES = frozenset(
    {"open", "Path", "stat", "lstat", "listdir", "scandir", "makedirs", "mkdir", "unlink", "shutil"}
)


def testing_advice(code: str, name: str) -> tuple[str, ...]:
    """Return sentences for the prompt that asks for tests of the Python function `code`; none where
    it has nothing special or cannot be parsed."""
    try:
        tree = ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError):
        return ()
    function = next((one for one in tree.body if isinstance(one, ast.FunctionDef)), None)
    if function is None:
        return ()
    own = list(_own_nodes(function))
    used = {node.id for node in own if isinstance(node, ast.Name)}
    used |= {node.attr for node in own if isinstance(node, ast.Attribute)}
    found: list[str] = []
    if _is_lazy(own):
        found.append(f"`{name}` returns an iterator, so compare `list({name}(...))`.")
    if used & _RANDOM:
        found.append("Its result is random: assert only what holds for every result.")
    if used & _FILES:
        found.append("Files that it needs have to be made first, in `tmp_path`.")
    return tuple(found)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _is_lazy(nodes: list[ast.AST]) -> bool:
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return True
    returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value]
    return bool(returned) and all(map(_is_iterator, returned))


def _is_iterator(node: ast.expr) -> bool:
    if isinstance(node, ast.GeneratorExp):
        return True
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return word in _LAZY
