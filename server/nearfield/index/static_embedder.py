"""The static embedder: a table with a row for each word; a text's vector is the mean of its rows.

No network runs, so it is a thousand times faster than a transformer, and knows nothing of word
order. A word that occurs n times counts 1 + log n times. `models/train_static.py` makes the
table: `model.safetensors` with one tensor of int8, and `tokenizer.json`.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tokenizers

SHIPPED = "static-1"
"""Identifies the table in files of vectors: another table makes other vectors."""
DIMENSIONS = 256
MAX_CHARS = 4_000
"""Characters of one text: a chunk with its class's signatures."""
BATCH_TEXTS = 64
"""Their rows take some megabytes."""


class StaticEmbedder:
    """Turns texts into unit vectors. Thread-safe."""

    name = SHIPPED
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        """Read nothing: the files are opened with the first text."""
        self._folder = resources.files("nearfield.index") / "data" / "static"

    def unload(self) -> None:
        """Release the files' content until the next text."""
        for name in ("_rows", "_tokenizer"):
            self.__dict__.pop(name, None)

    def embed(self, texts: Sequence[str]) -> Any:
        """Return one row of float32 per text, zeros for a text without a known word."""
        rows, size = self._rows, len(self._rows)
        clean = [text[:MAX_CHARS].encode("utf-8", "replace").decode() for text in texts]
        found = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for start in range(0, len(texts), BATCH_TEXTS):
            tokens = [row.ids for row in found[start : start + BATCH_TEXTS]]
            lengths = [len(ids) for ids in tokens]
            offsets = np.repeat(np.arange(len(tokens)), lengths) * size
            ids = np.fromiter(chain.from_iterable(tokens), np.int64, sum(lengths))
            # Token 0 represents unknown words.
            pairs, counts = np.unique((offsets + ids)[ids != 0], return_counts=True)
            if not len(pairs):
                continue
            weights = 1 + np.log(counts.astype(np.float32))
            which = pairs // size
            first = np.flatnonzero(np.diff(which, prepend=-1))
            weighted = rows[pairs % size] * weights[:, None]
            vectors[start + which[first]] = np.add.reduceat(weighted, first, axis=0)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    @cached_property
    def _rows(self) -> Any:
        """Return the table, mapped into memory where it is a file of its own."""
        file = self._folder / "model.safetensors"
        if isinstance(file, Path):
            with file.open("rb") as opened:
                raw = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        else:
            raw = memoryview(file.read_bytes())
        size: int = struct.unpack("<Q", raw[:8])[0]
        entry: dict[str, Any] = json.loads(bytes(raw[8 : 8 + size]))["embeddings"]
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        return np.frombuffer(raw[start:end], np.int8).reshape(entry["shape"])

    @cached_property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        # Imported with the first text: a server that only looks up names never needs it.
        import tokenizers

        text = (self._folder / "tokenizer.json").read_text("utf-8")
        tokenizer = tokenizers.Tokenizer.from_str(text)
        tokenizer.no_padding()  # which would count as words
        return tokenizer
