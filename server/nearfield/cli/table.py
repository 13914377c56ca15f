"""Tables on standard output, nothing of which is ever cut.

On a terminal the columns of words are folded where it is too narrow, between words; where that is
not enough the terminal wraps the lines. Into a pipe each row is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from nearfield.terminal import answers_on_terminal, one_line

Kind = Literal["words", "name", "number"]
"""Content of a column; words may be folded."""

UNLIMITED = 10_000


def print_table(columns: Mapping[str, Kind], rows: Iterable[Iterable[str]]) -> None:
    """Print `rows`, each with a text for every heading of `columns`."""
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    from nearfield.cli.console import Console

    table = Table(box=None, pad_edge=False)
    for heading, kind in columns.items():
        justify = "right" if kind == "number" else "left"
        table.add_column(heading, justify=justify, no_wrap=kind != "words", overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(text)) for text in row))
    needed = Measurement.get(unlimited := Console(width=UNLIMITED), unlimited.options, table)
    console = Console()
    if not answers_on_terminal() or console.width < needed.minimum:
        console = Console(width=needed.maximum, soft_wrap=True)
    console.print(table)
