"""Control tokens of a vocabulary that does not name them, and documents that look like them."""

from __future__ import annotations

import re

import pytest

from nearfield.engine.control_pieces import ControlPieces
from nearfield.engine.frames import Variant

WORDS = ["<|end|>", "<a<b>", "<b>", "[INST]", "▁<PRE>", "<PRE>", "def", "<"]
CONTROL = {"<|end|>": 0, "<a<b>": 1, "<b>": 2, "[INST]": 3, "▁<PRE>": 4, "<PRE>": 5}


def encode(text: str) -> list[int]:
    """Encode as those tokenizers do, which read control tokens in any text; letters are codes."""
    found = re.finditer(
        "|".join(map(re.escape, sorted(CONTROL, key=len, reverse=True))) + "|.", text
    )
    return [CONTROL.get(one.group(), 100 + ord(one.group()[0])) for one in found]


PIECES = ControlPieces(((word, at) for at, word in enumerate(WORDS)), encode)


def test_the_control_tokens_are_found_by_their_form() -> None:
    assert PIECES.tokens == CONTROL
    assert PIECES.tokenize(Variant([("<|end|>", True), ("a", False)])) == [0, 100 + ord("a")]


@pytest.mark.parametrize("text", [*CONTROL, "x<|end|>y[INST]", "<<a<b>>", "▁▁<PRE>"])
def test_text_holds_no_control_token(text: str) -> None:
    assert PIECES.tokenize(Variant([(text, False)])) == [100 + ord(letter) for letter in text]
