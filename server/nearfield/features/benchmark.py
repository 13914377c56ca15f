"""A small benchmark of a model on this machine: its speed, and the fixed holes it fills exactly.

The holes are in plain functions whose one sensible line is clear from both sides. They compare
models with each other; they say nothing about one alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from nearfield.catalog.choice import ModelChoice
from nearfield.config.schema import Engine as EngineSettings
from nearfield.features.holes import CodeHole, fill_hole
from nearfield.features.measure import EngineSpeed, measure
from nearfield.features.measured import MeasuredModel
from nearfield.providers.base import Provider


def _fixed(language: str, prefix: str, line: str, suffix: str) -> CodeHole:
    return CodeHole(f"benchmark.{language}", language, prefix, line, suffix)


HOLES = (
    _fixed(
        "python",
        'def add(left, right):\n    """Return the sum."""\n',
        "    return left + right",
        "\n\n\nprint(add(1, 2))\n",
    ),
    _fixed(
        "python",
        "def largest(values):\n    best = values[0]\n"
        "    for value in values:\n        if value > best:\n",
        "            best = value",
        "\n    return best\n",
    ),
    _fixed(
        "python",
        "def count_words(text):\n    counts = {}\n    for word in text.split():\n",
        "        counts[word] = counts.get(word, 0) + 1",
        "\n    return counts\n",
    ),
    _fixed(
        "python",
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
        "    def push(self, item):\n",
        "        self.items.append(item)",
        "\n\n    def pop(self):\n        return self.items.pop()\n",
    ),
    _fixed(
        "python",
        "def read_lines(path):\n    with open(path) as file:\n",
        "        return file.readlines()",
        "\n\n\nlines = read_lines('notes.txt')\n",
    ),
    _fixed(
        "python",
        "def is_even(number):\n    return number % 2 == 0\n\n\ndef is_odd(number):\n",
        "    return number % 2 != 0",
        "\n\n\nassert is_odd(3)\n",
    ),
    _fixed(
        "javascript",
        "function sum(values) {\n  let total = 0;\n  for (const value of values) {\n",
        "    total += value;",
        "\n  }\n  return total;\n}\n",
    ),
    _fixed(
        "javascript",
        "class Point {\n  constructor(x, y) {\n    this.x = x;\n",
        "    this.y = y;",
        "\n  }\n}\n",
    ),
    _fixed(
        "go",
        "package main\n\nfunc max(a, b int) int {\n\tif a > b {\n\t\treturn a\n\t}\n",
        "\treturn b",
        "\n}\n",
    ),
    _fixed(
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
            filled = await fill_hole(provider, hole)
            exact += filled.text == hole.rest.strip()

    speed: EngineSpeed = await measure(settings, choice, fill if choice.fim else None)
    return MeasuredModel(
        at=time.time(),
        read=speed.prefill,
        write=speed.decode,
        load_ms=speed.load_ms,
        exact=exact,
        cases=len(HOLES) if choice.fim else 0,
    )
