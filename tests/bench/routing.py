"""What routing costs and what redaction finds.

    python tests/bench/routing.py            # everything; about a minute
    python tests/bench/routing.py overhead   # one of: overhead, redaction, failover, complexity

Overhead is the time of a request through the router less the time of the same request to the
provider itself, both scripted and without delay: no network, no model. The egress column goes
through consent, redaction and the ledger on the disk as well.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from typing import Any

import msgspec
import secret_corpus
import secret_lookalikes

import nearfield
from nearfield.config.schema import Config, ProviderSettings
from nearfield.providers.scripted import Scripted
from nearfield.routing import secrets
from nearfield.routing.consent import Consent
from nearfield.routing.redact import redact_texts
from nearfield.routing.request_context import RequestContext
from nearfield.routing.roles import choose
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import Capabilities, ChatRequest, Delta, InfillRequest, Message, Role

OUTCOMES = Path(__file__).parents[3] / "shared" / "bench" / "routing_outcomes.jsonl.gz"
ROUNDS = 2000
SLOW_ROUNDS = 300
CODE = "def total(items):\n    return sum(item.price for item in items)\n\n"


class Far(Scripted):
    """Scripted, and outside this machine."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, local=False)


def provider(kind: type[Scripted], name: str, **answer: Any) -> Scripted:
    return kind(name, ProviderSettings(kind="scripted", options={"answers": [answer]}))


async def timed(rounds: int, once: Callable[[int], Awaitable[None]]) -> list[float]:
    """Milliseconds of each round, after a tenth of them to warm up."""
    found: list[float] = []
    for number in range(-rounds // 10, rounds):
        begun = time.perf_counter()
        await once(number)
        if number >= 0:
            found.append((time.perf_counter() - begun) * 1000)
    return found


def spread(name: str, values: list[float], base: float = 0.0) -> None:
    cuts = quantiles(values, n=100)
    print(f"{name:34} p50 {cuts[49] - base:7.3f} ms   p99 {cuts[98] - base:7.3f} ms")


async def drain(stream: AsyncGenerator[Delta]) -> None:
    async with aclosing(stream):
        async for _ in stream:
            pass


async def overhead() -> None:
    local, far = provider(Scripted, "local", text="x"), provider(Far, "far", text="x")
    store, work = Store(), str(Path.cwd())
    store.say(work, "far", "far", Consent.WORKSPACE)
    routing = {"strategy": "local_first", "roles": {"code": ["far"], "fast": ["local"]}}
    plain = Router(Config(), {"local": local}, store)
    mixed = Router(msgspec.convert({"routing": {"strategy": "local_first"}}, Config),
                   {"local": local, "far": far}, store)  # fmt: skip
    away = Router(msgspec.convert({"routing": routing, "cache": {"enabled": False}}, Config),
                  {"far": far}, store)  # fmt: skip
    infill = InfillRequest("d", "a.py", "python", CODE * 40, CODE)
    context = RequestContext(workspace=work)

    async def through(router: Router) -> None:
        async with router.infill(infill, context) as route:
            async for _ in route:
                pass

    async def away_once(number: int) -> None:
        chat = ChatRequest((Message(Role.USER, f"{CODE * 40}{number}"),))
        async with away.chat(chat, "code", context) as route:
            async for _ in route:
                pass

    bare = await timed(ROUNDS, lambda _: drain(local.infill(infill)))
    base = quantiles(bare, n=100)[49]
    spread("provider alone", bare)
    spread("router, local only (added)", await timed(ROUNDS, lambda _: through(plain)), base)
    spread("router, a cloud beside it (added)", await timed(ROUNDS, lambda _: through(mixed)), base)
    spread("egress with ledger (added)", await timed(SLOW_ROUNDS, away_once), base)
    for router in (plain, mixed, away):
        await router.aclose()


def redaction() -> None:
    root = Path(nearfield.__file__).parent
    texts = [path.read_text("utf-8") for path in sorted(root.rglob("*.py"))]
    size = sum(len(text.encode()) for text in texts) / 1e6
    secrets.find("a password to load the plugins by")
    best = min(_seconds(texts) for _ in range(3))
    print(f"redaction: {size / best:.1f} MB/s over {size:.2f} MB of source")
    keys, found = 0, 0
    others, lost = 0, 0
    for seed in range(100, 110):
        for case in secret_corpus.keys(seed):
            keys += 1
            found += case.needle not in redact_texts([case.text])[0][0]
        for case in secret_lookalikes.lookalikes(seed):
            others += 1
            lost += case.needle not in redact_texts([case.text])[0][0]
    kinds = len(secret_corpus.KEYS)
    print(f"recall {found / keys:.4f} ({found} of {keys} keys of {kinds} kinds)")
    print(f"precision {found / (found + lost):.4f} ({lost} of {others} look-alikes replaced)")


def _seconds(texts: list[str]) -> float:
    begun = time.perf_counter()
    for text in texts:
        secrets.find(text)
    return time.perf_counter() - begun


async def failover() -> None:
    """From an error of the first candidate, in the middle of its answer, to the next one's text."""
    values: list[float] = []
    for _ in range(SLOW_ROUNDS):
        first = provider(Scripted, "first", text="half of", error="Unreachable")
        router = Router(
            Config(), {"first": first, "second": provider(Scripted, "second", text="x")}
        )
        broke = 0.0
        async with router.infill(InfillRequest("d", "a.py", "python", "x", "")) as route:
            async for item in route:
                if isinstance(item, Delta) and item.text == "x":
                    values.append((time.perf_counter() - broke) * 1000)
                elif isinstance(item, Delta) and item.text:
                    broke = time.perf_counter()
        await router.aclose()
    spread("fail-over, last piece to new piece", values)


def complexity() -> None:
    """Pass rates when complex tasks go to the larger of two models, against the same share drawn by
    chance."""
    with gzip.open(OUTCOMES, "rt") as file:
        rows = [json.loads(line) for line in file]
    small, large = (sum(row[f"{size}_pass"] for row in rows) for size in ("small", "large"))
    for chars in (1000, 10**9):
        config = msgspec.convert(
            {"routing": {"strategy": "hybrid", "complex_chars": chars}}, Config
        )
        up = [
            choose(
                config, ChatRequest((Message(Role.USER, row["prompt"]),)), RequestContext()
            ).complex
            for row in rows
        ]
        passed = sum(
            row["large_pass" if one else "small_pass"] for row, one in zip(rows, up, strict=True)
        )
        chance = small + (large - small) * sum(up) / len(rows)
        print(
            f"complex_chars {chars}: {sum(up)} of {len(rows)} escalated, pass rate"
            f" {passed / len(rows):.3f}, at random {chance / len(rows):.3f}"
        )


def main() -> None:
    wanted = sys.argv[1:] or ["overhead", "redaction", "failover", "complexity"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEARFIELD_DATA_DIR"] = os.environ["NEARFIELD_CACHE_DIR"] = folder
        for name in wanted:
            if name in ("redaction", "complexity"):
                {"redaction": redaction, "complexity": complexity}[name]()
            else:
                asyncio.run({"overhead": overhead, "failover": failover}[name]())


if __name__ == "__main__":
    main()
