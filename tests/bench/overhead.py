"""Everything but the model: what a completion costs before and after the model's own work.

    python tests/bench/overhead.py [--rounds N] [--json]

The real service over the scripted provider, which answers at once: the edit is taken in, the text
is parsed, the prompt cut, the answer streamed, judged by the syntax tree and traced. No debouncing.
"cold" is the first question of a newly opened file, parsed afresh; the others are typed one
character, or one line, at a time, far enough from each other that the cache has no answer, but for
"cached", which types through a shown suggestion.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from nearfield.config.schema import Completion, Config, ProviderSettings
from nearfield.features.service import Service
from nearfield.features.status import ServiceState
from nearfield.providers.scripted import Scripted
from nearfield.types import CompletionRequest, Edit, Snapshot, Span, Surface

SIZES = (2_000, 20_000)
AIM_MS = {2_000: 5.0, 20_000: 20.0}
"""The aim for the p50, of the cases in which the user is typing."""

FUNCTION = '''
def handle_{n}(request: Request, store: Store) -> Response:
    """Take request {n} in and answer it."""
    found = store.lookup(request.key, default={n})
    if found is None:
        raise KeyError(f"no entry {{request.key!r}} in {{store.name}}")
    total = 0
    for index, value in enumerate(found.values):
        total += value * index % {n}
        if total > LIMIT:
            break
    return Response(status=200, body=encode(total), headers={{"x-id": "{n}"}})

'''
LATE = "\n    late = "
THROUGH = "compute(tot"
ANSWER = "compute(total, index)\n\n\ndef more():\n    pass\n"


def source(lines: int) -> str:
    """A Python file of about `lines` lines."""
    head = "from typing import Any\n\nLIMIT = 1000\n"
    count = lines // FUNCTION.count("\n")
    return head + "".join(FUNCTION.format(n=n) for n in range(count))


class Spent(NamedTuple):
    """Milliseconds on the clock and of processor time: the latter is the one to compare on a
    machine that does other things as well."""

    wall: float
    cpu: float


class Session:
    """One open document, edited and asked about."""

    def __init__(self, service: Service, lines: int) -> None:
        self.service = service
        self.text = source(lines)
        self.uri = f"file:///bench_{lines}.py"
        self.version = 0
        self.asks = 0

    def snapshot(self) -> Snapshot:
        return Snapshot(self.uri, "python", self.version, self.text, "/bench.py")

    async def measure(self, at: int, typed: str) -> Spent:
        """Type `typed` at `at`, ask behind it; what passes from the edit to the answer."""
        self.text = self.text[:at] + typed + self.text[at:]
        self.version += 1
        self.asks += 1
        snapshot = self.snapshot()
        ask = CompletionRequest(str(self.asks), Surface.POPUP, snapshot, at + len(typed))
        begun, worked = time.perf_counter(), time.process_time()
        self.service.changed(snapshot, [Edit(Span(at, at), typed)])
        answer = await self.service.complete(ask)
        wall = (time.perf_counter() - begun) * 1000
        cpu = (time.process_time() - worked) * 1000
        if not answer.suggestions:
            raise SystemExit(f"the bench is broken: {answer.reason!r} after {typed!r}")
        return Spent(wall, cpu)

    def replace(self, start: int, end: int, text: str) -> None:
        """An edit that is not measured."""
        self.text = self.text[:start] + text + self.text[end:]
        self.version += 1
        self.service.changed(self.snapshot(), [Edit(Span(start, end), text)])

    def line(self, part: float) -> int:
        """The end of a line of code at about `part` of the text."""
        return self.text.index("total = 0\n", int(len(self.text) * part)) + len("total = 0")


async def cold(session: Session, rounds: int) -> list[Spent]:
    spent: list[Spent] = []
    for _ in range(max(3, rounds // 10)):
        session.service.closed(session.uri)
        session.service.opened(session.snapshot())
        at = session.line(0.5)
        spent.append(await session.measure(at, LATE))
        session.replace(at, at + len(LATE), "")
    return spent


async def typing(session: Session, rounds: int) -> list[Spent]:
    at = session.line(0.4)
    await session.measure(at, LATE)
    at += len(LATE)
    return [await session.measure(at + i, "abcde"[i % 5]) for i in range(rounds)]


async def new_line(session: Session, rounds: int) -> list[Spent]:
    at = session.line(0.3)
    spent: list[Spent] = []
    for number in range(rounds):
        typed = f"\n    step_{number} = "
        spent.append(await session.measure(at, typed))
        at += len(typed)
        session.replace(at, at, "total")
        at += len("total")
    return spent


async def jumping(session: Session, rounds: int) -> list[Spent]:
    spent: list[Spent] = []
    for number in range(rounds):
        at = session.line(0.05 + 0.9 * (number * 7 % rounds) / rounds)
        spent.append(await session.measure(at, LATE))
        # The line is finished, and, as editors do after every edit, asked about.
        await session.measure(at + len(LATE), "total")
    return spent


async def cached(session: Session, rounds: int) -> list[Spent]:
    spent: list[Spent] = []
    at = session.line(0.6)
    await session.measure(at, LATE)
    at += len(LATE)
    while len(spent) < rounds:
        for typed, character in enumerate(THROUGH):
            spent.append(await session.measure(at + typed, character))
        session.replace(at, at + len(THROUGH), "")
    return spent


CASES = {"cold": cold, "typing": typing, "new_line": new_line, "jumping": jumping, "cached": cached}


@asynccontextmanager
async def running() -> AsyncGenerator[Service]:
    options = {"answers": [{"text": ANSWER}], "prefill_rate": 1000, "decode_rate": 50}
    provider = Scripted("bench", ProviderSettings(kind="scripted", options=options))
    service = Service(Config(completion=Completion(debounce_ms=0)), {"bench": provider})
    await service.start()
    while service.status.state is not ServiceState.READY:
        await asyncio.sleep(0.01)
    try:
        yield service
    finally:
        await service.aclose()


async def run(rounds: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with running() as service:
        for lines in SIZES:
            session = Session(service, lines)
            service.opened(session.snapshot())
            for name, case in CASES.items():
                rows.append(row(lines, name, await case(session, rounds)))
            service.closed(session.uri)
    return rows


def row(lines: int, case: str, spent: list[Spent]) -> dict[str, Any]:
    wall, cpu = sorted(s.wall for s in spent), sorted(s.cpu for s in spent)
    return {
        "lines": lines,
        "case": case,
        "rounds": len(spent),
        "p50_ms": round(statistics.median(wall), 2),
        "p99_ms": round(wall[int(len(wall) * 0.99)], 2),
        "cpu_p50_ms": round(statistics.median(cpu), 2),
        "aim_ms": None if case == "cold" else AIM_MS[lines],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100, help="questions in each case")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        os.environ["NEARFIELD_DATA_DIR"] = data
        rows = asyncio.run(run(options.rounds))
    if options.json:
        json.dump(rows, sys.stdout, indent=1)
        print()
    else:
        print(f"{'lines':>7} {'case':<10} {'p50 ms':>8} {'p99 ms':>8} {'cpu p50':>8} {'aim':>5}")
        for entry in rows:
            aim = f"{entry['aim_ms']:g}" if entry["aim_ms"] else "-"
            times = f"{entry['p50_ms']:>8} {entry['p99_ms']:>8} {entry['cpu_p50_ms']:>8} {aim:>5}"
            print(f"{entry['lines']:>7} {entry['case']:<10} {times}")


if __name__ == "__main__":
    main()
