"""Identifiers and their words."""

from __future__ import annotations

import pytest

from nearfield.index.words import asked, folded, indexed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("getUserName", "get user name getusername"),
        ("get_user_name", "get user name getusername"),
        ("HTTPServer2", "http server 2 httpserver2"),
        ("x = foo(bar)", "x foo bar"),
        ("\u7528\u6237", "\u7528 \u6237 \u7528\u6237"),
        ("Stra\xdfe", "stra \xdf e stra\xdfe"),
        ("a" * 100, ""),
        ("___", ""),
    ],
)
def test_a_text_is_indexed_by_words_and_their_parts(text: str, words: str) -> None:
    assert indexed(text) == words


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("how is the user name read", ["user", "name", "read"]),
        ("how to", ["how", "to"]),
        ("userName user", ["user", "name", "username"]),
        ("?!", []),
    ],
)
def test_a_question_becomes_words_without_filler(query: str, words: list[str]) -> None:
    assert asked(query) == words


def test_folded_compares_styles_of_writing() -> None:
    assert folded("getUserName") == folded("get_user_name") == folded("GET-USER-NAME")
