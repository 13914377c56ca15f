"""Neighbourhood of the cursor's file: its folder, its imports, and its importers.

An import names files by words (`from shop.goods import price`, `"./goods"`). A file counts as
imported when its own name is among the words of an import. The folder's name being there too makes
it surer, as many projects have several `types` and `store`.
"""

from __future__ import annotations

from pathlib import PurePosixPath

NEAR_BOOST = 0.15
"""At most, for a file in the same folder."""
IMPORT_BOOST = 0.15
"""For a file that is imported by the cursor's or imports it; as much as the same folder."""
UNSURE_SHARE = 0.4
"""Share of the weight when only the file's own name matches."""

_MAIN = frozenset({"__init__", "index", "mod", "lib", "main"})


def module_word(path: str) -> str:
    """Return the word that an import uses for a file: its name, or the folder's for a package's
    main file.
    """
    pure = PurePosixPath(path)
    stem = pure.name.partition(".")[0]
    return pure.parent.name if stem in _MAIN and pure.parent.name else stem


class Neighbourhood:
    """Closeness of other files to one file."""

    def __init__(
        self,
        path: str,
        imports: frozenset[str],
        importers: frozenset[str],
        sure: frozenset[str],
    ) -> None:
        """`imports` are the words of its imports. `importers` are the files whose imports have its
        name, `sure` those that also have its folder's name.
        """
        self._folder = PurePosixPath(path).parent.parts
        self._imports = imports
        self._importers = importers
        self._sure = sure
        self._known: dict[str, float] = {}

    def nearness(self, path: str) -> float:
        """0 for a file far away, up to 0.3."""
        if path not in self._known:
            self._known[path] = self._by_folder(path) + IMPORT_BOOST * self._by_import(path)
        return self._known[path]

    def _by_folder(self, path: str) -> float:
        there = PurePosixPath(path).parent.parts
        shared = 0
        for left, right in zip(self._folder, there, strict=False):
            if left != right:
                break
            shared += 1
        return NEAR_BOOST * (shared + 1) / (max(len(self._folder), len(there)) + 1)

    def _by_import(self, path: str) -> float:
        """0..1."""
        if path in self._sure:
            return 1.0
        word = module_word(path)
        if word not in self._imports:
            return UNSURE_SHARE if path in self._importers else 0.0
        above = PurePosixPath(path).parent.parts[-2:]
        # A file on the top has no folder that could be named.
        return 1.0 if not above or self._imports.intersection(above) - {word} else UNSURE_SHARE
