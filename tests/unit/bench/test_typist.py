"""The typist of tests/bench/typist: what a suggestion is worth, and that every key is counted."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
MODULES = ("script", "worth", "screen", "completer", "person")

FILE = "".join(
    f"def scale_{name}(values, factor):\n"
    f"    total_{name} = 0\n"
    f"    for value in values:\n"
    f"        total_{name} += value * factor\n"
    f"    limit_{name} = factor * len(values)\n"
    f"    if total_{name} > limit_{name}:\n"
    f"        total_{name} = limit_{name}\n"
    f"    return total_{name} + limit_{name}\n"
    for name in "abcdefghijklmnopqrstuvwxyz"
)


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    """The modules of the bench, whose plain names are forgotten afterwards."""
    monkeypatch.syspath_prepend(BENCH / "typist")
    before = {name: sys.modules.pop(name, None) for name in MODULES}
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name, module in before.items():
        del sys.modules[name]
        if module is not None:
            sys.modules[name] = module


@pytest.mark.parametrize(
    ("shown", "wanted", "take", "saved"),
    [
        ("return total", "return total\n    x", "all", 11),
        ("a = 1\n    b = 2", "a = 1\n    b = 2\n", "all", 10),
        ("a = one\n    wrong()", "a = one\n    right()", "line", 6),
        ("self.total(one)", "self.total(two)", "words", 7),
        ("values = self._first(one, factor)", "values = self._first(two, factor)", "words", 15),
        ("x", "x = 1", None, 0),
        ("", "x = 1", None, 0),
        ("unrelated()", "return total", None, 0),
        ("result_of = compute(a)", "results_of = compute(a)", "mended", 14),
    ],
)
def test_a_suggestion_is_worth_the_keys_that_it_saves(
    typist: Any, shown: str, wanted: str, take: str | None, saved: int
) -> None:
    found = typist.worth.worth(shown, wanted)
    assert (str(found.take) if found else None) == take
    assert (found.saved if found else 0) == saved


class Knowing:
    """An editor that shows `lines` of what the person is about to write, as soon as they move."""

    def __init__(self, typist: Any, script: Any, wrong: str = "") -> None:
        self._nobody, self._wrong = typist.completer.Nobody(), wrong
        whole = script.text
        for block in reversed(script.blocks):
            whole = whole[: block.start] + block.text + whole[block.start :]
        self._whole, self._screen = whole, None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._nobody, name)

    def moved(self, text: str, cursor: int, edit: Any) -> None:
        """Show the rest of the line in the whole file that the text before the cursor ends in."""
        at = self._whole.find(text[max(0, cursor - 30) : cursor])
        line = self._whole[at + min(30, cursor) :].partition("\n")[0] if at >= 0 else ""
        self.person.screen.show(self._wrong or line)

    person: Any


def _account(typist: Any, completer: Any, script: Any) -> Any:
    person = typist.person.Person(script, completer, typist.person.NoClock())
    completer.person = person
    asyncio.run(person.play())
    return person.account


def test_every_key_is_counted_and_the_file_is_what_was_meant(typist: Any) -> None:
    script = typist.script.script("some.py", FILE, 1, "#")
    without = asyncio.run(typist.person.keys_without(script, typist.completer.Nobody()))
    least = sum(typist.script.keys_of(block.text) for block in script.blocks)
    alone = _account(typist, typist.completer.Nobody(), script)
    helped = _account(typist, Knowing(typist, script), script)
    misled = _account(typist, Knowing(typist, script, "unrelated(value)"), script)

    assert least <= without == alone.keys
    assert (alone.seen, alone.suggested_chars) == (0, 0)
    assert helped.keys < without / 2
    assert helped.used == sum(helped.takes.values()) > 0
    assert json.loads(json.dumps(asdict(helped)))["takes"] == helped.takes
    assert helped.chars == alone.chars
    assert misled.keys >= without
    assert misled.used == 0 < misled.wrong


def test_another_seed_is_another_person_and_the_same_one_is_the_same(typist: Any) -> None:
    one, again, other = (typist.script.script("some.py", FILE, seed, "#") for seed in (1, 1, 2))
    assert one == again
    assert one != other
