"""Which lines of a file are found again after edits, by their keyed hashes alone."""

from __future__ import annotations

from typing import Any

import pytest

from nearfield.features.accepted import Accepted
from nearfield.features.provenance.lines import FileLines, accepted_rows, line_hash
from nearfield.types import Span

SECRET = b"secret"
SUGGESTED = "def area(r):\n    if r < 0:\n        return 0\n\n    return 3 * r * r\n"

# the file now, its unchanged rows, how many lines were changed in place, how many are gone
EDITED: list[tuple[str, str, list[int], int, int]] = [
    ("as it was", SUGGESTED, [0, 1, 2, 4], 0, 0),
    ("moved down", "import math\n\n\n" + SUGGESTED, [3, 4, 5, 7], 0, 0),
    ("indented again", SUGGESTED.replace("    ", "\t"), [0, 1, 2, 4], 0, 0),
    ("other line ends", SUGGESTED.replace("\n", "\r\n"), [0, 1, 2, 4], 0, 0),
    ("one changed", SUGGESTED.replace("return 0", "return 1"), [0, 1, 4], 1, 0),
    ("one deleted", SUGGESTED.replace("        return 0\n", ""), [0, 1, 3], 0, 1),
    ("the end changed", SUGGESTED.replace("3 * r", "PI * r"), [0, 1, 2], 0, 1),
    ("split by a new line", SUGGESTED.replace("\n\n", "\n    log(r)\n"), [0, 1, 2, 4], 0, 0),
    ("all gone", "x = 1\n", [], 0, 4),
    ("an empty file", "", [], 0, 4),
]


def hashes(text: str) -> list[str]:
    return [line_hash(SECRET, line) for line in text.replace("\r", "").split("\n")[:-1]]


@pytest.mark.parametrize("case", EDITED, ids=[case[0] for case in EDITED])
def test_lines_are_found_after_edits(case: tuple[str, str, list[int], int, int]) -> None:
    _, now, unchanged, changed, gone = case
    found = FileLines(SECRET, now).take(hashes(SUGGESTED), 0)
    assert (list(found.unchanged), found.changed, found.gone) == (unchanged, changed, gone)


def test_a_line_belongs_to_one_record_and_the_nearest_of_several_counts() -> None:
    lines = FileLines(SECRET, "a = 1\nb = 2\na = 1\n")
    assert lines.take(hashes("a = 1\n"), 2).unchanged == (2,)
    assert lines.take(hashes("a = 1\n"), 2).unchanged == (0,)
    assert lines.take(hashes("a = 1\n"), 2).unchanged == ()


def test_every_second_line_of_many_is_found() -> None:
    suggested = [f"value_{number} = {number}" for number in range(1_000)]
    now = "".join(f"{'# ' * (row % 2)}{line}\n" for row, line in enumerate(suggested))
    found = FileLines(SECRET, now).take([line_hash(SECRET, line) for line in suggested], 0)
    assert found.unchanged == tuple(range(0, 1_000, 2))
    assert (found.changed, found.gone) == (499, 1)


@pytest.mark.parametrize("added", [1, 5])
@pytest.mark.parametrize("above", [True, False])
def test_a_long_record_is_found_whole_between_new_lines(added: int, above: bool) -> None:
    suggested = [f"value_{number} = {number}" for number in range(300)]
    new = "# new\n" * added
    now = "".join(f"{new}{line}\n" if above else f"{line}\n{new}" for line in suggested)
    place = (added + 1) * len(suggested) - len(suggested) if above else 0
    found = FileLines(SECRET, now).take([line_hash(SECRET, line) for line in suggested], place)
    first = added if above else 0
    assert found.unchanged == tuple(range(first, (added + 1) * len(suggested), added + 1))
    assert (found.changed, found.gone) == (0, 0)


class Counted(list[str]):
    """Counts how often one of its lines is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        self.looks += 1
        return super().__getitem__(at)


def test_a_table_of_one_line_costs_little() -> None:
    record = Counted([line_hash(SECRET, "0,")] * 1_000)
    lines = FileLines(SECRET, "0,\n" * 5_000)
    assert lines.take(record, 2_000).unchanged == tuple(range(2_000, 3_000))
    # There are five million pairs, and runs of a thousand lines from most of them.
    assert record.looks <= 1_000_000


def test_brackets_alone_are_found_with_other_lines_only() -> None:
    now = "}\n\nint f() {\n  return 1;\n}\n"
    assert FileLines(SECRET, now).take(hashes("}\n"), 0).unchanged == ()
    assert FileLines(SECRET, now).take(hashes("  return 1;\n}\n"), 0).unchanged == (3, 4)


def test_an_empty_line_says_nothing_and_other_keys_give_other_hashes() -> None:
    assert line_hash(SECRET, "  \t") == ""
    assert line_hash(SECRET, " }") == line_hash(SECRET, "}")
    assert line_hash(SECRET, "}") != line_hash(b"other", "}")


def accepted(after: str, span: Span | None, before: str = "") -> Accepted:
    return Accepted("1", "suggestion", "/w/a.py", None, after, 0.0, span, before)


# the text after it, the place (None: an edit of the text before), the rows
WRITTEN: list[tuple[str, tuple[int, int] | None, str, list[int]]] = [
    ("a = 1\nb = 2\nc = 3\n", (6, 11), "", [1]),
    ("a = 1\nb = 2\nc = 3\n", (4, 9), "", [0, 1]),
    ("a = 1\nb = 2\nc = 3\n", (5, 12), "", [1]),  # with the line ends around it
    ("a = 1\r\nb = 2\r\n", (7, 14), "", [1]),
    ("a = 1\nb = 3\nc = 3\n", None, "a = 1\nb = 2\nc = 3\n", [1]),
    ("a = 1\nc = 3\n", None, "a = 1\nb = 2\nc = 3\n", []),
    ("a\na\na\n", None, "a\na\n", [2]),
    ("a = 1\n", None, "", [0]),
]


@pytest.mark.parametrize("case", WRITTEN)
def test_the_rows_that_were_written(
    case: tuple[str, tuple[int, int] | None, str, list[int]],
) -> None:
    after, span, before, rows = case
    assert accepted_rows(accepted(after, Span(*span) if span else None, before)) == rows
