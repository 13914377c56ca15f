"""Offers while the user goes on: when they come, which is first, and what ends them."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.features.next_edit.editing import Typist, next_edits, shown, tree_of
from tests.unit.features.next_edit.test_rename import PYTHON, TEXTS

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Completion, Config
from nearfield.errors import EditRefused
from nearfield.features.code_actions.hunks import applied
from nearfield.features.code_actions.refactorings import renamable, renamed
from nearfield.features.documents import DocumentChange
from nearfield.features.next_edit.inline import suggestion_of
from nearfield.types import Span

CODE = """\
def area(width, height):
    double = width * 2
    half = width / 2
    if width > height:
        return double
    return half * width
"""


def test_the_nearest_offer_below_is_first() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 2)
    below = [(4, "width", "w"), (6, "width", "w"), (1, "width", "w"), (2, "width", "w")]
    assert shown(typist.offered(), typist.text) == below


def test_nothing_is_offered_in_the_middle_of_a_name() -> None:
    typist = Typist(CODE)
    typist.retype("width", "wide", 0)
    waits = typist.edits.settle_seconds(typist.snapshot, typist.offset)
    assert 0.1 < waits <= 0.3
    elsewhere = typist.find("half")
    assert typist.edits.settle_seconds(typist.snapshot, elsewhere) == 0
    typist.rest()
    assert typist.edits.settle_seconds(typist.snapshot, typist.offset) == 0


def test_a_question_that_came_too_early_waits_and_is_not_answered_for_older_text() -> None:
    typist = Typist(CODE)

    async def run() -> None:
        edits = next_edits(typist.documents)
        typist.edits, typist.clock = edits, time.monotonic
        typist.retype("width", "wide", 0)
        early = asyncio.create_task(edits.offered(typist.snapshot, typist.offset))
        await asyncio.sleep(0.05)
        typist.type("r")
        assert await early == ()
        found = await edits.offered(typist.snapshot, typist.offset)
        assert {one.new for one in found} == {"wider"}

    asyncio.run(run())


def test_typing_on_changes_the_offers() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    first = typist.offered()
    typist.accept(first[0])
    typist.offset = typist.find("w,") + 1
    typist.type("ide")
    found = {(one.old, one.new) for one in typist.offered()}
    assert found == {("width", "wide"), ("w", "wide")}
    assert typist.accept_all() == CODE.replace("width", "wide")


def test_undo_drops_the_offers() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    first = typist.offered()
    assert len(first) == 4
    typist.accept(first[0])
    assert len(typist.offered()) == 3
    typist.edit(first[0].span.start, first[0].span.start + 1, "width")
    assert first[0].span not in [one.span for one in typist.offered()]
    at = typist.find("w,")
    typist.edit(at, at + 1, "width")
    assert typist.text == CODE
    assert typist.offered() == ()


def test_undo_of_all_that_was_accepted_offers_nothing_back() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    typist.accept_all()
    at = typist.find("w\n", 0)
    typist.edit(at, at + 1, "width")
    assert typist.offered() == ()


def test_a_renaming_that_is_dismissed_is_not_offered_again() -> None:
    other = CODE.replace("area", "room")
    typist = Typist(CODE + other)
    typist.retype("width", "w", 0)
    first = typist.offered()
    assert len(first) == 4
    assert typist.edits.dismiss(first[1].id)
    assert not typist.edits.dismiss(first[1].id)
    assert not typist.edits.dismiss("other")
    assert typist.offered() == ()
    # Nor is it in the next function, where another name is.
    typist.retype("width", "w", 4)
    assert typist.offered() == ()
    typist.type("ide")
    assert {(one.old, one.new) for one in typist.offered()} == {("width", "wide")}


def test_dismissed_calls_are_not_offered_again() -> None:
    typist = Typist("def f(a):\n    pass\n\n\ndef g(b):\n    f(1)\n    f(2)\n")
    typist.offset = typist.find("a)") + 1
    typist.type(", b")
    first = typist.offered()
    assert len(first) == 2
    assert typist.edits.dismiss(first[1].id)
    assert typist.offered() == ()


def test_other_edits_move_the_offers_along() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    typist.edit(0, 0, "# one\n# two\n")
    typist.edit(typist.find("    if"), typist.find("        return double"), "")
    lines = [line for line, _, _ in shown(typist.offered(), typist.text)]
    assert sorted(lines) == [4, 5, 7]


def test_a_place_that_becomes_a_comment_is_not_offered() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    typist.edit(typist.find("half ="), typist.find("half ="), "# ")
    assert [line for line, _, _ in shown(typist.offered(), typist.text)] == [4, 6, 2]


def test_two_renames_in_a_row_are_both_completed() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    typist.retype("height", "h", 0)
    assert typist.accept_all() == CODE.replace("width", "w").replace("height", "h")


def test_a_name_is_done_when_something_follows_it() -> None:
    typist = Typist("def f(count):\n    use(count)\n    return count\n")
    typist.retype("count", "total", 2)
    typist.type(" + 1")
    assert len(typist.offered()) == 2


def test_a_whole_name_replaced_at_once() -> None:
    typist = Typist(CODE)
    typist.edit(9, 14, "breadth")
    assert typist.accept_all() == CODE.replace("width", "breadth")


@pytest.mark.parametrize(
    "config",
    [
        Config(completion=Completion(next_edit=False)),
        Config(completion=Completion(enabled=False)),
        Config(completion=Completion(disabled_languages=["python"])),
    ],
)
def test_next_edits_can_be_turned_off(config: Config) -> None:
    typist = Typist(CODE)
    typist.edits.configure(FolderConfigs(config))
    typist.retype("width", "w", 0)
    assert typist.offered() == ()


def test_other_languages_and_unknown_documents_are_left_alone() -> None:
    typist = Typist("SELECT a FROM t", "sql")
    typist.retype("a", "b", 0)
    assert typist.offered() == ()
    typist.edits.changed(DocumentChange(None, typist.snapshot, []))
    assert typist.edits.settle_seconds(typist.snapshot, 0) == 0


@pytest.mark.parametrize("language", TEXTS)
def test_writing_a_new_file_offers_nothing(language: str) -> None:
    """A file is written from top to bottom, with a look at what is offered at every rest."""
    typist = Typist("", language)
    for line in TEXTS[language].splitlines(keepends=True):
        typist.type(line)
        assert typist.offered() == ()


def test_writing_between_existing_lines_offers_nothing() -> None:
    typist = Typist(PYTHON)
    typist.offset = typist.find("def shop")
    for line in (
        "def more(prices, data):\n",
        "    price = total(prices)\n",
        "    return price\n\n",
    ):
        for word in line.split(" "):
            typist.type(word + " " * (not word.endswith("\n")))
            assert typist.offered() == ()


def test_an_offer_is_ghost_text_on_its_line() -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    first = typist.offered()[0]
    text = typist.text
    start = text.index("double")
    inline = suggestion_of(first, text, start)
    assert inline is not None
    assert text[inline.replace.start : inline.replace.end] == "double = width"
    assert inline.text == "double = w"
    assert suggestion_of(first, text, 0) is None


EDITS = st.lists(
    st.tuples(
        st.integers(0, 200), st.integers(0, 8), st.sampled_from(["", "x", " ", "\n", "width"])
    )
)


@given(edits=EDITS)
def test_every_offer_replaces_the_old_name_after_any_edits(
    edits: list[tuple[int, int, str]],
) -> None:
    typist = Typist(CODE)
    typist.retype("width", "w", 0)
    typist.offered()
    for start, length, text in edits:
        at = min(start, len(typist.text))
        typist.edit(at, min(at + length, len(typist.text)), text)
    tree = tree_of("python", typist.text)
    assert tree is not None
    for one in typist.offered():
        assert typist.text[one.span.start : one.span.end] == one.old
        if one.old == "width":
            node = tree.path_to(one.span.start)[-1]
            assert (tree.span(node), node.type) == (one.span, "identifier")


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True)


@given(data=st.data(), language=st.sampled_from(sorted(TEXTS)), name=NAMES)
def test_all_offers_of_a_local_name_rename_it(
    data: st.DataObject, language: str, name: str
) -> None:
    """Where the safe rename may be used, taking every offer comes to the same."""
    text = TEXTS[language]
    before = tree_of(language, text)
    assert before is not None
    at = data.draw(st.integers(0, len(text) - 1))
    scope = renamable(before, Span(at, at))
    if scope is None:
        return
    own = before.span(scope.bindings[0])
    try:
        wanted = applied(text, [one.edit for one in renamed(before, own, name)])
    except EditRefused:
        return
    typist = Typist(text, language)
    typist.edit(own.start, own.end, name)
    found = typist.accept_all()
    after = tree_of(language, found)
    assert after is not None
    assert not after.root.has_error
    assert found == wanted
