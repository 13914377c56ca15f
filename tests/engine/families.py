"""Models of each family: a real vocabulary, and tiny random weights in the family's architecture.

The vocabularies are llama.cpp's own test files, out of the source distribution of the pinned
llama-cpp-python, Mistral's own (`vocabularies.py` fetches them), and that of the default model. A
model says nothing sensible; its tokens, control tokens and state are the family's.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEADS, HEAD, FEED, LAYERS, CONTEXT = 32, 2, 16, 64, 2, 512
STATE = 16
SEED = 7
INT32, FLOAT, STRING, ARRAY = 5, 6, 8, 9
SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
FLOAT32, FLOAT16 = 0, 1
ALIGNMENT = 32

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Family:
    """`fim` names its template in the catalogue, "" for none. `cuts` is False where a state cannot
    be cut at a token."""

    vocabulary: str
    architecture: str
    fim: str = ""
    cuts: bool = True


FAMILIES = {
    "aquila": Family("aquila", "llama"),
    "baichuan": Family("baichuan", "baichuan"),
    "codestral": Family("mistral-v3", "llama", fim="codestral"),
    "command-r": Family("command-r", "command-r"),
    "deepseek-coder": Family("deepseek-coder", "llama", fim="deepseek-coder"),
    "deepseek-llm": Family("deepseek-llm", "llama"),
    "falcon": Family("falcon", "falcon"),
    "gemma-4": Family("gemma-4", "gemma4"),
    "gpt-2": Family("gpt-2", "gpt2"),
    "gpt-neox": Family("gpt-neox", "gptneox"),
    "granite-code": Family("refact", "llama", fim="granite-code"),
    "llama-2": Family("llama-spm", "llama"),
    "llama-3": Family("llama-bpe", "llama"),
    "mpt": Family("mpt", "mpt"),
    "phi-3": Family("phi-3", "phi3"),
    "qwen2": Family("qwen2", "qwen2"),
    "qwen2.5-coder": Family("", "qwen2", fim="qwen"),
    "qwen3.5": Family("qwen35", "qwen35", cuts=False),
    "qwen-mamba": Family("", "mamba", fim="qwen", cuts=False),
    "refact": Family("refact", "refact", fim="granite-code"),
    "starcoder2": Family("starcoder", "starcoder2", fim="starcoder2"),
}
"""Qwen2.5-Coder's vocabulary is the default model's."""


def write_model(family: Family, vocabulary: Path, target: Path) -> None:
    """Write the model's GGUF file. `vocabulary` is any GGUF file with the family's vocabulary."""
    read = _sentencepiece_pairs if vocabulary.suffix == ".model" else _vocabulary_pairs
    pairs, tokens = read(vocabulary)
    written, shapes = _ARCHITECTURES[family.architecture](family.architecture, tokens)
    written = {
        "general.architecture": family.architecture,
        "general.name": target.stem,
        f"{family.architecture}.block_count": LAYERS,
        f"{family.architecture}.context_length": CONTEXT,
        f"{family.architecture}.embedding_length": WIDTH,
        f"{family.architecture}.feed_forward_length": FEED,
        **written,
    }
    pairs = [*(_pair(key, value) for key, value in written.items()), *pairs]
    random = np.random.default_rng(SEED)
    tensors = {name: _weights(random, name, shape) for name, shape in shapes.items()}
    _write(target, pairs, tensors)


def write_adapter(
    target: Path,
    architecture: str,
    changed: dict[str, tuple[int, int]],
    rank: int = 4,
    size: float = 0.5,
    kind: str = "adapter",
) -> None:
    """Write a LoRA adapter of random weights. `changed` has the shapes of the model's tensors, the
    row's length first."""
    about: dict[str, Any] = {
        "general.type": kind,
        "general.architecture": architecture,
        "adapter.type": "lora",
    }
    written = [_pair(key, value) for key, value in about.items()]
    random = np.random.default_rng(SEED)
    tensors: dict[str, np.ndarray] = {}
    for name, (columns, rows) in changed.items():
        for part, shape in ((".lora_a", (rank, columns)), (".lora_b", (rows, rank))):
            tensors[name + part] = random.standard_normal(shape, dtype=np.float32) * size
    _write(target, [*written, _float_pair("adapter.lora.alpha", float(rank))], tensors)


def _float_pair(key: str, value: float) -> bytes:
    return _text(key) + struct.pack("<If", FLOAT, value)


