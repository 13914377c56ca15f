"""A process that sends numbered questions outside "this machine" until it is killed.

python routing_sender.py BASE_URL WORKSPACE
"""

from __future__ import annotations

import asyncio
import itertools
import sys

import msgspec

from nearfield.config.schema import Config
from nearfield.errors import NearfieldError
from nearfield.providers.registry import build
from nearfield.routing.request_context import RequestContext
from nearfield.routing.router import Router
from nearfield.types import ChatRequest, Message, Role


async def main(base_url: str, workspace: str) -> None:
    far = {
        "kind": "openai_compatible",
        "model": "m",
        "base_url": base_url,
        # The server is on loopback and plays one that is not.
        "options": {"leaves_machine": True},
    }
    settings = {
        "routing": {"strategy": "cloud_only", "breaker_failures": 1_000_000},
        "privacy": {"keep_sent": True},
        "providers": {"far": far},
    }
    config = msgspec.convert(settings, Config)
    router = Router(config, {"far": build("far", config.providers["far"])})
    numbers = itertools.count()

    async def send() -> None:
        for number in numbers:
            request = ChatRequest((Message(Role.USER, f"question-{number}."),))
            try:
                async with router.chat(
                    request, context=RequestContext(workspace=workspace)
                ) as route:
                    async for _ in route:
                        pass
            except NearfieldError as error:
                print(error, file=sys.stderr, flush=True)

    await asyncio.gather(*(send() for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
