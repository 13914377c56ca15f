"""Which texts a grammar can be fed without harm.

A grammar with a scanner of its own keeps a stack (of indentations, of open strings) that it writes
down after each token, into 1,024 bytes. Most scanners mind the end of them. Those of YAML, Python
and Ruby write up to two bytes further, into a pointer of the parser, and the process ends with a
segmentation fault.

Here it is told from the text alone, and from above, how much they may write: a text that passes
is safe whatever the parser makes of it. `tests/bench/grammar_fuzz.py` compares the bounds with what
the scanners really write.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import tree_sitter

from nearfield.syntax.checked import checked
from nearfield.syntax.languages import Language, grammar

__all__ = ["STATE_BYTES", "most_bytes", "safe_grammar"]

STATE_BYTES = 1_000
"""A text may make a scanner write so much, 24 bytes less than it is lent."""

_PYTHON_WIDTHS = 370
"""Two bytes an indentation, and at most 257 for open strings."""
_PYTHON_WIDER = ("\t", "\\\n", "\\\r")
"""By these an indentation is wider than its characters, or goes on in the next line."""
_RUBY_WORD_CHARS = 255
"""The length of a heredoc's word is read back from one byte; what follows a longer word is read
from the wrong place."""

_YAML_SHORT_ROW = 60
"""Characters of a line that need not be looked at: it has no more than half as many indicators."""

_INDENTATION = re.compile(r"^[ \t]*", re.MULTILINE)
_INDICATOR = re.compile(r"[-?:](?= |\Z)")
_HEREDOC = re.compile(r"<<[-~]?(\w+|'[^']*|\"[^\"]*|`[^`]*)")
_RUBY_QUOTES = ('"', "'", "`", "/", "%")
"""Whatever opens a string, a symbol or a pattern begins with one of these."""


def safe_grammar(language: Language, text: str) -> tree_sitter.Language | None:
    """The grammar of `language` to parse `text` with; None: with none at all."""
    if most_bytes(language, text) <= STATE_BYTES:
        return grammar(language)
    # YAML and Python that comes here is nested more than a hundred levels deep, and generated.
    # Ruby need not be: how many strings are open at once cannot be told from the text.
    return checked(language) if language.name == "ruby" else None


def most_bytes(language: Language, text: str) -> int:
    """A bound on the bytes that the scanner of `language` writes down at any token of `text`; 0 for
    the languages whose scanners mind theirs."""
    bound = _BOUNDS.get(language.name)
    return bound(text) if bound is not None else 0


def _yaml(text: str) -> int:
    """Ten bytes, and four for each open block.

    The columns of open blocks increase. A line opens at most two at its indentation, and one at
    each `-`, `?` or `:` behind that; those right of the next line's indentation end with it.
    """
    text = _with(text, ("\r", "\n"), ("\t", " "), ("\0", " "))
    rows = text.split("\n")
    widths = {len(found) for found in set(_INDENTATION.findall(text))}
    deepest = max(widths)
    most = max(map(_indicators, (row for row in rows if len(row) > _YAML_SHORT_ROW)), default=0)
    most = max(most, _YAML_SHORT_ROW // 2)
    blocks = 2 * len(widths) + deepest + most + 1
    if 10 + 4 * blocks > STATE_BYTES:
        columns = {
            found.start()
            for row in {row[:deepest] for row in rows}
            for found in _INDICATOR.finditer(row)
        }
        blocks = 2 * len(widths) + len(columns) + most + 1
    return 10 + 4 * blocks


def _indicators(row: str) -> int:
    """At least how many `-`, `?` and `:` of a line may open a block."""
    return row.count("- ") + row.count("? ") + row.count(": ") + 1


def _with(text: str, *plain: tuple[str, str]) -> str:
    """`text` with the second of each pair for the first, where there is any."""
    for sign, instead in plain:
        if sign in text:
            text = text.replace(sign, instead)
    return text


def _python(text: str) -> int:
    """Two bytes, one for each open string up to 255, and two for each open block, whose
    indentations increase: no more are open than there are different ones."""
    if not any(sign in text for sign in _PYTHON_WIDER) and " " * _PYTHON_WIDTHS not in text:
        return 257 + 2 * _PYTHON_WIDTHS
    # A line that goes on adds its white space to that of the next one.
    text = _with(text, ("\\\r\n", ""), ("\\\n", ""), ("\\\r", ""), ("\r", "\n"), ("\f", "\n"))
    widths = {len(found) + 7 * found.count("\t") for found in set(_INDENTATION.findall(text))}
    return 257 + 2 * len(widths)


def _ruby(text: str) -> int:
    """Two bytes, five for each open string, and four and the word for each open heredoc.

    Where they end cannot be told without parsing: in a text with errors a sign that ends a string
    may open one. So all of them count.
    """
    words = [len(word.lstrip("'\"`")) for word in _HEREDOC.findall(text)]
    if not words:
        return 0  # for strings alone the scanner minds the end
    if max(words) > _RUBY_WORD_CHARS:
        return STATE_BYTES + max(words)
    return 2 + 5 * sum(map(text.count, _RUBY_QUOTES)) + sum(words) + 4 * len(words)


_BOUNDS: dict[str, Callable[[str], int]] = {"yaml": _yaml, "python": _python, "ruby": _ruby}
