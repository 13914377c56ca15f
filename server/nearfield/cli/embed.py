"""`nearfield embed "…"`: the vectors of texts, by the index's own model, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from nearfield.cli.output import ExitCode, emit, fail, print_json

AT_ONCE = 32
"""Texts of one run: their vectors are printed before the next are read."""


def embed(
    texts: Annotated[
        list[str],
        typer.Argument(help="The texts; - reads standard input, each line a text."),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON value, with the model's name.")
    ] = False,
) -> None:
    """Print a vector for each text, one JSON list a line, for a search or a comparison of your own.

    The dot product of two vectors is the cosine of their angle. The first 128 tokens of a text
    count. Exit codes: 0 done, 1 no text came, 2 wrong usage, 3 the model is not installed.
    """
    from nearfield.index.embedder import Embedder

    embedder = Embedder()
    left = _texts(texts)
    rows: list[list[float]] = []
    count = 0
    while some := list(islice(left, AT_ONCE)):
        found: list[list[float]] = embedder.embed(some).tolist()
        count += len(found)
        rows += found if as_json else []
        for row in () if as_json else found:
            emit("[" + ", ".join(f"{number:.7g}" for number in row) + "]")
    if as_json:
        print_json({"model": embedder.name, "dimensions": embedder.dimensions, "vectors": rows})
    if not count:
        raise typer.Exit(ExitCode.NOTHING)


def _texts(given: list[str]) -> Iterator[str]:
    """Yield the texts. Ends the command at an empty argument; empty lines are left out."""
    for text in given:
        if text == "-":
            yield from _lines()
        elif text.strip():
            yield text.encode("utf-8", "replace").decode()  # an argument's bytes may be no text
        else:
            fail("A text is empty.", "Give words or code.")


def _lines() -> Iterator[str]:
    try:
        yield from (line.strip() for line in sys.stdin if line.strip())
    except UnicodeDecodeError as error:
        fail(f"Standard input is not UTF-8 text (byte {error.start}).")
