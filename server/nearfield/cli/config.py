"""`nearfield config`: which settings are in force, where each comes from, what each means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.output import ExitCode, emit, print_json, say
from nearfield.files.links import resolved

if TYPE_CHECKING:
    from nearfield.features.settings import SettingRow

app = typer.Typer(no_args_is_help=True, help="Show the settings, and where they come from.")

Workspace = Annotated[
    Path, typer.Option(help="The workspace folder whose .nearfield.toml counts as well.")
]


@app.command("path")
def path(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print where your settings file is, or would be."""
    from nearfield.config.paths import user_config_file

    file = user_config_file()
    if as_json:
        print_json({"path": str(file), "exists": file.is_file()})
    else:
        emit(str(file))


@app.command("show")
def show(
    workspace: Workspace = Path(),
    docs: Annotated[bool, typer.Option("--docs", help="Print what each setting means.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every setting in force, with where it comes from. Secrets are not shown.

    Exit code 2 when a setting could not be used.
    """
    from nearfield.config.keys import dotted
    from nearfield.config.load import load
    from nearfield.features.settings import doc_of, in_force, with_unnamed

    loaded = load(resolved(workspace))
    rows = in_force(loaded)
    if as_json:
        print_json(
            {
                "settings": {
                    dotted(row.key): {
                        "value": row.value,
                        "source": row.source,
                        **({"doc": doc_of(row.key)} if docs else {}),
                    }
                    for row in rows
                },
                "problems": [
                    {name: getattr(problem, name) for name in ("source", "key", "wrong", "used")}
                    for problem in loaded.problems
                ],
            }
        )
    else:
        _print_rows(with_unnamed(rows) if docs else rows, docs=docs)
        for problem in loaded.problems:
            say(f"problem: {problem}")
    if loaded.problems:
        raise typer.Exit(ExitCode.USAGE)


@app.command("set")
def set_setting(
    key: Annotated[str, typer.Argument(help="The setting, such as completion.deadline_ms.")],
    value: Annotated[
        str, typer.Argument(help="Its value; lists with commas or as JSON, tables as JSON.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write one setting into your settings file; comments and every other line stay.

    Exit code 2, and nothing is written, for a setting that there is not, a value that it cannot
    have, and a key or password.
    """
    from nearfield.features.settings import put

    path, overruled = put(key, value, text=True)
    for source in overruled:
        say(f"note: {source} says otherwise, and counts more.")
    if as_json:
        print_json({"key": key, "config": str(path)})
    else:
        emit(f"{key} is set ({path}).")


@app.command("unset")
def unset(
    key: Annotated[str, typer.Argument(help="The setting, or a table such as providers.ollama.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take a setting out of your settings file. Exit code 1 when it is not there."""
    from nearfield.features.settings import drop

    path, was_there = drop(key)
    if as_json:
        print_json({"key": key, "config": str(path), "removed": was_there})
    elif was_there:
        emit(f"{key} is taken out ({path}).")
    else:
        say(f"{path} does not set {key}.")
    if not was_there:
        raise typer.Exit(ExitCode.NOTHING)


def _print_rows(rows: Sequence[SettingRow], *, docs: bool) -> None:
    from rich.text import Text

    from nearfield.cli.console import Console
    from nearfield.config.keys import dotted
    from nearfield.config.load import show as written
    from nearfield.features.settings import NOT_SET, doc_of

    console = Console(soft_wrap=True)
    section = ""
    for row in rows:
        if section != row.key[0]:
            section = row.key[0]
            console.print(Text(f"[{section}]", style="bold"))
        line = Text(f"{dotted(row.key)} = ")
        line.append("…" if row.source == NOT_SET else written(row.value), style="cyan")
        line.append(f"  # {row.source}", style="dim")
        console.print(line)
        if docs and (doc := doc_of(row.key)):
            console.print(Text(f"    {doc}", style="dim"))
