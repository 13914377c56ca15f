"""A suggestion as an editor shows it: the lines at the cursor, with the suggestion dim in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.types import Span

if TYPE_CHECKING:
    from rich.text import Text

GHOST = "italic bright_black"
CURSOR = "▏"


def ghost_text(
    text: str,
    offset: int,
    suggestion: str,
    replace: Span,
    *,
    language: str = "",
    above: int = 3,
    below: int = 2,
) -> Text:
    """Return the numbered lines around `offset`, with `suggestion` put over `replace` as ghost
    text. The part of it that the document already has is shown plainly, as editors do. `language`
    colours the document.
    """
    from rich.text import Text

    typed, tail = text[replace.start : offset], text[offset : replace.end]
    if not suggestion.startswith(typed):
        typed = ""
    if not suggestion[len(typed) :].endswith(tail):
        tail = ""
    ghost = suggestion[len(typed) : len(suggestion) - len(tail)]
    before = text[: replace.start + len(typed)].split("\n")
    after = text[replace.end - len(tail) :].split("\n")
    first = max(0, len(before) - 1 - above)
    start = sum(len(line) + 1 for line in before[:first])
    end = replace.end - len(tail) + len("\n".join(after[: below + 1]))
    document = _coloured(text, language)
    shown = Text.assemble(
        document[start : replace.start + len(typed)],
        (CURSOR, "bold"),
        (ghost, GHOST),
        document[replace.end - len(tail) : end],
    )
    shown.expand_tabs(4)
    numbers = _numbers(first, len(before), ghost.count("\n"), len(after[: below + 1]))
    return _numbered(shown, numbers)


def _coloured(text: str, language: str) -> Text:
    from rich.syntax import Syntax
    from rich.text import Text

    if not language:
        return Text(text)
    coloured = Syntax("", language, theme="ansi_dark").highlight(text)
    # A lexer that does not give every character back would shift what we cut out.
    return coloured if coloured.plain.startswith(text) else Text(text)


def _numbers(first: int, cursor_line: int, inserted: int, after: int) -> list[str]:
    """Line numbers as the document has them; ghost lines, which it does not have, get none."""
    above = [str(number) for number in range(first + 1, cursor_line + 1)]
    below = [str(number) for number in range(cursor_line + 1, cursor_line + after)]
    return above + [""] * inserted + below


def _numbered(shown: Text, numbers: list[str]) -> Text:
    from rich.text import Text

    width = max(map(len, numbers), default=1)
    lines = shown.split("\n", allow_blank=True)
    rows = [
        Text.assemble((f"{number:>{width}} │ ", "dim"), line)
        for line, number in zip(lines, numbers, strict=True)
    ]
    return Text("\n").join(rows)
