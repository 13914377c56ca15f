"""Text of files, and how it is written: encoding, byte order mark and line ends.

`decode` remembers how a file is written, so that `TextFile.encode` gives unchanged text back to the
byte, or refuses with `Unwritable`. `fitted` takes a whole new text, as models and people give it,
and keeps what it does not change: line ends, and whether the last line has one. It never guesses:
in a file whose encoding is not known for sure, only characters that it already holds may be written
beside ASCII.
"""

from __future__ import annotations

import codecs
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import NearfieldError
from nearfield.files.lines import split_lines
from nearfield.files.read import UnreadableFile, read_regular

NOT_TEXT = "is not text: pictures, PDF files and other data are not read"
TEXT_ALONE = (
    "Models are sent text alone: write its words into the question, or give it to a service that"
    " reads pictures itself."
)
HEAD_BYTES = 8_192
"""Number of a file's first bytes that decide whether it is text."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # The mark of UTF-32-LE begins with that of UTF-16-LE.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"\A(?:[ \t]*#[^\r\n]*(?:\r\n|\r|\n))?[ \t]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)"  # PEP 263
    rb"|\A\s*<\?xml[^>]*?\bencoding\s*=\s*[\"']([-\w.]+)[\"']"
    rb"|<meta[^>]*?\bcharset\s*=\s*[\"']?([-\w.]+)"
)
_DECLARABLE = re.compile(
    r"iso8859-\d+|cp\d{3,4}|koi8[-_][rut]|shift_jis\w*|euc_\w+|gb\w+|big5\w*|mac[-_]\w+|johab|tis_620"
)
"""Encodings that hold ASCII as it is. Python knows others under names that a file must not choose,
such as "unicode_escape"."""
_CONTROLS = re.compile(r"[\x80-\x9f]")
_TYPOGRAPHY = frozenset(b"\x80\x84\x85\x91\x92\x93\x94\x95\x96\x97\x99".decode("latin-1"))
"""Characters that Windows-1252 has in place of controls and people type: the euro,
quotes, dashes.
"""
_HIGH = re.compile(r"[\x80-\xff]+")
MAX_LINES = 4_000
"""Lines that differ and are compared one by one; finding equal ones takes quadratic time."""


class Unwritable(NearfieldError):
    """A text cannot be written in the encoding that its file has."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file without its byte order mark, and how the file is written.

    `encoding` is a codec's name, `mark` the byte order mark (b"" for none). `sure` says whether the
    encoding is known; else it is one that gives every byte back.
    """

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""
    sure: bool = True

    @property
    def is_unambiguous(self) -> bool:
        """Return whether every editor reads the file correctly: it is UTF-8, or begins
        with a mark.
        """
        return self.encoding == "utf-8" or bool(self.mark)

    def encode(self, text: str) -> bytes:
        """Return the bytes of the file with `text` in it. Raises `Unwritable`."""
        text = text if self.text.startswith("\ufeff") else text.removeprefix("\ufeff")
        if not self.sure:
            strange = sorted({one for one in text if one > "\x7f"} - set(self.text))
            if strange:
                raise Unwritable(
                    f"{strange[0]!r} cannot be written: the encoding of the file is not known.",
                    "Convert the file to UTF-8 first.",
                )
        try:
            return self.mark + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise Unwritable(
                f"{text[error.start]!r} cannot be written in the file's encoding, {self.encoding}.",
                "Convert the file to UTF-8 first.",
            ) from error


NEW = TextFile("")
"""A file that does not exist yet."""


def decode(content: bytes) -> TextFile | None:
    """Return the text of a file, None for data. Line ends stay as they are."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            found = _strictly(content[len(mark) :], encoding, mark)
            if found is None and encoding == "utf-8":
                break
            return found
    if content.startswith(b"%PDF-"):
        return None  # its head may be ASCII
    if b"\0" in content[:HEAD_BYTES]:
        return _unmarked_utf16(content)
    declared = _declared(content)
    if content.isascii():
        return TextFile(content.decode("ascii"), declared or "utf-8")
    found = _strictly(content, "utf-8") or (_strictly(content, declared) if declared else None)
    return found or _eight_bit(content)


def text_file(path: Path, max_bytes: int) -> TextFile:
    """Return the text of a file that the user has named: it may lie anywhere, and be a link.

    Raises `FileNotFoundError` if there is none, and `UnreadableFile`, also for data.
    """
    found = decode(read_regular(path, max_bytes))
    if found is None:
        raise UnreadableFile(f"{path.name} {NOT_TEXT}.", TEXT_ALONE)
    return found


