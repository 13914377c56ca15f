"""`nearfield team`: the people of a shared server, their tokens, and what they have used."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.moments import moment
from nearfield.cli.output import ExitCode, emit, print_json, say

if TYPE_CHECKING:
    from nearfield.features.team.people import PersonRecord
    from nearfield.features.team.usage_store import UsageRow

app = typer.Typer(
    no_args_is_help=True, help="People of a shared server (`serve --team`): tokens and use."
)

Name = Annotated[str, typer.Argument(help="The person: a-z, 0-9, '.', '_', '-'.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DAY = 86_400


@app.command("add")
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="Their role, as the team's file names it.")],
    days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Days for which the token holds; 0 for no end.")
    ] = 0,
) -> None:
    """Make a token for a person and print it, this once. Their role is set as well."""
    from nearfield.features.team.people import People

    value, token = People().add(name, role, days)
    say(f"The token {token.id} of {name}, shown this once:")
    emit(value)


@app.command("list")
def list_people(as_json: AsJson = False) -> None:
    """Show people and their tokens, without the tokens' text. Exit code 1 when there are none."""
    from nearfield.cli.table import Kind, print_table
    from nearfield.features.team.people import People

    people = sorted(People().all().people.values(), key=lambda one: one.name)
    if as_json:
        print_json([_without_hashes(one) for one in people])
    elif people:
        columns: dict[str, Kind] = {
            "name": "name", "role": "name", "token": "name", "made": "name", "ends": "name",
        }  # fmt: skip
        rows = (
            (one.name, one.role, token.id, moment(token.made), _end(token.ends))
            for one in people
            for token in one.tokens
        )
        print_table(columns, rows)
    else:
        say("There is nobody yet: `nearfield team add NAME --role ROLE`.")
    if not people:
        raise typer.Exit(ExitCode.NOTHING)


@app.command("revoke")
def revoke(
    name: Name,
    token: Annotated[str, typer.Option(help="The id of one token; otherwise all.")] = "",
) -> None:
    """Take a person's tokens away; a running server refuses them at once."""
    from nearfield.features.chat.kept_chats import FOLDER, KeptChats
    from nearfield.features.team.people import People

    people = People()
    count = people.revoke(name, token)
    say(f"{count} token{'' if count == 1 else 's'} of {name} revoked.")
    kept = people.folder / FOLDER / people.key(name)
    if name not in people.all().people and KeptChats(kept).heads():
        say(f"Delete {kept} before somebody else gets this name: it has the chats of {name}.")


@app.command("usage")
def usage(
    days: Annotated[
        int, typer.Option(min=1, max=3_650, help="Days to look back, today included.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Show what each person has used: requests and tokens, no code. Exit code 1 for nothing."""
    from nearfield.cli.table import Kind, print_table
    from nearfield.features.team.limits import day_of
    from nearfield.features.team.people import People
    from nearfield.features.team.usage_store import UsageStore

    store = UsageStore(People().folder)
    rows = store.rows(day_of(time.time() - (days - 1) * DAY))
    store.close()
    if as_json:
        print_json(rows)
    elif rows:
        columns: dict[str, Kind] = {
            "name": "name", "use": "name", "requests": "number", "refused": "number",
            "tokens read": "number", "written": "number",
        }  # fmt: skip
        print_table(columns, _sums(rows))
    else:
        say("Nothing was used.")
    if not rows:
        raise typer.Exit(ExitCode.NOTHING)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The file that `serve --team` gets.")],
) -> None:
    """Check a team's file, and that each person's role is in it. Exit code 2 when not."""
    from nearfield.errors import ConfigError
    from nearfield.features.team.people import People
    from nearfield.features.team.settings import read_team

    roles = read_team(file).roles
    without = [one for one in People().all().people.values() if one.role not in roles]
    if without:
        names = ", ".join(f"{one.name} ({one.role})" for one in without)
        raise ConfigError(f"These people have a role that {file} does not have: {names}.")
    say(f"{file} can be used; its roles are {', '.join(sorted(roles))}.")


def _end(ends: float) -> str:
    if not ends:
        return "never"
    return f"ended {moment(ends)}" if ends < time.time() else moment(ends)


def _without_hashes(person: PersonRecord) -> dict[str, object]:
    tokens = [{"id": one.id, "made": one.made, "ends": one.ends or None} for one in person.tokens]
    return {"name": person.name, "role": person.role, "tokens": tokens}


def _sums(rows: list[UsageRow]) -> list[tuple[str, ...]]:
    """Return the sums by person and use."""
    sums: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        one = sums.setdefault((row.person, row.use), [0, 0, 0, 0])
        for place, number in enumerate((row.requests, row.refused, row.read, row.written)):
            one[place] += number
    return [(*key, *map(str, numbers)) for key, numbers in sorted(sums.items())]
