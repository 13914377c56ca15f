"""After a changed type: what is offered where the same type is written again."""

from __future__ import annotations

import pytest
from tests.unit.features.next_edit.editing import Typist

PYTHON = """\
class Shop:
    def price(self, name: str, count: int = 1) -> int:
        return self.look_up(name, count=count)

    def look_up(self, title: str, count: int) -> int:
        return 0


class Stall(Shop):
    def price(self, name: str, count: int = 1) -> int:
        return 2


class Bank:
    def price(self, name: str, count: int = 1) -> int:
        return 3
"""

TYPESCRIPT = """\
interface Shop {
  price(name: string, count: number): number;
}

class Stall implements Shop {
  price(name: string, count: number): number {
    return lookUp(name);
  }
}

function lookUp(title: string): number {
  return 1;
}
"""

GO = """\
package a

func (s *Shop) Price(name string, count int) int { return lookUp(name) }

func (s *Stall) Price(name string, count int) int { return 2 }

func (s *Bank) Price(name string) int { return 3 }

func lookUp(title string) int { return 1 }
"""

CASES = {
    "python": (
        "python", PYTHON, "name: str", "name: Title",
        ["look_up(self, title: Title,", "Stall(Shop):\n    def price(self, name: Title,"],
        ["Bank:\n    def price(self, name: str,"],
    ),
    "python keyword": (
        "python", PYTHON, "count: int", "count: float",
        ["title: str, count: float)", "Stall(Shop):\n    def price(self, name: str, count: float"],
        ["Bank:\n    def price(self, name: str, count: int"],
    ),
    "typescript": (
        "typescript", TYPESCRIPT, "count: number", "count: bigint",
        ["Shop {\n  price(name: string, count: bigint): number {"], [],
    ),
    "go": (
        "go", GO, "name string", "name Title",
        ["lookUp(title Title)"], ["*Stall) Price(name string", "*Bank) Price(name string)"],
    ),
}  # fmt: skip


def retyped(text: str, language: str, old: str, new: str) -> Typist:
    user = Typist(text, language)
    start = text.index(old) + len(old.rpartition(" ")[0]) + 1
    user.offset = text.index(old) + len(old)
    user.erase(user.offset - start)
    user.type(new.rpartition(" ")[2])
    return user


@pytest.mark.parametrize("case", CASES)
def test_the_same_type_is_offered(case: str) -> None:
    language, text, old, new, wanted, kept = CASES[case]
    text = retyped(text, language, old, new).accept_all()
    for one in wanted:
        assert one in text
    for one in kept:
        assert one in text


CALLED = "def call(x: str) -> None:\n    {}\n\n\ndef called(y: str) -> None:\n    print(y)\n"


@pytest.mark.parametrize(
    "body",
    [
        "if x is not None:\n        called(x)",
        "assert isinstance(x, str)\n    called(x)",
        "x = str(x)\n    called(x)",
        "called(str(x))",
        "called(*x)",
        "other.called(x)",
    ],
)
def test_a_parameter_that_may_be_of_another_type_where_it_is_passed_tells_nothing(
    body: str,
) -> None:
    assert retyped(CALLED.format(body), "python", "x: str", "x: Title").offered() == ()


def test_the_same_call_without_a_condition_is_followed() -> None:
    text = retyped(CALLED.format("called(x)"), "python", "x: str", "x: Title").accept_all()
    assert "called(y: Title)" in text


def test_a_narrower_type_leaves_the_others_alone() -> None:
    text = CALLED.format("called(x)").replace("str)", "str | None)")
    user = Typist(text)
    user.offset = text.index("str | None") + len("str | None")
    user.erase(len(" | None"))
    assert user.offered() == ()


def test_overloads_and_results_are_left_alone() -> None:
    overloads = (
        "class A:\n    def get(self, at: int) -> str: ...\n"
        "    def get(self, at: slice) -> str: ...\n\n\n"
        "class B(A):\n    def get(self, at: int) -> str:\n        return ''\n"
    )
    assert retyped(overloads, "python", "at: int", "at: Place").offered() == ()
    assert retyped(PYTHON, "python", "-> int", "-> Money").offered() == ()
