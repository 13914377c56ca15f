"""What passes to a terminal: every character of Unicode, streams in pieces, encodings, and rich."""

from __future__ import annotations

import io
import json
import os
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from nearfield import terminal
from nearfield.cli.console import Console, spinner
from nearfield.cli.table import print_table
from nearfield.errors import NearfieldError
from nearfield.terminal import Output, escaped, one_line, printable

JOINERS = "\u200c\u200d"
SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Visible characters of the category Cf: they stand over numbers of Arabic, Syriac and Kaithi."""

SHOWN = {
    "\x1b]0;title\x07": "␛]0;title␇",
    "\x9b31m\x9d": "�31m�",
    "a\rb": "a␍b",
    "a\r\nb": "a\r\nb",
    "a\tb\n": "a\tb\n",
    "\x7f\x08\x0c\x0b\x00": "␡␈␌␋␀",
    "user = \u202e0\u2066x\u2069": "user = �0�x�",
    "in\u200bvis\ufeffible\xad": "in�vis�ible�",
    "tags\U000e0041\U000e007f": "tags��",
    "name\udcff\ud800": "name��",
    "line\u2028end\x85": "line�end�",
    "naïve e\u0301 žš 漢字 👩\u200d💻 🇩🇪 ✔\ufe0f": "naïve e\u0301 žš 漢字 👩\u200d💻 🇩🇪 ✔\ufe0f",
    "שלום مرحبا می\u200cخواهم": "שלום مرحبا می\u200cخواهم",  # noqa: RUF001
}


@pytest.mark.parametrize("text", SHOWN, ids=ascii)
def test_control_characters_are_shown_as_symbols(text: str) -> None:
    assert printable(text) == SHOWN[text]


def test_every_character_of_unicode() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) == "Cn":
            continue  # not assigned yet; some of them are reserved for invisible ones
        obeyed = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        kept = not obeyed or character in "\t\n" + JOINERS + SIGNS
        assert (printable(character) == character) is kept, hex(code)


@given(st.text(alphabet=st.characters()))
def test_a_line_keeps_its_length(text: str) -> None:
    line = one_line(text)
    assert len(line) == len(text)
    assert printable(line) == line
    assert len(line.splitlines()) <= 1
    assert "\t" not in line


@given(st.dictionaries(st.text(), st.text()), st.sampled_from(["utf-8", "ascii", "cp1252"]))
def test_json_passes_unchanged_in_any_encoding(value: dict[str, str], encoding: str) -> None:
    document = escaped(json.dumps(value, ensure_ascii=False), encoding)
    assert printable(document) == document
    assert json.loads(document.encode(encoding).decode(encoding)) == value


def written(*pieces: str, encoding: str = "utf-8") -> bytes:
    raw = io.BytesIO()
    output = Output(io.TextIOWrapper(raw, encoding), beside=False)
    for piece in pieces:
        output.write(piece)
    output.flush()
    return raw.getvalue()


@given(st.lists(st.text(alphabet="ab\r\n\x1b[\x9b\t", max_size=4), max_size=8))
def test_nothing_hides_in_the_pieces_of_a_stream(pieces: list[str]) -> None:
    # A carriage return at the very end may still be followed by a line feed.
    whole = printable("".join([*pieces, "."])).removesuffix(".")
    assert written(*pieces).decode() == whole.removesuffix("␍")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "shift_jis"])
def test_characters_outside_the_encoding_are_replaced(encoding: str) -> None:
    assert written("✓ Größe 漢字 👩 \x1b\udcff\n", encoding=encoding).startswith(b"? Gr")


def test_notes_vanish_and_an_answer_is_an_error_where_they_cannot_be_written() -> None:
    for beside in (True, False):
        read, write = os.pipe()
        os.close(read)
        stream = Output(os.fdopen(write, "w"), beside=beside)
        if beside:
            stream.write("note\n")
        else:
            stream.write("answer\n")
            with pytest.raises(BrokenPipeError):
                stream.flush()
        stream.write("more\n")  # nobody hears it, and nothing is raised
        stream.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said() -> None:
    stream = Output(Path("/dev/full").open("w"), beside=False)  # noqa: SIM115
    stream.write("answer\n")
    with pytest.raises(NearfieldError, match=r"could not be written: No space left"):
        stream.flush()
    stream.close()


def test_a_stream_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    terminal.guard()
    terminal.emit("nobody hears this")
    terminal.finish()
    assert not terminal.answers_on_terminal()
    sys.stdout.close()


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Standard output as a terminal that keeps what it is sent."""

    class Raw(io.BytesIO):
        def isatty(self) -> bool:
            return True

    raw = Raw()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, "utf-8"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal.guard()
    return raw


# rich leaves BEL out by itself.
HOSTILE = "\x1b]8;;http://evil.test\x1b\\\x1b[2J\x9b8m[link=http://evil.test]x[/link] :smile:"
PLAIN = "␛]8;;http://evil.test␛\\␛[2J�8m[link=http://evil.test]x[/link] :smile:"


def test_rich_styles_only_our_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = on_terminal(monkeypatch)
    console = Console(width=200)
    console.print(Text(HOSTILE, style="bold"))
    console.print(HOSTILE)
    print_table({"name": "name"}, [[HOSTILE]])
    shown = raw.getvalue().decode()
    assert f"\x1b[1m{PLAIN}\x1b[0m" in shown
    assert shown.count(PLAIN) == 3
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown


def test_a_spinner_shows_foreign_words_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = on_terminal(monkeypatch)
    with spinner(HOSTILE) as show:
        show(HOSTILE + "\n")
        terminal.say(HOSTILE)
    shown = raw.getvalue().decode()
    assert PLAIN in shown
    assert "\x1b]8;" not in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[8m" not in shown
