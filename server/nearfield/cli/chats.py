"""`nearfield chats`: the chats that are kept on this machine, from any editor or the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.moments import moment
from nearfield.cli.output import ExitCode, emit, fail, print_json, say
from nearfield.files.links import resolved

app = typer.Typer(no_args_is_help=True, help="List, export and delete kept chats.")

SHOWN_ID = 8
"""Characters of an id that a list shows; the beginning is enough to name a chat."""
Name = Annotated[str, typer.Argument(metavar="ID", help="Its id, or how it begins.")]


@app.command("list")
def list_chats(
    workspace: Annotated[Path, typer.Option(help="The folder that they are about.")] = Path(),
    everywhere: Annotated[bool, typer.Option("--all", help="Those of all folders.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the kept chats, the last one first. Exit code 1 when there are none."""
    from nearfield.cli.table import Kind, print_table
    from nearfield.features.chat.kept_chats import KeptChats

    heads = KeptChats().heads(None if everywhere else str(resolved(workspace)))
    if as_json:
        print_json(heads)
    elif heads:
        columns: dict[str, Kind] = {
            "id": "name", "changed": "name", "messages": "number", "title": "words",
            "folder": "words",
        }  # fmt: skip
        print_table(
            columns,
            (
                (one.id[:SHOWN_ID], moment(one.changed), str(one.count), one.title, one.workspace)
                for one in heads
            ),
        )
    else:
        say("No chat is kept." if everywhere else "No chat about this folder is kept.")
    if not heads:
        raise typer.Exit(ExitCode.NOTHING)


@app.command("export")
def export(name: Name) -> None:
    """Print a chat as Markdown. `nearfield chat --resume ID` continues one."""
    from nearfield.features.chat.kept_chats import KeptChats, markdown

    emit(markdown(KeptChats().find(name)))


@app.command("delete")
def delete(
    name: Annotated[str, typer.Argument(metavar="[ID]", help="Its id, or how it begins.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every kept chat.")] = False,
) -> None:
    """Delete a kept chat, or all."""
    from nearfield.features.chat.kept_chats import KeptChats

    kept = KeptChats()
    if everything:
        count = kept.delete_all()
        say(f"{count} chat{'' if count == 1 else 's'} deleted.")
        return
    if not name:
        fail("Name a chat, or say --all.", "`nearfield chats list` shows them.")
    chat = kept.find(name)
    kept.delete(chat.id)
    say(f"Deleted: {chat.title}")
