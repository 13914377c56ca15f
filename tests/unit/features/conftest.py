"""A service over scripted providers, and a person who edits a document in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nearfield.config.schema import Completion, Config, ProviderSettings
from nearfield.features.service import Service
from nearfield.features.status import ServiceState
from nearfield.providers.scripted import Scripted
from nearfield.types import CompletionAnswer, CompletionRequest, Edit, Snapshot, Span, Surface

PATIENCE_SECONDS = 60.0
"""How long a test waits for what must happen; far more than it takes on a busy machine."""


class FakeUser:
    """Edits one document and asks for completions at the cursor, as an editor would."""

    def __init__(self, service: Service, text: str, name: str = "a.py") -> None:
        self.service = service
        self.uri = f"file:///work/{name}"
        self.text = text.replace("|", "", 1)
        self.cursor = text.index("|")
        self.version = 1
        self.asked = 0
        service.opened(self.snapshot())

    def snapshot(self) -> Snapshot:
        return Snapshot(self.uri, "python", self.version, self.text, f"/work/{self.uri[13:]}")

    def edit(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]
        if end <= self.cursor:
            self.cursor += len(text) - (end - start)
        self.version += 1
        self.service.changed(self.snapshot(), [Edit(Span(start, end), text)])

    def type(self, text: str) -> None:
        for character in text:
            self.edit(self.cursor, self.cursor, character)

    def delete(self, count: int = 1) -> None:
        self.edit(self.cursor - count, self.cursor, "")

    def question(self, **how: Any) -> CompletionRequest:
        self.asked += 1
        return CompletionRequest(
            f"{self.uri}#{self.asked}", Surface.POPUP, self.snapshot(), self.cursor, **how
        )

    async def ask(self, **how: Any) -> CompletionAnswer:
        return await self.service.complete(self.question(**how))

    async def said(self, **how: Any) -> str:
        """The suggested text, or the reason why there is none in angle brackets."""
        answer = await self.ask(**how)
        return answer.suggestions[0].text if answer.suggestions else f"<{answer.reason}>"


def scripted(name: str, *answers: dict[str, Any], **options: Any) -> Scripted:
    settings = ProviderSettings(kind="scripted", options={"answers": list(answers), **options})
    return Scripted(name, settings)


async def until(true: Callable[[], object]) -> None:
    """Wait until `true()` is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():
            await asyncio.sleep(0.002)


Start = Callable[..., Awaitable[Service]]


@pytest.fixture(autouse=True)
def _own_directories(  # pyright: ignore[reportUnusedFunction] - used by being there
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a test accepts is signed by no key of the developer's.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path / name.lower()))


@pytest.fixture
async def start() -> AsyncGenerator[Start]:
    """Start a service over these providers, with these `[completion]` settings; ready when back."""
    services: list[Service] = []

    async def make(
        *providers: Scripted, config: Config | None = None, **completion: Any
    ) -> Service:
        # So long that a busy machine changes no result.
        patient = {"debounce_ms": 0, "deadline_ms": 60_000}
        settings = msgspec.convert({**patient, **completion}, Completion)
        config = config or Config(completion=settings)
        service = Service(config, {provider.name: provider for provider in providers})
        services.append(service)
        await service.start()
        await until(
            lambda: service.status.state not in (ServiceState.STARTING, ServiceState.LOADING)
        )
        return service

    yield make
    for service in services:
        await service.aclose()
