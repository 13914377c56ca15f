"""`nearfield setup`: what is chosen for a machine, what is set, and what stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from tests.unit.catalog.gguf_files import model, own_entry

from nearfield.catalog.models import Catalog, HubSource, ModelEntry, Wheel, WheelsSource
from nearfield.catalog.recommend import Machine
from nearfield.cli.setup import SetupPlan, planned
from nearfield.config.schema import Config, Models, Network, ProviderSettings, Routing
from nearfield.providers.detect import KNOWN_SERVERS, RunningServer
from nearfield.types import EditForm, ServedModel

MIB = 1 << 20
LAPTOP = Machine(memory=16_000 * MIB, cores=4, free_disk=100_000 * MIB)
SMALL = Machine(memory=3_600 * MIB, cores=4, free_disk=100_000 * MIB)


def entry(name: str, *roles: str, mb: int = 1_000, size: int = 500, **more: Any) -> ModelEntry:
    given: dict[str, Any] = {
        "name": name,
        "title": name,
        "sources": [HubSource("a/b", f"{name}.gguf")],
        "file": f"{name}.gguf",
        "licence": "MIT",
        "context": 4096,
        "roles": list(roles),
        "bytes": 1_000_000,
        "parameters_m": size,
        "memory_mb": mb,
        "preferred": True,
        **more,
    }
    return ModelEntry(**given)


WHEELS = WheelsSource([Wheel("p", "1", "m")])
ENTRIES = (
    entry("base", "complete", fim="qwen"),
    entry("words", "chat", mb=1_500, size=1_500, fim="qwen", instruct=True, chat="gguf"),
    entry("edits", "edit", edit_form=EditForm.SWEEP),
    entry(
        "mirrored", "complete", "chat", fim="qwen", chat="gguf", instruct=True, size=400,
        sha256="0" * 64, sources=[HubSource("a/b", "m.gguf"), WHEELS],
    ),
)  # fmt: skip


@pytest.fixture
def hub(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    httpserver.expect_request("/").respond_with_data("")
    monkeypatch.setenv("HF_ENDPOINT", httpserver.url_for("").rstrip("/"))


async def plan(
    tmp_path: Path,
    config: Config | None = None,
    servers: tuple[RunningServer, ...] = (),
    machine: Machine = LAPTOP,
    *,
    mirror: bool = False,
) -> SetupPlan:
    catalog = Catalog({one.name: one for one in ENTRIES}, tmp_path, default="mirrored")
    return await planned(
        config or Config(), catalog, mirror=mirror, servers=servers, machine=machine
    )


def chosen(found: SetupPlan) -> dict[str, str]:
    return {one.role: one.model for one in found.choices}


@pytest.mark.asyncio
async def test_each_kind_of_work_gets_the_best_model_that_can_be_had(
    hub: None, tmp_path: Path
) -> None:
    found = await plan(tmp_path)
    assert chosen(found) == {"complete": "base", "chat": "words", "edit": "edits"}
    assert [one.name for one in found.fetched] == ["base", "words", "edits"]
    assert found.settings == {
        ("models", "complete"): "base",
        ("models", "chat"): "words",
        ("models", "edit"): "edits",
    }


@pytest.mark.asyncio
async def test_models_that_do_not_fit_into_memory_together_are_not_chosen(
    hub: None, tmp_path: Path
) -> None:
    found = await plan(tmp_path, machine=SMALL)
    assert chosen(found) == {"complete": "base"}
    assert "words for chat does not fit" in found.notes[0]


@pytest.mark.asyncio
async def test_what_a_server_here_has_is_not_fetched(hub: None, tmp_path: Path) -> None:
    models = ("qwen2.5-coder:1.5b-base", "qwen2.5-coder:0.5b", "llama3:70b", "nomic-embed-text")
    server = RunningServer(KNOWN_SERVERS[0], "", tuple(map(ServedModel, models)))
    found = await plan(tmp_path, servers=(server,))
    assert chosen(found) == {
        "complete": "qwen2.5-coder:0.5b",
        "chat": "qwen2.5-coder:0.5b",
        "edit": "edits",
    }
    assert [one.name for one in found.fetched] == ["edits"]
    assert found.settings["providers", "ollama"]["model"] == "qwen2.5-coder:0.5b"
    assert found.settings["routing", "roles", "complete"] == ["ollama", "embedded"]


@pytest.mark.asyncio
async def test_what_the_user_has_set_stays(hub: None, tmp_path: Path) -> None:
    file = tmp_path / "own.gguf"
    file.write_bytes(model())
    config = Config(
        models=Models(complete=str(file)),
        routing=Routing(roles={"code": ["desk"]}),
        providers={"desk": ProviderSettings(kind="ollama", model="llama3")},
    )
    found = await plan(tmp_path, config)
    assert chosen(found) == {"complete": "own", "chat": "llama3", "edit": "edits"}
    assert list(found.settings) == [("models", "edit")]


@pytest.mark.asyncio
@pytest.mark.parametrize(("mirror", "expected"), [(True, "mirrored"), (False, None)])
async def test_without_the_hub_the_mirror_has_some(
    mirror: bool, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = await plan(tmp_path, Config(network=Network()), mirror=mirror)
    assert chosen(found).get("complete") == expected
    assert "works without it" in found.notes[0]
    assert ("--mirror" in " ".join(found.notes)) is not mirror


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    own = {
        "NEARFIELD_CACHE_DIR": str(folder / "cache"),
        "NEARFIELD_CONFIG_DIR": str(folder / "config"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "PIP_NO_INDEX": "1",
        **environ,
    }
    command = [sys.executable, "-m", "nearfield", "setup", "--no-servers", *arguments]
    return subprocess.run(
        command,
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_a_terminal_it_says_what_it_would_do_and_writes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--mirror")
    assert done.returncode == 1
    assert "To fetch: " in done.stdout
    assert "Nothing was done" in done.stderr
    assert not list(tmp_path.rglob("*.toml"))


def test_without_anything_it_says_what_works(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
    assert "nearfield models add" in done.stderr


def test_the_settings_keep_what_is_there_and_it_can_be_repeated(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(model())
    folder = tmp_path / "config"
    folder.mkdir()
    entry = own_entry(f'{{ kind = "path", path = {json.dumps(str(file))} }}')
    (folder / "catalog.toml").write_text(entry + "preferred = true\nparameters_m = 9\n")
    settings = folder / "config.toml"
    settings.write_text('# mine\n[log]\nlevel = "info"  # keep\n')
    done = run(tmp_path, "--yes", "--no-measure")
    assert done.returncode == 0, done.stderr
    written = settings.read_text()
    assert written.startswith('# mine\n[log]\nlevel = "info"  # keep\n')
    assert 'complete = "tiny"' in written and 'chat = "tiny"' in written
    again = run(tmp_path, "--no-measure", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["settings"] == {}
    assert settings.read_text() == written
