"""Which tensors of a model to write in another type.

llama.cpp has kernels for some types that work on several rows at once ("repacked"), on x86 with
AVX2 and on ARM. Only matrices of the layers are changed, and only those in a type without
such a kernel: what is fast already loses nothing, and vocabulary matrices stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.catalog.gguf import Tensor

# Types with repacked kernels on x86 as on ARM (ggml-cpu/repack.cpp).
FAST = frozenset({"Q4_0", "IQ4_NL", "Q4_K", "MXFP4"})
# As fast as Q4_0 and of the same size, with levels that fit weights better.
KIND = "IQ4_NL"
ROW_MULTIPLE = 32
# A model of whose layers less than this share is slow gains too little to be worth minutes.
LEAST_SLOW = 0.25
# Published files in fewer bits than IQ4_NL's would grow.
SMALL = frozenset({"Q2_K", "Q3_K"})

_LAYER = re.compile(r"blk\.\d+\.(\w+)\.weight")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which matrices of each layer are changed, and to which type."""

    matrices: frozenset[str]
    kind: str = KIND


# In the order in which they are tried; the next one, which changes less, is tried when quality has
# not held. Keys and values are few weights and sensitive, and what leads back down from the wide
# layer is the most sensitive of the large ones (which is why published files keep more bits there).
RECIPES = (
    Recipe(frozenset({"ffn_gate", "ffn_up", "attn_q", "attn_output"})),
    Recipe(frozenset({"ffn_gate", "ffn_up"})),
)


def slow_share(tensors: Sequence[Tensor]) -> float:
    """The share (0..1) of the weights in the layers' matrices that a variant would read faster."""
    slow = set(changes(tensors, RECIPES[0]))
    layers = [t for t in tensors if _LAYER.fullmatch(t.name) and len(t.shape) > 1]
    every = sum(t.weights for t in layers)
    return sum(t.weights for t in layers if t.name in slow) / every if every else 0.0


def changes(tensors: Sequence[Tensor], recipe: Recipe) -> list[str]:
    """The names of the tensors that a recipe changes."""
    found = ((_LAYER.fullmatch(t.name), t) for t in tensors)
    return [t.name for m, t in found if m and m[1] in recipe.matrices and _could_change(t)]


def _could_change(tensor: Tensor) -> bool:
    return (
        len(tensor.shape) == 2
        and tensor.shape[0] % ROW_MULTIPLE == 0
        and tensor.type not in FAST
        and tensor.type not in SMALL
    )
