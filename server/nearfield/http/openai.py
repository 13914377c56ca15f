"""OpenAI's API: completions, chats, embeddings, and the list of models."""

from __future__ import annotations

from nearfield.http import wire
from nearfield.http.answers import ChatForm, CompletionForm
from nearfield.http.asking import DOCUMENT, Asking, role_of
from nearfield.http.embeddings import EmbeddingsBody, vectors
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import BadRequest, ChatBody, CompletionBody
from nearfield.providers import estimate
from nearfield.routing.request_context import Task


class OpenAiApi:
    """The paths below `/v1` that are OpenAI's."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def models(self, exchange: HttpExchange, body: bytes) -> None:
        """`GET /v1/models`."""
        about = {"object": "model", "created": 0, "owned_by": "nearfield"}
        data = [{"id": name, **about} for name in self._asking.names(exchange)]
        await exchange.json({"object": "list", "data": data})

    async def completion(self, exchange: HttpExchange, body: bytes) -> None:
        """`POST /v1/completions`."""
        asked = wire.read(CompletionBody, body)
        if role_of(asked.model) not in ("", "complete"):
            raise BadRequest("Completions are of the model 'nearfield'.", "model")
        form = CompletionForm(_with_usage(asked))
        async with self._asking.hole(exchange) as router:
            context = self._asking.context(exchange, Task.COMPLETE)
            route = router.infill(asked.request(DOCUMENT), context)
            await self._asking.say(exchange, route, form, stream=asked.stream)

    async def chat(self, exchange: HttpExchange, body: bytes) -> None:
        """`POST /v1/chat/completions`."""
        asked = wire.read(ChatBody, body)
        role, form = role_of(asked.model), ChatForm(_with_usage(asked))
        await self._asking.chat(exchange, asked.request(), role, form, stream=asked.stream)

    async def embeddings(self, exchange: HttpExchange, body: bytes) -> None:
        """`POST /v1/embeddings`."""
        asked = wire.read(EmbeddingsBody, body)
        texts = asked.texts()
        found = await vectors(self._asking, exchange, texts, asked.model, asked.dimensions)
        read = sum(map(estimate.tokens, texts))
        await exchange.json(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": asked.written(row)}
                    for index, row in enumerate(found.rows)
                ],
                "model": found.model,
                "usage": {"prompt_tokens": read, "total_tokens": read},
            }
        )


def _with_usage(asked: CompletionBody | ChatBody) -> bool:
    return asked.stream_options is not None and asked.stream_options.include_usage
