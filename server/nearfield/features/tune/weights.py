"""The weights of a GGUF model as arrays, and what its header says of its architecture.

The names and the layouts are GGUF's, so that an adapter needs no conversion: what is trained for
`blk.0.attn_q.weight` is written for `blk.0.attn_q.weight`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield.errors import ConfigError
from nearfield.features.tune import needs

ARCHITECTURES = ("llama", "qwen2")
LAYER_WEIGHTS = (
    *("attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight"),
    *("ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"),
)
_LAYER_VECTORS = ("attn_norm.weight", "ffn_norm.weight")
_LAYER_BIASES = ("attn_q.bias", "attn_k.bias", "attn_v.bias")
_EMBEDDING, _OUTPUT, _LAST_NORM = "token_embd.weight", "output.weight", "output_norm.weight"
_ROPE_FACTORS = "rope_freqs.weight"
_ENDS = ("eos", "eot", "eom", "bos", "padding")


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers of a model. `head` is the length of an attention head. With `halves` the
    rotary embedding turns a head's two halves, else neighbours. `ends` are the tokens with which
    an answer may end."""

    name: str
    layers: int
    heads: int
    kv_heads: int
    head: int
    epsilon: float
    rope_base: float
    halves: bool
    ends: tuple[int, ...]


def read_architecture(path: Path) -> Architecture:
    """Return the numbers of the model in a GGUF file. Raises `ConfigError` for one of another
    kind, and where the package `gguf` is not installed."""
    return _architecture(needs.gguf().GGUFReader(path))


def read_weights(path: Path, put: Callable[[Any], Any]) -> tuple[Architecture, dict[str, Any]]:
    """Return the model's numbers, and its weights by name: each is read and given to `put` alone,
    so that no more than one of them is in memory twice. Raises `ConfigError`."""
    reader = needs.gguf().GGUFReader(path)
    architecture = _architecture(reader)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    found: dict[str, Any] = {}
    for name, is_needed in _names(architecture.layers):
        if name in tensors:
            tensor = tensors.pop(name)
            found[name] = put(needs.gguf().dequantize(tensor.data, tensor.tensor_type))
        elif is_needed:
            raise ConfigError(f"{path.name} cannot be tuned: it has no {name}.")
    if tensors:
        raise ConfigError(f"{path.name} cannot be tuned: {min(tensors)[:60]} is not known here.")
    return architecture, found


def _names(layers: int) -> Iterator[tuple[str, bool]]:
    """Yield the names of tensors, and whether a model has to have them."""
    yield from ((_EMBEDDING, True), (_LAST_NORM, True), (_OUTPUT, False), (_ROPE_FACTORS, False))
    for layer in range(layers):
        yield from ((f"blk.{layer}.{one}", True) for one in (*LAYER_WEIGHTS, *_LAYER_VECTORS))
        yield from ((f"blk.{layer}.{one}", False) for one in _LAYER_BIASES)


def _architecture(reader: Any) -> Architecture:
    def value(key: str, default: Any = None) -> Any:
        field = reader.get_field(key)
        if field is None and default is None:
            raise ConfigError(f"The model cannot be tuned: its header has no {key}.")
        return default if field is None else field.contents()

    name = str(value("general.architecture"))
    if name not in ARCHITECTURES:
        raise ConfigError(
            f"Models of the kind {name[:40]} cannot be tuned here.",
            f"Tune one of these kinds: {', '.join(ARCHITECTURES)}.",
        )
    heads, width = (
        int(value(f"{name}.attention.head_count")),
        int(value(f"{name}.embedding_length")),
    )
    if str(value(f"{name}.rope.scaling.type", "none")) != "none" or value(
        f"{name}.expert_count", 0
    ):
        raise ConfigError("Models with experts or a stretched context cannot be tuned here.")
    ends = (int(value(f"tokenizer.ggml.{kind}_token_id", -1)) for kind in _ENDS)
    return Architecture(
        name=name,
        layers=int(value(f"{name}.block_count")),
        heads=heads,
        kv_heads=int(value(f"{name}.attention.head_count_kv", heads)),
        head=int(value(f"{name}.attention.key_length", width // heads)),
        epsilon=float(value(f"{name}.attention.layer_norm_rms_epsilon")),
        rope_base=float(value(f"{name}.rope.freq_base", 10_000.0)),
        halves=name == "qwen2",
        ends=tuple(dict.fromkeys(end for end in ends if end >= 0)),
    )
