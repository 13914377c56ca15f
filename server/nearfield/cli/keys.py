"""`nearfield keys`: the providers' keys in the system keyring. A kept key is never shown."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nearfield.cli.output import ExitCode, emit, fail, print_json, prompt, say

app = typer.Typer(no_args_is_help=True, help="Keep providers' keys in the system keyring.")

Name = Annotated[str, typer.Argument(metavar="PROVIDER", help="The name in [providers.NAME].")]


@app.command("set")
def set_key(provider: Name) -> None:
    """Keep a key. It is asked for without being shown, or read from standard input in a pipe."""
    from nearfield.routing import keys

    if sys.stdin.isatty():
        key = prompt(f"Key of {provider}", hidden=True)
    else:
        key = sys.stdin.readline().removeprefix("\ufeff")
    if not key.strip():
        fail("No key was given.")
    keys.keep(provider, key.strip())
    say(f"The key of {provider} is in the system keyring.")


@app.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the providers that a key is kept for. Exit code 1 when there is none."""
    from nearfield.routing import keys

    found = keys.names()
    if as_json:
        print_json({"providers": found})
    else:
        for name in found:
            emit(name)
    if not found:
        raise typer.Exit(ExitCode.NOTHING)


@app.command("remove")
def remove_key(provider: Name) -> None:
    """Forget a key. Exit code 1 when there was none."""
    from nearfield.routing import keys

    if not keys.remove(provider):
        say(f"No key is kept for {provider}.")
        raise typer.Exit(ExitCode.NOTHING)
    say(f"The key of {provider} is gone.")
