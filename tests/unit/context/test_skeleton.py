"""A definition in few words."""

from __future__ import annotations

import pytest

from nearfield.context.skeleton import cut_lines, skeleton
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse

BODY = "".join(f"        total += weigh(item, {i})\n" for i in range(30))
CLASS = (
    "class Scale(Base):\n"
    '    """Weighs things.\n\n    At length.\n    And more.\n    """\n\n'
    "    unit: str = 'g'\n\n"
    "    def __init__(self, most: int) -> None:\n"
    "        self.most = most\n"
    "        self.now: int = 0\n" + BODY.replace("total +=", "self.most +=") + "\n"
    "    @property\n"
    "    def full(self) -> bool:\n"
    '        """Whether nothing more fits."""\n'
    f"{BODY}\n"
    "    def put(\n        self,\n        name: str,\n    ) -> int:\n"
    f"{BODY}"
    "        return total\n"
)
PYTHON = language_for("python", None)


def short(text: str, most: int, path: str = "a.py") -> str:
    return skeleton(text, language_for("", path), most)


@pytest.mark.parametrize(
    ("most", "there", "gone"),
    [
        (2_000, ["unit: str", "nothing more fits", "def put(self, name: str) -> int: ..."],
         ["weigh(item, 3)"]),
        (220, ["unit: str", "def full", "def put(self, name: str) -> int", "self.most; self.now"],
         ["Weighs things", "nothing more"]),
        (180, ["unit: str", "def put(...) -> int"], ["name: str"]),
    ],
)  # fmt: skip
def test_the_less_room_the_less_detail(most: int, there: list[str], gone: list[str]) -> None:
    text = short(CLASS, most)
    assert len(text) <= most
    assert [one for one in there if one not in text] == []
    assert [one for one in gone if one in text] == []


@pytest.mark.parametrize("most", [2_000, 250, 220])
def test_the_shortened_code_still_parses(most: int) -> None:
    assert PYTHON is not None
    parsed = parse(PYTHON, short(CLASS, most))
    assert parsed is not None and not parsed.root.has_error


def test_short_definitions_stay_whole() -> None:
    assert short("    def f(x):\n        return x\n", 500) == "def f(x):\n    return x"


def test_bodies_in_braces_are_emptied() -> None:
    text = "class A {\n  go(a: string): void {\n" + "    step(a);\n" * 60 + "  }\n}"
    assert short(text, 500, "a.ts") == "class A {\n  go(a: string): void { ... }\n}"


@pytest.mark.parametrize("most", [0, 1, 20, 60])
def test_a_skeleton_is_never_longer_and_ends_with_a_whole_line(most: int) -> None:
    text = short(CLASS, most)
    assert len(text) <= most
    whole = skeleton(CLASS, PYTHON, 200).split("\n")
    assert all(line in whole for line in text.split("\n") if line)


def test_cut_lines() -> None:
    assert cut_lines("ab\ncd\nef", 5) == "ab\ncd"
    assert cut_lines("ab\ncd", 10) == "ab\ncd"
    assert cut_lines("abcdef", 3) == ""
