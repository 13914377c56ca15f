"""What is read of a GGUF model, and an adapter as it is written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from nearfield.catalog.adapters import check_adapter
from nearfield.catalog.gguf import header
from nearfield.errors import ConfigError
from nearfield.features.tune.adapter_file import write_adapter
from nearfield.features.tune.weights import LAYER_WEIGHTS, read_architecture, read_weights

WIDTH, ROWS = 16, 24
SHAPES = {
    "token_embd.weight": (ROWS, WIDTH),
    "output_norm.weight": (WIDTH,),
    "blk.0.attn_norm.weight": (WIDTH,),
    "blk.0.ffn_norm.weight": (WIDTH,),
    **{f"blk.0.{one}": (WIDTH, WIDTH) for one in LAYER_WEIGHTS},
}


def model(path: Path, architecture: str = "llama", left_out: str = "", more: str = "") -> Path:
    """Write a model with one layer."""
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(1)
    writer.add_embedding_length(WIDTH)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(1)
    shapes = {**SHAPES, **({more: (WIDTH,)} if more else {})}
    for name, shape in shapes.items():
        if name != left_out:
            writer.add_tensor(name, np.ones(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_model_is_read_by_the_names_of_its_file(tmp_path: Path) -> None:
    about, weights = read_weights(model(tmp_path / "m.gguf"), lambda values: values)
    assert {name: values.shape for name, values in weights.items()} == SHAPES
    assert (about.layers, about.heads, about.kv_heads, about.head) == (1, 2, 2, WIDTH // 2)
    assert (about.rope_base, about.halves, about.ends) == (10_000.0, False, (2, 1))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"architecture": "gpt2"}, "kind gpt2"),
        ({"left_out": "blk.0.ffn_up.weight"}, "has no blk.0.ffn_up.weight"),
        ({"more": "blk.0.attn_q_norm.weight"}, "attn_q_norm.weight is not known"),
    ],
)
def test_another_kind_is_refused(tmp_path: Path, made: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_weights(model(tmp_path / "m.gguf", **made), lambda values: values)


def test_an_adapter_is_one_for_its_model(tmp_path: Path) -> None:
    base, adapter = model(tmp_path / "m.gguf"), tmp_path / "new" / "a.gguf"
    low, high = np.ones((4, WIDTH), np.float32), np.zeros((WIDTH, 4), np.float32)
    name = "blk.0.attn_q.weight"
    matrices = {f"{name}.lora_a": low, f"{name}.lora_b": high}
    write_adapter(adapter, read_architecture(base).name, "mine", 16.0, matrices)
    check_adapter(adapter, base)
    assert header(adapter).shapes == {f"{name}.lora_a": (WIDTH, 4), f"{name}.lora_b": (4, WIDTH)}
    assert os.name == "nt" or adapter.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in adapter.parent.iterdir()] == ["a.gguf"]
