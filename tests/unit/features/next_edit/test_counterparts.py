"""A line that was added to one list, and is missing in another."""

from __future__ import annotations

import pytest
from tests.unit.features.next_edit.editing import Typist, tree_of

from nearfield.features.next_edit.inline import suggestion_of

ENUM = """\
class Color(Enum):
    RED = 1
    GREEN = 2


NAMES = {
    Color.RED: "red",
    Color.GREEN: "green",
}
"""


def add(typist: Typist, after: str, line: str) -> None:
    """Press Enter behind `after` and type `line`."""
    at = typist.text.index(after) + len(after)
    typist.edit(at, at, "\n    ")
    typist.type(line)


def test_the_other_list_is_offered_its_line_below() -> None:
    typist = Typist(ENUM)
    add(typist, "GREEN = 2", "BLUE = 3")
    (offer,) = typist.offered()
    assert (offer.by, offer.old, offer.new) == ("series", "", '\n    Color.BLUE: "blue",')
    assert typist.accept_all() == ENUM.replace("2\n", "2\n    BLUE = 3\n").replace(
        '"green",\n', '"green",\n    Color.BLUE: "blue",\n'
    )


def test_typing_on_changes_it_and_undoing_ends_it() -> None:
    typist = Typist(ENUM)
    add(typist, "GREEN = 2", "BLUE = 3")
    typist.offered()
    at = typist.text.index("BLUE")
    typist.edit(at, at + 4, "CYAN")
    assert [one.new for one in typist.offered()] == ['\n    Color.CYAN: "cyan",']
    typist.edit(at, at + len("CYAN = 3"), "")
    assert typist.offered() == ()


def test_it_is_ghost_text_at_the_end_of_the_line_before() -> None:
    typist = Typist(ENUM)
    add(typist, "GREEN = 2", "BLUE = 3")
    (offer,) = typist.offered()
    inline = suggestion_of(offer, typist.text, offer.span.start)
    assert inline is not None
    assert (inline.text, inline.replace) == (offer.new, offer.span)
    assert suggestion_of(offer, typist.text, offer.span.start - 1) is None


@pytest.mark.parametrize(
    ("text", "after", "line", "offered"),
    [
        ("a:\n    self.x = x\n    self.yy = yy\n\nb(\n    x=self.x,\n    yy=self.yy,\n)\n",
         "self.yy = yy", "self.zz = zz", []),  # the first name is too short
        ("A = [\n    one,\n    two,\n]\nB = [\n    'one',\n    'two',\n]\n",
         "    two,", "six,", ["\n    'six',"]),
        ("A = [\n    one,\n    two,\n]\nB = {\n    'one': 1,\n    'two': 2,\n}\n",
         "    two,", "six,", []),  # a number of its own
        ("A = [\n    one,\n    two,\n]\nB = [\n    'one',\n    'two',\n    'six',\n]\n",
         "    two,", "six,", []),  # it is there
        ("A = [\n    one,\n    two,\n]\nB = [\n    'two',\n    'one',\n]\n",
         "    two,", "six,", []),  # in another order
        ("A = [\n    one,\n    two,\n]\nB = [\n    'one',\n    'two',\n]\n",
         "    two,", "call(1)", []),  # no such line
    ],
)  # fmt: skip
def test_which_lists_run_in_parallel(text: str, after: str, line: str, offered: list[str]) -> None:
    typist = Typist(text)
    add(typist, after, line)
    assert [one.new for one in typist.offered() if one.by == "series"] == offered


def test_in_a_file_with_crowded_lists_nothing_breaks() -> None:
    code = "x = [\n    red,\n    blue,\n]\n" + "y = [\n    red,\n    blue,\n]\n" * 12
    typist = Typist(code)
    add(typist, "    blue,", "green,")
    assert typist.offered() == ()
    tree = tree_of("python", typist.text)
    assert tree is not None
    assert not tree.root.has_error
