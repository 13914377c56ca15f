"""The default embedder: all-MiniLM-L6-v2 in int8, by ONNX Runtime, from the package itself.

Texts are sorted by length and run in batches of about the same number of tokens, so that hardly any
padding is computed. Loading takes 0.1 s and happens with the first text. `models/make_embedder.py`
makes the files and records where they come from.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfield.errors import NearfieldError

if TYPE_CHECKING:
    import onnxruntime
    import tokenizers

NAME = "all-MiniLM-L6-v2-int8"
DIMENSIONS = 384
MAX_TOKENS = 128
"""Tokens of one text, as the model was trained. With 256, its maximum, code takes half as long
again and retrieval is no better: repository questions 0.862 instead of 0.870, CoSQA 0.5228 instead
of 0.5224.
"""
BATCH_TOKENS = 512
"""Tokens of one run. Larger batches are slower (1,024 by a fifth), need more memory (25 MB more),
and hold the processor longer."""


NOT_INSTALLED = (
    "The index has static vectors only, as onnxruntime is not installed:"
    ' pip install "nearfield[embedder]".'
)


class NotEmbedded(NearfieldError):
    """The embedder cannot make vectors."""


@cache
def is_installed() -> bool:
    """Return whether ONNX Runtime is installed, without loading it."""
    return find_spec("onnxruntime") is not None


class Embedder:
    """Texts to unit vectors. Safe to call from several threads; one runs at a time."""

    name = NAME
    dimensions = DIMENSIONS

    def __init__(self, threads: int = 1, gives_way: Callable[[], None] = lambda: None) -> None:
        """`threads` are the processor's cores that one run may take; `gives_way` is called before
        each run, and may take its time."""
        self._threads = threads
        self._gives_way = gives_way
        self._lock = threading.Lock()
        self._running: onnxruntime.RunOptions | None = None

    def interrupt(self) -> None:
        """End the run under way within a millisecond; it is done again after `gives_way`. From any
        thread."""
        running = self._running
        if running is not None:
            running.terminate = True

    @cached_property
    def _session(self) -> Any:
        # Imported with the first text: a server that only looks names up never needs it.
        onnxruntime = _runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Spinning threads would take a core from the model that completes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        model = resources.files("nearfield.index") / "data" / "embedder.onnx"
        # By its path: of bytes the runtime would keep a copy.
        with resources.as_file(model) as path:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @cached_property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        import tokenizers

        file = resources.files("nearfield.index") / "data" / "tokenizer.json"
        tokenizer = tokenizers.Tokenizer.from_str(file.read_text("utf-8"))
        tokenizer.enable_truncation(MAX_TOKENS)
        return tokenizer

    def embed(self, texts: Sequence[str]) -> Any:
        """Return one row of `DIMENSIONS` float32 numbers per text, in order; texts are cut at
        `MAX_TOKENS`. Raises `NotEmbedded` without ONNX Runtime."""
        if not is_installed():
            raise NotEmbedded(NOT_INSTALLED)
        with self._lock:
            vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
            clean = [text.encode("utf-8", "replace").decode() for text in texts]
            rows = [row.ids for row in self._tokenizer.encode_batch_fast(clean)]
            for batch in _batches(rows):
                vectors[batch] = self._run([rows[i] for i in batch])
            return vectors

    def _run(self, rows: list[list[int]]) -> Any:
        longest = max(map(len, rows))
        ids = np.zeros((len(rows), longest), np.int32)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        ended, vectors = False, None
        while not ended:
            ended, vectors = self._try({"input_ids": ids, "attention_mask": mask})
        return vectors

    def _try(self, inputs: dict[str, Any]) -> tuple[bool, Any]:
        """Give way and run; False when it was interrupted."""
        options = _runtime().RunOptions()
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail

        self._running = options
        try:
            self._gives_way()
            return True, self._session.run(None, inputs, options)[0]
        except Fail:
            if not options.terminate:
                raise
            return False, None
        finally:
            self._running = None


@cache
def _runtime() -> Any:
    """ONNX Runtime without its telemetry, which its packages from 1.29 on send to Microsoft by
    default. The variable counts when the library is loaded, and on Windows only the call does."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _batches(rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The rows' places in batches of `BATCH_TOKENS`, padding counted, shortest first."""
    batch: list[int] = []
    for at in sorted(range(len(rows)), key=lambda i: len(rows[i])):
        if batch and (len(batch) + 1) * len(rows[at]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch
