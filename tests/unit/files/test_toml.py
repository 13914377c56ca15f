"""TOML from a repository: what is taken, what is refused, and that nothing else is raised."""

from __future__ import annotations

import contextlib
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.files.toml import DEEPEST, MAX_PARTS, UnusableToml, parse_toml

TAKEN: dict[str, dict[str, Any]] = {
    "": {},
    "\ufeffa = 1": {"a": 1},
    'a = ["1.2.3.4.5.6.7.8.9.10.11.12.13.14"]': {"a": ["1.2.3.4.5.6.7.8.9.10.11.12.13.14"]},
    "# a.b.c.d.e.f.g.h.i.j.k.l.m.n [[[[[[[[[[[[[[[[[[\na = 1": {"a": 1},
    "a = '''[[[[[[[[[[[[[[[[ ' '' x'''": {"a": "[[[[[[[[[[[[[[[[ ' '' x"},
    'a = """"[[[[[[[[[[[[[["" \\""""': {"a": '"[[[[[[[[[[[[[["" "'},
    'a = """x"""""\nb = 1': {"a": 'x""', "b": 1},
    "a = " + "[" * DEEPEST + "]" * DEEPEST: {"a": eval("[" * DEEPEST + "]" * DEEPEST)},  # noqa: S307
    "a = [" + "[], " * 40 + "]": {"a": [[]] * 40},
    ".".join("a" * 3) + " = 1": {"a": {"a": {"a": 1}}},
}
REFUSED = {
    "a" + ".a" * MAX_PARTS + " = 1": "more than 12 parts",
    "x = 1\n  a" + " . a" * 20_000 + " = 1": "more than 12 parts",
    "[" + ".".join(["a"] * 8_000) + "]\nb = 1": "more than 12 parts",
    "[[" + ".".join(['"a b"'] * 500) + "]]": "more than 12 parts",
    "a" + """.'it"s'""" * 500 + " = 1": "more than 12 parts",
    "# it's\n" + 'a."b\\"".' * 500 + "c = 1": "more than 12 parts",
    "x = {" + "a." * 500 + "b = 1}": "more than 12 parts",
    'x = """\n"""\n' + "a." * 500 + "b = 1": "more than 12 parts",
    "a = " + "[" * 5_000: "nested too deeply",
    "a = " + "{a = " * 5_000: "nested too deeply",
    "a = " + "[{a = " * 500: "nested too deeply",
    "a = " + "1" * 5_000: "too many digits",
    "a = 1_" + "1_1" * 5_000: "too many digits",
    "a = '": "not valid TOML at line 1",
    "a = 1\nb = 2\nb = 3": "not valid TOML at line",
    'a = "\x00"': "not valid TOML at line 1",
}


@pytest.mark.parametrize("text", TAKEN)
def test_ordinary_toml_is_taken_as_it_is(text: str) -> None:
    assert parse_toml(text.encode()) == TAKEN[text]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_expensive_or_wrong_toml_is_refused(text: str) -> None:
    with pytest.raises(UnusableToml, match=REFUSED[text]):
        parse_toml(text.encode())


def test_the_line_that_is_no_utf_8_is_named() -> None:
    with pytest.raises(UnusableToml, match="line 3 is not UTF-8"):
        parse_toml(b"a = 1\n\nb = '\xff'")


PIECES = st.sampled_from(
    [*"a1.=[]{}#\"'\\,\n\t -+_:", '"""', "'''", "true", "a.", '"a".', "'b' . ", "[[", "0x", "1e"]
)


@given(st.lists(PIECES, max_size=60).map("".join))
def test_other_toml_is_read_as_tomllib_does(text: str) -> None:
    """And nothing but `UnusableToml` is ever raised."""
    try:
        expected: dict[str, Any] | None = tomllib.loads(text)
    except ValueError:
        expected = None
    try:
        found: dict[str, Any] | None = parse_toml(text.encode())
    except UnusableToml as error:
        refused = "parts" in error.message or "deeply" in error.message
        assert refused or expected is None
        assert not refused or expected is None or _extent(text) > min(MAX_PARTS, DEEPEST)
    else:
        assert repr(found) == repr(expected)  # NaN is not equal to itself


def _extent(text: str) -> int:
    return max(text.count("."), text.count("[") + text.count("{"))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    with contextlib.suppress(UnusableToml):
        parse_toml(content)
