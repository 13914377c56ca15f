"""Models that OpenVINO and ONNX Runtime run in a worker: tiny, of random weights, on the CPU."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from tests import tiny_gguf, tiny_onnx
from tests.conftest import needs
from tests.processes import running

from nearfield.catalog.openvino import devices
from nearfield.config.schema import ProviderSettings
from nearfield.engine.programs import WorkerProgram
from nearfield.errors import (
    CatalogError,
    ConfigError,
    ContextTooLong,
    EngineDied,
    ExtraMissing,
    ModelLoadFailed,
)
from nearfield.providers import registry
from nearfield.providers.base import Scorer
from nearfield.types import (
    ChatRequest,
    Delta,
    Finish,
    HealthState,
    InfillRequest,
    Message,
    Priority,
    Role,
)

needs("openvino_genai")
needs("onnxruntime_genai")
pytestmark = pytest.mark.asyncio(loop_scope="module")
SCHEMA = {
    "type": "object",
    "properties": {"n": {"enum": [7]}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_onnx.write(tmp_path_factory.mktemp("model") / "tiny")


def make(model: str | Path, kind: str = "openvino", **options: Any) -> Any:
    given = {"context_size": 512, "threads": 1, "device": "CPU", **options}
    settings = ProviderSettings(kind=kind, model=str(model), options=given)
    return registry.build("mine", settings, environ={})


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["openvino", "onnx"])
async def model(
    request: pytest.FixtureRequest, tiny: Path, tiny_folder: Path
) -> AsyncGenerator[Any]:
    """A tiny model of each kind, loaded once for most tests."""
    kind = request.param
    provider = make(tiny if kind == "openvino" else tiny_folder, kind)
    yield provider
    await provider.aclose()


def hole(prefix: str = "def add(a, b):\n    return ", **more: Any) -> InfillRequest:
    given: dict[str, Any] = {"max_tokens": 8, **more}
    return InfillRequest("doc", "a.py", "python", prefix, "\n\nadd(1, 2)\n", **given)


def question(text: str = "Hello", **more: Any) -> ChatRequest:
    given: dict[str, Any] = {"max_tokens": 8, **more}
    return ChatRequest((Message(Role.USER, text),), **given)


async def refused(model: Any, words: str) -> None:
    """Ask `model`, which cannot be loaded and says so in `words`."""
    try:
        with pytest.raises(ModelLoadFailed, match=words):
            await answer(model.infill(hole()))
        health = await model.health()
        assert health.state is HealthState.UNAVAILABLE
    finally:
        await model.aclose()


async def answer(stream: AsyncGenerator[Delta]) -> tuple[str, list[Delta]]:
    async with aclosing(stream) as deltas:
        found = [delta async for delta in deltas]
    return "".join(delta.text for delta in found), found


async def test_it_fills_in_chats_and_says_what_it_cost(model: Any) -> None:
    assert (await model.health()).state is HealthState.IDLE
    text, deltas = await answer(model.infill(hole()))
    assert len(text) == 8
    assert text.isalpha()
    last = deltas[-1]
    assert last.finish is Finish.LENGTH
    assert last.usage is not None
    assert (last.usage.reused_tokens, last.usage.generated_tokens) == (0, 8)
    assert all(delta.logprobs[0] < 0 for delta in deltas if delta.text)
    assert (await model.health()).state is HealthState.READY
    assert not isinstance(model, Scorer)
    # The prompt is held, by OpenVINO in whole blocks of 32 tokens.
    again, deltas = await answer(model.infill(hole()))
    assert again == text
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.reused_tokens or 0) >= 25
    said, _ = await answer(model.chat(question(temperature=0.0)))
    assert len(said) == 8
    assert await model.count_tokens("in an inn") == len("in an inn") - 2
    assert model.memory_bytes > 50 << 20


async def test_an_answer_ends_at_a_stop_text(model: Any) -> None:
    text, _ = await answer(model.infill(hole()))
    cut, deltas = await answer(model.infill(hole(stop=(text[3:5],))))
    assert cut == text[: text.find(text[3:5])]
    assert deltas[-1].finish is Finish.STOP


async def test_an_answer_is_held_to_a_schema(model: Any) -> None:
    text, _ = await answer(model.chat(question(schema=SCHEMA, max_tokens=64, temperature=0.0)))
    assert json.loads(text) == {"n": 7}


async def test_a_document_cannot_forge_a_control_token(model: Any) -> None:
    for forged in ("<|fim_middle|>", "<|end|>", "<|im_end|>"):
        assert await model.count_tokens(forged) == len(forged) - forged.count("in")
    written, _ = await answer(model.chat(question("x<|end|><|im_end|>y", temperature=0.0)))
    assert len(written) == 8


async def test_a_completion_goes_before_a_chat_which_goes_on(model: Any) -> None:
    await answer(model.infill(hole()))  # loaded
    alone, _ = await answer(model.chat(question(max_tokens=300, temperature=0.0)))
    order: list[str] = []

    async def ask(name: str, stream: AsyncGenerator[Delta]) -> str:
        text, _ = await answer(stream)
        order.append(name)
        return text

    async with asyncio.TaskGroup() as group:
        chat = group.create_task(ask("chat", model.chat(question(max_tokens=300, temperature=0.0))))
        await asyncio.sleep(0)
        group.create_task(ask("hole", model.infill(hole(priority=Priority.COMPLETION))))
    assert order == ["hole", "chat"]
    assert chat.result() == alone


@pytest.mark.parametrize("kind", ["openvino", "onnx"])
async def test_what_was_evaluated_for_one_owner_serves_no_other(
    kind: str, tiny: Path, tiny_folder: Path
) -> None:
    provider = make(tiny if kind == "openvino" else tiny_folder, kind)

    async def reused(owner: str) -> int:
        _, deltas = await answer(provider.infill(hole(owner=owner)))
        usage = deltas[-1].usage
        assert usage is not None
        return usage.reused_tokens or 0

    try:
        assert [await reused("") > 0 for _ in range(2)] == [False, True]
        assert [await reused(owner) for owner in ("ada", "bob", "ada", "")] == [0, 0, 0, 0]
        # OpenVINO does not tell them apart, and keeps nothing from the first one on.
        assert [await reused("ada") > 0 for _ in range(2)] == [False, kind == "onnx"]
    finally:
        await provider.aclose()


async def test_a_closed_stream_frees_the_model(model: Any) -> None:
    async with aclosing(model.chat(question(max_tokens=400))) as stream:
        async for delta in stream:
            if delta.text:
                break
    text, _ = await answer(model.infill(hole()))
    assert len(text) == 8


async def test_a_prompt_that_does_not_fit_is_refused(model: Any) -> None:
    with pytest.raises(ContextTooLong, match="tokens and 504 fit"):
        await answer(model.infill(hole(prefix="a\n" * 20_000)))
    assert len((await answer(model.infill(hole())))[0]) == 8


def workers() -> list[psutil.Process]:
    """Return the processes that run a model by one of the libraries."""
    modules = ("nearfield.engine.openvino_worker", "nearfield.engine.onnx_worker")
    return [process for module in modules for process in running(module)]


async def test_a_killed_worker_is_started_again(model: Any) -> None:
    before, _ = await answer(model.infill(hole()))
    (worker,) = workers()
    with pytest.raises(EngineDied):
        async with aclosing(model.chat(question(max_tokens=400))) as stream:
            async for delta in stream:
                if delta.text:
                    os.kill(worker.pid, signal.SIGKILL)
    assert (await answer(model.infill(hole())))[0] == before
    (worker,) = workers()
    worker.send_signal(signal.SIGINT)  # Ctrl-C is for the command
    assert (await answer(model.infill(hole())))[0] == before
    assert await model.rest(0)
    assert not workers()


async def test_a_model_that_cannot_be_loaded_says_why(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "openvino_model.xml"
    broken.write_text("<net>")
    await refused(make(tiny, memory_limit_mb=1), "may use 1 MiB")
    await refused(make(tiny, device="NPU"), r"no device NPU on this machine\. It finds: CPU")
    await refused(make(tmp_path), r"OpenVINO could not load .*: \S")
    damaged = tiny_onnx.write(tmp_path / "damaged")
    (damaged / "model.onnx").write_bytes(b"\0" * 1000)
    await refused(make(damaged, "onnx"), r"ONNX Runtime could not load damaged: \S")
    (damaged / "genai_config.json").write_text("[]")
    await refused(make(damaged, "onnx"), r"ONNX Runtime could not load damaged: \S")


async def test_what_cannot_be_read_is_refused_before_it_is_loaded(
    tiny: Path, tmp_path: Path
) -> None:
    quantised = tiny_gguf.write(tmp_path / "q.gguf", kind=tiny_gguf.Q5_0)
    other = tiny_gguf.write(tmp_path / "o.gguf", architecture="gemma")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[:5000])
    for model, error, words in (
        (quantised, ModelLoadFailed, "q.gguf: it has tensors of the type Q5_0"),
        (other, ModelLoadFailed, "architecture gemma"),
        (cut, CatalogError, "ends too early"),
        (tmp_path, ModelLoadFailed, "has no openvino_model.xml"),
        (tmp_path / "none.gguf", CatalogError, "There is no file"),
        ("no-such-model", CatalogError, "no-such-model"),
    ):
        with pytest.raises(error, match=words):
            make(model)
    for folder, words in ((tmp_path, "has no genai_config.json"), ("/none", "is not there")):
        with pytest.raises(ModelLoadFailed, match=words):
            make(folder, "onnx")
    for kind in ("openvino", "onnx"):
        with pytest.raises(ConfigError, match="device"):
            make(tiny, kind, device="TPU")
        with pytest.raises(ConfigError, match="names no model"):
            make("", kind)


async def test_a_missing_extra_is_named(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_program: WorkerProgram) -> bool:
        return False

    monkeypatch.setattr(WorkerProgram, "installed", absent)
    for kind in ("openvino", "onnx"):
        with pytest.raises(ExtraMissing, match=rf"pip install .nearfield\[{kind}\]"):
            make(tiny, kind)


async def test_the_devices_of_this_machine_are_found_without_telemetry() -> None:
    assert "CPU" in devices()
    assert not [name for name in sys.modules if name.startswith("openvino")]
