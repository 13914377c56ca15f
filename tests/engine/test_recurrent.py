"""A model whose state cannot be cut, through the whole product: it answers, and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio
from tests.engine import vocabularies
from tests.engine.families import FAMILIES, write_model

from nearfield.config.schema import Engine as Settings
from nearfield.engine.client import EngineClient
from nearfield.features.health import status_of
from nearfield.features.status import State
from nearfield.providers.embedded import Embedded
from nearfield.types import InfillRequest, Usage

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module", params=["qwen3.5", "qwen-mamba", "qwen2.5-coder"])
def family_file(
    request: pytest.FixtureRequest, default_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    family = FAMILIES[request.param]
    path = tmp_path_factory.mktemp("recurrent") / f"{request.param}.gguf"
    write_model(family, vocabularies.path(family.vocabulary) or default_model, path)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(family_file: Path) -> AsyncGenerator[Embedded]:
    engine = EngineClient(Settings(context_size=4096, chat_context_size=1024))
    provider = Embedded(engine, model=family_file.stem, path=family_file)
    provider.start()
    await engine.ready(time.monotonic() + 60)
    yield provider
    await provider.aclose()


def request(line: str) -> InfillRequest:
    prefix = "total = 0\n" * 40 + line
    return InfillRequest("d", "a.py", "python", prefix, "\nprint(total)\n", line, max_tokens=4)


async def cost(provider: Embedded, line: str) -> Usage:
    usage = Usage("")
    async with aclosing(provider.infill(request(line))) as stream:
        async for delta in stream:
            usage = delta.usage or usage
    return usage


async def test_reuse_is_off_where_it_cannot_be_and_is_said(
    provider: Embedded, tmp_path: Path
) -> None:
    cuts = provider.model == "qwen2.5-coder"
    await cost(provider, "total += o")
    second = await cost(provider, "total += on")
    assert second.reuses_prefix is cuts
    assert bool(second.reused_tokens) is cuts
    kept = await provider.keep(request("total += on"), str(tmp_path / "state"))
    assert bool(kept) is cuts
    health = await provider.health()
    status = status_of([(provider, health)])
    assert status.state is State.READY
    assert ("state cannot be cut" in status.detail) is not cuts


async def test_the_doctor_says_it(family_file: Path, tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "NEARFIELD_CONFIG_DIR": str(tmp_path),
        "NEARFIELD_MODELS__COMPLETE": str(family_file),
        "NEARFIELD_ENGINE__CONTEXT_SIZE": "2048",
    }
    doctor = [sys.executable, "-m", "nearfield", "doctor", "--json"]
    done = subprocess.run(doctor, env=environ, capture_output=True, text=True, timeout=120)
    names = {row["name"]: row for row in json.loads(done.stdout)}
    assert "speed" in names, done.stderr
    assert ("prompt reuse" in names) is not family_file.stem.startswith("qwen2.5")
