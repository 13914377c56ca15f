"""Control tokens of a vocabulary whose library does not name them, and text that must not hold any.

Such a tokenizer reads control tokens in all of its text. What a document holds of them is cut after
its first character and encoded in two parts, so that it stays the text that it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from nearfield.engine.frames import Variant

CONTROL_LIKE = re.compile(r"▁?<[^<>\s].*>|\[/?[A-Z_]{2,}\]")
"""The text of a token that is one for control: in angle brackets, or capitals in square ones."""

FIM_FORMS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<repo_name>", "<file_sep>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "", ""),  # noqa: RUF001
    ("▁<PRE>", "▁<SUF>", "▁<MID>", "", ""),
)
"""Prefix, suffix, middle, repository and file tokens of Qwen, StarCoder 2, DeepSeek Coder and
CodeLlama. The other side tells families apart, see `from_vocabulary`."""


class ControlPieces:
    """The control tokens of a `vocabulary`: texts and their tokens. `encode` gives the tokens of a
    text."""

    def __init__(self, vocabulary: Iterable[tuple[str, int]], encode: Callable[[str], list[int]]):
        found = {text: token for text, token in vocabulary if CONTROL_LIKE.fullmatch(text)}
        self._encode = encode
        self.tokens = found
        longest = sorted(map(re.escape, found), key=len, reverse=True)
        self._forged = re.compile("|".join(longest)) if longest else None

    def tokenize(self, variant: Variant) -> list[int]:
        """Return the tokens of a prompt without the one that begins a text."""
        return [
            token
            for text, is_special in variant.pieces
            for part in ([text] if is_special else self._harmless(text))
            for token in self._encode(part)
        ]

    @property
    def fim(self) -> list[str]:
        """The control tokens of the first family that has all of its own here; see
        `frames.ModelLoaded`."""
        for form in FIM_FORMS:
            if all(one in self.tokens for one in form[:3]):
                return [one if one in self.tokens else "" for one in form]
        return [""] * 5

    def _harmless(self, text: str) -> list[str]:
        parts: list[str] = []
        at = 0
        # From the cut on, as a token may begin inside another one.
        while self._forged is not None and (mark := self._forged.search(text, at)):
            parts.append(text[at : mark.start() + 1])
            at = mark.start() + 1
        parts.append(text[at:])
        return [part for part in parts if part]