def _write(target: Path, pairs: list[bytes], tensors: dict[str, np.ndarray]) -> None:
    infos, data, offset = b"", list[bytes](), 0
    for name, weights in tensors.items():
        shape = weights.shape[::-1]
        kind = FLOAT16 if weights.dtype == np.float16 else FLOAT32
        infos += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        infos += struct.pack("<IQ", kind, offset)
        raw = weights.tobytes()
        data.append(raw + bytes(-len(raw) % ALIGNMENT))
        offset += len(data[-1])
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs) + infos
    with target.open("wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        file.writelines(data)


def _weights(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if "norm" in name and name.endswith("weight"):
        return np.ones(shape[::-1], dtype=np.float32)
    if name.endswith("ssm_a"):
        return -np.ones(shape[::-1], dtype=np.float32)
    size = 0.3 if len(shape) > 1 else 0.05
    weights = random.standard_normal(shape[::-1], dtype=np.float32) * size
    matrix = len(shape) > 1 and "conv1d" not in name
    return weights.astype(np.float16) if matrix else weights


# --- architectures: their metadata and their tensors, as llama.cpp's src/models names them


def _head(tokens: int, *, bias: bool = False, output: bool = True) -> Shapes:
    shapes: Shapes = {"token_embd.weight": (WIDTH, tokens), "output_norm.weight": (WIDTH,)}
    if bias:
        shapes["output_norm.bias"] = (WIDTH,)
    if output:
        shapes["output.weight"] = (WIDTH, tokens)
    return shapes


def _attention(
    layer: int, *, fused: bool = False, bias: bool = False, query_bias: bool = False
) -> Shapes:
    at = f"blk.{layer}."
    shapes: Shapes = {at + "attn_norm.weight": (WIDTH,)}
    if fused:
        shapes[at + "attn_qkv.weight"] = (WIDTH, 3 * WIDTH)
    else:
        shapes |= {at + f"attn_{one}.weight": (WIDTH, WIDTH) for one in "qkv"}
    shapes[at + "attn_output.weight"] = (WIDTH, WIDTH)
    if query_bias:
        shapes |= {at + f"attn_{one}.bias": (WIDTH,) for one in "qkv"}
    if bias:
        shapes |= {at + "attn_norm.bias": (WIDTH,), at + "attn_output.bias": (WIDTH,)}
        if fused:
            shapes[at + "attn_qkv.bias"] = (3 * WIDTH,)
    return shapes


def _feed_forward(
    layer: int, *, gate: bool = True, bias: bool = False, norm: bool = True, up: int = FEED
) -> Shapes:
    at = f"blk.{layer}."
    shapes: Shapes = {at + "ffn_up.weight": (WIDTH, up), at + "ffn_down.weight": (FEED, WIDTH)}
    if norm:
        shapes[at + "ffn_norm.weight"] = (WIDTH,)
    if gate:
        shapes[at + "ffn_gate.weight"] = (WIDTH, FEED)
    if bias:
        shapes |= {at + "ffn_up.bias": (FEED,), at + "ffn_down.bias": (WIDTH,)}
        if norm:
            shapes[at + "ffn_norm.bias"] = (WIDTH,)
    return shapes


def _attention_pairs(architecture: str, *, rms: bool = True) -> dict[str, Any]:
    epsilon = "layer_norm_rms_epsilon" if rms else "layer_norm_epsilon"
    return {
        f"{architecture}.attention.head_count": HEADS,
        f"{architecture}.attention.head_count_kv": HEADS,
        f"{architecture}.attention.{epsilon}": 1e-5,
        f"{architecture}.rope.dimension_count": HEAD,
    }


def _llama(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    shapes = _head(tokens)
    for layer in range(LAYERS):
        shapes |= _attention(layer, query_bias=architecture == "qwen2") | _feed_forward(layer)
    return _attention_pairs(architecture), shapes


def _starcoder2(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    shapes = _head(tokens, bias=True)
    for layer in range(LAYERS):
        shapes |= _attention(layer, bias=True) | _feed_forward(layer, gate=False, bias=True)
    return _attention_pairs(architecture, rms=False), shapes


def _phi3(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    shapes = _head(tokens)
    for layer in range(LAYERS):
        shapes |= _attention(layer, fused=True) | _feed_forward(layer, gate=False, up=2 * FEED)
    return _attention_pairs(architecture), shapes


def _command_r(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    shapes = _head(tokens, output=False)
    for layer in range(LAYERS):
        shapes |= _attention(layer) | _feed_forward(layer, norm=False)
    pairs = _attention_pairs(architecture, rms=False)
    return pairs | {f"{architecture}.logit_scale": 0.0625}, shapes


def _fused(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    shapes = _head(tokens, bias=True)
    pairs = _attention_pairs(architecture, rms=False)
    if architecture == "gpt2":
        shapes["position_embd.weight"] = (WIDTH, CONTEXT)
    if architecture == "gptneox":
        pairs[f"{architecture}.use_parallel_residual"] = True
    if architecture == "mpt":
        pairs[f"{architecture}.attention.max_alibi_bias"] = 8.0
    falcon = architecture == "falcon"
    for layer in range(LAYERS):
        shapes |= _attention(layer, fused=True, bias=not falcon)
        if falcon:
            shapes[f"blk.{layer}.attn_norm.bias"] = (WIDTH,)
        shapes |= _feed_forward(layer, gate=False, bias=not falcon, norm=not falcon)
    return pairs, shapes


def _gemma4(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    shapes = _head(tokens, output=False) | {"rope_freqs.weight": (HEAD // 2,)}
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        shapes |= _attention(layer) | _feed_forward(layer)
        shapes |= {at + f"attn_{one}_norm.weight": (HEAD,) for one in "qk"}
        shapes |= {at + "post_attention_norm.weight": (WIDTH,)}
        shapes |= {at + "post_ffw_norm.weight": (WIDTH,)}
    pairs = _attention_pairs(architecture) | {
        f"{architecture}.attention.key_length": HEAD,
        f"{architecture}.attention.value_length": HEAD,
        f"{architecture}.attention.key_length_swa": HEAD,
        f"{architecture}.attention.value_length_swa": HEAD,
        f"{architecture}.attention.sliding_window": 64,
        f"{architecture}.attention.sliding_window_pattern": [True, False],
        f"{architecture}.embedding_length_per_layer_input": 0,
        f"{architecture}.rope.dimension_count_swa": HEAD,
    }
    return pairs, shapes


def _qwen35(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    """A hybrid: the first layer's state is recurrent (a gated delta net), the second attends."""
    shapes = _head(tokens)
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        shapes |= _feed_forward(layer, norm=False)
        shapes |= {at + "attn_norm.weight": (WIDTH,), at + "post_attention_norm.weight": (WIDTH,)}
    shapes |= {
        "blk.0.attn_qkv.weight": (WIDTH, 3 * HEADS * STATE),
        "blk.0.attn_gate.weight": (WIDTH, HEADS * STATE),
        "blk.0.ssm_conv1d.weight": (4, 3 * HEADS * STATE),
        "blk.0.ssm_dt.bias": (HEADS,),
        "blk.0.ssm_a": (HEADS,),
        "blk.0.ssm_beta.weight": (WIDTH, HEADS),
        "blk.0.ssm_alpha.weight": (WIDTH, HEADS),
        "blk.0.ssm_norm.weight": (STATE,),
        "blk.0.ssm_out.weight": (HEADS * STATE, WIDTH),
        "blk.1.attn_q.weight": (WIDTH, 2 * WIDTH),
        "blk.1.attn_k.weight": (WIDTH, WIDTH),
        "blk.1.attn_v.weight": (WIDTH, WIDTH),
        "blk.1.attn_output.weight": (WIDTH, WIDTH),
        "blk.1.attn_q_norm.weight": (HEAD,),
        "blk.1.attn_k_norm.weight": (HEAD,),
    }
    pairs = _attention_pairs(architecture) | {
        f"{architecture}.attention.key_length": HEAD,
        f"{architecture}.attention.value_length": HEAD,
        f"{architecture}.full_attention_interval": 2,
        f"{architecture}.rope.dimension_sections": [4, 2, 2, 0],
        f"{architecture}.ssm.conv_kernel": 4,
        f"{architecture}.ssm.inner_size": HEADS * STATE,
        f"{architecture}.ssm.state_size": STATE,
        f"{architecture}.ssm.time_step_rank": HEADS,
        f"{architecture}.ssm.group_count": HEADS,
    }
    return pairs, shapes


def _mamba(architecture: str, tokens: int) -> tuple[dict[str, Any], Shapes]:
    """Nothing but recurrent layers."""
    shapes, inner, rank = _head(tokens), 2 * WIDTH, 4
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        shapes |= {
            at + "attn_norm.weight": (WIDTH,),
            at + "ssm_in.weight": (WIDTH, 2 * inner),
            at + "ssm_conv1d.weight": (4, inner),
            at + "ssm_conv1d.bias": (inner,),
            at + "ssm_x.weight": (inner, rank + 2 * STATE),
            at + "ssm_dt.weight": (rank, inner),
            at + "ssm_dt.bias": (inner,),
            at + "ssm_a": (STATE, inner),
            at + "ssm_d": (inner,),
            at + "ssm_out.weight": (inner, WIDTH),
        }
    pairs = {
        f"{architecture}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{architecture}.attention.head_count": 0,
        f"{architecture}.ssm.conv_kernel": 4,
        f"{architecture}.ssm.inner_size": inner,
        f"{architecture}.ssm.state_size": STATE,
        f"{architecture}.ssm.time_step_rank": rank,
    }
    return pairs, shapes


_ARCHITECTURES: dict[str, Callable[[str, int], tuple[dict[str, Any], Shapes]]] = {
    **dict.fromkeys(("llama", "qwen2", "refact", "baichuan"), _llama),
    **dict.fromkeys(("gpt2", "gptneox", "mpt", "falcon"), _fused),
    "command-r": _command_r,
    "gemma4": _gemma4,
    "mamba": _mamba,
    "phi3": _phi3,
    "qwen35": _qwen35,
    "starcoder2": _starcoder2,
}


# --- GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _pair(key: str, value: Any) -> bytes:
    return _text(key) + _value(value)


def _value(value: Any, *, is_item: bool = False) -> bytes:
    if isinstance(value, list):
        items: Iterable[bytes] = (_value(item, is_item=True) for item in value)  # type: ignore[reportUnknownVariableType]
        packed = list(items)
        return (
            struct.pack("<I", ARRAY)
            + packed[0][:4]
            + struct.pack("<Q", len(packed))
            + b"".join(item[4:] for item in packed)
        )
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack("<Ii", INT32, value) if is_item else struct.pack("<II", 4, value)


def _vocabulary_pairs(path: Path) -> tuple[list[bytes], int]:
    """Return the raw metadata pairs of the tokenizer, and the number of tokens."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        _, _, _, count = struct.unpack_from("<IIQQ", raw, 0)
        at, pairs, tokens = 24, list[bytes](), 0
        for _ in range(count):
            begin = at
            size = struct.unpack_from("<Q", raw, at)[0]
            key = raw[at + 8 : at + 8 + size].decode()
            at += 8 + size
            if key == "tokenizer.ggml.tokens":
                tokens = struct.unpack_from("<Q", raw, at + 8)[0]
            kind = struct.unpack_from("<I", raw, at)[0]
            at = _after(raw, at + 4, kind)
            if key.startswith("tokenizer."):
                pairs.append(raw[begin:at])
    return pairs, tokens


def _sentencepiece_pairs(path: Path) -> tuple[list[bytes], int]:
    """Do the same for a SentencePiece model, whose kinds of tokens have the same numbers: a
    protobuf message whose field 1 are pieces, of a text, a score and a kind."""
    pieces = [dict(_fields(value)) for field, value in _fields(path.read_bytes()) if field == 1]
    texts = [piece[1].decode() for piece in pieces]
    pairs = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.scores": [struct.unpack("<f", piece[2])[0] for piece in pieces],
        "tokenizer.ggml.token_type": [piece.get(3, 1) for piece in pieces],
        "tokenizer.ggml.unknown_token_id": texts.index("<unk>"),
        "tokenizer.ggml.bos_token_id": texts.index("<s>"),
        "tokenizer.ggml.eos_token_id": texts.index("</s>"),
    }
    return [_pair(key, value) for key, value in pairs.items()], len(texts)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and value of each field of a protobuf message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        size, at = _varint(message, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1


def _after(raw: mmap.mmap, at: int, kind: int) -> int:
    """Return where a value of `kind` that begins at `at` ends."""
    if kind in SCALARS:
        return at + SCALARS[kind]
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", raw, at)[0]
    inner, count = struct.unpack_from("<IQ", raw, at)
    at += 12
    if inner in SCALARS:
        return at + count * SCALARS[inner]
    for _ in range(count):
        at = _after(raw, at, inner)
    return at
