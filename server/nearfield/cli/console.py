"""Wrap rich for the commands: colours, tables and progress around untrusted text.

No text is markup here. Unprintable characters are shown as `nearfield.terminal` shows them, after
rich has put the lines together, so that only rich's own styles reach the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.segment import Segment

from nearfield.terminal import Output, notes_on_terminal, printable, status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TextIO


class Console(RichConsole):
    """Standard output, or standard error with `beside`."""

    def __init__(self, *, beside: bool = False, **options: Any) -> None:
        stream = sys.stderr if beside else sys.stdout
        file = cast("TextIO", _Styled(stream)) if isinstance(stream, Output) else stream
        plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
        super().__init__(file=file, **(plain | options))

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render `renderable` as rich does, with only printable characters."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


class _Styled:
    """The file that rich writes to."""

    def __init__(self, stream: Output) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.styled(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def spinner(text: str) -> Generator[Callable[[str], None]]:
    """Show on a terminal that something takes its time; call the result with other words."""
    status(text)
    try:
        yield status
    finally:
        status("")


def progress(*columns: ProgressColumn, quiet: bool = False) -> Progress:
    """Return a bar on standard error that disappears at its end; drawn on a terminal only."""
    disable = quiet or not notes_on_terminal()
    return Progress(*columns, console=Console(beside=True), transient=True, disable=disable)
