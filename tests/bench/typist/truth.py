"""A stand-in for a model: knows what the person is about to write, and is right in a share of the
lines. With it a session takes seconds, and what is lost is lost by time and rules, not by a model.

A line that it does not know it gets right up to a word, then goes astray: unsure of itself in most
of them, as models are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from script import Script

from nearfield.engine.llama import Model, Silence

SURE, UNSURE, MISTAKEN = -0.05, -1.6, -0.3
MISTAKEN_SHARE = 0.3
"""Of the lines that it does not know, those where it does not notice."""
LONGEST_CONTEXT, SHORTEST_CONTEXT = 240, 10
ASTRAY = b"unrelated_value"


class Truth:
    """A `Predictor` that has a `share` of the lines right."""

    def __init__(self, path: Path, share: float) -> None:
        self.model = Model(path, 0, lambda _: None, Silence())
        self._share = share
        self._whole, self._ends, self._seed = "", [0], 0
        self._marks = [self.model.tokenize(f"<|fim_{n}|>", True)[0] for n in ("suffix", "middle")]

    def about(self, script: Script) -> None:
        """Know `script` from here on."""
        self._whole, self._ends, self._seed = script.text, [], script.seed
        for block in reversed(script.blocks):
            head, tail = self._whole[: block.start], self._whole[block.start :]
            self._whole = head + block.text + tail
        grown = 0
        for block in script.blocks:
            grown += len(block.text)
            self._ends.append(block.start + grown)

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {piece: i for i, piece in reversed(list(enumerate(self.model.pieces))) if piece}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._ids))

    def pick(self, tokens: Sequence[int], allowed: Any, banned: Sequence[int]) -> tuple[int, float]:
        """See `Predictor`."""
        at = self._place(self._before(tokens))
        if at in self._ends:
            return self.model.eos, SURE
        line_at = self._whole.rfind("\n", 0, at) + 1 if at is not None else 0
        line = self._whole[line_at:].partition("\n")[0]
        dice = random.Random(f"{line_at}:{line}:{self._seed}")
        right, mistaken, turn = dice.random() < self._share, dice.random(), dice.random()
        astray_from = line_at + max(1, int(len(line) * turn))
        if at is None or (not right and at >= astray_from):
            rest = ASTRAY
            sure = MISTAKEN if mistaken < MISTAKEN_SHARE else UNSURE
        else:
            rest = self._whole[at : astray_from if not right else None][:200].encode()
            sure = SURE
        return self._token(rest, allowed), sure

    def _token(self, rest: bytes, allowed: Any) -> int:
        """Return the longest of the tokens that `rest` begins with."""
        among = None if allowed is None or not len(allowed) else {int(token) for token in allowed}
        for size in range(min(self._longest, len(rest)), 0, -1):
            token = self._ids.get(rest[:size])
            if token is not None and (among is None or token in among):
                return token
        return min(among) if among else self._ids[b"x"]

    def _before(self, tokens: Sequence[int]) -> str:
        """Return the text before the cursor that a prompt tells: its prefix, and what comes after
        the middle token."""
        held, (suffix, middle) = list(tokens), self._marks
        if suffix in held and middle in held:
            del held[held.index(suffix) : held.index(middle) + 1]
        return b"".join(self.model.pieces[token] for token in held).decode("utf-8", "replace")

    def _place(self, before: str) -> int | None:
        """Return the offset in the whole file at which `before` ends."""
        size = LONGEST_CONTEXT
        while size >= SHORTEST_CONTEXT:
            if (at := self._whole.find(before[-size:])) >= 0:
                return at + len(before[-size:])
            size = size * 2 // 3
        return None

    def close(self) -> None:
        """Free the model."""
        self.model.close()
