"""The memory that models may take, and what one needs beside its weights."""

from __future__ import annotations

from pathlib import Path

import psutil

COMPUTE_OVERHEAD = 256 * 1024 * 1024
"""Bytes beyond weights and KV cells: compute buffers, logits, the interpreter. Measured 180 MiB
for the default model with 64-token chunks, rounded up."""


def expected(path: Path) -> int:
    """Return the bytes that the model of a file takes, before it is loaded and known better."""
    try:
        return path.stat().st_size + COMPUTE_OVERHEAD
    except OSError:
        return COMPUTE_OVERHEAD  # loading it says what is wrong


def ceiling(limit: int) -> int:
    """Return the bytes that models may take: `limit`, or without one (0) three quarters of the
    machine's memory."""
    return limit or psutil.virtual_memory().total * 3 // 4
