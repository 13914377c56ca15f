"""A llama_context: a KV cache of several sequences, and `llama_decode` over it.

The completion lane and the chat lane are two of these over the same weights. A lane knows tokens,
positions and sequences; it does not know jobs.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from collections.abc import Sequence as SequenceOf

import numpy as np
import numpy.typing as npt

from nearfield.engine.bindings import c
from nearfield.engine.kv_cache import Sequence, SequenceTable
from nearfield.engine.llama import Model
from nearfield.errors import EngineError, ModelLoadFailed

Logits = npt.NDArray[np.float32]

ABORTED = 2
"""Result of `llama_decode` after the abort callback."""


class Aborted(Exception):
    """The running chunk was ended; the sequence holds what it held before, or nothing where its
    cache cannot be cut."""


class Abort:
    """A flag that ends a running `llama_decode` from another thread.

    llama.cpp asks the callback after every node of its graph, some hundreds of times a token. A
    Python callback would take the interpreter's lock each time; the C library's own `strlen` does
    not: of an empty string it is 0 (go on), and of a string of one byte 1 (stop).
    """

    def __init__(self) -> None:
        self._flag = ctypes.create_string_buffer(2)
        libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else ctypes.util.find_library("c"))
        self.callback = ctypes.cast(libc.strlen, c.ggml_abort_callback)
        self.data = ctypes.cast(self._flag, ctypes.c_void_p)

    def set(self) -> None:
        """End the running decode."""
        self._flag[0] = b"\x01"

    def clear(self) -> None:
        """Let decodes run."""
        self._flag[0] = b"\x00"


class Lane:
    """A context with `sequences` independent sequences of `context_size // sequences` tokens."""

    def __init__(
        self,
        model: Model,
        *,
        context_size: int,
        sequences: int,
        chunk: int,
        threads: int,
        abort: Abort,
    ) -> None:
        params = c.llama_context_default_params()
        params.n_ctx = context_size
        params.n_batch = params.n_ubatch = chunk
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.abort_callback = abort.callback
        params.abort_callback_data = abort.data
        # Every sequence has cells of its own, so that attention never walks over other documents'.
        params.kv_unified = False
        params.no_perf = True
        self.ptr = c.llama_init_from_model(model.ptr, params)
        if not self.ptr:
            raise ModelLoadFailed(
                f"llama.cpp could not make a context of {context_size} tokens.",
                "Lower engine.context_size, or choose a smaller model.",
            )
        model.apply_adapter(self.ptr)
        self._abort = abort  # llama.cpp reads its flag as long as the context lives
        self.chunk = chunk
        self.document_tokens = int(c.llama_n_ctx_seq(self.ptr))
        self.table = SequenceTable(sequences, has_tails=model.has_tails)
        self._has_tails = model.has_tails
        self._memory = c.llama_get_memory(self.ptr)
        self._vocabulary = model.vocabulary
        self._batch = c.llama_batch_init(chunk, 0, 1)
        for i in range(chunk):
            self._batch.n_seq_id[i] = 1

    def close(self) -> None:
        """Free the context; safe to call twice."""
        if self.ptr:
            c.llama_batch_free(self._batch)
            c.llama_free(self.ptr)
            self.ptr = None

    def keep(self, sequence: Sequence, tokens: int) -> int:
        """Drop all but the first `tokens` of a sequence; return how many could be kept: none of a
        cache that cannot be cut."""
        if c.llama_memory_seq_rm(self._memory, sequence.id, tokens, -1):
            return tokens
        c.llama_memory_seq_rm(self._memory, sequence.id, -1, -1)
        return 0

    def forget(self, sequence: Sequence) -> None:
        """Empty a sequence."""
        c.llama_memory_seq_rm(self._memory, sequence.id, -1, -1)
        sequence.tokens.clear()
        sequence.whole = 0

    def fork(self, source: Sequence, target: Sequence) -> None:
        """Copy the whole of `source` to `target`, which takes some milliseconds; llama.cpp does it
        before the next decode."""
        c.llama_memory_seq_rm(self._memory, target.id, -1, -1)
        c.llama_memory_seq_cp(self._memory, source.id, target.id, -1, -1)
        target.tokens[:] = source.tokens
        target.whole = source.whole

    def save(self, sequence: Sequence, path: str) -> int:
        """Write a sequence's tokens and cells to a file. Return how many tokens, 0 on failure."""
        count = len(sequence.tokens)
        tokens = (c.llama_token * count)(*sequence.tokens)
        written = c.llama_state_seq_save_file(self.ptr, path.encode(), sequence.id, tokens, count)
        return count if written else 0

    def restore(self, sequence: Sequence, path: str) -> int:
        """Read what `save` wrote into `sequence`. Return how many tokens; 0 if the file is of no
        use, and the sequence is then empty."""
        self.forget(sequence)
        tokens = (c.llama_token * self.document_tokens)()
        count = ctypes.c_size_t()
        read = c.llama_state_seq_load_file(
            self.ptr,
            path.encode(),
            sequence.id,
            tokens,
            self.document_tokens,
            ctypes.byref(count),
        )
        if not read:
            c.llama_memory_seq_rm(self._memory, sequence.id, -1, -1)
            return 0
        sequence.tokens[:] = tokens[: count.value]
        sequence.whole = count.value
        return count.value

    def decode(self, sequence: Sequence, tokens: SequenceOf[int], *, outputs: int = 1) -> None:
        """Evaluate `tokens` (at most `chunk`) after what `sequence` holds.

        Logits are kept for the last `outputs` of them. Raises `Aborted` or, when llama.cpp refuses,
        `EngineError`, with the sequence as it was; empty if its cache cannot be cut.
        """
        start = len(sequence.tokens)
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = start + i
            batch.seq_id[i][0] = sequence.id
            batch.logits[i] = i >= len(tokens) - outputs
        result = c.llama_decode(self.ptr, batch)
        if result == 0:
            sequence.tokens.extend(tokens)
            return
        if not c.llama_memory_seq_rm(self._memory, sequence.id, start, -1) or not self._has_tails:
            # Part of the batch may be in a recurrent state already, without a position of its own.
            self.forget(sequence)
        if result == ABORTED:
            raise Aborted
        raise EngineError(
            f"llama.cpp could not evaluate {len(tokens)} tokens (code {result}).",
            "Lower engine.context_size if the machine is short of memory.",
        )

    def positions(self, sequence: Sequence) -> tuple[int, int]:
        """Return the first and last position that llama.cpp holds of a sequence, -1 for none."""
        first = c.llama_memory_seq_pos_min(self._memory, sequence.id)
        return first, c.llama_memory_seq_pos_max(self._memory, sequence.id)

    def logits(self, index: int = -1) -> Logits:
        """Return the logits after the token at `index` of the last batch, -1 for its last one: a
        view that the next decode overwrites."""
        pointer = c.llama_get_logits_ith(self.ptr, index)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))

    def clear(self) -> None:
        """Forget every sequence."""
        c.llama_memory_clear(self._memory, True)
        self.table.clear()
