"""Names that a generated test uses: found and imported, or the test is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.features.code_actions.fit import AnswerRejected, Fitting
from nearfield.features.code_actions.generate_tests import plan_tests
from nearfield.features.code_actions.hunks import applied
from nearfield.features.code_actions.names import exported, free_names
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Snapshot, Span, SymbolLocation

NAMED = {
    "of the tested module": ("from m import LIMIT", "assert total(1) < LIMIT"),
    "imported by the tested module": ("import math", "assert total(1) == math.fsum([1])"),
    "of Python's library": ("import json", 'assert json.loads("1") == total(1)'),
    "of the framework": ("import pytest", "with pytest.raises(ValueError):\n        total(-1)"),
    "of another module": ("from shop.item import Item", "assert total(Item()) == 1"),
}


@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED.keys())
def test_names_in_tests_are_imported(case: tuple[str, str], tmp_path: Path) -> None:
    statement, body = case
    source = "import math\n\nLIMIT = 9\n\n\ndef total(x):\n    return math.fsum([x])\n"
    write(tmp_path, {"m.py": source, "shop/item.py": "class Item:\n    pass\n"})
    found = changed_tests(tmp_path, source, f"def test_total():\n    {body}\n")
    assert statement in found.split("\n")
    assert free_names(found) == []


def test_a_test_with_a_name_that_nobody_knows_is_left_out(tmp_path: Path) -> None:
    source = "def total(x):\n    return x\n"
    write(tmp_path, {"m.py": source})
    tests = (
        "def test_one():\n    assert total(1) == 1\n\n\n"
        "def test_two():\n    assert total(made_up) == 1\n"
    )
    assert "test_two" not in changed_tests(tmp_path, source, tests)
    with pytest.raises(AnswerRejected, match="`made_up` is not defined"):
        changed_tests(tmp_path, source, tests[tests.index("def test_two") :])


def test_an_import_of_a_module_that_does_not_exist_is_left_out(tmp_path: Path) -> None:
    source = "def total(x):\n    return x\n"
    write(tmp_path, {"m.py": source, "shop/item.py": "class Item:\n    pass\n"})
    tests = "from shop.model import Item\n\n\ndef test_total():\n    assert total(Item())\n"
    found = changed_tests(tmp_path, source, tests)
    assert "from shop.item import Item" in found
    assert "shop.model" not in found


def changed_tests(root: Path, source: str, answer: str) -> str:
    """The test file for `total` in m.py that an answer makes; the index knows `Item`."""
    language = language_for("python")
    assert language is not None
    parsed = parse(language, source)
    path = str(root / "m.py")
    snapshot = Snapshot(f"file://{path}", "python", 1, source, path, str(root))
    at = source.index("def total")
    fitting = Fitting(source, parsed, unit_at(parsed, source, Span(at, at)))
    item = SymbolLocation(str(root / "shop/item.py"), "shop/item.py", "Item", "class", "", 0, 0, 1)
    plan = plan_tests(
        snapshot, fitting, lambda path: None, (), lambda name: [item] if name == "Item" else []
    )
    return applied("", [one.edit for one in plan.changes(f"```python\n{answer}\n```")])


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(a):\n    b = a\n    return [c for c in b if d]\n", ["d"]),
        ("import os\nx: int = os.sep\nprint(x, __file__)\n", []),
        ("class A:\n    n = 1\n    def f(self):\n        return n\n", ["n"]),
        ("def f():\n    global g\n    g = 1\n\ndef h():\n    return g\n", []),
        ("from m import *\nx\n", []),
        ("def broken(:\n", []),
    ],
)
def test_free_names_are_those_that_nothing_binds(code: str, names: list[str]) -> None:
    assert free_names(code) == names


def test_what_a_script_exports() -> None:
    text = (
        "export function a() {}\nexport default class B {}\nexport const c = 1;\n"
        "function d() {}\nexports.e = d;\n"
    )
    assert exported(text) == ["a", "B", "c", "e"]


def test_other_exports_are_imported_too(tmp_path: Path) -> None:
    source = "export class Item {}\nexport function total(x) {\n  return 1;\n}\n"
    write(tmp_path, {"a.ts": source})
    language = language_for("typescript")
    assert language is not None
    path = str(tmp_path / "a.ts")
    snapshot = Snapshot(f"file://{path}", "typescript", 1, source, path, str(tmp_path))
    at = source.index("return")
    parsed = parse(language, source)
    plan = plan_tests(
        snapshot, Fitting(source, parsed, unit_at(parsed, source, Span(at, at))), {}.get
    )
    answer = 'test("t", () => {\n  assert.strictEqual(total(new Item()), 1);\n});'
    found = applied("", [one.edit for one in plan.changes(f"```ts\n{answer}\n```")])
    assert 'import { Item } from "./a";' in found
    assert 'import { total } from "./a";' in found
