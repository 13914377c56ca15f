"""What of a model's proposal is shown, and the reason why the rest is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nearfield.features.next_edit.edit_prompt import Hunk
from nearfield.features.next_edit.gate import EditProposal, judge
from nearfield.features.next_edit.project_names import new_calls
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Reason, Span

CODE = """\
def area(wide, high):
    return wide * high


def show(box):
    size = area(box)
    print("size", size)
    return size


def other(name):
    log = name.upper()
    return log
"""
HUNK = Hunk("m.py", "def area(box):", "def area(wide, high):")
BEFORE = CODE.replace("wide, high", "box")


def proposal(
    old: str,
    new: str,
    *,
    hunks: tuple[Hunk, ...] = (HUNK,),
    states: tuple[str, ...] = (BEFORE,),
    text: str = CODE,
    cursor: int = 0,
    logprob: float = 0.0,
) -> EditProposal:
    """The whole of `text` is the window, with `old` replaced by `new`."""
    assert old in text
    changed = text.replace(old, new, 1)
    language = language_for("python")
    assert language is not None
    at = changed.find(new) if new else 0
    logprobs = [(offset, logprob) for offset in range(at, at + len(new))]
    return EditProposal(
        text,
        Span(0, len(text)),
        cursor,
        changed,
        hunks,
        states,
        parse(language, text),
        logprobs,
        -0.5,
    )


CALL = ("area(box)", "area(box.wide, box.high)")


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        # It follows from the edit.
        (*CALL, ()),
        # Nothing changes, or white space alone.
        ("box", "box", (Reason.NOTHING,)),
        ("    size = area", "  size  =  area", (Reason.WHITESPACE,)),
        ("area(box)\n", "area(box)\n\n\n", (Reason.WHITESPACE,)),
        # It takes back the edit, or most of it.
        ("def area(wide, high):", "def area(box):", (Reason.UNDOES,)),
        ("def area(wide, high):", "def area(box, *_):", (Reason.UNDOES,)),
        # It deletes what has nothing to do with it.
        ("    log = name.upper()\n    return log\n", "    pass\n", (Reason.DELETES,)),
        ('    print("size", size)\n', "", (Reason.DELETES,)),
        ("    size = area(box)\n", "", (Reason.DELETES,)),
        # It repeats the line above, or the one below.
        ('    print("size", size)\n', '    print("size", size)\n' * 2, (Reason.REPEATS,)),
        # It gives something to itself.
        ("size = area(box)", "box.size = box.size", (Reason.REPEATS,)),
        # It breaks the syntax.
        ("area(box)", "area(box.wide, box.high", (Reason.SYNTAX,)),
        # It is about something else.
        ("log = name.upper()", "log = name.lower()", (Reason.UNRELATED,)),
        # It is far too much, or holds a mark of the prompt.
        ("    return size\n", "    return size\n" + "    area()\n" * 30, (Reason.TOO_LARGE,)),
        ("    return size\n", "    return size<|file_sep|>\n", (Reason.TOO_LARGE,)),
    ],
)
def test_each_kind_of_bad_hunk_has_its_reason(
    old: str, new: str, reasons: tuple[Reason, ...]
) -> None:
    found = judge(proposal(old, new))
    assert found.reasons == reasons
    assert (found.edit is None) == bool(reasons)


def test_the_edit_makes_whole_lines_and_no_more() -> None:
    found = judge(proposal(*CALL)).edit
    assert found is not None
    assert CODE[found.span.start : found.span.end] == "    size = area(box)"
    assert found.text == "    size = area(box.wide, box.high)"


def test_a_hunk_that_may_not_be_shown_does_not_cost_the_others() -> None:
    one = proposal(*CALL)
    text = one.new.replace("    log = name.upper()\n", "")
    found = judge(EditProposal(CODE, one.window, 0, text, (HUNK,), (BEFORE,), one.parsed))
    assert found.reasons == (Reason.DELETES,)
    assert found.edit is not None
    after = CODE[: found.edit.span.start] + found.edit.text + CODE[found.edit.span.end :]
    assert after == CODE.replace(*CALL)


def test_a_return_to_an_earlier_state_is_an_undo() -> None:
    earlier = CODE.replace("area(box)", "area(box.size)")
    found = judge(proposal("area(box)", "area(box.size)", states=(earlier, BEFORE)))
    assert found.reasons == (Reason.UNDOES,)


def test_a_model_that_is_unsure_of_the_changed_lines_is_not_shown() -> None:
    assert judge(proposal(*CALL, logprob=-0.2)).edit is not None
    assert judge(proposal(*CALL, logprob=-0.9)).reasons == (Reason.UNSURE,)


def test_without_recent_edits_only_repairs_and_continuations_are_shown() -> None:
    assert judge(proposal(*CALL, hunks=(), states=())).reasons == (Reason.UNRELATED,)
    broken = CODE.replace("return log\n", "return log(\n")
    mended = proposal("return log(\n", "return log()\n", hunks=(), states=(), text=broken)
    assert judge(mended).edit is not None
    cursor = CODE.index("return log") + len("return log")
    onward = proposal("return log\n", "return log.strip()\n", hunks=(), states=(), cursor=cursor)
    assert judge(onward).edit is not None
    elsewhere = proposal("return log\n", "return log.strip()\n", hunks=(), states=())
    assert judge(elsewhere).reasons == (Reason.UNRELATED,)


def test_a_typing_error_is_corrected_even_if_that_undoes_an_edit() -> None:
    text = CODE.replace("    return size", "    retrun size")
    hunk = Hunk("m.py", "    return size", "    retrun size")
    slip = proposal("retrun", "return", hunks=(hunk,), states=(CODE,), text=text)
    assert judge(slip).edit is not None
    # Where the syntax was whole the user may have meant it.
    text = CODE.replace("name.upper()", "name.uper()")
    hunk = Hunk("m.py", "    log = name.upper()", "    log = name.uper()")
    meant = proposal("uper", "upper", hunks=(hunk,), states=(CODE,), text=text)
    assert judge(meant).reasons == (Reason.UNDOES,)


def test_lines_that_the_recent_edit_makes_useless_may_go() -> None:
    text = CODE.replace("def show(box):\n", "def show(box):\n    unused = high_of(box)\n")
    hunk = Hunk("m.py", "def high_of(box):\n    return box", "")
    found = judge(proposal("    unused = high_of(box)\n", "", hunks=(hunk,), text=text))
    assert found.edit is not None


INNER = """\
def total(orders):
    found = 0
    for order in orders:
        found += order.price
    return found


