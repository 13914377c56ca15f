"""Parse TOML that a repository may have written, at a bounded price.

`tomllib` takes memory and time that grow with the square of the parts of a dotted key, and recurses
for each level of nesting: 40 KB are enough for gigabytes. What makes it do so is refused before it
is parsed, by one pass over the text.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from nearfield.errors import NearfieldError
from nearfield.files.read import text_of

MAX_PARTS = 12
"""Parts of a dotted key or a table's name."""
DEEPEST = 12
"""Levels of lists and inline tables."""

# A quote that opens no string is an error, at which tomllib stops: what follows does not count.
_STRING_OR_COMMENT = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|\#[^\n]*+"
    r"|[\"'].*+",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{MAX_PARTS}}}")
_NO_BRACKET = re.compile(r"[^\[\]{}]++")


class UnusableToml(NearfieldError):
    """A text is not TOML, or costs too much to parse. The message ends a sentence about the file,
    and quotes nothing of it."""


def parse_toml(content: bytes) -> dict[str, Any]:
    """Return the tables of `content`, which may begin with a byte order mark.

    Raises `UnusableToml` where it is not valid, not UTF-8, or nested beyond `MAX_PARTS` and
    `DEEPEST`.
    """
    try:
        text = text_of(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnusableToml(f"line {line} is not UTF-8") from error
    _check_price(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnusableToml(_reason(error, text.count("\n") + 1)) from error
    except ValueError as error:  # int() refuses thousands of digits
        raise UnusableToml("it holds a number with too many digits") from error


def _check_price(text: str) -> None:
    """Raise `UnusableToml` for what tomllib would take too much time or memory for."""
    # A quoted part of a key is a part like any other.
    bare = _STRING_OR_COMMENT.sub(lambda found: "" if found[0][0] == "#" else "s", text)
    if _LONG_KEY.search(bare):
        raise UnusableToml(f"a key has more than {MAX_PARTS} parts")
    depth = 0
    for bracket in _NO_BRACKET.sub("", bare):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            raise UnusableToml("it is nested too deeply")


def _reason(error: tomllib.TOMLDecodeError, last: int) -> str:
    """The parser's message with its line in front and without the text that it may quote. `last` is
    the file's last line, which the parser calls the end."""
    what, _, place = str(error).partition(" (at ")
    what = re.sub(r"\s*(['\"(]).*", "", what, flags=re.DOTALL)
    line = re.search(r"line (\d+)", place)
    return (
        f"it is not valid TOML at line {line[1] if line else last} ({what[:1].lower()}{what[1:]})"
    )
