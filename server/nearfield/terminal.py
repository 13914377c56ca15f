"""The one way to standard output and standard error: what data holds cannot act on a terminal.

Names, contents, settings, models and servers are not trusted; a terminal obeys what is between the
letters of a text. So once `guard` has been called, every write to the two streams, by whatever
library, lets printable characters, tabs and ends of lines through and shows the rest: a control
character as its symbol (␛ for ESC), anything else invisible or invalid as �. That holds for C0, C1
and DEL, bidirectional controls, zero-width and tag characters and bytes that are no text; emoji,
combining marks and letters of every script pass. Colours of our own go through `Output.styled`.

A stream that cannot encode a character shows "?" in its place. What is written after the reader has
gone is dropped. Characters are replaced one by one, so nothing can hide in two pieces of a stream.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import TextIO

from nearfield.errors import NearfieldError

# Every character of Unicode's categories Cc, Cf, Cs, Zl and Zp, but for the tab, the line feed, the
# joiners (emoji and several scripts are written with them) and Arabic's and Syriac's visible signs.
_OBEYED = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_HIDDEN = re.compile(rf"[{_OBEYED}]|\r(?!\n)")
_IN_LINE = re.compile(rf"[{_OBEYED}\r\n\t]")


def printable(text: str) -> str:
    """`text` with a symbol in the place of whatever is not printable; ends of lines and tabs stay,
    and so does the length."""
    return _HIDDEN.sub(_symbol, text)


def one_line(text: str) -> str:
    """`printable` text that cannot begin another line either: spaces for tabs and ends of lines."""
    return _IN_LINE.sub(lambda found: " " if found[0] in "\r\n\t" else _symbol(found), text)


def escaped(document: str, encoding: str) -> str:
    """A JSON document with `\\u` escapes for what is not printable or not in `encoding`, so that it
    passes unchanged."""
    document = _HIDDEN.sub(lambda found: _escape(found[0]), document)
    try:
        document.encode(encoding)
    except UnicodeEncodeError:
        return "".join(c if c.isascii() else _escape(c) for c in document)
    return document


def _symbol(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


class Output(io.TextIOWrapper):
    """A stream that passes printable text alone."""

    def __init__(self, stream: TextIO, *, beside: bool) -> None:
        """Write to what `stream` writes to. `beside`: it carries what is said beside the answer,
        which is shown at once and dropped where it cannot be written."""
        stream.flush()
        super().__init__(
            stream.buffer, stream.encoding, "replace", line_buffering=beside or stream.isatty()
        )
        # When `stream` is collected, it closes the file that both write to.
        self._under = stream
        self._beside = beside
        self._held = ""

    def write(self, text: str) -> int:
        """Write `text` as `printable` has it; a terminal gets a plain line feed for CR LF."""
        whole = self._held + text
        # The line feed that makes a carriage return harmless may be in the next piece.
        self._held = "\r" if whole.endswith("\r") else ""
        shown = printable(whole.removesuffix("\r"))
        self.styled(shown.replace("\r\n", "\n") if self.isatty() else shown)
        return len(text)

    def styled(self, text: str) -> None:
        """Write `text` as it is: styles that are ours, around text that is printable already."""
        try:
            super().write(text)
        except OSError as error:
            self._fails(error)

    def flush(self) -> None:
        """Write what is held back. Raises `BrokenPipeError` when nobody reads any more, and
        `NearfieldError` when it cannot be written."""
        try:
            super().flush()
        except OSError as error:
            self._fails(error)

    def _fails(self, error: OSError) -> None:
        """Let all that follows vanish, so that the end of the process is quiet."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self._beside:
            return
        if isinstance(error, BrokenPipeError):
            raise error
        raise NearfieldError(f"The answer could not be written: {error.strerror}.") from error


def guard() -> None:
    """Let nothing but printable text out of this process from now on."""
    sys.stdout, sys.stderr = _guarded(sys.stdout, beside=False), _guarded(sys.stderr, beside=True)


def _guarded(stream: TextIO | None, *, beside: bool) -> TextIO:
    if isinstance(stream, Output):
        return stream
    if stream is None:  # the process was started without it
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    return Output(stream, beside=beside)


def say(text: str) -> None:
    """A line for the person, beside the answer."""
    print(printable(text), file=sys.stderr, flush=True)


def emit(text: str = "", end: str = "\n") -> None:
    """A line of the answer, on standard output; with another `end`, a piece of it that is shown at
    once."""
    print(text, end=end, flush=end != "\n")


def finish() -> None:
    """Write what of the answer is held back. Raises as `Output.flush` does."""
    sys.stdout.flush()


def answers_on_terminal() -> bool:
    """Return whether the answer is read by a person."""
    return sys.stdout.isatty()


def notes_on_terminal() -> bool:
    """Return whether a person reads what is said beside the answer."""
    return sys.stderr.isatty()


def output_encoding() -> str:
    """The encoding of standard output."""
    return sys.stdout.encoding or "ascii"
