"""Optimising a real model: what is changed, what is kept, and that nothing is left otherwise."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from nearfield.catalog.choice import choose
from nearfield.catalog.gguf import tensors
from nearfield.catalog.models import Catalog
from nearfield.catalog.variant import Bench
from nearfield.config.schema import Engine as Settings
from nearfield.config.schema import Models
from nearfield.errors import CatalogError, EngineError, NoSpace
from nearfield.features.optimise import judge, make, process
from nearfield.features.optimise.make import Effort, Step
from nearfield.features.optimise.plan import Recipe

pytestmark = pytest.mark.model

KEYS = Recipe(frozenset({"attn_k", "attn_v"}))
LITTLE = Effort(importance_tokens=512, cases=4, rounds=1, recipes=(KEYS,))
"""Small matrices: written in a second."""


@pytest.fixture
def catalog(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """A cache of the test's own that holds the small model."""
    monkeypatch.setenv("NEARFIELD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NEARFIELD_CONFIG_DIR", str(tmp_path / "config"))
    catalog = Catalog.load()
    shelf = catalog.shelf(catalog.get(catalog.small))
    shelf.folder.mkdir(parents=True)
    shelf.file.symlink_to(small_model)
    return catalog


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed decides nothing, as other programs run beside a test, and no loss is too large."""
    monkeypatch.setattr(judge, "LEAST_FASTER", 0.0)
    monkeypatch.setattr(judge, "LEAST_WRITING", 0.0)
    monkeypatch.setattr(judge, "MOST_LINES_LOST", 1.0)
    monkeypatch.setattr(judge, "MOST_LIKELIHOOD_LOST", 99.0)


def left(catalog: Catalog) -> list[str]:
    """What lies in the cache besides the model and its record."""
    files = (path.relative_to(catalog.cache) for path in catalog.cache.rglob("*") if path.is_file())
    return [str(file) for file in files if file.suffix != ".lock" and "optimised" in file.parts]


def optimise(
    catalog: Catalog, effort: Effort = LITTLE, progress: Callable[[Step], None] = lambda _: None
) -> make.Outcome:
    return make.optimise(catalog, catalog.small, Settings(gpu_layers=0), progress, effort=effort)


@pytest.mark.usefixtures("lenient")
def test_a_variant_is_made_measured_and_used(catalog: Catalog) -> None:
    source = choose("complete", Models(), catalog).path
    phases: list[str] = []
    outcome = optimise(catalog, progress=lambda step: phases.append(step.phase))
    variant, compared = outcome.variant, outcome.compared
    assert variant is not None
    assert compared is not None
    assert list(dict.fromkeys(phases)) == ["reading", "writing", "comparing"]
    before = {tensor.name: tensor.type for tensor in tensors(source)}
    after = {tensor.name: tensor.type for tensor in tensors(variant.path)}
    assert before.keys() == after.keys()
    changed = Counter(
        (name.split(".")[2], kind) for name, kind in after.items() if before[name] != kind
    )
    assert changed == {("attn_k", "IQ4_NL"): 30, ("attn_v", "IQ4_NL"): 30}
    assert compared.lines >= 4
    assert 0.8 < compared.agreement < 1.0
    assert compared.before.likelihood == pytest.approx(compared.after.likelihood, abs=0.3)
    choice = choose("complete", Models(), catalog)
    assert (choice.path, choice.optimised, choice.name) == (variant.path, True, catalog.small)
    # A second run has nothing to do, and going back leaves nothing.
    assert optimise(catalog) == make.Outcome(variant)
    assert make.remove(catalog, catalog.small) == variant.file.bytes
    assert choose("complete", Models(), catalog).path == source
    assert left(catalog) == []


def test_a_variant_that_writes_worse_is_not_kept(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "LEAST_FASTER", 0.0)
    monkeypatch.setattr(judge, "LEAST_WRITING", 0.0)
    two_bits = Recipe(frozenset({"attn_k", "attn_v", "attn_q", "attn_output"}), kind="Q2_0")
    outcome = optimise(catalog, Effort(importance_tokens=0, cases=4, rounds=1, recipes=(two_bits,)))
    assert outcome.variant is None
    assert "lines it wrote" in outcome.reason or "less likely" in outcome.reason
    assert outcome.compared is not None
    assert outcome.compared.agreement < 0.8
    bench = Bench(catalog.shelf(catalog.get(catalog.small)))
    assert [Path(file).name for file in left(catalog)] == ["refused.json"]
    assert bench.refused(choose("complete", Models(), catalog).path) == outcome.reason
    assert not choose("complete", Models(), catalog).optimised


@pytest.mark.parametrize("phase", ["reading", "writing", "comparing"])
def test_an_interruption_leaves_nothing(catalog: Catalog, phase: str) -> None:
    def interrupt(step: Step) -> None:
        if step.phase == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimise(catalog, progress=interrupt)
    assert left(catalog) == []
    assert not [
        p for p in psutil.Process().children() if "nearfield.engine.optimise" in p.cmdline()
    ]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_the_command_ends_with_its_process(
    catalog: Catalog, sent: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "nearfield", "models", "optimise", catalog.small]
    # Whoever runs the tests in the background has them, and their children, ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    finally:
        signal.signal(signal.SIGINT, before)
    assert run.stderr is not None
    assert "reading code" in run.stderr.readline()
    children = psutil.Process(run.pid).children()
    assert children
    run.send_signal(sent)
    said = run.stderr.read()
    run.stderr.close()
    assert run.wait(timeout=30) == code
    assert said == ("Stopped. Nothing is kept.\n" if sent is signal.SIGINT else "")
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert left(catalog) == []


def test_a_disk_that_fills_up_is_said(catalog: Catalog) -> None:
    """A limit of the file size is to the writer what a full disk is."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, limits[1]))
    try:
        with pytest.raises(process.WriteFailed, match="gave up"):
            optimise(catalog)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert left(catalog) == []


