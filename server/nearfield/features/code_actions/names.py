"""Names that a generated test uses without defining them, and the imports that bind them.

A name is looked for in the tested module, in Python's library and in the workspace's index. Nothing
is run or imported: Python's own symbol table says which names are free.
"""

from __future__ import annotations

import builtins
import re
import symtable
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nearfield.features.code_actions.frameworks import is_test, module_of
from nearfield.types import SymbolLocation

__all__ = ["Definitions", "NameSource", "exported", "free_names"]

Definitions = Callable[[str], Sequence[SymbolLocation]]
"""Returns where the workspace defines a name; may block."""

_LIBRARY = {
    "unittest": ("mock",),
    "unittest.mock": ("ANY", "AsyncMock", "MagicMock", "Mock", "call", "patch"),
    "pathlib": ("Path", "PurePath"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "collections": ("Counter", "OrderedDict", "defaultdict", "deque", "namedtuple"),
    "dataclasses": ("dataclass", "field"),
    "datetime": ("date", "datetime", "timedelta", "timezone"),
    "io": ("BytesIO", "StringIO"),
    "types": ("SimpleNamespace",),
    "uuid": ("UUID", "uuid4"),
}
_FROM_LIBRARY = {
    name: f"from {module} import {name}" for module, names in _LIBRARY.items() for name in names
}
_FRAMEWORKS = frozenset({"pytest", "unittest"})
_GIVEN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__path__", "__spec__"}
_EXPORTED = re.compile(
    r"^export (?:default )?(?:async |abstract |declare )*(?:function\*?|class|const|let|var|enum)"
    r"\s+([\w$]+)|^(?:module\.)?exports\.([\w$]+)\s*=",
    re.M,
)


def free_names(code: str) -> list[str]:
    """Return the names that Python code uses and neither it nor Python defines; none of code that
    does not compile or that imports everything of a module."""
    top = _symbols(code)
    if top is None or re.search(r"^from [\w.]+ import \*", code, re.M):
        return []
    bound: set[str] = set()
    used: dict[str, None] = {}
    pending = [top]
    while pending:
        table = pending.pop()
        pending.extend(table.get_children())
        is_top = table is top
        for symbol in table.get_symbols():
            if _defines(symbol) and (is_top or symbol.is_declared_global()):
                bound.add(symbol.get_name())
            if symbol.is_referenced() and (is_top or symbol.is_global()):
                used[symbol.get_name()] = None
    return [name for name in used if name not in bound and name not in _GIVEN]


def exported(text: str) -> list[str]:
    """Return the names that a JavaScript or TypeScript module exports by declaring them."""
    return list(dict.fromkeys(one or other for one, other in _EXPORTED.findall(text)))


@dataclass(frozen=True)
class NameSource:
    """The places in which a Python name may be found: `text` is that of the tested `module`,
    `definitions` asks the index of the workspace `root`."""

    module: str
    text: str
    root: Path
    definitions: Definitions

    def imports(self, names: Iterable[str]) -> list[str]:
        """Return the statements that bind those of `names` that are known."""
        return [one for one in map(self._import, names) if one]

    def has_module(self, statement: str) -> bool:
        """Return whether the module that an import names may exist: one of the workspace must."""
        found = re.match(r"\s*(?:from|import)\s+([\w.]+)", statement)
        if found is None:
            return not statement.lstrip().startswith("from .")
        parts = found[1].split(".")
        for top in (self.root, self.root / "src", self.root / "lib"):
            first = top / parts[0]
            if first.is_dir() or first.with_suffix(".py").is_file():
                whole = top.joinpath(*parts)
                return whole.is_dir() or whole.with_suffix(".py").is_file()
        return True

    def _import(self, name: str) -> str:
        if name in _FRAMEWORKS:
            return f"import {name}"
        if self._is_of_module(name):
            is_module = re.search(rf"^import {re.escape(name)}$", self.text, re.M)
            return f"import {name}" if is_module else f"from {self.module} import {name}"
        if name in _FROM_LIBRARY:
            return _FROM_LIBRARY[name]
        if name in sys.stdlib_module_names:
            return f"import {name}"
        modules = {
            module_of(Path(place.path), self.root)
            for place in self.definitions(name)
            if place.path.endswith(".py") and not place.container
            if not is_test("python", Path(place.path))
        }
        return f"from {modules.pop()} import {name}" if len(modules) == 1 else ""

    def _is_of_module(self, name: str) -> bool:
        if self._module_symbols is None or name not in self._module_symbols.get_identifiers():
            return False
        return _defines(self._module_symbols.lookup(name))

    @cached_property
    def _module_symbols(self) -> symtable.SymbolTable | None:
        return _symbols(self.text)


def _symbols(code: str) -> symtable.SymbolTable | None:
    """Return the symbol table of a text, None for one that does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return symtable.symtable(code, "test", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return None


def _defines(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
