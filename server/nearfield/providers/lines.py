"""Split a stream of bytes into events: server-sent events, and JSON lines.

Lines end only at "\\n" (or "\\r\\n"): a U+2028 or a form feed inside a JSON string is
text. Bytes are decoded line by line, so a character that two chunks share is never broken.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is no event; a server that never ends a line must not fill the memory."""


class LineTooLongError(ValueError):
    """A line grew beyond `MAX_LINE_BYTES`."""


class Lines:
    """Splits bytes into lines, without their ends."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that `chunk` completes. Raises `LineTooLongError` and
        `UnicodeDecodeError`."""
        self._rest += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
            for line in lines:
                yield line.removesuffix(b"\r").decode("utf-8")
        if len(self._rest) > MAX_LINE_BYTES:
            raise LineTooLongError

    def end(self) -> Iterator[str]:
        """Yield what is left at the stream's end."""
        if self._rest:
            yield bytes(self._rest).removesuffix(b"\r").decode("utf-8")
            self._rest.clear()


class JsonLines:
    """JSON lines: each line that is not blank is an event's data."""

    content_types = ("application/x-ndjson", "application/json", "application/jsonl", "text/plain")

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the data of each event that `chunk` completes."""
        yield from (line for line in self._lines.feed(chunk) if line.strip())

    def end(self) -> Iterator[str]:
        """Yield what is left at the stream's end."""
        yield from (line for line in self._lines.end() if line.strip())


class ServerSentEvents:
    """The `data` of server-sent events (WHATWG HTML, section 9.2.6). Event names and ids are not
    used by any of our servers' protocols: their payloads say what they are."""

    content_types = ("text/event-stream",)

    def __init__(self) -> None:
        self._lines = Lines()
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the data of each event that `chunk` completes."""
        for line in self._lines.feed(chunk):
            yield from self._line(line)

    def end(self) -> Iterator[str]:
        """Yield what is left at the stream's end."""
        for line in (*self._lines.end(), ""):
            yield from self._line(line)

    def _line(self, line: str) -> Iterator[str]:
        line = line.removeprefix("\ufeff")
        if not line:
            if self._data:
                yield "\n".join(self._data)
                self._data = []
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
