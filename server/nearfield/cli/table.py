"""Tables on standard output, nothing of which is ever cut.

On a terminal the columns of words are folded where it is too narrow, between words; where that is
not enough the terminal wraps the lines. Into a pipe each row is one line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Literal

Kind = Literal["words", "name", "number"]
"""What a column holds; words may be folded."""

UNLIMITED = 10_000


def print_table(columns: Mapping[str, Kind], rows: Iterable[Iterable[str]]) -> None:
    """Print `rows`, each with a text for every heading of `columns`; nothing in them is markup, or
    anything else that a terminal would obey."""
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading, kind in columns.items():
        justify = "right" if kind == "number" else "left"
        table.add_column(heading, justify=justify, no_wrap=kind != "words", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(text)) for text in row))
    needed = Measurement.get(unlimited := Console(width=UNLIMITED), unlimited.options, table)
    console = Console(highlight=False)
    if not sys.stdout.isatty() or console.width < needed.minimum:
        console = Console(highlight=False, width=needed.maximum, soft_wrap=True)
    console.print(table)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
