"""Suggestions on the wire, and settings in their many spellings."""

from __future__ import annotations

from typing import Any

import pytest
from lsprotocol.types import Command, MarkupContent, Position, Range, TextEdit

from nearfield.lsp import completion, inline_completion, settings
from nearfield.lsp.documents import UTF16, TextDocument
from nearfield.types import Span, Suggestion


def document(text: str) -> TextDocument:
    return TextDocument("file:///w/a.py", "python", 1, text)


def on_line(start: int, end: int) -> Range:
    return Range(Position(0, start), Position(0, end))


@pytest.mark.parametrize(
    ("text", "cursor", "insert", "replace", "where", "filter_text"),
    [
        ("x = ", 4, "1", Span(4, 4), on_line(4, 4), None),
        ("x = (", 5, "a)", Span(5, 5), on_line(5, 5), None),
        ("obj.ap", 6, "append(x)", Span(4, 6), on_line(4, 6), None),
        # What replaces other text than it begins with would be hidden.
        ("obj.xy", 6, "append(x)", Span(4, 6), on_line(4, 6), "xy"),
        ("😀 = ", 4, "1", Span(4, 4), on_line(5, 5), None),
    ],
)
def test_inline_items(
    text: str, cursor: int, insert: str, replace: Span, where: Range, filter_text: str | None
) -> None:
    suggestion = Suggestion("id-1", insert, replace)
    item = inline_completion.item_of(suggestion, document(text), cursor, UTF16)
    assert (item.insert_text, item.range, item.filter_text) == (insert, where, filter_text)
    assert item.command == Command("Accept", "nearfield.accept", arguments=["id-1"])


@pytest.mark.parametrize(
    ("text", "insert", "label", "new_text", "where"),
    [
        ("ret", "urn a", "return a", "return a", on_line(0, 3)),
        ("x = ", "1", "1", "1", on_line(4, 4)),
        ("x = fo", "o(bar)", "foo(bar)", "foo(bar)", on_line(4, 6)),
        ("if x:", "\n    y()", "↵ y()", "\n    y()", on_line(5, 5)),
        ("if x:", "\n    y()\n    z()", "↵ y() …", "\n    y()\n    z()", on_line(5, 5)),
        ("x = ", "1\n", "1", "1\n", on_line(4, 4)),
        ("if x", ":\n    y()", "x: …", "x:\n    y()", on_line(3, 4)),
        ("", "a" * 100, "a" * 59 + "…", "a" * 100, on_line(0, 0)),
        ("é", "té", "été", "été", on_line(0, 1)),
    ],
)
def test_items_of_the_completion_list(
    text: str, insert: str, label: str, new_text: str, where: Range
) -> None:
    cursor = len(text)
    suggestion = Suggestion("id-1", insert, Span(cursor, cursor), model="qwen")
    item = completion.item_of(suggestion, document(text), cursor, UTF16, plain=False)
    assert (item.label, item.text_edit) == (label, TextEdit(where, new_text))
    assert item.detail == "Nearfield · qwen"
    assert item.filter_text is not None
    assert item.filter_text.startswith(text[where.start.character : cursor])
    assert item.command == Command("Accept", "nearfield.accept", arguments=["id-1"])


def test_documentation_survives_backquotes_in_the_code() -> None:
    suggestion = Suggestion("id", "'''```\n'''", Span(0, 0))
    item = completion.item_of(suggestion, document(""), 0, UTF16, plain=False)
    assert isinstance(item.documentation, MarkupContent)
    assert item.documentation.value == "````python\n'''```\n'''\n````"


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": None}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_later_settings_override_earlier_ones(base: Any, over: Any, expected: Any) -> None:
    assert settings.laid_over(base, over) == expected


def test_a_client_that_shows_no_markdown_gets_the_text() -> None:
    suggestion = Suggestion("id", "return a", Span(0, 0))
    item = completion.item_of(suggestion, document(""), 0, UTF16, plain=True)
    assert item.documentation == "return a"
