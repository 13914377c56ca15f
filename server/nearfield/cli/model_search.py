"""`nearfield models search`: search the hub for models, and list the files of one repository.

What is typed is sent to the hub, and nothing else; nothing is fetched. With `--json` it prints one
list, of repositories or of files.
"""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.catalog.hub import MAX_SEARCH_CHARS, Hub
from nearfield.catalog.listing import file_row, repository_row
from nearfield.catalog.models import Catalog
from nearfield.catalog.partial_file import megabytes
from nearfield.catalog.recommend import MIB, this_machine
from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, emit, print_json, reported, say
from nearfield.cli.table import Kind, print_table
from nearfield.errors import ConfigError
from nearfield.network.setting import environ_of

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORIES: Mapping[str, Kind] = {
    "repository": "name",
    "licence": "words",
    "downloads": "number",
    "updated": "name",
    "": "words",
}
FILES: Mapping[str, Kind] = {
    "file": "name",
    "quantisation": "name",
    "size": "number",
    "memory": "number",
    "": "words",
}

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def search(
    words: Annotated[
        list[str],
        typer.Argument(help="Words of a model's name; OWNER/REPO lists the files of that one."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> None:
    """Search the hub for models with GGUF files; what you type is sent to it.

    Exit codes: 0 found, 1 nothing found, 2 wrong usage, 3 the hub did not answer.
    """
    text = " ".join(words).strip()
    repo = text if _REPOSITORY.fullmatch(text) else ""
    with reported(as_json, "Stopped."):
        if not text or len(text) > MAX_SEARCH_CHARS:
            raise ConfigError(f"Write up to {MAX_SEARCH_CHARS} characters to search for.")
        with Hub(environ_of(settings_of(Path.cwd()).config)) as hub:
            rows = _files(hub, repo) if repo else [repository_row(one) for one in hub.search(text)]
    if as_json:
        print_json(rows)
    elif not rows:
        say(f"{repo} has no GGUF file." if repo else "The hub has no model of that name in GGUF.")
    elif repo:
        print_table(FILES, map(_file_cells, rows))
        if fitting := [row for row in rows if row["fits"] and not row["part"]]:
            best = max(fitting, key=lambda row: row["bytes"])
            emit(f"Next: `nearfield models add NAME {quote(repo + '/' + best['file'])}`.")
    else:
        print_table(REPOSITORIES, map(_repository_cells, rows))
        emit(f"Next: `nearfield models search {quote(rows[0]['repo'])}` lists its files.")
    if not rows:
        raise typer.Exit(ExitCode.NOTHING)


def _files(hub: Hub, repo: str) -> list[dict[str, Any]]:
    machine = this_machine(Catalog.load())
    return [file_row(one, machine) for one in hub.files(repo)]


def _repository_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["repo"],
        row["licence"] or "not said",
        f"{row['downloads']:,}",
        row["updated"][:10],
        "needs an account (HF_TOKEN)" if row["gated"] else "",
    )


def _file_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["file"],
        row["quantisation"],
        megabytes(row["bytes"]),
        f"~{megabytes(row['memory_mb'] * MIB)}",
        "one part of several" if row["part"] else "" if row["fits"] else "too large here",
    )
