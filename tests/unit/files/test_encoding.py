"""How a file is written is remembered, and given back."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.files.encoding import TextFile, Unwritable, decode, fitted, text_file
from nearfield.files.read import UnreadableFile

LINE = "name = 'Zoë'\nsize = 1\n"
READ = {
    "utf-8": (LINE.encode(), "utf-8", True),
    "utf-8 with a mark": (b"\xef\xbb\xbf" + LINE.encode(), "utf-8", True),
    "utf-16-le": (b"\xff\xfe" + LINE.encode("utf-16-le"), "utf-16-le", True),
    "utf-16-be": (b"\xfe\xff" + LINE.encode("utf-16-be"), "utf-16-be", True),
    "utf-16-le without a mark": (LINE.encode("utf-16-le"), "utf-16-le", True),
    "utf-16-be without a mark": (LINE.encode("utf-16-be"), "utf-16-be", True),
    "cyrillic utf-16 without a mark": ("привет мир\n".encode("utf-16-le"), "utf-16-le", True),
    "utf-32-le": (b"\xff\xfe\0\0" + LINE.encode("utf-32-le"), "utf-32-le", True),
    "latin-1": (LINE.encode("latin-1"), "latin-1", True),
    "windows-1252": ("price = “5 €”\n".encode("cp1252"), "cp1252", False),
    "gbk": ("x = '中文字'\n".encode("gbk"), "latin-1", False),
    "koi8": ("привет мир это текст\n".encode("koi8-r"), "latin-1", False),
    "python's cookie": ("# coding: shift_jis\nx='テスト表'\n".encode("cp932"), "shift_jis", True),
    "a cookie on the second line": (b"#!/x\n# -*- coding: latin-1 -*-\n", "iso8859-1", True),
    "an xml declaration": (
        "<?xml version='1.0' encoding='ISO-8859-2'?><a>Łódź</a>".encode("iso8859-2"),
        "iso8859-2",
        True,
    ),
    "a cookie that is none": (b"# coding: unicode_escape\nx\n", "utf-8", True),
    "a cookie that is wrong": ("# coding: latin-1\nx = 'ж'\n".encode(), "utf-8", True),
    "a broken utf-8 with a mark": (b"\xef\xbb\xbfa \xe9 b \xe9 c \xe9 d\n", "latin-1", False),
    "nothing": (b"", "utf-8", True),
}


@pytest.mark.parametrize("name", READ)
def test_every_file_is_written_back_byte_by_byte(name: str) -> None:
    content, encoding, sure = READ[name]
    found = decode(content)
    assert found is not None
    assert (found.encoding, found.sure) == (encoding, sure)
    assert found.encode(found.text) == content


@pytest.mark.parametrize("name", [name for name in READ if READ[name][0].strip()])
def test_only_added_text_changes(name: str) -> None:
    content, encoding, _ = READ[name]
    found = decode(content)
    assert found is not None
    assert found.encode(found.text + "size = 2\n") == content + "size = 2\n".encode(encoding)


def test_a_mark_is_no_text_and_stays_once() -> None:
    found = decode(b"\xef\xbb\xbfa\n")
    assert found is not None
    assert found.text == "a\n"
    assert found.encode("\ufeffimport b\na\n") == b"\xef\xbb\xbfimport b\na\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\0\0\0\1\2\3 \n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xfe\x00\xd8a\x00",  # half of a surrogate pair
        "x='テスト表示'\n".encode("shift_jis"),  # nothing says so
        bytes(range(128, 256)),
    ],
)
def test_data_is_no_text(content: bytes) -> None:
    assert decode(content) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("latin-1", "costs 5 €\n"),
        ("latin-1", "名\n"),
        ("utf-8", "half \ud83d of a pair\n"),
        ("gbk", "é\n"),
        ("windows-1252", "é\n"),
        ("python's cookie", "é\n"),
    ],
)
def test_text_outside_the_encoding_is_refused(name: str, text: str) -> None:
    found = decode(READ[name][0])
    assert found is not None
    with pytest.raises(Unwritable, match=r"cannot be written"):
        found.encode(found.text + text)


FITTED = [
    # the file, what is written, what becomes of it
    ("a\r\nb\r\nc\r\n", "a\nB\nc\n", "a\r\nB\r\nc\r\n"),
    ("a\r\nb\r\nc", "a\nB\nc\n", "a\r\nB\r\nc"),
    ("a\rb\r", "a\nb\nc\n", "a\rb\rc\r"),
    ("a\r\nb\nc\rd\n", "a\nb\nx\nc\nd", "a\r\nb\nx\nc\rd\n"),
    ("a\nb\nc\n", "a\r\nB\r\nc\r\n", "a\nB\nc\n"),
    ("a\nb", "a\nb\nc\n", "a\nb\nc"),
    ("a\nb", "a\nb\n", "a\nb\n"),
    ("a\nb\n", "a\nb", "a\nb"),
    ("a", "b\n", "b"),
    ("a", "b\r\nc", "b\r\nc"),
    ("a\r\n", "\na\n", "\r\na\r\n"),
    ("a\r\nb", "b\na\n", "b\r\na"),
    ("a\x0cb\u2028c\r\n", "a\x0cb\u2028d\n", "a\x0cb\u2028d\r\n"),
    ("", "x\n", "x\n"),
    ("a\n", "", ""),
]


@pytest.mark.parametrize(("before", "after", "expected"), FITTED)
def test_line_ends_stay_as_they_are(before: str, after: str, expected: str) -> None:
    assert fitted(before, after) == expected
    assert fitted(before, expected) == expected


def test_a_large_rewrite_is_fitted_without_comparing_every_line() -> None:
    before = "".join(f"{number}\r\n" for number in range(20_000))
    after = "".join(f"{number} new\n" for number in range(20_000))
    assert fitted(before, after) == after.replace("\n", "\r\n")


def test_a_new_file_is_utf_8() -> None:
    assert TextFile("").encode("é\n") == "é\n".encode()


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(300), b"%PDF-1.4\n1 0 obj\n"])
def test_a_picture_or_a_pdf_file_is_refused_with_what_to_do(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"pictures, PDF files.*write its words"):
        text_file(tmp_path / "a", 10_000)
