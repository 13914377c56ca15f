"""What is recommended to which machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.catalog.models import Catalog
from nearfield.catalog.recommend import Machine, recommend, this_machine

GIB = 1 << 30


@pytest.mark.parametrize(
    ("machine", "complete", "chat"),
    [
        (Machine(memory=1 * GIB, cores=1, free_disk=GIB), None, None),
        (
            Machine(memory=int(1.5 * GIB), cores=2, free_disk=GIB),
            "smollm2-135m-instruct",
            "smollm2-135m-instruct",
        ),
        (
            Machine(memory=8 * GIB, cores=2, free_disk=100 * GIB),
            "qwen2.5-coder-0.5b",
            "qwen2.5-coder-1.5b-instruct",
        ),
        (
            Machine(memory=32 * GIB, cores=8, free_disk=100 * GIB),
            "qwen2.5-coder-1.5b",
            "qwen2.5-coder-1.5b-instruct",
        ),
        (
            Machine(memory=64 * GIB, cores=16, free_disk=100 * GIB),
            "qwen2.5-coder-1.5b",
            "qwen2.5-coder-7b-instruct",
        ),
        (
            Machine(64 * GIB, 16, 100 * GIB, "RTX", 24 * GIB),
            "qwen2.5-coder-7b",
            "qwen3-coder-30b-a3b-instruct",
        ),
        (
            Machine(16 * GIB, 8, 100 * GIB, "Apple silicon", 8 * GIB),
            "qwen2.5-coder-1.5b",
            "qwen2.5-coder-7b-instruct",
        ),
        (
            Machine(memory=32 * GIB, cores=8, free_disk=600 << 20),
            "qwen2.5-coder-0.5b-instruct",
            "qwen2.5-coder-0.5b-instruct",
        ),
    ],
)
def test_recommendations(
    environ: dict[str, str], machine: Machine, complete: str | None, chat: str | None
) -> None:
    advice = {item.role: item for item in recommend(Catalog.load(environ), machine)}
    found = tuple(advice[r].entry.name if r in advice else None for r in ("complete", "chat"))
    assert found == (complete, chat)
    for item in advice.values():
        assert not item.installed
        if item.role == "edit":
            assert item.entry.edit_form and item.entry.hub_only
            continue
        assert machine.words() in item.reason
        # What only the hub has comes with one that can be had without it.
        assert bool(item.otherwise) == item.entry.hub_only


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(memory=1 * GIB, cores=1, free_disk=GIB), None),
        (Machine(memory=4 * GIB, cores=2, free_disk=100 * GIB), "sweep-next-edit-0.5b"),
        (Machine(memory=8 * GIB, cores=2, free_disk=100 * GIB), "sweep-next-edit-1.5b"),
        (Machine(64 * GIB, 16, 100 * GIB, "RTX", 24 * GIB), "zeta-2.1"),
    ],
)
def test_a_model_for_next_edits_is_recommended(
    environ: dict[str, str], machine: Machine, expected: str | None
) -> None:
    advice = {item.role: item.entry.name for item in recommend(Catalog.load(environ), machine)}
    assert advice.get("edit") == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '8192, Small'; echo '24576, Big'", ("Big", 24 * GIB)),
        ("echo 'NVIDIA-SMI has failed'", ("", 0)),
        ("exit 9", ("", 0)),
        ("printf '\\377'", ("", 0)),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_the_gpu_is_asked_for_without_risk(
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    expected: tuple[str, int],
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    machine = this_machine(Catalog.load(environ))
    assert (machine.gpu, machine.gpu_memory) == expected
    assert machine.memory > 0
    assert machine.cores > 0
    assert machine.free_disk > 0
