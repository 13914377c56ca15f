"""The names around a cursor, and what the document says about them."""

from __future__ import annotations

import pytest

from nearfield.context.mentions import Mention, class_of, mentions
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse


def at(marked: str, path: str = "a.py") -> list[Mention]:
    """The mentions at the "|"."""
    offset = marked.index("|")
    text = marked.replace("|", "", 1)
    language = language_for("", path)
    return mentions(parse(language, text) if language else None, text, offset)


def names(found: list[Mention]) -> list[str]:
    return [one.name for one in found]


@pytest.mark.parametrize(
    ("path", "code", "first"),
    [
        ("a.py", "from m import Box\nbox = Box()\nbox.|", "Box"),
        ("a.py", "from m import Box\ndef f(box: Box, other):\n    other = 1\n    box.|", "Box"),
        ("a.py", 'def f(box: "Box"):\n    box.|', "Box"),
        ("a.py", "with Box(1) as box:\n    box.|", "Box"),
        ("a.py", "class A:\n    def __init__(self):\n        self.box = Box()\n"
         "    def f(self):\n        self.box.|", "Box"),
        ("a.ts", "import {Box} from './box'\nconst box = new Box()\nbox.|", "Box"),
        ("a.go", "package a\nfunc f() {\n\tbox := Box{}\n\tbox.|\n}\n", "Box"),
        ("a.cs", "class A { void F() { Box box = Make(); box.| } }", "Box"),
        ("a.unknown", "let box = Box()\nbox.|", "Box"),
    ],
)  # fmt: skip
def test_the_class_of_the_object_before_the_dot_is_first(path: str, code: str, first: str) -> None:
    assert names(at(code, path))[0] == first


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("a = Box()\na = Jar()\n|", "Jar"),
        ("a = box()\n|", ""),
        ("|a = Box()", ""),
        ("ba = Box()\n|", ""),
        ("a: list[Box] = []\n|", "Box"),
        ("a = pack.Box(1)\n|", "Box"),
    ],
)
def test_the_last_that_was_said_of_a_variable_counts(code: str, kind: str) -> None:
    assert class_of("a", code.replace("|", ""), code.index("|")) == kind


def test_imports_at_any_level_name_the_source_of_a_name() -> None:
    code = "from one.two import Near\n\ndef f():\n    from three import Far\n    Near(Far(|\n"
    found = {one.name: one.modules for one in at(code)}
    assert {"one", "two"} <= found["Near"]
    assert "three" in found["Far"]


@pytest.mark.parametrize(
    ("path", "code", "brought"),
    [
        ("a.py", "from lib.deep import weigh, put as lay\n|", {"weigh", "put", "lay"}),
        ("a.py", "import lib.deep\n|", {"deep"}),
        ("a.ts", "import {weigh, put} from './lib/deep'\n|", {"weigh", "put"}),
        ("a.rs", "use lib::deep::weigh;\n|", {"weigh"}),
    ],
)
def test_an_unused_import_names_its_symbols(path: str, code: str, brought: set[str]) -> None:
    assert set(names(at(code, path))) == brought


def test_near_names_weigh_more_and_unused_imports_least() -> None:
    far = "# as long as the window\n" * 80
    code = f"from m import Near, Unused\nold_name()\n{far}middle()\n\n\nnear_name(|"
    found = {one.name: one.weight for one in at(code)}
    assert found["near_name"] > found["middle"] > found["Unused"]
    assert "old_name" not in found


@pytest.mark.parametrize("code", ["|", "x|", "(((|", "\ud800|", "a.\n|", "|" + "." * 5_000])
@pytest.mark.parametrize("path", ["a.py", "a.ts", "a.unknown"])
def test_any_text_has_mentions_without_an_error(path: str, code: str) -> None:
    at(code, path)
