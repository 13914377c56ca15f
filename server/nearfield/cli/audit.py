"""`nearfield audit`: everything that was sent outside this machine, with the consent for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli import consent
from nearfield.cli.moments import moment, since
from nearfield.cli.output import ExitCode, emit, fail, print_json, say
from nearfield.cli.table import Kind, print_table
from nearfield.files.links import resolved
from nearfield.routing.money import dollars

if TYPE_CHECKING:
    from nearfield.routing.ledger import EntryFilter, LedgerEntry

app = typer.Typer(
    invoke_without_command=True, help="Show what was sent outside this machine, and what may be."
)

USUAL_LIMIT = 50

SENT: Mapping[str, Kind] = {
    "id": "number",
    "time": "name",
    "provider": "name",
    "model": "name",
    "task": "name",
    "files": "words",
    "bytes": "number",
    "redacted": "number",
    "tokens": "number",
    "price": "number",
    "outcome": "words",
}

Since = Annotated[str, typer.Option("--since", help='Not before: "7d", "12h", or a date.')]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def audit(
    context: typer.Context,
    calls: Annotated[
        bool, typer.Option("--calls", help="List the functions that models have called.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --calls: print JSON.")] = False,
) -> None:
    """Without a command, list the last entries."""
    if context.invoked_subcommand is None and calls:
        from nearfield.cli.audit_calls import list_calls

        list_calls(USUAL_LIMIT, as_json=as_json)
    elif context.invoked_subcommand is None:
        from nearfield.routing.ledger import EntryFilter

        _list(EntryFilter(), USUAL_LIMIT, as_json=False)


@app.command("list")
def list_entries(
    from_when: Since = "",
    until: Annotated[str, typer.Option(help="Before then.")] = "",
    workspace: Annotated[str, typer.Option(help="Of this workspace folder only.")] = "",
    provider: Annotated[str, typer.Option(help="To this provider only.")] = "",
    task: Annotated[str, typer.Option(help="For this task only.")] = "",
    outcome: Annotated[str, typer.Option(help="With this outcome only.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many; 0 for all.")] = USUAL_LIMIT,
    as_json: Json = False,
) -> None:
    """Print entries, newest first, and what may be sent. Exit code 1 when there is neither."""
    from nearfield.routing.ledger import EntryFilter

    wanted = EntryFilter(
        since=since(from_when) if from_when else None,
        until=since(until) if until else None,
        workspace=str(resolved(Path(workspace))) if workspace else None,
        provider=provider or None,
        task=task or None,
        outcome=outcome or None,
    )
    _list(wanted, limit or -1, as_json)


def _list(wanted: EntryFilter, limit: int, as_json: bool) -> None:
    from nearfield.routing.store import Store

    store = Store()
    entries, said = store.entries(wanted, limit), store.said()
    if as_json:
        print_json(
            {
                "entries": [as_row(entry) for entry in entries],
                "consent": [one.row() for one in said],
            }
        )
    else:
        _print(entries)
        for one in said:
            emit(consent.line(one))
    if not entries and not said:
        say("Nothing has been sent outside this machine, and nothing may be.")
        raise typer.Exit(ExitCode.NOTHING)


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="As `list` prints it.")],
    as_json: Json = False,
) -> None:
    """Print one entry in full. Exit code 1 when there is none of that id."""
    from nearfield.routing.store import Store

    entry = Store().entry(number)
    if entry is None:
        say(f"There is no entry {number}.")
        raise typer.Exit(ExitCode.NOTHING)
    if as_json:
        print_json(as_row(entry, full=True))
        return
    for name, value in as_row(entry, full=True).items():
        emit(f"{name + ':':13} {_written(value)}")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="The file to write; - is standard output.")],
    from_when: Since = "",
) -> None:
    """Write all entries and decisions as JSON."""
    import msgspec

    from nearfield.files.private import private_file
    from nearfield.routing.ledger import EntryFilter
    from nearfield.routing.store import Store

    store = Store()
    wanted = EntryFilter(since=since(from_when) if from_when else None)
    value = {
        "entries": [as_row(entry, full=True) for entry in store.entries(wanted)],
        "consent": [one.row() for one in store.said()],
    }
    if str(file) == "-":
        print_json(value)
        return
    try:
        private_file(file).write_bytes(
            msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
        )
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}.")
    say(f"{len(value['entries'])} entries are in {file}.")


@app.command("prune")
def prune(
    before: Annotated[str, typer.Option(help='Delete what is older: "90d" or a date.')],
) -> None:
    """Delete old entries. What they cost is then no longer counted."""
    from nearfield.features.chat.audit_store import CallStore
    from nearfield.routing.store import Store

    gone = Store().prune(since(before)) + CallStore().prune(since(before))
    say(f"{gone} entr{'y' if gone == 1 else 'ies'} deleted.")


def as_row(entry: LedgerEntry, full: bool = False) -> dict[str, Any]:
    """An entry as programs read it; `full` with the hash and, where it was kept, the text."""
    row = entry.row(full)
    number, at = row.pop("id"), row.pop("at")
    row |= {"price": dollars(entry.price)}
    if full:
        row["content"] = row["content"] or "not kept; see privacy.keep_sent"
    return {"id": number, "time": moment(at), **row}


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_file(one) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{count} x {kind}" for kind, count in value.items()) or "none"
    return "unknown" if value is None else str(value)


def _file(one: dict[str, Any]) -> str:
    where = "" if one["start"] is None else f" {one['start']}-{one['end']}"
    return f"{one['path']}{where}"


def _print(entries: Sequence[LedgerEntry]) -> None:
    if not entries:
        return
    print_table(SENT, map(_cells, entries))


def _cells(entry: LedgerEntry) -> tuple[str, ...]:
    sending = entry.sending
    return (
        str(entry.id),
        moment(entry.at),
        sending.provider,
        sending.model,
        sending.task,
        ", ".join(path for path, _, _ in sending.files[:3]) + ("…" * (len(sending.files) > 3)),
        str(sending.bytes),
        str(sum(count for _, count in sending.redactions)),
        f"{_count(entry.tokens_in)}/{_count(entry.tokens_out)}",
        dollars(entry.price),
        entry.outcome,
    )


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)
