"""Findings by likelihood: which lines are rewritten, which of the new lines are shown, and how."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, cast

import pytest

from nearfield.features.review.findings import ReviewFinding, accepted
from nearfield.features.review.likelihood import unlikely
from nearfield.features.review.pieces import pieces_of
from nearfield.providers.base import Scorer
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import Parsed, parse
from nearfield.types import Delta, EditRequest, ScoredToken, ScoreRequest

RIGHT = '''\
def mean(values):
    """Return the mean of `values`, 0 for none."""
    if not values:
        return 0
    # the sum of all
    total = sum(values)
    return total / len(values)
'''
LIKELY, UNLIKELY, UNKNOWN = -0.1, -9.0, -1.0
_TOKEN = re.compile(r"[ \t]*(?:\w+|[^\w\s])|[ \t]*\n|[ \t]+")


class KnowsLines:
    """A model that knows the lines of a text, and finds any other way to go on unlikely."""

    name = model = "small"

    def __init__(self, known: str = RIGHT) -> None:
        self.lines = known.splitlines(keepends=True)
        self.asked: list[ScoreRequest | EditRequest] = []

    def _next(self, before: str) -> str:
        """The token that a line goes on with; after a known line the next one begins. With nothing
        at all before them, models expect nonsense."""
        if not before.strip():
            return "0"
        whole = before.splitlines(keepends=True)
        begins = not whole or whole[-1].endswith("\n")
        line, above = ("", whole[-1:]) if begins else (whole[-1], [])
        if above and above[0] not in self.lines:
            return ""
        known = self.lines[self.lines.index(above[0]) + 1 :] if above else self.lines
        fitting = [one for one in known if one.startswith(line) and one != line]
        found = _TOKEN.match(fitting[0], len(line)) if fitting else None
        return found[0] if found else ""

    async def score(self, request: ScoreRequest) -> tuple[ScoredToken, ...]:
        self.asked.append(request)
        found: list[ScoredToken] = []
        for one in _TOKEN.finditer(request.text):
            expected = self._next(request.prefix + request.text[: one.start()])
            if one[0] == expected or not expected:
                sure, others = (LIKELY if expected else UNKNOWN), ()
            else:
                sure, others = UNLIKELY, ((expected, LIKELY),)
            found.append(ScoredToken(one.start(), one[0], sure, others))
        return tuple(found)

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        self.asked.append(request)
        text = request.text
        while (more := self._next(text)) and "\n" not in more:
            text += more
            yield Delta(text=more)


def python(text: str) -> Parsed | None:
    language = language_for("python")
    assert language is not None
    return parse(language, text)


async def review(text: str, model: Any = None, changed: set[int] | None = None) -> list[Any]:
    parsed = python(text)
    found: list[ReviewFinding] = []
    for piece in pieces_of(text, "a.py", parsed, None, changed):
        raw = await unlikely(cast(Scorer, model or KnowsLines()), text, piece, parsed)
        found += accepted(raw, piece, text, parsed)
    return [(one.row, one.message, one.replacement) for one in found]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wrong", "row", "said", "replacement"),
    [
        (
            RIGHT.replace("len(values)", "total"),
            6,
            "`total` is unlikely in `return total / total`: the model expects `len(values)`.",
            "return total / len(values)",
        ),
        (
            RIGHT.replace("not values", "values"),
            2,
            "Something is likely missing in `if values:`: the model expects `not` there.",
            "if not values:",
        ),
        (
            RIGHT.replace("sum(values)", "sum(values) - 1"),
            5,
            "`- 1` is unlikely in `total = sum(values) - 1`: the model expects nothing in its"
            " place.",
            "total = sum(values)",
        ),
    ],
)
async def test_what_the_model_would_write_is_the_finding(
    wrong: str, row: int, said: str, replacement: str
) -> None:
    assert await review(wrong) == [(row, said, replacement)]


@pytest.mark.asyncio
async def test_a_missing_line_is_put_before_the_unlikely_one() -> None:
    wrong = RIGHT.replace("    total = sum(values)\n", "")
    [(row, said, replacement)] = await review(wrong)
    assert row == 5
    assert said.startswith("A line is likely missing before `return total / len(values)`")
    assert replacement == "total = sum(values)\n    return total / len(values)"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        RIGHT.replace("the sum of all", "whatever"),
        RIGHT.replace("for none", "else"),
        RIGHT.replace("0\n", '"none"\n'),
    ],
    ids=["right", "comment", "docstring", "string"],
)
async def test_right_code_and_prose_are_left_in_peace(text: str) -> None:
    assert await review(text) == []


@pytest.mark.asyncio
async def test_another_name_is_no_finding_where_the_lines_below_use_it() -> None:
    assert await review(RIGHT.replace("total", "amount"), Consistent()) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["mean", "values"])
async def test_names_in_a_signature_are_not_judged(name: str) -> None:
    wrong = RIGHT.replace(name, "other", 1)
    model = KnowsLines()
    assert await review(wrong, model) == []
    assert not any(isinstance(one, EditRequest) for one in model.asked)


@pytest.mark.asyncio
async def test_a_default_value_is_judged() -> None:
    known = RIGHT.replace("(values)", "(values, start=0)", 1)
    [(row, said, _)] = await review(known.replace("=0", "=values", 1), KnowsLines(known))
    assert row == 0
    assert "`values` is unlikely" in said


@pytest.mark.asyncio
async def test_a_comment_that_the_model_would_write_is_no_finding() -> None:
    assert await review(RIGHT.replace("    # the sum of all\n", "")) == []


@pytest.mark.asyncio
async def test_only_changed_lines_are_judged() -> None:
    wrong = RIGHT.replace("len(values)", "total")
    assert await review(wrong, changed={2}) == []
    assert len(await review(wrong, changed={6})) == 1


@pytest.mark.asyncio
async def test_an_unlikely_token_is_no_finding_where_the_rest_fits_less_without_it() -> None:
    wrong = RIGHT.replace("sum(values)", "max(values)")
    assert [row for row, *_ in await review(wrong)] == [5]
    assert await review(wrong, Certain()) == []


@pytest.mark.asyncio
async def test_the_first_line_of_a_file_is_never_read_with_nothing_before_it() -> None:
    model = KnowsLines()
    assert await review(RIGHT, model) == []
    assert [one.prefix for one in model.asked if isinstance(one, ScoreRequest)] == [
        "# A file of the project\n"
    ]


@pytest.mark.asyncio
async def test_a_line_that_does_not_parse_is_not_asked_about_again() -> None:
    broken = KnowsLines(RIGHT.replace("len(values)", "len(values"))
    assert await review(RIGHT.replace("len(values)", "total"), broken) == []
    scored = [one for one in broken.asked if isinstance(one, ScoreRequest)]
    assert len(scored) == 1


@pytest.mark.asyncio
async def test_a_line_that_differs_in_blanks_alone_is_no_finding() -> None:
    model, text = Spaced(), RIGHT.replace("total / len", "total/len")
    parsed = python(text)
    (piece,) = pieces_of(text, "a.py", parsed, None, None)
    assert await unlikely(cast(Scorer, model), text, piece, parsed) == []
    assert any(isinstance(one, EditRequest) for one in model.asked)


class Spaced(KnowsLines):
    """A model whose token for a division has blanks and the next word in it."""

    async def score(self, request: ScoreRequest) -> tuple[ScoredToken, ...]:
        scored = await super().score(request)
        return tuple(
            replace(one, others=((" / len", LIKELY),)) if one.text == "/" else one for one in scored
        )


class Certain(KnowsLines):
    """A model for which `max` is out of the question, and the lines below even less with `sum`."""

    async def score(self, request: ScoreRequest) -> tuple[ScoredToken, ...]:
        scored = await super().score(request)
        is_mended = "= sum(values)" in request.text
        return tuple(
            replace(one, logprob=-20.0 if one.text.strip() == "max" or is_mended else one.logprob)
            for one in scored
        )


class Consistent(KnowsLines):
    """A model that expects a name where it has read it."""

    async def score(self, request: ScoreRequest) -> tuple[ScoredToken, ...]:
        scored = await super().score(request)
        name = re.search(r"(\w+) = sum", request.prefix + request.text)
        lines = RIGHT if name is None else RIGHT.replace("total", name[1])
        if name and name[1] != "total":
            after = await KnowsLines(lines).score(request)
            at = request.text.find(" = sum")
            return tuple(
                first if first.start < at else second
                for first, second in zip(scored, after, strict=True)
            )
        return scored
