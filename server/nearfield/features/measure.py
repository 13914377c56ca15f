"""Measure how fast the engine is on this machine: one cold prompt and one short answer."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfield.types import InfillRequest, Usage

if TYPE_CHECKING:
    from nearfield.catalog.choice import ModelChoice
    from nearfield.config.schema import Engine as EngineSettings
    from nearfield.engine.client import EngineClient
    from nearfield.providers.base import Provider
    from nearfield.providers.embedded import Embedded

ANSWER_TOKENS = 32
DEADLINE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """Tokens a second, evaluated and generated; `load_ms` is the model's loading. `build` and `gpu`
    are what the engine says of how it was compiled. Without `reuses_prefix` the model's state
    cannot be cut.
    """

    prefill: float
    decode: float
    load_ms: float
    build: str
    gpu: bool
    reuses_prefix: bool


async def measure(
    settings: EngineSettings,
    choice: ModelChoice,
    then: Callable[[Provider], Awaitable[None]] | None = None,
) -> EngineSpeed:
    """Load the model and time it; `then` is done with it while it is loaded. Raises from the error
    tree."""
    async with loaded(settings, choice) as (engine, provider):
        deadline = time.monotonic() + DEADLINE_SECONDS
        info = await engine.ready(deadline)
        usage = Usage(choice.name)
        async with aclosing(provider.infill(_request(deadline))) as stream:
            async for delta in stream:
                usage = delta.usage or usage
        if then is not None:
            await then(provider)
        started = engine.status.started
        return EngineSpeed(
            prefill=_rate(usage.evaluated_tokens, usage.prefill_ms),
            decode=_rate(usage.generated_tokens, usage.decode_ms),
            load_ms=info.load_ms,
            build=started.build if started else "",
            gpu=started.gpu if started else False,
            reuses_prefix=info.reuses_prefix,
        )


@asynccontextmanager
async def loaded(
    settings: EngineSettings, choice: ModelChoice
) -> AsyncGenerator[tuple[EngineClient, Embedded]]:
    """Yield an engine that has begun to load a model, and its provider; close them at the end."""
    from nearfield.catalog.templates import fim_template
    from nearfield.engine.client import EngineClient
    from nearfield.providers.embedded import Embedded

    adapter = choice.adapter
    engine = EngineClient(
        settings,
        adapter=adapter.path if adapter else "",
        adapter_scale=adapter.scale if adapter else 1.0,
    )
    provider = Embedded(
        engine, model=choice.name, path=choice.path, template=fim_template(choice.fim)
    )
    try:
        provider.start()
        yield engine, provider
    finally:
        await provider.aclose()


def _request(deadline: float) -> InfillRequest:
    lines = [f"def add_{n}(left, right):\n    return left + {n} * right\n" for n in range(15)]
    return InfillRequest(
        document="doctor",
        path="measure.py",
        language="python",
        prefix="\n".join(lines) + "\ndef numbers():\n    return [1, 2, 3, 4,",
        suffix="\n",
        typed="    return [1, 2, 3, 4,",
        max_tokens=ANSWER_TOKENS,
        deadline=deadline,
    )


def _rate(tokens: int | None, ms: float | None) -> float:
    return 1000 * tokens / ms if tokens and ms else 0.0
