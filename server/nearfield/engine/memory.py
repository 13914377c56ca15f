"""The memory that models may take, and what one needs beside its weights."""

from __future__ import annotations

from pathlib import Path

import psutil

from nearfield.errors import ModelLoadFailed

COMPUTE_OVERHEAD = 256 * 1024 * 1024
"""Bytes beyond weights and KV cells: compute buffers, logits, the interpreter. Measured 180 MiB
for the default model with 64-token chunks, rounded up."""


def expected(path: Path) -> int:
    """Return the bytes that the model of a file or a folder takes, before it is loaded and known
    better."""
    try:
        return weights(path) + COMPUTE_OVERHEAD
    except OSError:
        return COMPUTE_OVERHEAD  # loading it says what is wrong


def weights(path: Path) -> int:
    """Return the size in bytes of a model's file, or of the files in its folder. Raises
    `OSError`."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.iterdir() if entry.is_file())


def ceiling(limit: int) -> int:
    """Return the bytes that models may take: `limit`, or without one (0) three quarters of the
    machine's memory."""
    return limit or psutil.virtual_memory().total * 3 // 4


def check_memory(need: int, limit: int) -> None:
    """Raise `ModelLoadFailed` when `need` bytes are more than `limit`, or than the machine has."""
    most = ceiling(limit)
    if need > most:
        raise ModelLoadFailed(
            f"The model needs about {need >> 20} MiB and may use {most >> 20} MiB.",
            "Choose a smaller model (`nearfield models recommend`), lower engine.context_size, "
            "or raise engine.memory_limit_mb.",
        )
