"""`nearfield models bench A B`: two models on the same holes, also in your own code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.catalog.partial_file import megabytes
from nearfield.cli.opening import settings_of
from nearfield.cli.output import emit, print_json, reported, say
from nearfield.cli.table import Kind, print_table
from nearfield.terminal import status

if TYPE_CHECKING:
    from nearfield.features.comparison import ModelScore, ScorePair
    from nearfield.features.holes import CodeHole

STOPPED = "Stopped. What was measured is kept: run it again to go on."
COLUMNS: Mapping[str, Kind] = {
    "holes": "name",
    "model": "name",
    "exact": "number",
    "similar": "number",
    "keys saved": "number",
    "p50 ms": "number",
    "read t/s": "number",
    "write t/s": "number",
    "memory": "number",
}


def bench(
    first: Annotated[str, typer.Argument(metavar="A", help="A model, a GGUF file or a provider.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The one to compare it with.")],
    repository: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A git repository to cut holes into; the one here."),
    ] = None,
    cases: Annotated[int, typer.Option(min=0, max=10_000, help="Holes in the repository.")] = 40,
    seed: Annotated[int, typer.Option(help="Chooses the files and lines.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
    rows: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where each answer's figures are kept, and looked up."),
    ] = None,
) -> None:
    """Compare two models: ten fixed holes, and holes cut into your own code. Nothing leaves this
    machine, and an interrupted run goes on where it was."""
    with reported(as_json, STOPPED):
        root, sets = _holes(repository, cases, seed)
        found = asyncio.run(_compare([first, second], sets, root, rows))
    if as_json:
        print_json({"repository": str(root) if root else None, "seed": seed, "sets": found})
        return
    print_table(COLUMNS, (_cells(pair.holes, one) for pair in found for one in pair.scores))
    for pair in found:
        emit(_verdict(pair))


def _holes(
    repository: Path | None, cases: int, seed: int
) -> tuple[Path | None, dict[str, Sequence[CodeHole]]]:
    from nearfield.errors import NearfieldError
    from nearfield.features.benchmark import HOLES
    from nearfield.features.own_holes import cut_holes

    sets: dict[str, Sequence[CodeHole]] = {"fixed": HOLES}
    root = repository or Path.cwd()
    if not cases:
        return None, sets
    try:
        exclude = settings_of(root).config.files.exclude
        sets["own"] = cut_holes(root, cases, seed, exclude)
    except NearfieldError as error:
        if repository is not None:
            raise
        say(f"note: no holes are cut into the code here. {error}")
        return None, sets
    return root, sets


async def _compare(
    names: list[str], sets: dict[str, Sequence[CodeHole]], root: Path | None, rows: Path | None
) -> list[ScorePair]:
    from nearfield.catalog.models import Catalog
    from nearfield.config.load import load
    from nearfield.config.paths import data_dir
    from nearfield.features.comparison import compare, contender, default_rows, kept_rows

    config, catalog = load(None).config, Catalog.load()
    contenders = [contender(name, config, catalog) for name in names]
    kept = kept_rows(rows or default_rows(data_dir(), root), named=rows is not None)

    def step(name: str, number: int, count: int) -> None:
        status(f"{name}: hole {number + 1} of {count}")

    try:
        return await compare(contenders, sets, config, kept, step)
    finally:
        status("")


def _cells(holes: str, one: ModelScore) -> tuple[str, ...]:
    return (
        holes,
        one.model,
        f"{one.exact} of {one.holes}",
        f"{one.similarity:.2f}",
        f"{one.saved:.0%}",
        f"{one.p50_ms:.0f}",
        _number(one.read),
        _number(one.write),
        megabytes(one.memory) if one.memory else "",
    )


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.0f}"


def _verdict(pair: ScorePair) -> str:
    first, second = (one.model for one in pair.scores)
    if not pair.only_first + pair.only_second:
        return f"{pair.holes}: both fill the same holes exactly."
    may = "that may be chance" if pair.p > 0.05 else "that is hardly chance"
    return (
        f"{pair.holes}: {first} alone fills {pair.only_first} exactly, {second} alone"
        f" {pair.only_second}; {may} (p = {pair.p:.2g})."
    )
