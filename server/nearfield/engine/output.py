"""From generated tokens to text that may be shown.

Takes tokens' bytes one by one and gives text back once it is certain: no half character, no byte
that is still owed to healing, nothing of a stop string or past the end of a single line.
"""

from __future__ import annotations

import codecs


class TextOutput:
    """The text side of one job.

    `owed` are the bytes of the healed token, which the model writes again and which are not shown.
    """

    def __init__(
        self,
        *,
        stop: tuple[str, ...] = (),
        single_line: bool = False,
        line_started: bool = False,
        owed: bytes = b"",
    ) -> None:
        self.owed = owed
        self.finished = False
        self._stop = tuple(s for s in stop if s)
        self._single_line = single_line
        self._visible = line_started
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, piece: bytes) -> str:
        """Return the text that `piece` made certain; set `finished` at a stop."""
        if self.owed:
            paid = min(len(self.owed), len(piece))
            self.owed = self.owed[paid:]
            piece = piece[paid:]
        return self._certain(self._decoder.decode(piece))

    def end(self) -> str:
        """Return what was held back, for a generation that ends without a stop."""
        text = self._held + self._decoder.decode(b"", final=True)
        self._held = ""
        return "" if self.finished else text.rstrip("\ufffd")

    def _certain(self, text: str) -> str:
        text = self._held + text
        self._held = ""
        cut = len(text)
        for stop in self._stop:
            at = text.find(stop)
            if 0 <= at < cut:
                cut, self.finished = at, True
        if self._single_line:
            line = self._line_end(text)
            if line is not None and line < cut:
                cut, self.finished = line, True
        if self.finished:
            return text[:cut]
        keep = self._stop_begun(text)
        self._held = text[len(text) - keep :] if keep else ""
        text = text[: len(text) - keep]
        self._visible = self._visible or bool(text.strip())
        return text

    def _line_end(self, text: str) -> int | None:
        """Return the index of the first line break after something visible, None without."""
        visible = self._visible
        for i, char in enumerate(text):
            if char in "\r\n":
                if visible:
                    return i
            elif not char.isspace():
                visible = True
        return None

    def _stop_begun(self, text: str) -> int:
        """Return how many characters at the end of `text` may begin a stop string."""
        longest = 0
        for stop in self._stop:
            for n in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:n]):
                    longest = n
                    break
        return longest
