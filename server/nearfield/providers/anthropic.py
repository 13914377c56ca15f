"""Claude, through the official SDK (`pip install nearfield[anthropic]`).

    [providers.claude]
    kind = "anthropic"
    model = "claude-sonnet-5"
    options = { api_key_env = "ANTHROPIC_API_KEY" }

Options are those of `AnthropicOptions`. The SDK is imported when it is first asked. What seldom
changes in a conversation is marked for the service's prompt cache (see `anthropic_wire.py`). A JSON
schema is met through a tool that the model has to call. It does not fill in and makes no
embeddings; tokens are estimated, since counting them would send the text.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ModelNotServed, ProviderError, Unauthorised, Unsupported
from nearfield.network.clients import Network
from nearfield.providers import address, estimate
from nearfield.providers.anthropic_wire import body
from nearfield.providers.clock import Clock
from nearfield.providers.cut import Cut, finished
from nearfield.providers.failures import Who
from nearfield.providers.options import Key, Secret, ServerOptions, read
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

if TYPE_CHECKING:
    from nearfield.providers.anthropic_sdk import Service

DEFAULT_URL = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-sonnet-5"
CONTEXT_TOKENS = 200_000
"""Of every current model; longer contexts are a beta that has to be asked for."""


class AnthropicOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of an anthropic."""

    temperature: bool = False
    """Whether to send a temperature; the newest models refuse one."""


class Anthropic:
    """See the module's docstring."""

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        *,
        environ: Mapping[str, str],
        secret: Secret | None = None,
    ) -> None:
        """Raises `ConfigError`."""
        self.name = name
        self.model = settings.model or DEFAULT_MODEL
        self._options = options = read(name, settings.options, AnthropicOptions)
        url = address.checked(name, settings.base_url or DEFAULT_URL)
        self._loopback = address.is_loopback(url)
        own = address.host_of(url) == address.host_of(DEFAULT_URL)
        self._key = Key(
            name,
            environ,
            secret,
            env=options.api_key_env,
            usual_env=("ANTHROPIC_API_KEY",) if own else (),
            required=not self._loopback,
        )
        self._who = Who(name, address.host_of(url), self.model, self._key.hint)
        self._url = address.with_literal_localhost(url)
        self._service: Service | None = None
        self._opening = asyncio.Lock()
        self._network = Network(environ)

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`."""
        return Capabilities(
            chat=True,
            tools=True,
            schema=True,
            local=self._loopback and not self._options.leaves_machine,
            context_tokens=self._options.context_tokens or CONTEXT_TOKENS,
        )

    async def health(self) -> Health:
        """See `Provider`: whether the key and the model are known to the service."""
        try:
            known = [model.name for model in await self.models()]
        except ProviderError as error:
            return Health(HealthState.UNAVAILABLE, str(error))
        if not self._loopback and known and not _served(self.model, known):
            detail = f"{self._who} does not serve {self.model!r}. It serves: "
            return Health(HealthState.UNAVAILABLE, f"{detail}{', '.join(known[:30])}.")
        return Health(HealthState.READY, f"{self.model} at {self._who.host}.")

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """Raises `Unsupported`."""
        raise Unsupported(f"{self.name} cannot fill in the middle.", "Use it for chats.")
        yield Delta()  # makes this a generator, as the protocol wants

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """Raises `Unsupported`."""
        raise Unsupported(f"{self.name} takes no edit prompts.", "Use a local model for them.")
        yield Delta()

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        service = await self._sdk()
        asked = body(request, self.model, temperature=self._options.temperature)
        clock = Clock.start(self._options, request.deadline)
        pieces = service.stream(asked, clock)
        try:
            stream = finished(pieces, Cut.of(request), self.model, request.deadline)
            async with aclosing(stream):
                async for delta in stream:
                    yield delta
        except ModelNotServed as error:
            raise await self._with_known(error) from None
        except Unauthorised:
            await self._forget_key()
            raise

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Raises `Unsupported`."""
        raise Unsupported(f"{self.name} makes no embeddings.", "Use a local model for them.")

    async def count_tokens(self, text: str) -> int:
        """See `Provider`: an estimate."""
        return estimate.tokens(text)

    async def models(self) -> list[ServedModel]:
        """See `Provider`."""
        return await (await self._sdk()).models()

    async def aclose(self) -> None:
        """See `Provider`."""
        service, self._service = self._service, None
        if service is not None:
            await service.aclose()

    async def _sdk(self) -> Service:
        async with self._opening:
            if self._service is not None:
                return self._service
            key = await self._key.get()
            try:
                # Importing takes about a second: never on the event loop.
                module = await asyncio.to_thread(
                    importlib.import_module, "nearfield.providers.anthropic_sdk"
                )
            except ModuleNotFoundError:
                raise Unsupported(
                    "The SDK of Anthropic is not installed.",
                    "Run `pip install nearfield[anthropic]`.",
                ) from None
            headers = dict(self._options.headers)
            service: Service = module.Service(
                self._who,
                self._url,
                key,
                headers,
                loopback=self._loopback,
                network=self._network,
                connect_timeout_s=self._options.connect_timeout_s,
            )
            self._service = service
            return service

    async def _forget_key(self) -> None:
        self._key.forget()
        await self.aclose()

    async def _with_known(self, error: ModelNotServed) -> ModelNotServed:
        try:
            known = tuple(model.name for model in await self.models())
        except ProviderError:
            return error
        return ModelNotServed(error.message, f"It serves: {', '.join(known[:30])}.", known)


def _served(model: str, known: list[str]) -> bool:
    """An alias such as claude-sonnet-5 may stand for a dated name that the service lists; an alias
    of another version, such as claude-sonnet-5-5, is no such name."""
    dated = re.compile(re.escape(model) + r"(-\d{8}|-latest)?")
    return any(dated.fullmatch(name) for name in known)
