"""Nearfield in this process on a simulated clock: the service, its scheduler and its caches are the
product's, the tokens are the model's, and time is what the steps of the engine would take alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from completer import Edit, Spent
from editing import Editing, Shown
from oracle import OracleLane, OracleSampler, Predictor
from screen import Screen
from simulated_engine import SimulatedEngine, Speed

from nearfield.catalog.templates import fim_template
from nearfield.config.schema import Config
from nearfield.features.service import Service
from nearfield.providers.embedded import Embedded
from nearfield.types import CompletionRequest, Snapshot, Span, Suggestion, Surface, Usage
from nearfield.types import Edit as TextEdit

FIXED_SECONDS = 0.005
"""Everything but the model, with the way to the editor and back (RESULTS.md, Everything but the
model)."""


class SimulatedOurs(Editing):
    """`settings` are the product's; without an index, which is another process."""

    def __init__(
        self, oracle: Predictor, fim: str, folder: Path, language: str, settings: Any, speed: Speed
    ) -> None:
        super().__init__()
        self._oracle, self._fim, self._speed = oracle, fim, speed
        self._folder, self._language, self._settings = folder, language, settings
        self._snapshot = Snapshot("", language, 0, "")
        self._requests = self._version = 0
        self._engine: Any = None
        self._service: Service | None = None
        self._reasons: dict[str, int] = {}
        self._answers: list[dict[str, Any]] = []

    async def start(self, screen: Screen) -> None:
        """See `Completer`."""
        await super().start(screen)
        lane = OracleLane(self._speed)
        self._engine = SimulatedEngine(
            self._oracle.model, lane, lambda _: OracleSampler(self._oracle), self._speed
        )
        provider = Embedded(
            self._engine, model="simulated", path=Path("simulated.gguf"),
            template=fim_template(self._fim),
        )  # fmt: skip
        index = {"index": {"enabled": False}, "hover": {"prepare": False}}
        config = msgspec.convert({**self._settings, **index}, Config)
        providers: Any = {"embedded": provider}
        self._service = Service(config, providers)
        await self._service.start()
        await asyncio.sleep(2)

    async def open(self, name: str, text: str) -> None:
        """See `Completer`."""
        path = self._folder / name
        self._snapshot = Snapshot(
            path.as_uri(), self._language, 0, text, str(path), str(self._folder)
        )
        self.service.opened(self._snapshot)

    @property
    def service(self) -> Service:
        """The service; raises before `start`."""
        assert self._service is not None
        return self._service

    def told(self, text: str, edit: Edit) -> None:
        """See `Editing`."""
        self._version += 1
        self._snapshot = replace(self._snapshot, text=text, version=self._version)
        span = Span(edit.offset, edit.offset + edit.removed)
        self.service.changed(self._snapshot, [TextEdit(span, edit.added)])

    async def answer(self, text: str, cursor: int) -> Shown | None:
        """See `Editing`."""
        self._requests += 1
        request = CompletionRequest(str(self._requests), Surface.GHOST_TEXT, self._snapshot, cursor)
        answer = await self.service.complete(request)
        await asyncio.sleep(FIXED_SECONDS)
        reason = str(answer.reason.name).lower()
        self._reasons[reason] = self._reasons.get(reason, 0) + 1
        (trace,) = self.service.traces.last(1)
        usage = trace.usage or Usage(model="")
        self._answers.append(
            {
                "situation": trace.situation,
                "reason": reason,
                "ms": round(trace.total_ms, 1),
                "prefill_ms": usage.prefill_ms,
                "decode_ms": usage.decode_ms,
                "evaluated": usage.evaluated_tokens,
                "generated": usage.generated_tokens,
            }
        )
        return _after(text, cursor, answer.suggestions[0]) if answer.suggestions else None

    def shown(self, found: Shown) -> None:
        """See `Editing`."""
        self.service.shown(found.id)

    def took(self, found: Shown) -> None:
        """See `Editing`."""
        self.service.accepted(found.id)

    def spent(self) -> Spent:
        """See `Completer`."""
        return Spent(engine_s=self._engine.busy, reasons=self._reasons, answers=self._answers)

    async def close(self) -> None:
        """See `Completer`."""
        await self.end()
        await self.service.aclose()
        await self._engine.stop()


def _after(text: str, cursor: int, suggestion: Suggestion) -> Shown | None:
    """Return a suggestion as an editor draws it: only what leaves the text before the cursor."""
    before = text[suggestion.replace.start : cursor]
    if suggestion.replace.end > cursor or not suggestion.text.startswith(before):
        return None
    return Shown(suggestion.text[len(before) :], suggestion.id)
