"""Measure the memory of the engine's process with a model: after a completion, and after a chat.

`python tests/bench/model_memory.py [FILE.gguf ...]`; without files the models that are here.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from pathlib import Path

import psutil

from nearfield.catalog.models import Catalog
from nearfield.config.schema import Engine as Settings
from nearfield.engine.client import EngineClient
from nearfield.providers.embedded import Embedded
from nearfield.types import ChatRequest, InfillRequest, Message, Role

SOURCE = Path(__file__).read_text(encoding="utf-8")
LOAD_SECONDS = 300.0


async def measure(path: Path) -> tuple[int, int]:
    """Return the resident MiB after a completion, and after a chat as well."""
    engine = EngineClient(Settings())
    provider = Embedded(engine, model=path.stem, path=path)
    provider.start()
    await engine.ready(time.monotonic() + LOAD_SECONDS)
    request = InfillRequest("d", "a.py", "python", SOURCE, "\n", max_tokens=8)
    chat = ChatRequest(messages=(Message(Role.USER, "Say hello."),), max_tokens=8)
    sizes: list[int] = []
    for stream in (provider.infill(request), provider.chat(chat)):
        async with aclosing(stream) as answer:
            async for _ in answer:
                pass
        sizes.append(psutil.Process(engine.pid).memory_info().rss >> 20)
    await provider.aclose()
    return sizes[0], sizes[1]


def main() -> None:
    """Measure each model."""
    catalog = Catalog.load()
    here = [catalog.local_path(entry.name) for entry in catalog.installed()]
    for path in [Path(name) for name in sys.argv[1:]] or [p for p in here if p is not None]:
        completes, chats = asyncio.run(measure(path))
        print(f"{path.name}: {completes} MiB, with a chat {chats} MiB")


if __name__ == "__main__":
    main()
