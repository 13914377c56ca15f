"""The open notebooks: the cells of each, in order. The cells' texts are documents.

A client that syncs notebooks says what is in one. One that does not opens cells as documents whose
URIs name the notebook; their order is then the order of opening.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfield.files import uris


@dataclass(slots=True, eq=False)
class Notebook:
    """A notebook. `cells` are the URIs of its cells in order; `told` is true if the client has
    named them.
    """

    uri: str
    cells: list[str] = field(default_factory=list[str])
    told: bool = False


class Notebooks:
    """All open notebooks."""

    def __init__(self) -> None:
        self._open: dict[str, Notebook] = {}
        self._holding: dict[str, Notebook] = {}  # by their cells

    def get(self, uri: str) -> Notebook | None:
        """The notebook of this URI, None when the client has not opened it."""
        return self._open.get(_key(uri))

    def open(self, uri: str, cells: Sequence[str]) -> Notebook:
        """The client has opened a notebook with these cells."""
        self.close(uri)
        notebook = self._open[_key(uri)] = Notebook(uri, told=True)
        self.splice(notebook, 0, 0, cells)
        return notebook

    def close(self, uri: str) -> Notebook | None:
        """Forget a notebook."""
        notebook = self._open.pop(_key(uri), None)
        for cell in notebook.cells if notebook is not None else ():
            self._holding.pop(cell, None)
        return notebook

    def splice(self, notebook: Notebook, start: int, deleted: int, cells: Sequence[str]) -> None:
        """Put `cells` in place of the `deleted` ones from `start` on. A cell is in one place: a
        moved one may be inserted before it is removed.
        """
        gone = set(notebook.cells[start : start + deleted])
        notebook.cells[start : start + deleted] = cells
        for cell in gone.difference(notebook.cells):
            self._holding.pop(cell, None)
        self._holding.update(dict.fromkeys(cells, notebook))

    def holding(self, cell: str) -> Notebook | None:
        """The notebook that the document of this URI is a cell of, None for any other document."""
        known = self._holding.get(cell)
        if known is not None:
            return known
        uri = uris.notebook_of(cell)
        if uri is None:
            return None
        notebook = self._open.setdefault(_key(uri), Notebook(uri))
        notebook.cells.append(cell)
        self._holding[cell] = notebook
        return notebook

    def left(self, notebook: Notebook, cell: str) -> None:
        """The document of a cell was closed."""
        if notebook.told:
            return  # It may be moved; the client reports whether it is closed.
        self._holding.pop(cell, None)
        notebook.cells.remove(cell)
        if not notebook.cells:
            self.close(notebook.uri)


def _key(uri: str) -> str:
    return uris.path_of(uri) or uri