def first():
    return 1


def show(orders):
    print("sum", total(orders))
    return orders[0]
"""
BODY = Hunk("m.py", "        found += order.cost", "        found += order.price")


@pytest.mark.parametrize(
    ("old", "new", "hunk", "edited"),
    [
        # In a line with the definition that the recent edit is in, which its lines do not name.
        ('"sum", total', '"prices", total', BODY, ()),
        # With one that an edit of another document was in.
        ("return orders[0]", "return orders[0].first()", BODY, ("orders",)),
        # In lines that share only a name, whether the edit changed it or not.
        ("return orders[0]", "return orders[1]", Hunk("m.py", "", "log(orders)"), ()),
        ("return orders[0]", "return orders[1]", Hunk("m.py", "a(orders)", "b(orders)"), ()),
    ],
)  # fmt: skip
def test_what_connects_an_edit_with_the_recent_ones(
    old: str, new: str, hunk: Hunk, edited: tuple[str, ...]
) -> None:
    asked = proposal(old, new, hunks=(hunk,), states=(), text=INNER)
    assert judge(replace(asked, edited=frozenset(edited))).edit is not None


def test_an_edit_beside_another_definition_has_nothing_to_do_with_it() -> None:
    found = judge(proposal("return 1", "return 2", hunks=(BODY,), states=(), text=INNER))
    assert found.reasons == (Reason.UNRELATED,)


@pytest.mark.parametrize(
    ("language", "text", "new", "calls"),
    [
        ("python", "x = 1\n", "x = made(1)\n", {"made"}),
        ("python", "x = 1\n", "x = Made(other(1))\n", {"Made", "other"}),
        # Members, the language's own, what the document has, and what the edit itself defines.
        ("python", "x = 1\n", "x = y.made(int(1))\n", set()),
        ("python", "from m import made\nx = 1\n", "from m import made\nx = made(1)\n", set()),
        ("python", "x = 1\n", "def made(): ...\nx = made()\n", set()),
        ("python", "x = 1\n", "made = lambda: 1\nx = made()\n", set()),
        ("python", "x = 1\n", "x = (made(1) for made in ())\n", set()),
        ("python", "x = 1\n", "if (x and not (x or x)): pass\n", set()),
        ("python", "x = 1\n", "x = 'made(1)'  # other(1)\n", set()),
        # The recent edits have it, or an import may bring it.
        ("python", "x = 1\n", "x = earlier(1)\n", set()),
        ("python", "from m import *\nx = 1\n", "from m import *\nx = made(1)\n", set()),
        ("typescript", "let x = 1;\n", "let x = made(parseInt('1'));\n", {"made"}),
        ("go", "package p\nvar x = 1\n", 'package p\nvar x = made(len(""))\n', {"made"}),
        ("rust", "const X: u8 = 1;\n", "const X: u8 = made(1);\n", {"made"}),
        ("rust", "use a::*;\nconst X: u8 = 1;\n", "use a::*;\nconst X: u8 = made(1);\n", set()),
        ("rust", "fn f() {}\n", "fn f() { g!(1); if (1 == 1) {} }\n", set()),
        ("yaml", "x: 1\n", "x: made(1)\n", set()),
    ],
)
def test_names_that_an_edit_calls_and_nothing_in_its_document_knows(
    language: str, text: str, new: str, calls: set[str]
) -> None:
    row = language_for(language)
    assert row is not None
    hunk = Hunk("m", "x = earlier(2)", "x = 2")
    cursor = len(text) - 1
    asked = EditProposal(text, Span(0, len(text)), cursor, new, (hunk,), (), parse(row, text))
    parsed = parse(row, new)
    assert parsed is not None
    assert new_calls(parsed, Span(0, len(new)), text, (hunk,)) == calls
    assert judge(asked).calls in (calls, frozenset())


@pytest.mark.parametrize("where", ["first", "last", "all"])
def test_edits_at_the_ends_of_a_document(where: str) -> None:
    text, hunk = "area = 1\nwide = 2", Hunk("m.py", "", "area = 1")
    new = {"first": "import area\n" + text, "last": text + "\nhigh = area", "all": "area = 3"}[
        where
    ]
    found = judge(EditProposal(text, Span(0, len(text)), 0, new, (hunk,), ()))
    assert found.edit is not None
    made = text[: found.edit.span.start] + found.edit.text + text[found.edit.span.end :]
    assert made == new


def test_without_a_grammar_the_syntax_is_not_looked_at() -> None:
    text = "area = 1"
    hunk = Hunk("m.txt", "size = 1", "area = 1")
    found = judge(EditProposal(text, Span(0, 8), 0, "area = (1", (hunk,), ()))
    assert found.edit is not None
