"""The compiled engine against another one: the same model, threads and documents, in turns.

    python tests/bench/engines.py [prebuilt|openvino] [--rounds N] [--model NAME] [--json]

Both are asked through their providers, as the router asks them. Each round has a document of its
own that neither has seen: reading and writing it, then a key typed into it, from the request to the
last token. Reported are the medians, and the median of the rounds' ratios, which other load on the
machine hits less. The memory is that of the process with the model, resident after the last round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from nearfield.catalog.models import Catalog
from nearfield.config.schema import Engine as EngineSettings
from nearfield.config.schema import ProviderSettings
from nearfield.engine.client import EngineClient
from nearfield.providers.base import Provider
from nearfield.providers.embedded import Embedded
from nearfield.providers.registry import build
from nearfield.types import InfillRequest, Usage

LINES = 48
"""Of the module that is read: about 500 tokens."""
WRITTEN = 24
"""Tokens asked for; enough to tell the rate, few enough for a busy machine."""
KEY_TOKENS = 8
"""A suggestion of one line."""
SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()[20:]
AFTER = "\n\n\nif __name__ == '__main__':\n    main()\n"


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one engine: tokens a second, and milliseconds for a key."""

    read: float
    written: float
    key_ms: float


async def ask(provider: Provider, request: InfillRequest) -> tuple[Usage, float]:
    """The cost of `request`, and how long it took in ms."""
    begun = time.monotonic()
    usage = None
    async for delta in provider.infill(request):
        usage = delta.usage or usage
    if usage is None:
        raise SystemExit(f"{provider.name} does not say what it cost")
    return usage, (time.monotonic() - begun) * 1000


async def measure(provider: Provider, number: int) -> Measured:
    """Read a new document, write into it, and type a key."""
    lines = [f"{line}  # {number}" if at % 3 == 0 else line for at, line in enumerate(SOURCE)]
    head = f'"""Document {number}."""\n' + "\n".join(lines[:LINES]) + "\n\n\ndef describe("
    document = f"file:///{number}.py"
    typed = InfillRequest(
        document, "a.py", "python", head, AFTER, typed="def describe(", max_tokens=WRITTEN
    )
    usage, _ = await ask(provider, typed)
    keyed = InfillRequest(
        document, "a.py", "python", f"{head}n", AFTER, typed="def describe(n",
        max_tokens=KEY_TOKENS, single_line=True,
    )  # fmt: skip
    _, key_ms = await ask(provider, keyed)
    return Measured(
        _rate(usage.evaluated_tokens, usage.prefill_ms),
        _rate(usage.generated_tokens, usage.decode_ms),
        key_ms,
    )


def _rate(tokens: int | None, ms: float | None) -> float:
    if not tokens or not ms:
        raise SystemExit("an answer without tokens or times cannot be measured")
    return tokens * 1000 / ms


OTHERS = {
    "prebuilt": ("llama_server", {"managed": True, "engine": "xllamacpp"}),
    "openvino": ("openvino", {"device": "CPU"}),
}
WORKERS = {"compiled": "engine.worker", "prebuilt": "xllama_worker", "openvino": "openvino_worker"}
"""A part of the command of each engine's process."""


async def run(path: Path, rounds: int, other: str = "prebuilt") -> dict[str, dict[str, float]]:
    """Measure both in turns."""
    kind, options = OTHERS[other]
    settings = ProviderSettings(kind=kind, model=str(path), options=options)
    engines: dict[str, Provider] = {
        "compiled": Embedded(EngineClient(EngineSettings()), model=path.stem, path=path),
        other: build(other, settings),
    }
    found: dict[str, list[Measured]] = {name: [] for name in engines}
    try:
        for provider in engines.values():
            await measure(provider, -1)  # loads the model
        for number in range(rounds):
            names = list(engines) if number % 2 else list(reversed(engines))
            for name in names:
                found[name].append(await measure(engines[name], number))
        memory = {name: resident_mib(WORKERS[name]) for name in engines}
    finally:
        for provider in engines.values():
            await provider.aclose()
    figures = {what: _compared(found, what) for what in ("read", "written", "key_ms")}
    return {**figures, "memory_mib": memory}


def resident_mib(command: str) -> float:
    """Return the memory of our children that run `command`."""
    children = psutil.Process().children(recursive=True)
    ours = [one for one in children if any(command in part for part in one.cmdline())]
    return sum(one.memory_info().rss for one in ours) >> 20


def _compared(found: dict[str, list[Measured]], what: str) -> dict[str, float]:
    values = {name: [getattr(one, what) for one in rounds] for name, rounds in found.items()}
    ratios = [a / b for a, b in zip(*values.values(), strict=True)]
    return {
        **{name: round(statistics.median(every), 1) for name, every in values.items()},
        "ratio": round(statistics.median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", nargs="?", choices=tuple(OTHERS), default="prebuilt")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--model", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalog = Catalog.load()
    path = catalog.local_path(options.model or catalog.default)
    if path is None:
        raise SystemExit(f"needs the model {options.model or catalog.default}")
    result = asyncio.run(run(path, options.rounds, options.other))
    if options.json:
        print(json.dumps(result))
        return
    for what, row in result.items():
        print(f"{what:10}", *(f"{name} {value:8}" for name, value in row.items()))


if __name__ == "__main__":
    main()
