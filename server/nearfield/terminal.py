"""Guarded standard output and standard error: data cannot control a terminal.

Names, file contents, settings, models and servers are not trusted, and a terminal obeys control
characters. After `guard` every write to the two streams, by any library, passes printable
characters, tabs and line ends, and shows the rest: a control character as its symbol (␛ for ESC),
anything else invisible or invalid as �. This covers C0, C1 and DEL, bidirectional controls,
zero-width and tag characters, and bytes that are no text. Emoji, combining marks and letters of
every script pass. Our own colours use `Output.styled`.

A character that the stream cannot encode becomes "?". Writes after the reader has closed the stream
are dropped. Characters are replaced one by one, so nothing can hide in two pieces of a stream.

`status` shows what is going on in the terminal's last line; the next write takes its place.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TextIO

from nearfield.errors import NearfieldError

# Every character of Unicode's categories Cc, Cf, Cs, Zl and Zp, except the tab, the line feed, the
# joiners (used by emoji and several scripts) and the visible signs of Arabic and Syriac.
_OBEYED = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_HIDDEN = re.compile(rf"[{_OBEYED}]|\r(?!\n)")
_IN_LINE = re.compile(rf"[{_OBEYED}\r\n\t]")


def printable(text: str) -> str:
    """Return `text` with a symbol for each unprintable character; line ends and tabs stay, and so
    does the length."""
    return _HIDDEN.sub(_symbol, text)


def one_line(text: str) -> str:
    """Return printable text on one line: spaces replace tabs and line ends."""
    return _IN_LINE.sub(lambda found: " " if found[0] in "\r\n\t" else _symbol(found), text)


def escaped(document: str, encoding: str) -> str:
    """Return a JSON document with `\\u` escapes for characters that are not printable or not in
    `encoding`, so that it passes unchanged."""
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
    """A stream that passes only printable text."""

    def __init__(self, stream: TextIO, *, beside: bool) -> None:
        """Write to the file of `stream`. `beside`: it carries notes beside the answer, which are
        shown at once, and dropped if they cannot be written."""
        stream.flush()
        super().__init__(
            stream.buffer, stream.encoding, "replace", line_buffering=beside or stream.isatty()
        )
        # A garbage-collected `stream` would close the file that both write to.
        self._under = stream
        self._beside = beside
        self._held = ""

    def write(self, text: str) -> int:
        """Write `text` made printable; a terminal gets a line feed for CR LF."""
        whole = self._held + text
        # The line feed that makes a carriage return harmless may follow in the next piece.
        self._held = "\r" if whole.endswith("\r") else ""
        shown = printable(whole.removesuffix("\r"))
        self.styled(shown.replace("\r\n", "\n") if self.isatty() else shown)
        return len(text)

    def styled(self, text: str) -> None:
        """Write `text` as it is: our own styles around printable text."""
        if text and self.isatty():
            status("")
            _line.is_begun = not text.endswith("\n")
        self._put(text)

    def overwrite(self, text: str, width: int) -> None:
        """Write `text` over a line of `width` characters, and stay on it."""
        self._put(f"\r{text.ljust(width)}\r{text}")
        self.flush()

    def _put(self, text: str) -> None:
        try:
            super().write(text)
        except OSError as error:
            self._fails(error)

    def flush(self) -> None:
        """Write buffered text. Raises `BrokenPipeError` if the reader has closed, and
        `NearfieldError` if it cannot be written.
        """
        try:
            super().flush()
        except OSError as error:
            self._fails(error)

    def _fails(self, error: OSError) -> None:
        """Discard everything that follows, so that the process ends quietly."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self._beside:
            return
        if isinstance(error, BrokenPipeError):
            raise error
        raise NearfieldError(f"The answer could not be written: {error.strerror}.") from error


class _StatusLine:
    """The terminal's last line: the status on it, and whether an answer has begun there."""

    status = ""
    is_begun = False


_line = _StatusLine()


def status(text: str) -> None:
    """Show `text` in the terminal's last line until something is written; "" removes it. Shows
    nothing without a terminal, and none in a line that an answer has begun."""
    if text == _line.status or not isinstance(sys.stderr, Output) or not sys.stderr.isatty():
        return
    if text and _line.is_begun:
        return
    text = one_line(text)[: shutil.get_terminal_size().columns - 1]
    before, _line.status = _line.status, text
    sys.stderr.overwrite(text, len(before))


def guard() -> None:
    """Pass only printable text to standard output and standard error from now on."""
    sys.stdout, sys.stderr = _guarded(sys.stdout, beside=False), _guarded(sys.stderr, beside=True)


def _guarded(stream: TextIO | None, *, beside: bool) -> TextIO:
    if isinstance(stream, Output):
        return stream
    if stream is None:  # the process was started without it
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    return Output(stream, beside=beside)


def say(text: str) -> None:
    """Write a line for the user on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def say_piece(text: str) -> None:
    """Write a piece of a text on standard error, at once."""
    print(printable(text), end="", file=sys.stderr, flush=True)


def emit(text: str = "", end: str = "\n") -> None:
    """Write a line of the answer on standard output; with another `end`, a piece of it that is
    shown at once."""
    print(text, end=end, flush=end != "\n")


def finish() -> None:
    """Write the buffered rest of the answer. Raises like `Output.flush`."""
    sys.stdout.flush()


def answers_on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def notes_on_terminal() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr.isatty()


def output_encoding() -> str:
    """The encoding of standard output."""
    return sys.stdout.encoding or "ascii"
