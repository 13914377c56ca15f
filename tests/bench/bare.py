"""The raw model: llama.cpp's `llama_decode` in a loop, and nothing of Nearfield.

What the benchmarks compare with: the plain FIM template, greedy, the whole prompt evaluated at
every request, up to the first line break after something visible.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# As the engine's worker has it (see engine/client.py), so that both sides suffer alike from
# whatever else the machine does; read when the library is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import llama_cpp.llama_cpp as binding
import numpy as np

c: Any = binding


@dataclass(frozen=True, slots=True)
class Bare:
    """One answer: its text, its generated tokens, and milliseconds."""

    text: str
    tokens: int
    prefill_ms: float
    decode_ms: float


class BareModel:
    """A GGUF model and a context of 4096 tokens."""

    def __init__(self, path: Path, threads: int) -> None:
        self._silence = c.llama_log_callback(_ignore)
        c.llama_log_set(self._silence, ctypes.c_void_p(0))
        c.llama_backend_init()
        self._model = c.llama_model_load_from_file(
            str(path).encode(), c.llama_model_default_params()
        )
        self._vocab = c.llama_model_get_vocab(self._model)
        self._size = c.llama_vocab_n_tokens(self._vocab)
        params = c.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = 4096, 512, 512
        params.n_threads = params.n_threads_batch = threads
        self._context = c.llama_init_from_model(self._model, params)

    def fim(self, prefix: str, suffix: str, *, started: bool, max_tokens: int = 64) -> Bare:
        """The middle between `prefix` and `suffix`; `started` as in `InfillRequest.typed`."""
        prompt = self.prompt(prefix, suffix)
        return self.generate(prompt, max_tokens, started=started, single_line=True)

    def prompt(self, prefix: str, suffix: str, last: str = "") -> list[int]:
        """The plain template's tokens, with `last` behind the middle token."""
        pre, suf, mid = (
            [fim(self._vocab)]
            for fim in (c.llama_vocab_fim_pre, c.llama_vocab_fim_suf, c.llama_vocab_fim_mid)
        )
        return pre + self.tokens(prefix) + suf + self.tokens(suffix) + mid + self.tokens(last)

    def batch_ms(self, size: int) -> float:
        """How long a batch of `size` tokens takes behind 256 others."""
        c.llama_memory_clear(c.llama_get_memory(self._context), True)
        self._decode([100] * 256, 0)
        begun = time.perf_counter()
        self._decode([100] * size, 256)
        return (time.perf_counter() - begun) * 1000

    def generate(
        self,
        prompt: list[int],
        max_tokens: int,
        *,
        started: bool = False,
        single_line: bool = False,
    ) -> Bare:
        """Greedy tokens after `prompt`, until the model ends or `max_tokens`."""
        c.llama_memory_clear(c.llama_get_memory(self._context), True)
        begun = time.perf_counter()
        for at in range(0, len(prompt), 512):
            self._decode(prompt[at : at + 512], at)
        read = time.perf_counter()
        out: list[int] = []
        text = ""
        while len(out) < max_tokens:
            logits = np.ctypeslib.as_array(
                c.llama_get_logits_ith(self._context, -1), shape=(self._size,)
            )
            token = int(logits.argmax())
            if c.llama_vocab_is_eog(self._vocab, token):
                break
            out.append(token)
            text = self._text(out)
            visible = text if started else text.lstrip()
            if single_line and "\n" in visible:
                text = visible.split("\n")[0] if started else _first_line(text)
                break
            self._decode([token], len(prompt) + len(out) - 1)
        done = time.perf_counter()
        return Bare(text, len(out), (read - begun) * 1000, (done - read) * 1000)

    def _decode(self, tokens: list[int], at: int) -> None:
        batch = c.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, at + i, 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i == len(tokens) - 1
        code = c.llama_decode(self._context, batch)
        c.llama_batch_free(batch)
        if code:
            raise RuntimeError(f"llama_decode returned {code}")

    def tokens(self, text: str) -> list[int]:
        """The tokens of plain text."""
        raw = text.encode()
        buffer = (c.llama_token * (len(raw) + 8))()
        count = c.llama_tokenize(self._vocab, raw, len(raw), buffer, len(buffer), False, False)
        return list(buffer[:count])

    def _text(self, tokens: list[int]) -> str:
        raw = b""
        for token in tokens:
            buffer = ctypes.create_string_buffer(256)
            length = c.llama_token_to_piece(self._vocab, token, buffer, 256, 0, False)
            raw += buffer.raw[:length]
        return raw.decode("utf-8", "replace")


def _ignore(_level: int, _text: bytes, _data: object) -> None:
    """llama.cpp's log."""


def _first_line(text: str) -> str:
    """The first line of `text` with something visible on it."""
    return next((line for line in text.split("\n") if line.strip()), "")
