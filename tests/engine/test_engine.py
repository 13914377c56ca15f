"""The real engine with real models: exactness, pre-emption, cancel, death, bad files."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import pytest
import pytest_asyncio

from nearfield.config.paths import DATA_DIR_VARIABLE, data_dir
from nearfield.config.schema import Engine as Settings
from nearfield.engine.client import EngineClient, EngineState
from nearfield.engine.frames import Done, Generate, Prefilled, Tokens, Variant
from nearfield.engine.typing_lock import FILE, TypingLock
from nearfield.errors import ContextTooLong, EngineDied, ModelLoadFailed, NotReady, Unsupported
from nearfield.types import Priority

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

SETTINGS = Settings(context_size=4096, chat_context_size=1024)

ENDLESS = 2000
"""Tokens that take longer than a busy machine stalls."""

SOURCE = Path(__file__).read_text(encoding="utf-8")


@dataclass
class Answer:
    text: str
    logprobs: list[float]
    done: Done
    prefilled: Prefilled | None = None


async def ask(engine: EngineClient, spec: Generate, deadline: float | None = None) -> Answer:
    answer = Answer("", [], Done(0, "", 0, 0, 0, 0, 0, 0, 0, 0, 0))
    async with aclosing(engine.generate(spec, deadline)) as events:
        async for event in events:
            if isinstance(event, Tokens):
                answer.text += event.text
                answer.logprobs += event.logprobs
            elif isinstance(event, Prefilled):
                answer.prefilled = event
            elif isinstance(event, Done):
                answer.done = event
    return answer


def spec(
    prefix: str,
    *,
    document: str = "d",
    priority: int = 0,
    max_tokens: int = 12,
    heal: bool = False,
    prefill_only: bool = False,
    deadline_ms: float = 0.0,
    single_line: bool = False,
) -> Generate:
    return Generate(
        id=0,
        lane="infill",
        priority=priority,
        document=document,
        variants=[Variant([(prefix, False)], heal=0 if heal else -1)],
        max_tokens=max_tokens,
        prefill_only=prefill_only,
        deadline_ms=deadline_ms,
        single_line=single_line,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(
    small_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[EngineClient]:
    engine = EngineClient(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        # Engines of other tests, and the user's, are none of this one's business.
        patch.setenv(DATA_DIR_VARIABLE, str(tmp_path_factory.mktemp("data")))
        engine.start(str(small_model))
        await engine.ready(time.monotonic() + 120)
        yield engine
    await engine.stop()


COUNTING = ", ".join(str(i) for i in range(20)) + ","
"""What a model is sure how to continue: kernels round differently for batches of different sizes,
which decides near ties."""


async def test_reuse_is_accounted_and_changes_nothing(engine: EngineClient) -> None:
    """What is reused plus what is evaluated is the prompt, and the answer is as without reuse."""
    text = f"{SOURCE[:1500]}\n# {COUNTING}"
    cold = await ask(engine, spec(text, document="exact"))
    assert cold.done.reused_tokens + cold.done.evaluated_tokens == cold.done.prompt_tokens
    again = await ask(engine, spec(text, document="exact"))
    assert (again.done.evaluated_tokens, again.text) == (1, cold.text)
    assert again.logprobs == pytest.approx(cold.logprobs, abs=0.05)
    grown = await ask(engine, spec(text + cold.text, document="exact"))
    assert 0 < grown.done.evaluated_tokens < 16
    assert grown.done.reused_tokens > 300


async def test_two_documents_do_not_disturb_each_other(engine: EngineClient) -> None:
    a, b = SOURCE[:1200], "class Garden:\n" + SOURCE[1200:2400]
    for text, document in ((a, "a"), (b, "b")):
        await ask(engine, spec(text, document=document, max_tokens=4))
    for text, document in ((a, "a"), (b, "b"), (a, "a")):
        assert (
            await ask(engine, spec(text, document=document, max_tokens=4))
        ).done.reused_tokens > 200


async def test_prefill_leaves_one_token_for_the_request(engine: EngineClient) -> None:
    text = "# A file of its own\n" + SOURCE[2000:3500]
    warm = await ask(engine, spec(text, document="warm", prefill_only=True, priority=3))
    assert warm.text == ""
    assert warm.done.generated_tokens == 0
    real = await ask(engine, spec(text, document="warm"))
    assert real.done.evaluated_tokens == 1
    assert real.text


async def test_healed_text_continues_the_typed_characters(engine: EngineClient) -> None:
    prompt = "London, England. Rome, Italy. Paris, Fra"
    answer = await ask(engine, spec(prompt, heal=True, max_tokens=6))
    assert answer.text.startswith("nce")


async def test_an_answer_begins_differently_from_avoided_ones(engine: EngineClient) -> None:
    question = spec("def add(a, b):\n    return", heal=True)
    said = [(await ask(engine, question)).text]
    for _ in range(3):
        other = await ask(engine, msgspec.structs.replace(question, avoid=said))
        assert other.done.evaluated_tokens == 1  # the prompt is held
        assert other.text.strip()
        assert all(other.text.strip()[0] != text.strip()[0] for text in said)
        said.append(other.text)
    assert (await ask(engine, question)).text == said[0]


async def test_every_token_has_a_log_probability(engine: EngineClient) -> None:
    answer = await ask(engine, spec("1, 2, 3, 4, 5, 6, 7,", max_tokens=8))
    assert len(answer.logprobs) == answer.done.generated_tokens == 8
    assert all(p <= 1e-4 for p in answer.logprobs)


async def test_completion_preempts_chat_within_a_step(engine: EngineClient) -> None:
    """A long prompt of low priority is under way; a completion must not wait for it."""
    order: list[str] = []

    async def slow(number: int) -> None:
        text = f"# slow {number}\n{SOURCE[:6000]}"
        await ask(engine, spec(text, document="slow", priority=3, prefill_only=True))
        order.append("prefill")

    async def begun(number: int) -> asyncio.Task[None]:
        task = asyncio.create_task(slow(number))
        await asyncio.sleep(0.05)
        return task

    numbers = itertools.count()
    while (task := await begun(next(numbers))).done():
        order.clear()  # it was over before it could be preempted, as this process has stalled
    await ask(engine, spec("x = ", document="urgent", max_tokens=2))
    order.append("completion")
    await task
    assert order == ["completion", "prefill"]


async def test_other_processes_see_a_completion_and_nothing_else(engine: EngineClient) -> None:
    """The worker has the lock from a completion's first step to its last, not for a chat."""
    lock = TypingLock(data_dir() / FILE)
    async with aclosing(engine.generate(spec("Count: 1, 2, 3,", max_tokens=ENDLESS))) as stream:
        await anext(stream)
        assert lock.is_elsewhere()
    async with aclosing(
        engine.generate(spec("Count: 1, 2, 3,", max_tokens=ENDLESS, priority=Priority.CHAT))
    ) as stream:
        await anext(stream)
        assert not lock.is_elsewhere()
    lock.close()