def test_too_little_space_is_said_before_the_work(catalog: Catalog) -> None:
    with pytest.raises(NoSpace, match="are free"):
        make.optimise(catalog, catalog.small, Settings(), free=lambda _: 1 << 20)
    assert left(catalog) == []


@pytest.mark.usefixtures("lenient")
def test_a_source_that_changes_meanwhile_gets_no_variant(catalog: Catalog) -> None:
    source = choose("complete", Models(), catalog).path

    def replace(step: Step) -> None:
        if step.phase == "comparing" and source.is_symlink():
            target = source.resolve()
            source.unlink()
            source.write_bytes(target.read_bytes() + b"changed")

    outcome = optimise(catalog, progress=replace)
    assert outcome.variant is None
    assert "changed in the meantime" in outcome.reason
    assert [Path(file).name for file in left(catalog)] == ["refused.json"]
    assert Bench(catalog.shelf(catalog.get(catalog.small))).refused(source) == ""


def test_a_model_that_needs_too_much_memory_is_refused(catalog: Catalog) -> None:
    settings = Settings(gpu_layers=0, memory_limit_mb=100)
    with pytest.raises(EngineError, match="MiB"):
        make.optimise(catalog, catalog.small, settings, effort=LITTLE)
    assert left(catalog) == []


def test_a_model_that_is_not_here_is_refused(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="not on this machine"):
        make.optimise(catalog, catalog.default, Settings())


def test_importance_is_what_a_matrix_is_multiplied_with(small_model: Path) -> None:
    """Matrices that read the same input get the same figures, which a process of its own tells:
    llama.cpp does not belong into a test's."""
    code = f"""
import json
from pathlib import Path
from nearfield.engine.importance import collect
from nearfield.engine.llama import Model, Silence
from nearfield.engine.bindings import c
c.llama_backend_init()
model = Model(Path({str(small_model)!r}), 0, lambda _: None, log := Silence())
matrices = ("attn_q", "attn_k", "ffn_up", "ffn_gate", "ffn_down")
names = [f"blk.{{i}}.{{m}}.weight" for i in (0, 29) for m in matrices]
tokens = model.tokenize(Path({__file__!r}).read_text())[:512]
found = collect(model, tokens, frozenset(names), 1, lambda _: None)
print(json.dumps({{n: [len(v), float(v.min()), float(v.sum())] for n, v in found.items()}}))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, list[float]] = json.loads(ran.stdout)
    assert len(found) == 10
    for layer in (0, 29):
        of = {
            m: found[f"blk.{layer}.{m}.weight"] for m in ("attn_q", "attn_k", "ffn_up", "ffn_gate")
        }
        assert of["attn_q"] == of["attn_k"]
        assert of["ffn_up"] == of["ffn_gate"]
        assert of["attn_q"] != of["ffn_up"]
        assert of["attn_q"][0] == 576
        assert found[f"blk.{layer}.ffn_down.weight"][0] == 1536
    assert all(least >= 0 and total > 0 for _, least, total in found.values())


def test_a_process_that_dies_is_said(catalog: Catalog) -> None:
    def kill(_: Step) -> None:
        for child in psutil.Process().children():
            if "nearfield.engine.optimise" in child.cmdline():
                child.kill()

    started = time.monotonic()
    with pytest.raises(EngineError, match="died"):
        optimise(catalog, progress=kill)
    assert time.monotonic() - started < 120
    assert left(catalog) == []


def test_why_it_died_is_said(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (sys.executable, "-c", "raise SystemExit('no such library')")
    monkeypatch.setattr(process, "COMMAND", broken)
    with pytest.raises(EngineError, match=r"died\. no such library"):
        optimise(catalog)
    assert left(catalog) == []
