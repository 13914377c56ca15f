"""`nearfield audit --calls`: every function that a model wanted to call, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from nearfield.cli.moments import moment
from nearfield.cli.output import ExitCode, print_json, say
from nearfield.cli.table import Kind, print_table

if TYPE_CHECKING:
    from nearfield.features.chat.audit_store import Called

CALLS: Mapping[str, Kind] = {
    "id": "number",
    "time": "name",
    "model": "name",
    "function": "name",
    "arguments": "words",
    "allowed": "name",
    "outcome": "words",
    "bytes": "number",
}


def list_calls(limit: int, *, as_json: bool) -> None:
    """Print the last calls, newest first. Exit code 1 when there is none."""
    from nearfield.features.chat.audit_store import CallStore

    store = CallStore()
    found = store.calls(limit=limit)
    store.close()
    if as_json:
        print_json([{**asdict(one), "time": moment(one.at)} for one in found])
    elif found:
        print_table(CALLS, map(_cells, found))
    if not found:
        say("No model has called a function.")
        raise typer.Exit(ExitCode.NOTHING)


def _cells(one: Called) -> tuple[str, ...]:
    return (
        str(one.id),
        moment(one.at),
        one.model,
        one.name,
        one.arguments if len(one.arguments) <= 80 else f"{one.arguments[:80]}…",
        one.decision,
        one.outcome,
        str(one.bytes),
    )
