"""`nearfield config`: which settings are in force, where each comes from, what each means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from nearfield.cli.output import ExitCode, emit, print_json, say

app = typer.Typer(no_args_is_help=True, help="Show the settings, and where they come from.")

HIDDEN = "(hidden)"


class Row(NamedTuple):
    """A setting in force, as it may be seen."""

    key: tuple[str, ...]
    value: Any
    source: str


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
    from nearfield.config.load import DEFAULT, effective, load

    loaded = load(workspace.resolve())
    rows = [
        Row(key, shown(key, value), loaded.sources.get(dotted(key), DEFAULT))
        for key, value in effective(loaded.config).items()
    ]
    if as_json:
        print_json(
            {
                "settings": {
                    dotted(row.key): {
                        "value": row.value,
                        "source": row.source,
                        **({"doc": _doc(row.key)} if docs else {}),
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
        _print_rows(rows, docs=docs)
        for problem in loaded.problems:
            say(f"problem: {problem}")
    if loaded.problems:
        raise typer.Exit(ExitCode.USAGE)


def shown(key: tuple[str, ...], value: Any) -> Any:
    """The value as it may be seen: without secrets in options and without passwords in URLs."""
    if key[0] == "providers" and _is_hidden(key[-1]):
        return HIDDEN
    if key[0] == "providers" and isinstance(value, Mapping):
        return {str(inner): shown((*key, str(inner)), held) for inner, held in value.items()}
    if key[0] == "providers" and isinstance(value, list):
        return [shown(key, held) for held in value]
    if isinstance(value, str) and "://" in value:
        scheme, _, rest = value.partition("://")
        server, slash, path = rest.partition("/")
        user, at, host = server.rpartition("@")
        return f"{scheme}://{HIDDEN if user else ''}{at}{host}{slash}{path.partition('?')[0]}"
    return value


def _is_hidden(name: str) -> bool:
    """Return whether a provider's value under `name` may be a key. The name of a
    variable is none.
    """
    from nearfield.config.secret_words import says_secret

    name = name.lower()
    if name.endswith("_env"):
        return False
    return says_secret(name) is not None or name == "key" or "header" in name


def _print_rows(rows: Sequence[Row], *, docs: bool) -> None:
    from rich.text import Text

    from nearfield.cli.console import Console
    from nearfield.config.keys import dotted
    from nearfield.config.load import show as written

    console = Console(soft_wrap=True)
    section = ""
    for row in rows:
        if section != row.key[0]:
            section = row.key[0]
            console.print(Text(f"[{section}]", style="bold"))
        line = Text(f"{dotted(row.key)} = ")
        line.append(written(row.value), style="cyan")
        line.append(f"  # {row.source}", style="dim")
        console.print(line)
        if docs and (doc := _doc(row.key)):
            console.print(Text(f"    {doc}", style="dim"))


def _doc(key: tuple[str, ...]) -> str:
    from nearfield.config.keys import Leaf, find

    found = find(key)
    return found.doc if isinstance(found, Leaf) else ""