async def test_cancel_frees_the_engine(engine: EngineClient) -> None:
    """A cancelled job is over for the engine too: the next one does not wait for its 400 tokens."""
    stream = engine.generate(spec("Count: 1, 2, 3,", max_tokens=400, document="cancel"))
    cost = await anext(stream)
    assert isinstance(cost, Prefilled)
    assert cost.prompt_tokens == cost.reused_tokens + cost.evaluated_tokens
    assert isinstance(await anext(stream), Tokens)
    await stream.aclose()
    answer = await ask(engine, spec("x = ", document="cancel2", max_tokens=2))
    assert answer.done.finish in ("stop", "length")
    assert answer.done.generated_tokens <= 2


async def test_a_storm_of_cancels_leaves_the_last_answer_right(engine: EngineClient) -> None:
    expected = await ask(engine, spec("for i in range(", document="storm", max_tokens=6))

    async def one(i: int) -> Answer:
        return await ask(engine, spec(f"{'#' * (i % 7)}\nfor i in range(", document="storm"))

    tasks = [asyncio.create_task(one(i)) for i in range(199)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(r, asyncio.CancelledError | Answer) for r in results)
    last = await ask(engine, spec("for i in range(", document="storm", max_tokens=6))
    assert last.text == expected.text


async def test_deadline_ends_a_generation(engine: EngineClient) -> None:
    answer = await ask(engine, spec("Once upon a time", max_tokens=ENDLESS, deadline_ms=2000))
    assert answer.done.finish == "deadline"
    assert 0 < answer.done.generated_tokens < ENDLESS


async def test_a_prompt_that_does_not_fit_is_refused(engine: EngineClient) -> None:
    with pytest.raises(ContextTooLong) as completing:
        await ask(engine, spec(SOURCE * 5))
    assert "completion.prefix_lines" in completing.value.hint
    with pytest.raises(ContextTooLong) as chatting:
        await ask(engine, msgspec.structs.replace(spec(SOURCE * 5), lane="chat"))
    assert "engine.chat_context_size" in chatting.value.hint
    assert (await ask(engine, spec("x = "))).text


async def test_json_schema_constrains_the_answer(engine: EngineClient) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "big": {"type": "boolean"}},
        "required": ["city", "big"],
    }
    chat = {"messages": [{"role": "user", "content": "Name a city."}]}
    answer = await ask(
        engine,
        Generate(
            id=0,
            lane="chat",
            priority=1,
            document="",
            chat=json.dumps(chat),
            max_tokens=80,
            schema=json.dumps(schema),
        ),
    )
    assert set(json.loads(answer.text)) == {"city", "big"}


async def test_a_schema_that_is_none_is_refused(engine: EngineClient) -> None:
    with pytest.raises(Unsupported):
        await ask(
            engine,
            Generate(
                id=0, lane="chat", priority=1, document="", chat='{"messages": []}', schema="["
            ),
        )


