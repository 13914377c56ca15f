"""GGUF files of some bytes, whole ones and others."""

from __future__ import annotations

import hashlib
import struct

Shape = tuple[int, ...]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, shape: Shape, kind: int, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


WHOLE = {
    "general.architecture": pair("general.architecture", 8, text("tiny")),
    "tiny.block_count": pair("tiny.block_count", 4, struct.pack("<I", 1)),
    "tiny.context_length": pair("tiny.context_length", 4, struct.pack("<I", 512)),
    "tiny.embedding_length": pair("tiny.embedding_length", 4, struct.pack("<I", 32)),
    "tokenizer.ggml.model": pair("tokenizer.ggml.model", 8, text("gpt2")),
}


def model(
    *more: bytes,
    without: str = "",
    tensors: tuple[tuple[str, Shape, int, int], ...] = (("a", (32, 2), 8, 0), ("b", (4,), 0, 96)),
) -> bytes:
    """A whole model, or one with a fault: 68 and 16 bytes of weights at multiples of 32."""
    pairs = [*(value for key, value in WHOLE.items() if key != without), *more]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    head += b"".join(pairs) + b"".join(tensor(*one) for one in tensors)
    return head + bytes(-len(head) % 32) + bytes(96 + 16)


HUB = '{ kind = "hub", repo = "maker/tiny", file = "tiny.gguf" }'


def hub_entry(name: str = "tiny") -> str:
    """Return an entry of the user's catalogue for `tiny.gguf`, which a hub has."""
    return own_entry(HUB, name)


def own_entry(source: str, name: str = "tiny") -> str:
    """Return an entry of the user's catalogue for `tiny.gguf`, which `source` has."""
    return f"""
[models."{name}"]
title = "Tiny"
sources = [{source}]
file = "tiny.gguf"
licence = "MIT"
context = 4096
roles = ["complete", "chat"]
chat = "gguf"
fim = "qwen"
memory_mb = 10
"""


def linked(content: bytes) -> dict[str, str]:
    """Return the headers by which a hub says what a file holds."""
    sha256 = hashlib.sha256(content).hexdigest()
    return {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
