"""Answers on a terminal: what is coloured, and that no character is lost or comes late."""

from __future__ import annotations

import re

import pytest

from nearfield.cli import coloured
from nearfield.cli.coloured import ColouredAnswer
from nearfield.cli.console import Console

ESCAPE = re.compile("\x1b\\[[0-9;]*m")
CODE = 'def f():\n    """Say\n\n    hi."""\n    return 1  # one'


def written(text: str, size: int, capsys: pytest.CaptureFixture[str]) -> str:
    """What is on the terminal after `text` came in pieces of `size` characters."""
    answer = ColouredAnswer()
    for start in range(0, len(text), size):
        answer.piece(text[start : start + size])
    answer.end()
    return capsys.readouterr().out


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    def console() -> Console:
        return Console(soft_wrap=True, force_terminal=True, color_system="standard", width=20)

    monkeypatch.setattr(coloured, "_console", console)


TEXTS = {
    "words": "Just words, with `code` and ``` in a line.",
    "a block": f"Look:\n\n```python\n{CODE}\n```\nThat is all.",
    "blocks": f"```python\n{CODE}\n```\n\n~~~js\nlet a = '```'\n~~~\n",
    "no end": f"```python\n{CODE}",
    "a fence in a fence": "````md\n```py\nx = 1\n```\n````\nend",
    "no such language": "```nosuchlanguage\n  a  b\n\n```",
    "in a list": "1. Do\n   ```sh\n   ls -l  \n   ```\n2. Done",
    "a long line": "```python\n" + "x = " + "1 + " * 60 + "1\n```",
    "spaces": "  \n \n  indented",
}


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("name", TEXTS)
def test_every_character_is_written_once(
    name: str, size: int, colours: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ESCAPE.sub("", written(TEXTS[name], size, capsys))
    assert found.rstrip("\n") == TEXTS[name].rstrip("\n")


def test_code_is_coloured_and_words_are_not(
    colours: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = written(TEXTS["a block"], 4, capsys).split("\n")
    assert found[0] == "Look:" and found[-2] == "That is all."
    assert ESCAPE.search(found[3])
    # A line of a docstring has its colour by the lines above it.
    [colour, *_] = [line for line in found if "hi." in line]
    assert "\x1b[33" in colour


def test_words_are_shown_at_once(colours: None, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ColouredAnswer()
    answer.piece("It is")
    assert capsys.readouterr().out == "It is"


def test_control_characters_do_not_reach_the_terminal(
    colours: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = written("```python\nx = '\x1b]0;evil\x07'\n```", 1000, capsys)
    assert "\x1b]" not in found and "\x07" not in found


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_carriage_return_hides_no_line(
    size: int, colours: None, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "```python\r\na = 1\rb = 2\r\nc = 3\r\n\r\n```\r\nend"
    found = ESCAPE.sub("", written(text, size, capsys)).replace("\r\n", "\n")
    assert found == "```python\na = 1\u240db = 2\nc = 3\n\n```\nend\n"


def test_a_pipe_gets_the_text_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(TEXTS["a block"], 5, capsys) == TEXTS["a block"] + "\n"