@pytest.mark.parametrize("moment", ["prefill", "decode", "idle"])
async def test_promise_7_the_engine_may_die(engine: EngineClient, moment: str) -> None:
    """SIGKILL in the middle of a prefill, of a decode, and while idle: the running job ends with
    a clear error, and the next one works."""
    long = SOURCE[:4500] if moment == "prefill" else "Count: 1, 2,"
    tokens = {"prefill": 400, "decode": ENDLESS, "idle": 8}[moment]
    job = asyncio.create_task(
        ask(engine, spec(f"# {time.monotonic()}\n{long}", max_tokens=tokens, document="death"))
    )
    if moment == "idle":
        await job
    await asyncio.sleep(0.2)
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    if moment != "idle":
        with pytest.raises(EngineDied):
            await job
    else:
        while engine.pid == pid:
            await asyncio.sleep(0.01)
    assert (await ask(engine, spec("x = "), time.monotonic() + 60)).text
    # Three deaths in a row in this module must not make the next start wait.
    engine._deaths = 0  # pyright: ignore[reportPrivateUsage]


async def test_the_worker_ends_with_its_parent(small_model: Path) -> None:
    """The parent is killed, so it can close nothing: the worker must notice by itself."""
    code = (
        "import asyncio, sys, time\n"
        "from nearfield.engine.client import EngineClient\n"
        "from nearfield.config.schema import Engine as S\n"
        "async def main():\n"
        "    e = EngineClient(S()); e.start(sys.argv[1]); await e.ready()\n"
        "    print(e.pid, flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(small_model), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.wait()
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [worker], 60)
    assert gone


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param(b"", "is not a GGUF model", id="empty"),
        pytest.param(b"MZ\x90\x00" * 100, "is not a GGUF model", id="another kind of file"),
        pytest.param(b"GGUF" + b"\xff" * 200, "could not load", id="corrupt header"),
        pytest.param("truncated", "could not load", id="truncated"),
    ],
)
async def test_a_file_that_is_no_model(
    tmp_path: Path, small_model: Path, content: bytes | str | None, says: str
) -> None:
    path = tmp_path / "bad.gguf"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "truncated":
        with small_model.open("rb") as whole:
            path.write_bytes(whole.read(30_000_000))
    engine = EngineClient(SETTINGS)
    engine.start(str(path))
    with pytest.raises(ModelLoadFailed, match=says) as caught:
        await engine.ready(time.monotonic() + 60)
    assert caught.value.hint
    assert engine.status.state is EngineState.FAILED
    await engine.stop()


async def test_the_memory_ceiling_is_kept(small_model: Path) -> None:
    engine = EngineClient(Settings(memory_limit_mb=64))
    engine.start(str(small_model))
    with pytest.raises(ModelLoadFailed, match="may use 64 MiB"):
        await engine.ready(time.monotonic() + 60)
    await engine.stop()


async def test_a_request_does_not_wait_longer_than_its_deadline_for_the_model(
    default_model: Path,
) -> None:
    engine = EngineClient(SETTINGS)
    engine.start(str(default_model))
    with pytest.raises(NotReady):
        await ask(engine, spec("x"), time.monotonic() + 0.05)
    await engine.stop()
    with pytest.raises(NotReady):
        await engine.ready()


async def test_prefill_takes_nothing_from_the_next_request(engine: EngineClient) -> None:
    """Idle prefill of another prompt of the same document goes on in a copy."""
    head = "# One more file\n" + SOURCE[:1200]
    first, other = (f"{head}\n# {name}: {COUNTING}" for name in ("a", "b"))
    before = await ask(engine, spec(first, document="fork"))
    prepared = await ask(engine, spec(other, document="fork", prefill_only=True, priority=3))
    assert prepared.done.reused_tokens > 200
    for text in (first, other):
        again = await ask(engine, spec(text, document="fork"))
        assert again.done.evaluated_tokens <= 1 + again.done.generated_tokens
    assert (await ask(engine, spec(first, document="fork"))).text == before.text


async def test_a_saved_state_is_reused_by_another_worker(small_model: Path, tmp_path: Path) -> None:
    text, file = f"{SOURCE[:1500]}\n# {COUNTING}", tmp_path / "kept"
    answers: list[str] = []
    for reused in (False, True):
        engine = EngineClient(SETTINGS)
        engine.start(str(small_model))
        await engine.ready(time.monotonic() + 120)
        if reused:
            assert await engine.restore("kept", str(file)) > 300
        question = spec(text, document="kept")
        answer = await ask(engine, question)
        answers.append(answer.text)
        assert (answer.done.evaluated_tokens == 1) is reused
        if not reused:
            written = question.variants
            assert await engine.save("kept", str(file), written) == answer.done.prompt_tokens + (
                max(0, answer.done.generated_tokens - 1)
            )
            assert await engine.save("unheard of", str(file), written) == 0
            assert await engine.save("kept", str(file), spec("# Other\n").variants) == 0
        await engine.stop()
    assert answers[0] == answers[1]


async def test_a_file_that_was_never_kept_is_of_no_use(
    engine: EngineClient, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"\0" * 4096)
    for file in (tmp_path / "missing", other):
        assert await engine.restore("never", str(file)) == 0
    answer = await ask(engine, spec("# After\n" + SOURCE[:800], document="after"))
    assert answer.done.generated_tokens > 0
