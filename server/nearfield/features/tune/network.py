"""The forward pass of llama and qwen2 models on PyTorch, with LoRA beside each matrix.

The form is that of Hu et al. 2021 (arXiv:2106.09685): W·x + (alpha / rank)·B·(A·x), with W frozen,
A random and B zero at first. Only the rows of the vocabulary's matrix that a loss needs are
computed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nearfield.features.tune import needs
from nearfield.features.tune.weights import LAYER_WEIGHTS, read_weights

RANK = 8
ALPHA = 16.0


class TunedNetwork:
    """A frozen model and its adapter. `adapter` has the matrices by the names of a GGUF adapter's
    tensors."""

    def __init__(self, path: Path, device: str, seed: int) -> None:
        """Read the weights of the GGUF file at `path`. Raises `ConfigError`."""
        self._torch = torch = needs.torch()
        self.device = device
        kind = torch.bfloat16 if device == "cuda" else torch.float32

        def put(weights: Any) -> Any:
            return torch.from_numpy(weights.copy()).to(device, kind)

        self.architecture, self._weights = read_weights(path, put)
        self.adapter: dict[str, Any] = {}
        random = torch.Generator().manual_seed(seed)
        for layer in range(self.architecture.layers):
            for one in LAYER_WEIGHTS:
                self._add(f"blk.{layer}.{one}", random)
        self._turns = self._rotary()

    def _add(self, name: str, random: Any) -> None:
        torch = self._torch
        rows, columns = self._weights[name].shape
        low = torch.randn(RANK, columns, generator=random) / math.sqrt(columns)
        high = torch.zeros(rows, RANK)
        for part, matrix in ((".lora_a", low), (".lora_b", high)):
            self.adapter[name + part] = matrix.to(self.device).requires_grad_()

    def loss(self, tokens: list[int], begin: int) -> Any:
        """Return the mean cross entropy of the tokens from `begin` on, given those before each."""
        functional = self._torch.nn.functional
        logits = self.logits(tokens[:-1], begin - 1)
        wanted = self._torch.tensor(tokens[begin:], device=self.device)
        return functional.cross_entropy(logits.float(), wanted)

    def logits(self, tokens: list[int], begin: int) -> Any:
        """Return the logits after each token from the place `begin` on."""
        weights = self._weights
        embedding = weights["token_embd.weight"]
        x = embedding[self._torch.tensor(tokens, device=self.device)]
        for layer in range(self.architecture.layers):
            x = self._layer(layer, x)
        x = self._norm(x[begin:], weights["output_norm.weight"])
        return x @ weights.get("output.weight", embedding).T

    def _layer(self, layer: int, x: Any) -> Any:
        functional, weights, name = self._torch.nn.functional, self._weights, f"blk.{layer}."
        x = x + self._attend(name, self._norm(x, weights[name + "attn_norm.weight"]))
        inner = self._norm(x, weights[name + "ffn_norm.weight"])
        gate = functional.silu(self._linear(name + "ffn_gate", inner))
        return x + self._linear(name + "ffn_down", gate * self._linear(name + "ffn_up", inner))

    def _attend(self, name: str, x: Any) -> Any:
        about, count = self.architecture, x.shape[0]

        def heads(part: str, number: int) -> Any:
            return self._linear(name + part, x).view(count, number, about.head).transpose(0, 1)

        queries = self._turned(heads("attn_q", about.heads))
        keys = self._turned(heads("attn_k", about.kv_heads))
        values = heads("attn_v", about.kv_heads)
        shared = about.heads // about.kv_heads
        keys, values = (one.repeat_interleave(shared, dim=0) for one in (keys, values))
        attended = self._torch.nn.functional.scaled_dot_product_attention(
            queries[None], keys[None], values[None], is_causal=True
        )[0]
        return self._linear(name + "attn_output", attended.transpose(0, 1).reshape(count, -1))

    def _linear(self, name: str, x: Any) -> Any:
        weight = name + ".weight"
        out = self._torch.nn.functional.linear(
            x, self._weights[weight], self._weights.get(name + ".bias")
        )
        low, high = (self.adapter[weight + part].to(x.dtype) for part in (".lora_a", ".lora_b"))
        return out + (x @ low.T) @ high.T * (ALPHA / RANK)

    def _norm(self, x: Any, weight: Any) -> Any:
        wide = x.float()
        scale = self._torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.architecture.epsilon)
        return (wide * scale).to(x.dtype) * weight

    def _rotary(self) -> Any:
        """Return the angles of a token a place further on, one for each pair of a head."""
        torch, about = self._torch, self.architecture
        pairs = torch.arange(0, about.head, 2, device=self.device, dtype=torch.float32)
        turns = about.rope_base ** (-pairs / about.head)
        factors = self._weights.get("rope_freqs.weight")
        return turns if factors is None else turns / factors.float()

    def _turned(self, x: Any) -> Any:
        """Return heads with the rotary embedding of their places."""
        torch = self._torch
        places = torch.arange(x.shape[1], device=self.device, dtype=torch.float32)
        angles = torch.outer(places, self._turns)
        cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        if self.architecture.halves:
            first, second = x.chunk(2, dim=-1)
            pair = (first * cosine - second * sine, first * sine + second * cosine)
            return torch.cat(pair, dim=-1)
        first, second = x[..., 0::2], x[..., 1::2]
        pair = (first * cosine - second * sine, first * sine + second * cosine)
        return torch.stack(pair, dim=-1).flatten(-2)
