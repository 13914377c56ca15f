"""Where a model is asked what is next, what it is told, and what of its answers is offered."""

from __future__ import annotations

import pytest
from tests.unit.features.next_edit.editing import tree_of

from nearfield.features.completion.generate import Confidence
from nearfield.features.next_edit.derive import Change
from nearfield.features.next_edit.edit_history import Followed
from nearfield.features.next_edit.likely import Place, alike, judged, likely_place, prompt_of
from nearfield.features.next_edit.series import changes_of
from nearfield.types import Edit, Span

SURE = Confidence(-0.05, -0.2)
CODE = """\
FIELDS = [
    Field("first_name"),
    Field("last_name"),
    Field("birth_date"),
    Field("phone"),
]
other = Field("other")
"""


def place_after(text: str, *changes: tuple[str, str]) -> Place | None:
    """Where a model would be asked after the `changes` of `text`."""
    followed = Followed(text, 0)
    for version, (old, new) in enumerate(changes):
        at = followed.text.index(old)
        after = followed.text[:at] + new + followed.text[at + len(old) :]
        followed.change(after, version, [Edit(Span(at, at + len(old)), new)], 100.0 + version)
    parsed = tree_of("python", followed.text)
    assert parsed is not None
    return likely_place(parsed, followed, changes_of(followed))


FIRST = ('Field("first_name")', 'Field("first_name", label="First name")')
SECOND = ('Field("last_name")', 'Field("last_name", label="Last name")')
THIRD = ('Field("birth_date")', 'Field("birth_date", label="Birth date")')


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ((FIRST,), None),  # one change says nothing
        ((FIRST, SECOND), 'Field("birth_date"),'),
        ((SECOND, FIRST), None),  # upwards, and there is nothing above
        ((FIRST, THIRD), None),  # one was passed over
        ((SECOND, THIRD), None),  # the list begins further up
        ((FIRST, ("other = ", "others = ")), None),  # of two kinds
        (((CODE[:8], "FIELD = ["), SECOND), None),
    ],
)
def test_the_place(changes: tuple[tuple[str, str], ...], line: str | None) -> None:
    place = place_after(CODE, *changes)
    assert (place.old if place is not None else None) == line
    if place is not None:
        text = CODE
        for old, new in changes:
            text = text.replace(old, new)
        assert text[place.span.start : place.span.end] == line


def test_comments_and_texts_are_passed_over() -> None:
    code = 'f(a1)\nf(b1)\n# f(c1)\n"""\nf(d1)\n"""\nf(e1)\n'
    place = place_after(code, ("f(a1)", "f(a1, A)"), ("f(b1)", "f(b1, B)"))
    assert place is not None
    assert place.old == "f(e1)"


def test_what_a_model_is_told() -> None:
    place = place_after(CODE, FIRST, SECOND)
    assert place is not None
    assert prompt_of(place, "forms.py") == (
        "--- a/forms.py\n+++ b/forms.py\n"
        '@@\n FIELDS = [\n-Field("first_name"),\n+Field("first_name", label="First name"),\n'
        '@@\n Field("first_name", label="First name"),\n'
        '-Field("last_name"),\n+Field("last_name", label="Last name"),\n'
        '@@\n Field("last_name", label="Last name"),\n-Field("birth_date"),\n+'
    )


@pytest.mark.parametrize(
    ("answer", "confidence", "offered"),
    [
        ('    Field("birth_date", label="Birth date"),\n@@', SURE, True),
        ('Field("birth_date", label="Birth date"),', None, True),
        ('Field("birth_date", label="Birth date"),', Confidence(-0.4, -0.5), False),
        ('Field("birth_date", label="Birth date"),', Confidence(-0.1, -0.9), False),
        ("", SURE, False),
        ("\n", SURE, False),
        ('Field( "birth_date" ),', SURE, False),  # only blanks
        ('Field("last_name", label="Last name"),', SURE, False),  # an example once more
        ('Field("birth_date", max_length=20),', SURE, False),  # another change
        ('Field("birth_date", label="Birth date", max=7),', SURE, False),  # a number from nowhere
        ("x" * 500, SURE, False),
    ],
)
def test_what_is_offered(answer: str, confidence: Confidence | None, offered: bool) -> None:
    place = place_after(CODE, FIRST, SECOND)
    assert place is not None
    wanted = 'Field("birth_date", label="Birth date"),' if offered else ""
    assert judged(place, answer, confidence) == wanted


def test_another_spelling_is_the_same_change() -> None:
    code = "userName = Text()\nlastLogin = Text()\npasswordHash = Text()\n"
    place = place_after(code, ("userName", "user_name"), ("lastLogin", "last_login"))
    assert place is not None
    assert judged(place, "password_hash = Text()", SURE) == "password_hash = Text()"
    assert judged(place, "hash = Text()", SURE) == ""


def test_lines_alike() -> None:
    assert alike("a = f(1)", "b = f(1)") > 0.8
    assert alike("return", "import os") == 0


def test_a_place_remembers_its_latest_change() -> None:
    place = place_after(CODE, FIRST, SECOND)
    assert place is not None
    assert place.after == Change(f"{SECOND[0]},", f"{SECOND[1]},")
