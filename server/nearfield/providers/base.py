"""The one protocol that every way to reach a model implements.

A provider is a small class. All its methods are async or return async iterators; all raise from
`nearfield.errors`; all honour the request's deadline; closing a stream (`aclose()`, or leaving the
`async for` through an exception or cancellation) frees the model at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol, runtime_checkable

from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    Health,
    InfillRequest,
    ScoredToken,
    ScoreRequest,
    ServedModel,
)


class Provider(Protocol):
    """A way to reach a model. `name` is the user's name for it, as in `[providers.NAME]`;
    `model` the model's name as it is shown and traced."""

    name: str
    model: str

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities as known now; cheap, never blocks."""
        ...

    async def health(self) -> Health:
        """Return whether it could answer now; asks the server where there is one."""
        ...

    def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """Stream the middle. Raises `Unsupported` when the provider cannot fill in."""
        ...

    def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """Stream a window's new text. Raises `Unsupported` when the provider takes no edit
        prompts; one that names no form in its capabilities is never asked."""
        ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """Stream the next turn. Raises `Unsupported` when the provider cannot chat."""
        ...

    async def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` is; an estimate if the provider has no tokenizer."""
        ...

    async def models(self) -> list[ServedModel]:
        """The models that it could serve."""
        ...

    async def aclose(self) -> None:
        """Free everything; safe to call twice."""
        ...


@runtime_checkable
class Scorer(Provider, Protocol):
    """A provider that also tells how likely a text is to its model, and goes on with raw text."""

    async def score(self, request: ScoreRequest) -> tuple[ScoredToken, ...]:
        """Return the tokens of the request's text in order, without one that has nothing before
        it."""
        ...
