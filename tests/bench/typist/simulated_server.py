"""llama.cpp's server on a simulated clock: its form of the prompt, its one slot with the prefix and
the chunks that it reuses, and its rules for ending an answer; the tokens are a predictor's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from completer import Spent
from oracle import Predictor
from simulated_engine import Speed

from nearfield.engine.kv_cache import common_prefix

CONTEXT, REUSE = 8192, 256


class SimulatedServer:
    """See `Server`; `batch` are the tokens that it evaluates at once."""

    def __init__(self, predictor: Predictor, batch: int, speed: Speed) -> None:
        self._predictor, self._batch, self._speed = predictor, batch, speed
        self._slot = asyncio.Lock()
        self._held: list[int] = []
        self._spent = Spent()
        special = predictor.model.tokenize
        self._repo, self._file = special("<|repo_name|>", True), special("<|file_sep|>", True)
        names = ("prefix", "suffix", "middle")
        self._fim = [special(f"<|fim_{name}|>", True) for name in names]

    async def start(self) -> None:
        """See `Server`."""

    def begin(self) -> None:
        """See `Server`."""

    async def close(self) -> None:
        """See `Server`."""

    def spent(self) -> Spent:
        """See `Server`."""
        return self._spent

    async def ask(self, body: dict[str, Any]) -> str:
        """See `Server`."""
        async with self._slot:
            prompt = self._prompt(body)
            new = len(prompt) - min(self._reused(prompt), len(prompt) - 1)
            batches, rest = divmod(new, self._batch)
            seconds = batches * self._speed.evaluation(self._batch)
            seconds += self._speed.evaluation(rest) if rest else 0.0
            said, tokens = self._answer(prompt, body)
            self._held = [*prompt, *tokens]
            seconds += len(tokens) / self._speed.decode
            self._spent.evaluated += new
            self._spent.generated += len(tokens)
            self._spent.engine_s += seconds
            await asyncio.sleep(seconds)
            return said

    def _prompt(self, body: dict[str, Any]) -> list[int]:
        """Return the tokens: chunks of other places, then as much of the place as one batch has
        room for, three parts before the cursor and one after it."""
        tokenize = self._predictor.model.tokenize
        other = [*self._repo, *tokenize("myproject\n")]
        for chunk in body["input_extra"]:
            other += [*self._file, *tokenize(chunk["filename"] + "\n"), *tokenize(chunk["text"])]
        other += [*self._file, *tokenize("filename\n")]
        room = max(0, CONTEXT - self._batch - 2 * body["n_predict"])
        typed, quarter = tokenize(body["prompt"]), self._batch // 4
        before = tokenize(body["input_prefix"])[-3 * quarter :]
        after = tokenize(body["input_suffix"])[: max(0, quarter - 2 - len(typed))]
        first, second, last = self._fim
        return [*other[-room:], *first, *before, *typed, *second, *after, *last]

    def _reused(self, prompt: list[int]) -> int:
        """Return how many tokens need not be evaluated: a common prefix, and long chunks that were
        at another place."""
        held = self._held
        reused = at = there = common_prefix(held, prompt)
        while there < len(held) and at < len(prompt):
            same = common_prefix(held[there:], prompt[at:])
            if same >= REUSE:
                reused, at, there = reused + same, at + same, there + same
            else:
                there += 1
        return reused

    def _answer(self, prompt: Sequence[int], body: dict[str, Any]) -> tuple[str, list[int]]:
        """Return an answer and its tokens. It ends at the first line break after the time for it,
        and before a line that is indented less than the cursor's."""
        model, tokens, said = self._predictor.model, list[int](), b""
        ends = model.ends("infill")
        most = body["t_max_predict_ms"] / 1000
        while len(tokens) < body["n_predict"]:
            token, _ = self._predictor.pick([*prompt, *tokens], None, ())
            if token in ends:
                break
            tokens.append(token)
            said += model.pieces[token]
            lines, line_break, line = said.decode("utf-8", "replace").rpartition("\n")
            visible = line.lstrip(" \t")
            if line_break and visible and len(line) - len(visible) < body.get("n_indent", 0):
                return lines + line_break, tokens
            if b"\n" in model.pieces[token] and len(tokens) / self._speed.decode > most:
                break
        return said.decode("utf-8", "replace"), tokens
