"""Shared output of the commands: exit codes, errors, JSON.

Standard output carries the answer alone, so that it can be piped; everything else is written to
standard error. Colours and progress appear on a terminal only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NoReturn

from nearfield import errors
from nearfield.errors import NearfieldError
from nearfield.terminal import emit, escaped, output_encoding, printable, say

__all__ = [
    "ExitCode", "ask_choice", "emit", "exit_code", "fail", "print_json", "prompt", "read_line",
    "report", "reported", "say",
]  # fmt: skip


class ExitCode(IntEnum):
    """Exit codes of the commands."""

    DONE = 0
    NOTHING = 1  # nothing to offer
    USAGE = 2  # the command, or a setting, is wrong
    NO_PROVIDER = 3  # no provider could answer
    INTERRUPTED = 130


def exit_code(error: NearfieldError) -> ExitCode:
    """The exit code that an error means."""
    if isinstance(error, errors.ConfigError | errors.UnknownModel):
        return ExitCode.USAGE
    return ExitCode.NO_PROVIDER


def report(error: NearfieldError) -> None:
    """Print the message and the hint of an error, without a traceback."""
    say(f"error: {error.message}")
    if error.hint:
        say(f"  {error.hint}")


def fail(message: str, hint: str = "", code: ExitCode = ExitCode.USAGE) -> NoReturn:
    """End the command with a message."""
    report(NearfieldError(message, hint))
    raise SystemExit(int(code))


def print_json(value: object) -> None:
    """Print one JSON value on standard output, whatever its texts hold."""
    import msgspec

    document = json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False)
    emit(escaped(document, output_encoding()))


def prompt(question: str, *, default: str = "", hidden: bool = False) -> str:
    """Return the user's answer to `question`, asked on standard error; `hidden` for a secret."""
    import typer

    # A hidden question is written to the terminal itself, past all streams.
    said: str = typer.prompt(
        printable(question), default=default or None, hide_input=hidden, err=True
    )
    return said


def read_line(mark: str) -> str | None:
    """Return the next line of standard input, after `mark` on a terminal; None at the end."""
    import typer

    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip() if line else None
    with suppress(ImportError):
        import readline  # noqa: F401  # pyright: ignore[reportUnusedImport]  arrow keys, earlier lines
    try:
        said: str = typer.prompt(mark, default="", show_default=False, prompt_suffix=" ", err=True)
    except typer.Abort:
        return None
    return said.strip()


def ask_choice(question: str, choices: Sequence[str]) -> str:
    """Return which of `choices` the user has said, by its name or what begins no other one; "no"
    for anything else."""
    said = prompt(f"{question} [{'/'.join(choices)}]", default="no").strip().lower()
    meant = [said] if said in choices else [one for one in choices if said and one.startswith(said)]
    return meant[0] if len(meant) == 1 else "no"


@contextmanager
def reported(as_json: bool, stopped: str) -> Generator[None]:
    """Say an error in JSON where that was asked for; `main` says all others. `stopped` is said when
    the user interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        say(stopped)
        raise SystemExit(int(ExitCode.INTERRUPTED)) from None
    except NearfieldError as error:
        if not as_json:
            raise
        print_json({"error": error.message, "hint": error.hint})
        raise SystemExit(int(exit_code(error))) from error
