"""`nearfield audit --calls`: every function that a model wanted to call, and what became of it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from nearfield.cli.moments import moment
from nearfield.cli.output import ExitCode, print_json, say


def list_calls(limit: int, *, as_json: bool) -> None:
    """Print the last calls, newest first. Exit code 1 when there is none."""
    from nearfield.features.chat.store import CallStore

    store = CallStore()
    found = store.calls(limit=limit)
    store.close()
    if as_json:
        print_json([{**asdict(one), "time": moment(one.at)} for one in found])
    elif found:
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for name in ("id", "time", "model", "function", "arguments", "allowed", "outcome", "bytes"):
            table.add_column(name, no_wrap=name not in ("arguments", "outcome"))
        for one in found:
            told = one.arguments if len(one.arguments) <= 80 else f"{one.arguments[:80]}…"
            table.add_row(
                str(one.id),
                moment(one.at),
                one.model,
                _printable(one.name),
                _printable(told),
                one.decision,
                _printable(one.outcome),
                str(one.bytes),
            )
        Console(highlight=False, soft_wrap=True, markup=False).print(table)
    if not found:
        say("No model has called a function.")
        raise typer.Exit(ExitCode.NOTHING)


def _printable(text: str) -> str:
    """A model's text without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)
