"""A placeholder for a provider that cannot be built.

Routing skips it and says why, so a bad setting disables its own provider and no other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from nearfield.errors import NearfieldError
from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    Health,
    HealthState,
    InfillRequest,
    ServedModel,
)


class Absent:
    """See the module. Implements `Provider`; every request raises `error`."""

    def __init__(self, name: str, error: NearfieldError) -> None:
        self.name = name
        self.model = ""
        self.error = error

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities that the missing provider could have, so that its error reaches every
        request."""
        return Capabilities(infill=True, chat=True, local=True)

    async def health(self) -> Health:
        """Unavailable, with the reason."""
        return Health(HealthState.UNAVAILABLE, str(self.error))

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """Raises the reason."""
        for _ in ():
            yield Delta()  # never reached; makes this the generator that the protocol asks for
        raise self.error

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """Raises the reason."""
        for _ in ():
            yield Delta()
        raise self.error

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """Raises the reason."""
        for _ in ():
            yield Delta()
        raise self.error

    async def count_tokens(self, text: str) -> int:
        """Raises the reason."""
        raise self.error

    async def models(self) -> list[ServedModel]:
        """Return no models."""
        return []

    async def aclose(self) -> None:
        """Nothing to free."""
