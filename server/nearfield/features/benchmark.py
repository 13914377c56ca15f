"""A small benchmark of a model on this machine: its speed, and the fixed holes it fills exactly.

The holes are in plain functions whose one sensible line is clear from both sides. They compare
models with each other; they say nothing about one alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from nearfield.catalog.choice import ModelChoice
from nearfield.config.schema import Engine as EngineSettings
from nearfield.features.measure import EngineSpeed, measure
from nearfield.features.measured import MeasuredModel
from nearfield.providers.base import Provider
from nearfield.types import InfillRequest

HOLE_TOKENS = 24
HOLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class FixedHole:
    """A line that is missing between two texts."""

    language: str
    prefix: str
    line: str
    suffix: str


HOLES = (
    FixedHole(
        "python",
        'def add(left, right):\n    """Return the sum."""\n',
        "    return left + right",
        "\n\n\nprint(add(1, 2))\n",
    ),
    FixedHole(
        "python",
        "def largest(values):\n    best = values[0]\n"
        "    for value in values:\n        if value > best:\n",
        "            best = value",
        "\n    return best\n",
    ),
    FixedHole(
        "python",
        "def count_words(text):\n    counts = {}\n    for word in text.split():\n",
        "        counts[word] = counts.get(word, 0) + 1",
        "\n    return counts\n",
    ),
    FixedHole(
        "python",
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
        "    def push(self, item):\n",
        "        self.items.append(item)",
        "\n\n    def pop(self):\n        return self.items.pop()\n",
    ),
    FixedHole(
        "python",
        "def read_lines(path):\n    with open(path) as file:\n",
        "        return file.readlines()",
        "\n\n\nlines = read_lines('notes.txt')\n",
    ),
    FixedHole(
        "python",
        "def is_even(number):\n    return number % 2 == 0\n\n\ndef is_odd(number):\n",
        "    return number % 2 != 0",
        "\n\n\nassert is_odd(3)\n",
    ),
    FixedHole(
        "javascript",
        "function sum(values) {\n  let total = 0;\n  for (const value of values) {\n",
        "    total += value;",
        "\n  }\n  return total;\n}\n",
    ),
    FixedHole(
        "javascript",
        "class Point {\n  constructor(x, y) {\n    this.x = x;\n",
        "    this.y = y;",
        "\n  }\n}\n",
    ),
    FixedHole(
        "go",
        "package main\n\nfunc max(a, b int) int {\n\tif a > b {\n\t\treturn a\n\t}\n",
        "\treturn b",
        "\n}\n",
    ),
    FixedHole(
        "rust",
        "fn square(x: i32) -> i32 {\n",
        "    x * x",
        "\n}\n\nfn main() {\n    assert_eq!(square(3), 9);\n}\n",
    ),
)


async def benchmark(
    settings: EngineSettings, choice: ModelChoice, step: Callable[[int], None]
) -> MeasuredModel:
    """Load a model, time it, and let it fill the holes; `step` gets the number that are filled.
    Raises from the error tree."""
    exact = 0

    async def fill(provider: Provider) -> None:
        nonlocal exact
        for number, hole in enumerate(HOLES):
            step(number)
            exact += await _filled(provider, hole) == hole.line.strip()

    speed: EngineSpeed = await measure(settings, choice, fill if choice.fim else None)
    return MeasuredModel(
        at=time.time(),
        read=speed.prefill,
        write=speed.decode,
        load_ms=speed.load_ms,
        exact=exact,
        cases=len(HOLES) if choice.fim else 0,
    )


async def _filled(provider: Provider, hole: FixedHole) -> str:
    """Return the first line that the model writes into a hole."""
    request = InfillRequest(
        document=f"benchmark {hole.line}",
        path=f"benchmark.{hole.language}",
        language=hole.language,
        prefix=hole.prefix,
        suffix=hole.suffix,
        typed="",
        max_tokens=HOLE_TOKENS,
        deadline=time.monotonic() + HOLE_SECONDS,
    )
    text = ""
    async with aclosing(provider.infill(request)) as stream:
        async for delta in stream:
            text += delta.text
            if "\n" in text.lstrip():
                break
    return text.strip().partition("\n")[0].strip()
