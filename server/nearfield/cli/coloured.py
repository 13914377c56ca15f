"""An answer on the terminal as it is written, with the code in its fences coloured.

Words appear at once. A line of code appears when it is whole, since its colours depend on all of
it. Without colours (a pipe, `NO_COLOR`) every piece is written as it comes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nearfield.cli.output import emit
from nearfield.terminal import answers_on_terminal, printable

if TYPE_CHECKING:
    from nearfield.cli.console import Console

THEME = "ansi_dark"
"""Its colours are the terminal's own sixteen, so they suit light terminals too."""
MAX_LINES = 200
"""Lines of a block that the colours of its next line depend on: each line colours them again."""

_FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*([\w+#.-]*)")
_PERHAPS_FENCE = re.compile(r"\s*(`{0,2}|~{0,2}|`{3,}.*|~{3,}.*)$")


class ColouredAnswer:
    """See the module."""

    def __init__(self) -> None:
        self._console = _console()
        self._begin()

    def _begin(self) -> None:
        self._held, self._has_begun = "", False
        self._fence = ""
        self._language = ""
        self._code: list[str] = []

    def restart(self) -> None:
        """Forget what came before: another answer begins."""
        self._begin()

    def piece(self, text: str) -> None:
        """Write a piece of the answer."""
        if self._console is None:
            emit(text, end="")
            return
        for part in re.findall(r"[^\n]*\n|[^\n]+", text):
            if self._has_begun:
                emit(part, end="")
                self._has_begun = not part.endswith("\n")
                continue
            self._held += part
            if part.endswith("\n"):
                self._line(self._held.removesuffix("\n"))
                self._held = ""
            elif not self._fence and not _PERHAPS_FENCE.match(self._held):
                emit(self._held, end="")
                self._held, self._has_begun = "", True

    def end(self) -> None:
        """Write what was held back, and end the line."""
        if self._held:
            self._line(self._held)
            self._begin()
        else:
            emit("")

    def _line(self, line: str) -> None:
        fence = _FENCE.match(line)
        if self._fence:
            if fence and fence[1].startswith(self._fence) and not fence[2]:
                self._fence = ""
                emit(line)
            else:
                self._coloured(line)
        else:
            if fence:
                self._fence, self._language, self._code = fence[1], fence[2], []
            emit(line)

    def _coloured(self, line: str) -> None:
        from rich.syntax import Syntax

        # A carriage return would be a line of its own to the one that colours.
        self._code = [*self._code[-MAX_LINES:], printable(line.removesuffix("\r"))]
        syntax = Syntax("", self._language or "text", theme=THEME, background_color="default")
        lines = syntax.highlight("\n".join(self._code)).split("\n", allow_blank=True)
        if self._console is not None:
            self._console.print(lines[len(self._code) - 1])


def _console() -> Console | None:
    """Return the terminal, None where it takes no colours."""
    if not answers_on_terminal():
        return None
    from nearfield.cli.console import Console

    console = Console(soft_wrap=True)
    return console if console.color_system and not console.no_color else None
