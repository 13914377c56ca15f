"""`nearfield`: finds the command and imports that one alone, so that an editor's start is quick."""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from nearfield import __version__
from nearfield.cli.output import ExitCode, emit, exit_code, report, say
from nearfield.errors import NearfieldError
from nearfield.terminal import finish, guard

COMMANDS = {
    "serve": "nearfield.cli.serve:serve",
    "panel": "nearfield.cli.panel:panel",
    "acp": "nearfield.cli.acp:acp",
    "mcp": "nearfield.cli.mcp:mcp",
    "pause": "nearfield.cli.pause:pause",
    "resume": "nearfield.cli.pause:resume",
    "complete": "nearfield.cli.complete:complete",
    "explain": "nearfield.cli.explain:explain",
    "review": "nearfield.cli.review:review",
    "fix": "nearfield.cli.act:fix",
    "refactor": "nearfield.cli.act:refactor",
    "document": "nearfield.cli.act:document",
    "test": "nearfield.cli.act:test",
    "commit-message": "nearfield.cli.commit_message:commit_message",
    "setup": "nearfield.cli.setup:setup",
    "models": "nearfield.cli.models:app",
    "ask": "nearfield.cli.ask:ask",
    "chat": "nearfield.cli.chat:chat",
    "chats": "nearfield.cli.chats:app",
    "providers": "nearfield.cli.providers:app",
    "route": "nearfield.cli.route:app",
    "doctor": "nearfield.cli.doctor:doctor",
    "index": "nearfield.cli.index:index",
    "search": "nearfield.cli.search:search",
    "embed": "nearfield.cli.embed:embed",
    "config": "nearfield.cli.config:app",
    "keys": "nearfield.cli.keys:app",
    "consent": "nearfield.cli.consent:app",
    "audit": "nearfield.cli.audit:app",
    "provenance": "nearfield.cli.provenance:app",
    "stats": "nearfield.cli.stats:stats",
    "trial": "nearfield.cli.trial:app",
    "team": "nearfield.cli.team:app",
}
"""Each command, in the order of the help, and where it is."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    guard()
    arguments = sys.argv[1:]
    try:
        try:
            build(arguments)()
        finally:
            # What cannot be written is told here, not by the interpreter after the end.
            finish()
    except BrokenPipeError:
        sys.exit(ExitCode.NOTHING)
    except NearfieldError as error:
        if "--debug" in arguments:
            raise
        report(error)
        sys.exit(exit_code(error))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG or "--debug" in arguments:
            raise
        say("error: The command names a file by a longer name than one can have.")
        sys.exit(ExitCode.USAGE)
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(ExitCode.INTERRUPTED)


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application as far as `arguments` need it: one command, or all of them for the help."""
    app = typer.Typer(
        name="nearfield",
        help="AI completions in any editor, from your own machine's models first.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Its errors repeat arguments, and what it writes by rich would not pass `guard`.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    for name in [wanted] if wanted in COMMANDS else COMMANDS:
        _add(app, name)
    return app


def _add(app: typer.Typer, name: str) -> None:
    module, _, attribute = COMMANDS[name].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        emit(f"nearfield {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback when a command fails.")
    ] = False,
) -> None:
    # Both are acted on elsewhere: `--version` above, `--debug` in `main`.
    del version, debug
