"""Upper bounds on what grammars write, to keep texts away that would crash the process.

A grammar with its own scanner keeps a stack (of indentations, of open strings) that it serializes
after each token into 1,024 bytes. Most scanners check the limit. Those of YAML, Python and Ruby
write up to two bytes past it, into a pointer of the parser: a segmentation fault.

The bounds are computed from the text alone, so a text that passes is safe however it is parsed.
`tests/bench/grammar_fuzz.py` compares them with what the scanners write.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import tree_sitter

from nearfield.syntax.checked import checked
from nearfield.syntax.languages import Language, grammar

MAX_STATE_BYTES = 1_000
"""The largest state a text may lead to: 24 bytes less than the parser's buffer."""

_PYTHON_WIDTHS = 370
"""Number of indentations that fit: two bytes each, besides at most 257 for open strings."""
_PYTHON_WIDER = ("\t", "\\\n", "\\\r")
"""Text that makes an indentation wider than its characters, or continues it on the next line."""
_RUBY_WORD_CHARS = 255
"""The length of a heredoc's word is read back from one byte; after a longer word the scanner reads
from the wrong position."""

_YAML_SHORT_ROW = 60
"""Length of a line that is not examined: it has at most half as many indicators."""

_INDENTATION = re.compile(r"^[ \t]*", re.MULTILINE)
_INDICATOR = re.compile(r"[-?:](?= |\Z)")
_HEREDOC = re.compile(r"<<[-~]?(\w+|'[^']*|\"[^\"]*|`[^`]*)")
_RUBY_QUOTES = ('"', "'", "`", "/", "%")
"""Every string, symbol and pattern begins with one of these."""


def safe_grammar(language: Language, text: str) -> tree_sitter.Language | None:
    """Return the grammar to parse `text` with, None if it must not be parsed."""
    if max_state_bytes(language, text) <= MAX_STATE_BYTES:
        return grammar(language)
    # Such YAML and Python is nested more than a hundred levels deep, so it is generated. Ruby need
    # not be: the text does not tell how many strings are open at once.
    guarded = checked(language) if language.name == "ruby" else None
    return guarded.grammar if guarded is not None else None


def max_state_bytes(language: Language, text: str) -> int:
    """Return an upper bound on the bytes that the scanner of `language` writes at any token of
    `text`; 0 for scanners that check the limit."""
    bound = _BOUNDS.get(language.name)
    return bound(text) if bound is not None else 0


def _yaml(text: str) -> int:
    """Return ten bytes plus four for each open block.

    The columns of open blocks increase. A line opens at most two at its indentation, and one at
    each `-`, `?` or `:` after that; those right of the next line's indentation end with it.
    """
    text = _replaced(text, ("\r", "\n"), ("\t", " "), ("\0", " "))
    rows = text.split("\n")
    widths = {len(found) for found in set(_INDENTATION.findall(text))}
    deepest = max(widths)
    # At least as many `-`, `?` and `:` as may open a block in one line.
    long_rows = (row for row in rows if len(row) > _YAML_SHORT_ROW)
    counts = [row.count("- ") + row.count("? ") + row.count(": ") + 1 for row in long_rows]
    most = max([_YAML_SHORT_ROW // 2, *counts])
    blocks = 2 * len(widths) + deepest + most + 1
    if 10 + 4 * blocks > MAX_STATE_BYTES:
        columns = {
            found.start()
            for row in {row[:deepest] for row in rows}
            for found in _INDICATOR.finditer(row)
        }
        blocks = 2 * len(widths) + len(columns) + most + 1
    return 10 + 4 * blocks


def _replaced(text: str, *plain: tuple[str, str]) -> str:
    """Return `text` with the first of each pair replaced by the second."""
    for sign, instead in plain:
        if sign in text:
            text = text.replace(sign, instead)
    return text


def _python(text: str) -> int:
    """Return two bytes, plus one for each open string up to 255, plus two for each open block.
    Their indentations increase, so at most as many are open as there are different ones.
    """
    if not any(sign in text for sign in _PYTHON_WIDER) and " " * _PYTHON_WIDTHS not in text:
        return 257 + 2 * _PYTHON_WIDTHS
    # A continued line adds its white space to that of the next one.
    text = _replaced(text, ("\\\r\n", ""), ("\\\n", ""), ("\\\r", ""), ("\r", "\n"), ("\f", "\n"))
    widths = {len(found) + 7 * found.count("\t") for found in set(_INDENTATION.findall(text))}
    return 257 + 2 * len(widths)


def _ruby(text: str) -> int:
    """Return two bytes, plus five for each open string, plus four and the word for each heredoc.

    Only a parser knows where they end: in a text with errors a quote that ends a string may open
    one. So all of them count.
    """
    words = [len(word.lstrip("'\"`")) for word in _HEREDOC.findall(text)]
    if not words:
        return 0  # for strings alone the scanner checks the limit
    if max(words) > _RUBY_WORD_CHARS:
        return MAX_STATE_BYTES + max(words)
    return 2 + 5 * sum(map(text.count, _RUBY_QUOTES)) + sum(words) + 4 * len(words)


_BOUNDS: dict[str, Callable[[str], int]] = {"yaml": _yaml, "python": _python, "ruby": _ruby}
