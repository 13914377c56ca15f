"""Plays scripts to those who are compared, and tells what it came to."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Generator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from completer import Completer, Nobody
from files import Source, sources
from llama_server import Server
from ours import Ours
from peer import AS_SHIPPED, TUNED, Peer
from person import LoopClock, Person, keys_without
from script import Script
from simulated_engine import Speed
from variants import PEERS, VARIANTS

from nearfield.catalog.models import Catalog

if TYPE_CHECKING:
    from oracle import Predictor

Row = dict[str, Any]

PEER_OPTIONS = dict(zip(PEERS, (AS_SHIPPED, TUNED), strict=True))
SLOW_MS = 500
WARM_SECONDS = 20.0
"""A warm file has been open for this time."""
SPEED = Speed(prefill=343.0, decode=60.0, batch_s=0.0138)
"""Of the default model on two quiet cores: 64 tokens in 0.2 s, one in 1/60 (RESULTS.md, Decode
speed)."""


class Bench:
    """Plays scripts to those who are compared."""

    def __init__(self, chosen: argparse.Namespace, home: Path) -> None:
        self._chosen, self._home = chosen, home
        catalog = Catalog.load()
        self._model_name = chosen.model or catalog.default
        model = catalog.local_path(self._model_name)
        if model is None:
            raise SystemExit(f"needs the model {self._model_name}")
        self._model = model
        self._fim = catalog.get(self._model_name).fim
        self._predictor: Predictor | None = None

    def completer(self, who: str, source: Source, script: Script, given: Path) -> Completer:
        """Return one of those who are compared."""
        if self._chosen.clock == "simulated":
            return self._simulated(who, source, script, given)
        if who in PEERS:
            batch = PEER_OPTIONS[who].batch
            server = Server(self._model, self._chosen.server, batch)
            return Peer(server, PEER_OPTIONS[who], self._chosen.seed)
        settings = VARIANTS[who] | {"models": {"complete": self._model_name}}
        return Ours(given, self._home, source.language, settings)

    def _simulated(self, who: str, source: Source, script: Script, given: Path) -> Completer:
        from oracle import Oracle
        from simulated import SimulatedOurs
        from simulated_server import SimulatedServer
        from truth import Truth

        speed = SPEED.times(self._chosen.speed)
        if self._predictor is None:
            share, threads = self._chosen.truth, self._chosen.threads
            self._predictor = (
                Oracle(self._model, self._chosen.known, threads)
                if share is None
                else Truth(self._model, share)
            )
        if isinstance(self._predictor, Truth):
            self._predictor.about(script)
        if who in PEERS:
            options = PEER_OPTIONS[who]
            return Peer(
                SimulatedServer(self._predictor, options.batch, speed), options, self._chosen.seed
            )
        return SimulatedOurs(
            self._predictor, self._fim, given, source.language, VARIANTS[who], speed
        )

    async def play(self, who: str, source: Source, script: Script) -> Row:
        """Play one session; return its row."""
        without = await keys_without(script, Nobody())

        def note(row: Row) -> None:
            """Write it down at once, so that a long session can be followed."""
            if self._chosen.notes:
                with self._chosen.notes.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"who": who, "file": source.id, **row}) + "\n")

        with self._workspace(source, script) as given:
            completer = self.completer(who, source, script, given)
            person = Person(script, completer, LoopClock(), note)
            await completer.start(person.screen)
            try:
                await completer.open(source.name, script.text)
                if self._chosen.state == "warm":
                    await asyncio.sleep(WARM_SECONDS)
                await person.play()
                spent = completer.spent()
            finally:
                await completer.close()
        return {**asdict(person.account), **asdict(spent), "keys_without": without}

    @contextlib.contextmanager
    def _workspace(self, source: Source, script: Script) -> Generator[Path]:
        """A copy of the package in which the file lacks its blocks, so that nothing tells them."""
        with tempfile.TemporaryDirectory(dir=self._home) as folder:
            given = Path(folder) / source.package.name
            shutil.copytree(source.package, given, symlinks=True)
            (given / source.name).write_text(script.text, encoding="utf-8")
            yield given


def told(name: str, rows: list[Row]) -> str:
    """Return the line of a table about one of those who are compared."""

    def total(key: str) -> float:
        return sum(row[key] or 0 for row in rows)

    chars, minutes = total("chars"), total("seconds") / 60
    engine = total("cpu_s") or total("engine_s")
    keys_ms = sorted(ms for row in rows for ms in row["keys_ms"])
    if keys_ms:
        p99 = keys_ms[min(len(keys_ms) - 1, int(len(keys_ms) * 0.99))]
        handled = f"{statistics.median(keys_ms):4.0f} {p99:5.0f}"
    else:
        handled = "   -     -"
    return (
        f"{name:24} {len(rows):5} {total('keys'):5.0f}"
        f" {100 * (1 - total('keys') / total('keys_without')):6.1f}"
        f" {100 * total('keys') / chars:8.1f} {100 * total('suggested_chars') / chars:9.1f}"
        f" {total('seen'):5.0f} {100 * total('used') / max(1, total('seen')):4.0f}"
        f" {total('wrong') / minutes:9.1f} {100 * total('soon') / total('openings'):4.0f}"
        f" {minutes:7.1f} {100 * engine / chars:9.1f} {handled}"
    )


HEAD = (
    "                         files  keys saved% keys/100 suggest.% seen use% wrong/min soon%"
    " minutes  s/100 ch  p50   p99"
)


def slow(rows: list[Row]) -> str:
    """Return a table of where the time of answers over `SLOW_MS` went, by what the person had done;
    "" if there are none."""
    lines = list[str]()
    answers = [answer for row in rows for answer in row["answers"]]
    for situation in sorted({answer["situation"] for answer in answers}):
        here = [answer for answer in answers if answer["situation"] == situation]
        late = [answer for answer in here if answer["ms"] > SLOW_MS]
        if late:
            prefill, decode, total = (
                sum(answer[key] or 0.0 for answer in late)
                for key in ("prefill_ms", "decode_ms", "ms")
            )
            parts = (prefill, decode, total - prefill - decode)
            told = "".join(f" {part / len(late):8.0f}" for part in (*parts, total))
            lines.append(f"{situation:12} {len(here):7} {len(late):5}{told}")
    titles = "".join(f" {title:>8}" for title in ("prefill", "decode", "other", "all"))
    head = f"answers over {SLOW_MS} ms, mean ms\n{'':12} answers  slow{titles}"
    return "\n".join([head, *lines]) if lines else ""


async def bench(chosen: argparse.Namespace) -> None:
    """Play what is not in the rows yet, and print a table."""
    held: dict[str, Row] = {}
    if chosen.rows and chosen.rows.is_file():
        held = {row["id"]: row for row in map(json.loads, chosen.rows.read_text().splitlines())}
    every = sources(chosen.folder, chosen.part, chosen.seed)
    files = list(islice((one for one in every if chosen.only in one.id), chosen.files))
    table: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as home:
        os.environ["NEARFIELD_DATA_DIR"] = home
        one = Bench(chosen, Path(home))
        for source in files:
            script = source.script(chosen.seed)
            assert script is not None
            for who in chosen.who:
                model = chosen.model if chosen.truth is None else f"truth {chosen.truth}"
                pace = chosen.clock if chosen.speed == 1 else f"{chosen.clock} {chosen.speed}"
                made = (pace, chosen.state, model, who, str(chosen.seed), source.id)
                id = "/".join(made)
                if id not in held:
                    held[id] = {"id": id, **await one.play(who, source, script)}
                    if chosen.rows:
                        with chosen.rows.open("a") as file:
                            file.write(json.dumps(held[id]) + "\n")
                table.setdefault(who, []).append(held[id])
                print(told(f"{who}: {source.name[-16:]}"[:24], [held[id]]), flush=True)
    print("\n" + HEAD)
    for who, rows in table.items():
        print(told(who, rows))
    for who, rows in table.items():
        if text := slow(rows):
            print(f"\n{who}: {text}")
