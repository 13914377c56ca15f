"""What clients write, read as they mean it."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from nearfield.coerce import (
    MAX_DEPTH,
    STRUCTS,
    CoercionError,
    NotJson,
    convert,
    is_deep,
    loads,
    shallow,
)


class Point(msgspec.Struct):
    line: int
    column: int


class Area(msgspec.Struct):
    start: Point
    end: Point


class Colour(Enum):
    RED = 1
    BLUE = 2


class Wish(msgspec.Struct, rename="camel"):
    name: str
    area: Area | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    most_points: Annotated[int, Meta(le=100)] | None = None
    eager: bool = False
    kind: Literal["", "near", "far"] = ""
    colour: Colour | None = None
    token: int | str | None = None
    stops: str | list[str] | None = None
    points: list[Point] = []
    about: Any = None
    more: dict[str, Any] | None = None


def _read(text: str) -> Any:
    return msgspec.to_builtins(convert(Wish, loads(text.encode())))


@pytest.mark.parametrize(
    ("written", "field", "expected"),
    [
        ('"unknown": [1]', "unknown", None),
        ('"area": null', "area", None),
        ('"share": null', "share", 0.5),
        ('"eager": null', "eager", False),
        ('"eager": 1', "eager", True),
        ('"eager": "False"', "eager", False),
        ('"share": "0.25"', "share", 0.25),
        ('"share": 1', "share", 1.0),
        ('"share": -3', "share", 0.0),
        ('"share": 1e999', "share", 1.0),
        ('"mostPoints": 7.0', "mostPoints", 7),
        ('"mostPoints": 7.9', "mostPoints", 7),
        ('"mostPoints": "7"', "mostPoints", 7),
        ('"mostPoints": "7.0"', "mostPoints", 7),
        (f'"mostPoints": {10**30}', "mostPoints", 100),
        (f'"mostPoints": {10**400}', "mostPoints", 100),
        (f'"share": {10**400}', "share", 1.0),
        ('"mostPoints": 1e999', "mostPoints", 100),
        ('"mostPoints": -1', "mostPoints", -1),
        ('"kind": "Near"', "kind", "near"),
        ('"colour": 1.0', "colour", 1),
        ('"colour": "1"', "colour", 1),
        ('"colour": null', "colour", None),
        ('"token": "5"', "token", "5"),
        ('"token": 5', "token", 5),
        ('"stops": "a"', "stops", "a"),
        ('"stops": ["a", "b"]', "stops", ["a", "b"]),
        ('"area": [[1, 2], [3, 4]]', "area", {"start": {"line": 1, "column": 2},
                                             "end": {"line": 3, "column": 4}}),
        ('"points": {"line": 1, "column": 2}', "points", [{"line": 1, "column": 2}]),
        ('"about": "\\ud83d"', "about", "\ufffd"),
        ('"more": {"a": null}', "more", {"a": None}),
    ],
)  # fmt: skip
def test_odd_values_are_read_as_meant(written: str, field: str, expected: object) -> None:
    text = '{"name": "n", ' + written + "}"
    assert _read(text).get(field) == expected


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("{}", "$.name"),
        ("[]", "$"),
        ("null", "$"),
        ('{"name": null}', "$.name"),
        ('{"name": 5}', "$.name"),
        ('{"name": ["n"]}', "$.name"),
        ('{"name": "n", "area": 5}', "$.area"),
        ('{"name": "n", "area": {"start": [1], "end": [1, 2]}}', "$.area.start"),
        ('{"name": "n", "share": "much"}', "$.share"),
        ('{"name": "n", "mostPoints": true}', "$.mostPoints"),
        ('{"name": "n", "eager": "maybe"}', "$.eager"),
        ('{"name": "n", "eager": 2}', "$.eager"),
        ('{"name": "n", "kind": "middling"}', "$.kind"),
        ('{"name": "n", "colour": 0}', "$.colour"),
        ('{"name": "n", "stops": ["a", 5]}', "$.stops"),
        ('{"name": "n", "points": [{"line": 1}]}', "$.points[0].column"),
        ('{"name": "n", "about": ' + "[" * 100 + "]" * 100 + "}", "$.about"),
        ('{"name": "n", "more": {"a": ' + '{"b":' * 100 + "1" + "}" * 100 + "}}", "$.more[...]"),
    ],
)
def test_a_meaningless_value_is_named_by_its_place(written: str, place: str) -> None:
    with pytest.raises(CoercionError) as caught:
        convert(Wish, json.loads(written))
    assert caught.value.place == place


def test_moderate_depth_is_accepted() -> None:
    nested: Any = 1
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    assert STRUCTS.coerce(Any, nested) == nested


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff", b'"\xff"', b"[NaN]", b"[Infinity]", b"[" * 100_000, b'{"a":' * 50_000,
     b"9" * 100_000, b"\0", b"\xef\xbb\xbf{", b"{'a': 1}"],
)  # fmt: skip
def test_values_outside_json_are_refused(text: bytes) -> None:
    with pytest.raises(NotJson):
        loads(text)


DEPTHS = {
    "flat": ("[" + "[1]," * 500 + "[]]", False),
    "as deep as may be": ("[" * MAX_DEPTH + "]" * MAX_DEPTH, False),
    "one deeper": ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), True),
    "in a string": ('"' + "[" * 5_000 + '"', False),
    "behind a quote": ('"\\"' + "[" * 5_000 + '"', False),
    "behind a backslash": ('["\\\\",' + "[" * 5_000, True),
    "objects": ('{"a":' * 5_000, True),
}


@pytest.mark.parametrize("case", DEPTHS)
def test_depth_is_that_of_brackets_outside_strings(case: str) -> None:
    text, deep = DEPTHS[case]
    assert is_deep(text.encode()) is deep


def test_what_is_nested_too_deep_is_not_read() -> None:
    with pytest.raises(NotJson):
        shallow("[" * 65 + "]" * 65)
    assert shallow('{"a": ["[[", 1]}') == {"a": ["[[", 1]}
