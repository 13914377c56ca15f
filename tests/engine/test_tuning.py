"""`nearfield models tune`: the forward pass is the engine's, and a whole run, killed and continued.

Needs PyTorch: `make tuning`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.test_cli import Shell
from tests.engine.conftest import SILENCE
from tests.engine.families import FAMILIES, write_model
from tests.repository import git, make_repository

from nearfield.engine.bindings import c
from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model
from nearfield.features.tune.adapter_file import write_adapter
from nearfield.features.tune.network import ALPHA, TunedNetwork

pytestmark = pytest.mark.tune

CODE = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"


def engine_logits(path: Path, adapter: Path | None = None) -> tuple[list[int], np.ndarray]:
    """The tokens of some code, and the logits after the last one, by llama.cpp."""
    model = Model(path, 0, lambda _: None, SILENCE)
    try:
        if adapter is not None:
            model.adapt(adapter, 1.0)
        lane = Lane(model, context_size=256, sequences=1, chunk=64, threads=1, abort=Abort())
        try:
            tokens = [*model.bos, *model.tokenize(CODE)]
            (sequence,) = lane.table.all
            lane.decode(sequence, tokens)
            return tokens, np.array(lane.logits(), dtype=np.float32)
        finally:
            lane.close()
    finally:
        model.close()


def network_logits(network: TunedNetwork, tokens: list[int]) -> np.ndarray:
    return network.logits(tokens, len(tokens) - 1)[-1].detach().numpy()


@pytest.fixture(scope="module", params=["qwen2.5-coder", "small"])
def weights(
    request: pytest.FixtureRequest,
    default_model: Path,
    small_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A model of each kind: qwen2 of tiny random weights, and SmolLM2, which is a llama."""
    c.llama_backend_init()
    if request.param == "small":
        return small_model
    path = tmp_path_factory.mktemp("tune") / "tiny.gguf"
    write_model(FAMILIES[request.param], default_model, path)
    return path


def test_the_forward_pass_is_the_engines(weights: Path) -> None:
    tokens, wanted = engine_logits(weights)
    found = network_logits(TunedNetwork(weights, "cpu", 0), tokens)
    assert _similar(found, wanted)


def test_a_written_adapter_changes_the_engine_as_the_network(weights: Path, tmp_path: Path) -> None:
    network = TunedNetwork(weights, "cpu", 0)
    random = np.random.default_rng(3)
    for name, matrix in network.adapter.items():
        if name.endswith(".lora_b"):
            values = random.standard_normal(tuple(matrix.shape), dtype=np.float32) * 0.05
            matrix.data.copy_(matrix.data.new_tensor(values))
    adapter = tmp_path / "adapter.gguf"
    matrices = {name: one.detach().numpy() for name, one in network.adapter.items()}
    write_adapter(adapter, network.architecture.name, "mine", ALPHA, matrices)
    assert adapter.stat().st_mode & 0o777 == 0o600
    _, plain = engine_logits(weights)
    tokens, wanted = engine_logits(weights, adapter)
    found = network_logits(network, tokens)
    assert _similar(found, wanted)
    assert not _similar(found, plain)


def _similar(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two vectors of logits point the same way; llama.cpp rounds what it multiplies."""
    one, other = one - one.mean(), other - other.mean()
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)) > 0.995


def history(folder: Path) -> Path:
    """A repository that says the same thing in each of its commits, in its own words."""
    made = make_repository(folder, {"start.py": "import math\n"})
    for number in range(90):
        text = "\n".join(
            f"def zorp_{number}_{part}(quux, flarn):\n"
            f"    wibble = frobnicate(quux, depth={part})\n"
            f"    return wibble.normalise_zorp(flarn, strict=True)\n\n"
            for part in range(2)
        )
        (made / f"m{number}.py").write_text(text)
        git(made, "add", ".")
        git(made, "commit", "-q", "-m", str(number))
    return made


def test_a_run_is_killed_goes_on_and_is_kept(tmp_path: Path, small_model: Path) -> None:
    shell = Shell(tmp_path)
    made = history(tmp_path / "r")
    assert shell.run("models", "add", "base", str(small_model)).returncode == 0
    words = ("models", "tune", "base", "--repository", str(made), "--minutes", "8", "--json")
    command = [sys.executable, "-m", "nearfield", *words, "--cases", "30", "--on-battery"]
    first = subprocess.Popen(command, env=shell.environ, cwd=tmp_path)
    plan = _wait_for_training(tmp_path, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = json.loads(plan.read_text())
    ran = subprocess.run(command, env=shell.environ, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(ran.stdout)
    assert report["trained"] > before["trained"] > 0
    assert report["kept"]
    assert report["tuned_exact"] > report["base_exact"]
    assert Path(report["adapter"]).stat().st_mode & 0o777 == 0o600
    rows = {row["name"]: row for row in json.loads(shell.run("models", "list", "--json").stdout)}
    assert rows[report["name"]]["base"] == "base"
    assert not plan.exists()


def _wait_for_training(folder: Path, process: subprocess.Popen[bytes]) -> Path:
    """Wait until a checkpoint tells of some cases; return the plan's file."""
    while process.poll() is None:
        for plan in folder.rglob("plan.json"):
            if json.loads(plan.read_text())["trained"]:
                return plan
        time.sleep(0.5)
    raise AssertionError("the first run ended")
