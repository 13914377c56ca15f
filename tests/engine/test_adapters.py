"""LoRA adapters in the engine: they change what a model writes, by their scale, and fit or not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.test_cli import Shell
from tests.engine.conftest import SILENCE
from tests.engine.families import FAMILIES, WIDTH, write_adapter, write_model

from nearfield.engine.bindings import c
from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model
from nearfield.errors import ModelLoadFailed

pytestmark = pytest.mark.model

CHANGED = {"blk.0.attn_output.weight": (WIDTH, WIDTH), "blk.1.attn_q.weight": (WIDTH, WIDTH)}
SMALL = {f"blk.{layer}.attn_output.weight": (576, 576) for layer in range(30)}
"""Tensors of SmolLM2-135M."""


@pytest.fixture(scope="module")
def tiny(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tiny model of random weights."""
    path = tmp_path_factory.mktemp("adapters") / "tiny.gguf"
    write_model(FAMILIES["qwen2.5-coder"], default_model, path)
    c.llama_backend_init()
    yield path
    path.unlink()


def logits(path: Path, adapter: Path | None = None, scale: float = 1.0) -> list[float]:
    """The logits after a prompt."""
    model = Model(path, 0, lambda _: None, SILENCE)
    try:
        if adapter is not None:
            model.adapt(adapter, scale)
        lane = Lane(model, context_size=256, sequences=1, chunk=32, threads=1, abort=Abort())
        try:
            tokens = model.tokenize("def add(a, b):\n    return")
            (sequence,) = lane.table.all
            lane.decode(sequence, tokens)
            return [float(value) for value in lane.logits()[:500]]
        finally:
            lane.close()
    finally:
        model.close()


def test_an_adapter_changes_the_model_by_its_scale(tiny: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.gguf"
    write_adapter(adapter, "qwen2", CHANGED)
    plain = logits(tiny)
    assert logits(tiny) == plain
    assert logits(tiny, adapter, 0.0) == pytest.approx(plain, abs=1e-4)
    half, whole = logits(tiny, adapter, 0.5), logits(tiny, adapter)
    assert max(abs(a - b) for a, b in zip(plain, whole, strict=True)) > 0.01
    assert max(abs(a - b) for a, b in zip(half, whole, strict=True)) > 0.01
    assert logits(tiny) == plain  # nothing of it stays


@pytest.mark.parametrize(
    ("architecture", "changed"),
    [
        ("llama", CHANGED),
        ("qwen2", {"blk.0.attn_output.weight": (64, 64)}),
        ("qwen2", {"blk.9.attn_output.weight": (WIDTH, WIDTH)}),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    tiny: Path, tmp_path: Path, architecture: str, changed: dict[str, tuple[int, int]]
) -> None:
    adapter = tmp_path / "adapter.gguf"
    write_adapter(adapter, architecture, changed)
    with pytest.raises(ModelLoadFailed, match="does not fit"):
        logits(tiny, adapter)


def test_a_user_registers_an_adapter_and_uses_it(tmp_path: Path, small_model: Path) -> None:
    shell = Shell(tmp_path)
    adapter, other = tmp_path / "style.gguf", tmp_path / "other.gguf"
    write_adapter(adapter, "llama", SMALL)
    write_adapter(other, "llama", {"blk.0.attn_output.weight": (64, 64)})

    def models(*words: str) -> subprocess.CompletedProcess[str]:
        return shell.run("models", *words)

    assert models("add", "base", str(small_model), "--role", "complete").returncode == 0
    refused = models("add", "bad", "--lora", str(other), "--base", "base")
    assert refused.returncode == 2
    assert "is 64 by 64, the model's 576 by 576" in refused.stderr
    added = models("add", "mine", "--lora", str(adapter), "--base", "base", "--scale", "0.5")
    assert added.returncode == 0, added.stderr
    assert models("use", "complete", "mine").returncode == 0
    rows = {row["name"]: row for row in json.loads(models("list", "--json").stdout)}
    mine = rows["mine"]
    assert (mine["base"], mine["adapter"], mine["adapter_scale"]) == ("base", str(adapter), 0.5)
    assert mine["used_for"][0] == "complete"
    compared = json.loads(models("bench", "base", "mine", "--cases", "0", "--json").stdout)
    first, second = compared["sets"][0]["scores"]
    assert (first["model"], second["model"]) == ("base", "mine")
    assert first["similarity"] != second["similarity"]
    assert models("remove", "mine").returncode == 0
    assert small_model.exists()
    assert adapter.exists()
