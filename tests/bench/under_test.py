"""The service with the model that a bench measures, and rows of cases that a run can go on with."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from nearfield.config.load import load
from nearfield.config.schema import Cache, Hover, Index, Models, ProviderSettings, Routing
from nearfield.features.service import Service
from nearfield.features.status import ServiceState

Row = dict[str, Any]
PATIENT: dict[str, Any] = dict.fromkeys(
    ("first_token_timeout_s", "idle_timeout_s", "total_timeout_s"), 3600.0
)
"""Of a server with several cases at once on a busy machine."""
ROLES = ("fast", "code", "large", "review")


def options(parser: argparse.ArgumentParser) -> None:
    """The options of every bench of answers."""
    parser.add_argument("--model", default="", help="a catalogue name; the default one without it")
    parser.add_argument(
        "--server", default="", help="a llama.cpp server that has this model loaded"
    )
    parser.add_argument("--lanes", type=int, default=1, help="cases at once, on a server")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--part", choices=("tune", "test", "all"), default="all")
    parser.add_argument(
        "--share", default="0/1", help="I/N: of N processes this is number I, from 0"
    )
    parser.add_argument(
        "--rows", type=Path, help="a file to add rows to; those in it are not run again"
    )
    parser.add_argument(
        "--minutes", type=float, default=600.0, help="no case begins later than this"
    )


def part(cases: list[Any], chosen: argparse.Namespace) -> list[Any]:
    """Every other case is for tuning."""
    if chosen.part != "all":
        cases = cases[0 if chosen.part == "tune" else 1 :: 2]
    number, _, count = chosen.share.partition("/")
    return cases[: chosen.cases][int(number) :: int(count)]


@asynccontextmanager
async def service(chosen: argparse.Namespace) -> AsyncGenerator[Service]:
    """The service as an editor has it, without stored answers and without an index."""
    config = msgspec.structs.replace(
        load(None).config,
        cache=Cache(enabled=False),
        index=Index(enabled=False),
        hover=Hover(prepare=False),
    )
    if chosen.server:
        made = ProviderSettings(
            kind="llama_server", model=chosen.model, base_url=chosen.server, options=PATIENT
        )
        config = msgspec.structs.replace(
            config,
            engine=msgspec.structs.replace(config.engine, enabled=False),
            providers={"server": made},
            routing=Routing(roles={role: ["server"] for role in ROLES}),
        )
    elif chosen.model:
        config = msgspec.structs.replace(
            config, models=Models(complete=chosen.model, edit=chosen.model, chat=chosen.model)
        )
    one = Service(config)
    try:
        await one.start()
        # A server that works may not say in time how it is.
        while one.router is None or not (chosen.server or one.status.state is ServiceState.READY):
            if one.router and one.status.state is ServiceState.UNAVAILABLE:
                raise SystemExit(one.status.detail)
            await asyncio.sleep(0.05)
        yield one
    finally:
        await one.aclose()


async def rows_of(
    chosen: argparse.Namespace, names: Iterable[str], run: Callable[[str], Awaitable[Row]]
) -> list[Row]:
    """A row of each case; those that are in the file already are taken from it."""
    held = {}
    if chosen.rows and chosen.rows.is_file():
        held = {row["id"]: row for row in map(json.loads, chosen.rows.read_text().splitlines())}
    names, began = list(names), time.monotonic()
    lanes = asyncio.Semaphore(chosen.lanes)

    async def one(name: str) -> None:
        async with lanes:
            if name in held or time.monotonic() - began > 60 * chosen.minutes:
                return
            started = time.monotonic()
            row = {"id": name, **await run(name)}
            held[name] = row | {"seconds": round(time.monotonic() - started, 1)}
            if chosen.rows:
                with chosen.rows.open("a") as file:
                    file.write(json.dumps(held[name]) + "\n")

    await asyncio.gather(*map(one, names))
    return [held[name] for name in names if name in held]


def told(rows: list[Row], keys: Iterable[str]) -> str:
    """The number of rows in which each of `keys` is true."""
    sums = "  ".join(f"{key} {sum(bool(row.get(key)) for row in rows)}" for key in keys)
    seconds = sum(row["seconds"] for row in rows) / max(1, len(rows))
    return f"cases {len(rows)}  {sums}  mean {seconds:.0f} s"