def text_in(content: bytes) -> str | None:
    """Return the text of a file, None for data."""
    found = decode(content)
    return None if found is None else found.text


def fitted(before: str, after: str) -> str:
    """Return `after` with the line ends of `before`.

    Lines that are the same keep their line ends. Other lines get the ends of the lines that they
    replace, or else of the line above. The last line ends as it did, with or without a line end,
    unless nothing else differs.
    """
    old, new = split_lines(before, keepends=True), split_lines(after, keepends=True)
    if not old or not new:
        return after
    a, b = [line.rstrip("\r\n") for line in old], [line.rstrip("\r\n") for line in new]
    ends = [line[len(content) :] for line, content in zip(old, a, strict=True)]
    if not any(ends):
        return after if a == b else _ended(after, new[0][len(b[0]) :], ended=False)
    above = max(("\n", "\r\n", "\r"), key=ends.count)
    chosen: list[str] = []
    for source in _origins(a, b):
        above = (ends[source] if source is not None else "") or above
        chosen.append(above)
    last_ends = bool(new[-1][len(b[-1]) :]) if a == b else bool(ends[-1])
    text = "".join(content + end for content, end in zip(b, chosen, strict=True))
    return _ended(text, chosen[-1], ended=last_ends)


def _ended(text: str, end: str, *, ended: bool) -> str:
    """Return `text` with one line end after its last line, or none."""
    bare = text.removesuffix("\r\n") if text.endswith("\r\n") else text[:-1]
    bare = bare if text.endswith(("\r", "\n")) else text
    return bare + end if ended else bare


def _origins(old: list[str], new: list[str]) -> list[int | None]:
    """Return for each new line the old one that it equals or replaces; None for an added one."""
    most = min(len(old), len(new))
    first = next((i for i in range(most) if old[i] != new[i]), most)
    rest = most - first
    last = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    middle: list[int | None] = [None] * (len(new) - first - last)
    a, b = old[first : len(old) - last], new[first : len(new) - last]
    if len(a) + len(b) <= MAX_LINES:
        matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
        for tag, i, j, k, n in matcher.get_opcodes():
            if tag in ("equal", "replace"):
                pairs = min(j - i, n - k)
                middle[k : k + pairs] = range(first + i, first + i + pairs)
    return [*range(first), *middle, *range(len(old) - last, len(old))]


def _strictly(content: bytes, encoding: str, mark: bytes = b"") -> TextFile | None:
    """The text, if the encoding gives the same bytes back."""
    try:
        text = content.decode(encoding)
        return TextFile(text, encoding, mark) if text.encode(encoding) == content else None
    except UnicodeError:
        return None


def _declared(content: bytes) -> str:
    """The encoding that a file names at its beginning, "" for none that is of use."""
    found = _DECLARED.search(content[:1024].lower())
    if found is None:
        return ""
    try:
        name = codecs.lookup((found[1] or found[2] or found[3]).decode("ascii")).name
        plain = bytes(range(128))
        if _DECLARABLE.fullmatch(name) and plain.decode(name) == plain.decode("ascii"):
            return name
    except (LookupError, UnicodeError):
        pass
    return ""


def _eight_bit(content: bytes) -> TextFile | None:
    """The text in Latin-1, or Windows-1252 where that makes quotes and dashes of controls; None for
    data."""
    text = content.decode("latin-1")
    controls = set(_CONTROLS.findall(text))
    encoding = "cp1252" if controls and controls <= _TYPOGRAPHY else "latin-1"
    text = content.decode(encoding)
    if _odd(text) * 50 > min(len(text), HEAD_BYTES):
        return None
    # Bytes that are controls in Latin-1 are letters elsewhere. Where most others are side by side,
    # two make a character (GBK, EUC), or the alphabet is another one (KOI8, Windows-1251).
    runs = [len(run) for run in _HIGH.findall(text)]
    apart = sum(run for run in runs if run < 3) * 2 > sum(runs)
    return TextFile(text, encoding, sure=apart and not controls)


def _unmarked_utf16(content: bytes) -> TextFile | None:
    """The text of UTF-16 that has no mark, None for data."""
    for encoding in ("utf-16-le", "utf-16-be"):
        found = _strictly(content, encoding)
        # Read in the wrong order, a blank or a line end becomes what is no letter.
        if found and not _odd(found.text) and any(one in found.text for one in " \n"):
            return found
    return None


def _odd(text: str) -> int:
    """Return the number of characters at the beginning that no text has."""
    head = text[:HEAD_BYTES]
    return sum(not (one.isprintable() or one in "\t\r\n\f") for one in head)
