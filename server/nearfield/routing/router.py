"""Which provider answers a request, and what happens when it cannot.

A role names an ordered list of candidates. The router asks the first, and on an error falls
through to the next one within the request's deadline. Text of a provider that broke off is taken
back by a `Restart` before the next one's text begins, so that nothing is shown twice.

Nothing in here opens a connection: only providers do.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType

from nearfield.config.schema import Config
from nearfield.errors import EngineError, NearfieldError, NoProvider, ProviderError
from nearfield.providers.base import Provider
from nearfield.types import ChatRequest, Delta, InfillRequest

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Restart:
    """Forget the text so far: `provider` starts over, because of `reason` (one sentence)."""

    provider: str
    reason: str


class Route:
    """One request on its way: an async context manager that streams `Delta | Restart`.

    Leaving the context closes the provider's stream, which frees the model. `provider` is the one
    answering now; `failures` says why earlier ones did not.
    """

    def __init__(
        self,
        candidates: tuple[Provider, ...],
        ask: Callable[[Provider], AsyncGenerator[Delta]],
        deadline: float | None,
        skipped: tuple[str, ...] = (),
    ) -> None:
        self._candidates = candidates
        self._ask = ask
        self._deadline = deadline
        self._skipped = skipped
        self._items = self._run()
        self.provider: Provider | None = candidates[0] if candidates else None
        self.failures: list[str] = []

    async def __aenter__(self) -> Route:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._items.aclose()

    def __aiter__(self) -> AsyncGenerator[Delta | Restart]:
        return self._items

    async def _run(self) -> AsyncGenerator[Delta | Restart]:
        spoke = False
        for provider in self._candidates:
            if self._deadline is not None and self.failures and time.monotonic() >= self._deadline:
                self.failures.append("the deadline passed")
                break
            if spoke:
                yield Restart(provider.name, self.failures[-1])
                spoke = False
            self.provider = provider
            try:
                async with aclosing(self._ask(provider)) as stream:
                    async for delta in stream:
                        spoke = spoke or bool(delta.text or delta.tool_calls)
                        yield delta
            except (ProviderError, EngineError) as error:
                self.failures.append(f"{provider.name}: {error}")
            else:
                return
        raise no_provider((*self.failures, *self._skipped))


def no_provider(reasons: tuple[str, ...]) -> NearfieldError:
    """The error of a request that nobody answered, with every reason in it."""
    what = "; ".join(reasons) if reasons else "no provider is configured for this"
    return NoProvider(f"No provider could answer: {what}.", "Run `nearfield doctor`.")


class Router:
    """Chooses among `providers` (by the user's names for them) as `config.routing` says."""

    def __init__(self, config: Config, providers: Mapping[str, Provider]) -> None:
        self._config = config
        self._providers = dict(providers)

    def candidates(self, role: str) -> tuple[Provider, ...]:
        """The providers to try for `role`, in order. Only local ones: a provider outside this
        machine needs a strategy and a consent that allow it."""
        named = self._config.routing.roles.get(role)
        order = named if named is not None else self._default_order()
        found = (self._providers[name] for name in order if name in self._providers)
        return tuple(p for p in found if p.capabilities.local and _can(p, role))

    def infill(self, request: InfillRequest) -> Route:
        """Fill the hole by the candidates of the role "complete"."""
        return Route(self.candidates("complete"), lambda p: p.infill(request), request.deadline)

    def chat(self, request: ChatRequest, role: str = "code") -> Route:
        """Continue the conversation by the candidates of `role`."""
        return Route(self.candidates(role), lambda p: p.chat(request), request.deadline)

    def _default_order(self) -> list[str]:
        return sorted(self._providers, key=lambda name: name != EMBEDDED)


def _can(provider: Provider, role: str) -> bool:
    can = provider.capabilities
    if role == "complete":
        return can.infill
    return can.embed if role == "embed" else can.chat
