"""The parts that providers of HTTP servers share."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field, replace

from nearfield.errors import ProviderError, Unsupported
from nearfield.providers import estimate
from nearfield.providers.http import MAX_KNOWN, Http
from nearfield.providers.speed import Speed
from nearfield.terminal import one_line
from nearfield.types import (
    Delta,
    EditRequest,
    Health,
    HealthState,
    InfillRequest,
    ServedModel,
    ToolCall,
)

MAX_NAME_CHARS = 256
"""A longer name of a model is none that a user could pick."""


def pickable(models: Iterable[ServedModel]) -> list[ServedModel]:
    """Return the models that can be shown in a list and named in the settings: their names are one
    line of visible text. A context that makes no sense is not known."""
    return [
        model if (model.context_tokens or 1) > 0 else replace(model, context_tokens=None)
        for model in models
        if 0 < len(model.name) <= MAX_NAME_CHARS and one_line(model.name) == model.name
    ]


@dataclass(slots=True)
class BegunCall:
    """A call of a function that comes in pieces."""

    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])

    def whole(self) -> ToolCall:
        """Return it as far as it has come."""
        return ToolCall(self.id, self.name, "".join(self.arguments))


class HttpProvider(ABC):
    """Base of a provider whose model another process serves. Implements a part of `Provider`."""

    def __init__(self, name: str, model: str, http: Http) -> None:
        self.name = name
        self.model = model
        self._http = http
        self._speed = Speed()

    @abstractmethod
    async def models(self) -> list[ServedModel]:
        """See `Provider`."""

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """See `Provider`. Raises `Unsupported`."""
        raise Unsupported(f"{self.name} cannot fill in the middle.", "Use it for chats.")
        yield Delta()  # makes this a generator, as the protocol wants

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """See `Provider`. Raises `Unsupported`."""
        raise Unsupported(f"{self.name} takes no edit prompts.", "Use a local model for them.")
        yield Delta()

    async def count_tokens(self, text: str) -> int:
        """See `Provider`: an estimate."""
        return estimate.tokens(text)

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._http.aclose()

    async def _listed_health(self, *, must_list: bool = True) -> Health:
        """Return ready when the server answers and, with `must_list`, lists the model."""
        who = self._http.who
        try:
            known = [model.name for model in await self.models()]
        except Unsupported:
            return Health(HealthState.READY, f"{who} lists no models.")
        except ProviderError as error:
            return Health(HealthState.UNAVAILABLE, str(error))
        # An alias may mean a dated name: claude-sonnet-5 for claude-sonnet-5-20260101.
        served = re.compile(re.escape(self.model) + r"(-\d{8}|-latest)?")
        if must_list and self.model and known and not any(map(served.fullmatch, known)):
            detail = f"{who} does not serve {self.model!r}. It serves: "
            return Health(HealthState.UNAVAILABLE, f"{detail}{', '.join(known[:MAX_KNOWN])}.")
        return Health(HealthState.READY, f"{self.model} at {who.host}.")
