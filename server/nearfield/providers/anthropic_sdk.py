"""The only module that imports the SDK of Anthropic; `anthropic.py` does when it is first asked.

The SDK's own habits that are not ours are turned off: it would retry refusals, follow redirects,
take keys and addresses from the environment, and log prompts at the level debug.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import anthropic
import httpx2
import msgspec
import stamina
from anthropic.types import RawMessageStreamEvent

from nearfield.errors import BadAnswer, ConfigError, ProviderError, Unreachable
from nearfield.network.clients import Network
from nearfield.network.trouble import trouble
from nearfield.providers import failures
from nearfield.providers.anthropic_wire import ANSWER_TOOL, FINISH
from nearfield.providers.clock import Clock, within
from nearfield.providers.failures import Who
from nearfield.providers.http import (
    ATTEMPTS,
    WAIT_INITIAL_S,
    WAIT_JITTER_S,
    WAIT_MAX_S,
)
from nearfield.types import Delta, Finish, ServedModel, ToolCall, Usage

MODELS_TIMEOUT_S = 10.0


class _Broke(Unreachable):
    """A transport error before the first byte: worth another try."""


class Service:
    """One address and one key of the service."""

    def __init__(
        self,
        who: Who,
        base_url: str,
        key: str,
        headers: dict[str, str],
        *,
        loopback: bool,
        network: Network,
        connect_timeout_s: float,
    ) -> None:
        """Raises `Unreachable` that names the proxy or certificates that cannot be used."""
        logging.getLogger("anthropic").setLevel(logging.WARNING)
        self._who = who
        self._loopback = loopback
        try:
            self._proxy = network.proxy(base_url)
            verify = network.context(base_url, self._proxy)
        except ConfigError as error:
            raise Unreachable(f"{who} cannot be reached: {error.message}", error.hint) from None
        self._client = anthropic.AsyncAnthropic(
            # Always given, so that the SDK does not look for another one; a server on this machine
            # usually needs none.
            api_key=key or "none",
            base_url=base_url,
            max_retries=0,
            default_headers=headers,
            # Not the SDK's own client: that one goes through the environment's proxies even when
            # `trust_env` is false, and so would take what is meant for this machine elsewhere.
            http_client=httpx2.AsyncClient(
                follow_redirects=False,
                trust_env=False,
                verify=verify,
                proxy=self._proxy and self._proxy.url,
                timeout=httpx2.Timeout(None, connect=connect_timeout_s),
            ),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def models(self) -> list[ServedModel]:
        """The models that the key may use."""

        async def ask() -> list[ServedModel]:
            try:
                page = await self._client.models.list(limit=1000)
            except anthropic.APIError as error:
                raise self._refusal(error) from None
            return [ServedModel(model.id) for model in page.data]

        clock = Clock.short(MODELS_TIMEOUT_S)
        return await within(clock.until_first(), ask(), self._who)

    async def stream(self, body: dict[str, Any], clock: Clock) -> AsyncGenerator[Delta]:
        """The deltas of one answer. Raises from the error tree."""
        events = await within(clock.until_first(), self._open(body), self._who)
        reader = _Reader(body["model"], str(self._who), by_schema="tool_choice" in body)
        try:
            async with aclosing(cast(AsyncGenerator[RawMessageStreamEvent], events)) as pieces:
                limit = clock.until_first()
                while (event := await within(limit, _next(pieces), self._who)) is not None:
                    if delta := reader.feed(event):
                        yield delta
                    limit = clock.until_next()
        except anthropic.APIError as error:
            raise self._refusal(error) from None
        except httpx2.HTTPError:
            raise self._broke_off() from None
        except (ValueError, AttributeError):
            # The SDK builds its objects unchecked: what is no JSON or has another shape fails so.
            raise BadAnswer(
                f"{self._who} answered with something that is no event stream.",
                "Is the provider's kind and base_url right?",
            ) from None
        last = reader.last()
        if last is None:
            raise self._broke_off()
        yield last

    async def _open(self, body: dict[str, Any]) -> AsyncGenerator[Any]:
        async for attempt in stamina.retry_context(
            on=_Broke,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=WAIT_INITIAL_S,
            wait_max=WAIT_MAX_S,
            wait_jitter=WAIT_JITTER_S,
        ):
            with attempt:
                try:
                    stream = await self._client.messages.create(**body, stream=True)
                except anthropic.APIError as error:
                    raise self._refusal(error) from None
                return self._events(stream)
        raise self._broke_off()

    async def _events(self, stream: Any) -> AsyncGenerator[Any]:
        try:
            async for event in stream:
                yield event
        finally:
            await stream.close()

    def _broke_off(self) -> Unreachable:
        return Unreachable(f"The answer of {self._who} broke off.", "Ask again.")

    def _refusal(self, error: anthropic.APIError) -> ProviderError:
        if isinstance(error, anthropic.APIConnectionError):
            if found := trouble(error, self._proxy):
                return Unreachable(f"{self._who} cannot be reached: {found.what}.", found.hint)
            refused = isinstance(error.__cause__, httpx2.ConnectError) and self._loopback
            kind = Unreachable if refused else _Broke
            return kind(f"{self._who} cannot be reached.", "Is the network up, and base_url right?")
        detail = error.body
        if not isinstance(error, anthropic.APIStatusError) or error.response.is_success:
            inner = cast(dict[str, Any], detail) if isinstance(detail, dict) else {}
            return failures.of_event(self._who, inner.get("error", detail))
        return failures.of_response(
            self._who,
            error.status_code,
            error.response.headers,
            msgspec.json.encode(detail, enc_hook=str),
        )


class _Reader:
    """Events in, deltas out; the last delta once the stream has ended. `by_schema`: the answer is
    the input of the answer tool, and what is said beside it is not."""

    def __init__(self, model: str, who: str, *, by_schema: bool) -> None:
        self._by_schema = by_schema
        self._model = model
        self._who = who
        self._blocks: dict[int, ToolCall] = {}
        self._finish: Finish | None = None
        self._read = 0
        self._reused: int | None = None
        self._written: int | None = None

    def feed(self, event: RawMessageStreamEvent) -> Delta | None:
        """What the event adds to the answer, if anything."""
        if event.type == "message_start":
            usage = event.message.usage
            self._reused = usage.cache_read_input_tokens
            self._read = usage.input_tokens + (usage.cache_creation_input_tokens or 0)
        elif event.type == "content_block_start":
            block = event.content_block
            if block.type == "tool_use":
                self._blocks[event.index] = ToolCall(block.id, block.name, "")
        elif event.type == "content_block_delta":
            return self._piece(event.index, event.delta)
        elif event.type == "message_delta":
            self._written = event.usage.output_tokens
            reason = event.delta.stop_reason or "end_turn"
            if reason == "refusal":
                raise BadAnswer(f"{self._who} declined to answer.", "Ask it another way.")
            self._finish = FINISH.get(reason, Finish.STOP)
        return None

    def last(self) -> Delta | None:
        """The last delta; None when the stream ended before the answer did."""
        if self._finish is None:
            return None
        calls = tuple(
            ToolCall(call.id, call.name, call.arguments or "{}")
            for _, call in sorted(self._blocks.items())
            if call.name != ANSWER_TOOL
        )
        finish = self._finish
        if finish is Finish.TOOLS and not calls:
            finish = Finish.STOP
        usage = Usage(
            model=self._model,
            prompt_tokens=self._read + (self._reused or 0),
            evaluated_tokens=self._read,
            reused_tokens=self._reused,
            generated_tokens=self._written,
        )
        return Delta(tool_calls=calls, finish=finish, usage=usage)

    def _piece(self, index: int, delta: Any) -> Delta | None:
        if delta.type == "text_delta":
            return None if self._by_schema else Delta(delta.text)
        if delta.type != "input_json_delta" or index not in self._blocks:
            return None
        call = self._blocks[index]
        if call.name == ANSWER_TOOL:
            return Delta(delta.partial_json)
        arguments = call.arguments + delta.partial_json
        self._blocks[index] = ToolCall(call.id, call.name, arguments)
        return None


async def _next(events: AsyncGenerator[RawMessageStreamEvent]) -> RawMessageStreamEvent | None:
    return await anext(events, None)
