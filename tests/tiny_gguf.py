"""A GGUF model of a few hundred kilobytes with random weights, of the architecture of Qwen 2.

Its vocabulary is the bytes and some control tokens, and it only ever writes letters of ASCII.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.unit.catalog.gguf_files import pair, tensor, text

WIDTH, HEADS, LAYERS, INNER, CONTEXT = 128, 2, 2, 256, 4096
CONTROL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>"),
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)
F32, F16, Q5_0 = 0, 1, 6
UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9


def write(path: Path, *, kind: int = F16, architecture: str = "qwen2") -> Path:
    """Write the model; with `kind` Q5_0 its first matrix is said to be of that type."""
    words = [*byte_letters(), "in", *CONTROL]
    pairs = _pairs(architecture, words)
    arrays = _arrays(len(words), len(words) - len(CONTROL))
    offset, infos, data = 0, b"", b""
    for name, array in arrays.items():
        said = F32 if array.dtype == np.float32 else F16
        raw = array.tobytes()
        if name == "blk.0.attn_q.weight" and kind == Q5_0:
            said, raw = kind, bytes(array.size // 32 * 22)
        infos += tensor(name, array.shape[::-1], said, offset)
        raw += bytes(-len(raw) % 32)
        data += raw
        offset += len(raw)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), len(pairs)) + b"".join(pairs) + infos
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def _pairs(architecture: str, words: Sequence[str]) -> list[bytes]:
    kinds = [3 if word in CONTROL else 1 for word in words]
    numbers = {
        "block_count": LAYERS, "context_length": CONTEXT, "embedding_length": WIDTH,
        "feed_forward_length": INNER, "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
    }  # fmt: skip
    end = words.index("<|im_end|>")
    return [
        pair("general.architecture", STRING, text(architecture)),
        pair("general.file_type", UINT32, struct.pack("<I", 1)),
        *(_number(f"{architecture}.{name}", value) for name, value in numbers.items()),
        _float(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-6),
        _float(f"{architecture}.rope.freq_base", 10_000.0),
        pair("tokenizer.ggml.model", STRING, text("gpt2")),
        pair("tokenizer.ggml.pre", STRING, text("qwen2")),
        _strings("tokenizer.ggml.tokens", words),
        pair(
            "tokenizer.ggml.token_type",
            ARRAY,
            struct.pack(f"<IQ{len(kinds)}i", INT32, len(kinds), *kinds),
        ),
        _strings("tokenizer.ggml.merges", ["i n"]),
        _number("tokenizer.ggml.eos_token_id", end),
        _number("tokenizer.ggml.bos_token_id", end - 2),
        _number("tokenizer.ggml.padding_token_id", end - 2),
        pair("tokenizer.ggml.add_bos_token", 7, b"\0"),
        pair("tokenizer.chat_template", STRING, text(TEMPLATE)),
    ]


def _arrays(vocabulary: int, plain: int) -> dict[str, npt.NDArray[np.generic]]:
    random = np.random.default_rng(7)

    def matrix(rows: int, columns: int) -> npt.NDArray[np.generic]:
        return random.normal(0, 0.1, (rows, columns)).astype(np.float16)

    ones = np.ones(WIDTH, np.float32)
    found: dict[str, npt.NDArray[np.generic]] = {"token_embd.weight": matrix(vocabulary, WIDTH)}
    for layer in range(LAYERS):
        for name, rows, columns in (
            ("attn_q", WIDTH, WIDTH), ("attn_k", WIDTH, WIDTH), ("attn_v", WIDTH, WIDTH),
            ("attn_output", WIDTH, WIDTH), ("ffn_gate", INNER, WIDTH), ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ):  # fmt: skip
            found[f"blk.{layer}.{name}.weight"] = matrix(rows, columns)
        for name in ("attn_q", "attn_k", "attn_v"):
            found[f"blk.{layer}.{name}.bias"] = np.zeros(WIDTH, np.float32)
        for name in ("attn_norm", "ffn_norm"):
            found[f"blk.{layer}.{name}.weight"] = ones
    output = np.zeros((vocabulary, WIDTH), np.float16)
    letters = [word for word in range(plain - 1) if byte_letters()[word].isalpha()]
    letters = [word for word in letters if byte_letters()[word].isascii()]
    output[letters] = matrix(len(letters), WIDTH)
    return {**found, "output_norm.weight": ones, "output.weight": output}


def byte_letters() -> list[str]:
    """Return the letters by which byte-level vocabularies write the bytes, in their order."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [*map(chr, shown), *(chr(256 + i) for i in range(len(hidden)))]


def _number(key: str, value: int) -> bytes:
    return pair(key, UINT32, struct.pack("<I", value))


def _float(key: str, value: float) -> bytes:
    return pair(key, FLOAT32, struct.pack("<f", value))


def _strings(key: str, values: Sequence[str]) -> bytes:
    head = struct.pack("<IQ", STRING, len(values))
    return pair(key, ARRAY, head + b"".join(map(text, values)))
