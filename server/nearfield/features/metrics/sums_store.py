"""Sums of the suggestions by day, so that no question reads every record.

Records are added once they do not change any more, in the order of their numbers. The few newer
ones are summed when a question is asked, by the same statements. Times of answers are counted in
classes that are 5 % wide, so percentiles are exact to half of that.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from typing import Any, NamedTuple

from nearfield.types import GIVEN_UP, Reason, Surface

SETTLED_SECONDS = 120.0
"""After this a record changes no more: what remains of a suggestion is looked at after 30 s."""
MAX_ADDED = 2_000
"""Records that are added, or summed for a question, in one go: 30 to 60 ms on two busy cores."""
CLASS_WIDTH = 1.05
"""Ratio of the bounds of a class of times."""
BIN_WIDTH = 0.05
"""Width of a class of confidence, in mean log-probability."""
MIN_CONFIDENCE = -5.0
"""Lower ones are counted with this."""

_GIVEN_UP = ", ".join(f"'{reason.value}'" for reason in sorted(GIVEN_UP))
_NEXT_EDIT = f"method = '{Surface.NEXT_EDIT.value}'"
_DAY = "date(at, 'unixepoch', 'localtime')"
_RANGE = "FROM suggestions WHERE id > :after AND id <= :upto"
_OFFERED = "chars > 0 AND taken != 'continued'"
_TAKEN = "chars > 0 AND taken IN ('accepted', 'partial')"
_CLASS = "class_of(ms)"
_BIN = "bin_of(confidence)"


class DayCount(NamedTuple):
    """The records of a day in one language and situation, by one model, summed. `next_edit`: they
    are of next edits. `unreasoned` counts those with no reason for silence, `saved`, `looked_at`
    and `remained` characters, the last three tokens."""

    day: str
    language: str
    situation: str
    model: str
    next_edit: bool
    questions: float
    unreasoned: float
    offered: float
    accepted: float
    partly: float
    saved: float
    looked_at: float
    remained: float
    evaluated: float
    reused: float
    generated: float


# For each table its columns that name a sum, those that are summed, and what both are of a record.
_TABLES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str], ...] = (
    (
        "day_counts",
        DayCount._fields[:5],
        DayCount._fields[5:],
        f"SELECT {_DAY}, coalesce(language, ''), coalesce(situation, ''), coalesce(model, ''),"
        f" {_NEXT_EDIT}, count(*), sum(reason = ''),"
        f" sum({_OFFERED}), sum(chars > 0 AND taken = 'accepted'),"
        " sum(chars > 0 AND taken = 'partial'), sum(saved),"
        " sum(CASE WHEN survived IS NULL THEN 0 ELSE saved END),"
        " sum(coalesce(survived, 0) * saved),"
        f" sum(evaluated), sum(reused), sum(generated) {_RANGE} GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "day_reasons",
        ("day", "next_edit", "reason"),
        ("count",),
        f"SELECT {_DAY}, {_NEXT_EDIT}, reason, count(*) {_RANGE} AND reason != '' GROUP BY 1, 2, 3",
    ),
    (
        "day_times",
        ("day", "stage", "class"),
        ("count",),
        f"SELECT {_DAY}, situation, {_CLASS}, count(*) {_RANGE} AND NOT {_NEXT_EDIT}"
        f" AND reason NOT IN ({_GIVEN_UP}) GROUP BY 1, 2, 3",
    ),
    (
        "day_stages",
        ("day", "stage", "class"),
        ("count",),
        f"WITH answered AS (SELECT at, stages, ms AS total {_RANGE} AND {_NEXT_EDIT}"
        f" AND stages != '{{}}' AND reason NOT IN ({_GIVEN_UP})), parts AS ("
        "SELECT at, key AS stage, CAST(value AS REAL) AS ms FROM answered, json_each(stages)"
        " WHERE key != 'total' UNION ALL SELECT at, 'total', total FROM answered)"
        f" SELECT {_DAY}, stage, {_CLASS}, count(*) FROM parts GROUP BY 1, 2, 3",
    ),
    (
        "day_confidences",
        ("day", "bin"),
        ("offered", "taken", "saved", "hidden"),
        f"SELECT {_DAY}, {_BIN}, sum({_OFFERED}), sum({_TAKEN}), sum(saved),"
        f" sum(reason = '{Reason.UNSURE.value}') {_RANGE} AND confidence IS NOT NULL"
        f" AND NOT {_NEXT_EDIT} GROUP BY 1, 2",
    ),
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SuggestionSums:
    """The sums since a day, one row a combination; `behind` records are not counted yet.

    `reasons` are (whether of next edits, reason, count). `times` and `stages` are
    (name, class, count), `confidences` (bin, offered, taken, saved, hidden).
    """

    counts: list[DayCount]
    reasons: list[Row]
    times: list[Row]
    stages: list[Row]
    confidences: list[Row]
    behind: int = 0


def make_tables(db: sqlite3.Connection) -> None:
    """Create the tables of sums, which begin empty."""
    for table, names, sums, _ in _TABLES:
        columns = ", ".join([*names, *(f"{one} REAL NOT NULL DEFAULT 0" for one in sums)])
        key = ", ".join(names)
        db.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID")
    db.execute(
        "CREATE TABLE summed (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), upto INTEGER)"
    )
    db.execute("INSERT INTO summed VALUES (1, 0)")


def add_settled(db: sqlite3.Connection, now: float) -> bool:
    """Add some of the records that are settled at `now` to the sums, inside a transaction; return
    whether there are more."""
    after = _after(db)
    (upto,) = db.execute(
        "SELECT coalesce((SELECT min(id) - 1 FROM suggestions WHERE at >= ?),"
        " (SELECT max(id) FROM suggestions), 0)",
        (now - SETTLED_SECONDS,),
    ).fetchone()
    end = min(upto, after + MAX_ADDED)
    if end <= after:
        return False
    for table, names, sums, select in _TABLES:
        added = ", ".join(f"{one} = {one} + excluded.{one}" for one in sums)
        db.execute(
            f"INSERT INTO {table} SELECT * FROM ({select}) WHERE true"
            f" ON CONFLICT ({', '.join(names)}) DO UPDATE SET {added}",
            {"after": after, "upto": end},
        )
    db.execute("UPDATE summed SET upto = ?", (end,))
    return upto > end


def forget_days(db: sqlite3.Connection, before: float) -> None:
    """Delete the sums of days that have ended before that time."""
    for table, *_ in _TABLES:
        db.execute(
            f"DELETE FROM {table} WHERE day < date(?, 'unixepoch', 'localtime')",
            (before,),
        )


def sums_since(db: sqlite3.Connection, since: float) -> SuggestionSums:
    """Return the sums of the days from `since` on, with the newest records."""
    after = _after(db)
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM suggestions").fetchone()
    (day,) = db.execute("SELECT date(?, 'unixepoch', 'localtime')", (since,)).fetchone()
    values = {"after": after, "upto": after + MAX_ADDED, "day": day}
    counts, reasons, times, stages, confidences = (
        _summed(db, table, names, sums, select, values) for table, names, sums, select in _TABLES
    )
    behind = max(0, last - values["upto"])
    return SuggestionSums(
        [*map(DayCount._make, counts)], reasons, times, stages, confidences, behind
    )


def _summed(
    db: sqlite3.Connection,
    table: str,
    names: tuple[str, ...],
    sums: tuple[str, ...],
    select: str,
    values: dict[str, Any],
) -> list[Row]:
    # Only the counts are told by day; of the others the days are added here.
    kept = names if table == "day_counts" else names[1:]
    columns = ", ".join([*kept, *(f"sum({one})" for one in sums)])
    both = ", ".join([*names, *sums])
    return db.execute(
        f"WITH fresh({both}) AS ({select})"
        f" SELECT {columns} FROM (SELECT {both} FROM {table} WHERE day >= :day"
        f" UNION ALL SELECT {both} FROM fresh WHERE day >= :day)"
        f" GROUP BY {', '.join(kept)}",
        values,
    ).fetchall()


def _after(db: sqlite3.Connection) -> int:
    # SQLite's own logarithm is left out of some builds.
    db.create_function("class_of", 1, _class_of, deterministic=True)
    db.create_function("bin_of", 1, _bin_of, deterministic=True)
    return int(db.execute("SELECT upto FROM summed").fetchone()[0])


def _class_of(ms: float) -> int:
    return round(math.log(max(ms, 0.1)) / math.log(CLASS_WIDTH))


def _bin_of(confidence: float) -> int:
    return math.floor(max(confidence, MIN_CONFIDENCE) / BIN_WIDTH)
