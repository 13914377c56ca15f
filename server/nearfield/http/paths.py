"""The paths of the model servers' APIs, over one service."""

from __future__ import annotations

from dataclasses import replace

from nearfield.features.service import Service
from nearfield.features.team.settings import Use
from nearfield.http.access import Admission
from nearfield.http.app import PathHandler
from nearfield.http.asking import Asking
from nearfield.http.chats import ChatsApi
from nearfield.http.exchange import Answer, HttpExchange
from nearfield.http.llama_cpp import LlamaCppApi
from nearfield.http.loading import LoadingApi
from nearfield.http.messages import AnthropicApi
from nearfield.http.openai import OpenAiApi

# What `/api/generate` is used for, its body says.
OLLAMA_USES: dict[str, Use] = {
    "/api/chat": "chat",
    "/api/embed": "embed",
    "/api/embeddings": "embed",
}
OLLAMA_LISTS = ("/api/tags", "/api/ps", "/api/show")


def model_paths(
    service: Service,
    access: Admission,
    workspace: str = "",
    *,
    ollama: bool = False,
    is_open: bool = True,
) -> dict[str, PathHandler]:
    """Return the handlers by path. `workspace` is the folder that the requests belong to, by whose
    consent something may be sent elsewhere; "" for none. With `ollama` its paths are there too,
    which need no token if `is_open`."""
    asking = Asking(service, access, workspace)
    openai, llama_cpp, messages = OpenAiApi(asking), LlamaCppApi(asking), AnthropicApi(asking)
    loading, chats = LoadingApi(asking), ChatsApi(asking)

    async def health(exchange: HttpExchange, body: bytes) -> None:
        """Return whether completions can be had; without a token, so it tells nothing else."""
        state = service.status.state
        await exchange.json({"status": "ok" if state == "ready" else str(state)})

    handlers = {
        "/health": PathHandler("GET", health, open=True, page=True),
        "/v1/models": PathHandler("GET", openai.models, look=True),
        "/v1/completions": PathHandler("POST", openai.completion, use="complete"),
        "/v1/chat/completions": PathHandler("POST", openai.chat, use="chat"),
        "/v1/embeddings": PathHandler("POST", openai.embeddings, use="embed"),
        "/v1/messages": PathHandler("POST", messages.message, use="chat"),
        "/v1/messages/count_tokens": PathHandler(
            "POST", messages.count_tokens, use="chat", look=True
        ),
        "/nearfield/chats": PathHandler("GET", chats.heads, use="chats", look=True),
        "/nearfield/chats/say": PathHandler("POST", chats.say, use="chats"),
        "/nearfield/chats/history": PathHandler("POST", chats.history, use="chats", look=True),
        "/nearfield/chats/delete": PathHandler("POST", chats.delete, use="chats", look=True),
        "/nearfield/models/load": PathHandler("POST", loading.load, use="load"),
        "/nearfield/models/unload": PathHandler("POST", loading.unload, use="load"),
        "/infill": PathHandler("POST", llama_cpp.infill, use="complete"),
        "/props": PathHandler("GET", llama_cpp.props, look=True),
    }
    if ollama:
        from nearfield.http.ollama import OllamaApi

        handlers |= {
            path: PathHandler(
                *handler, open=is_open, use=OLLAMA_USES.get(path), look=path in OLLAMA_LISTS
            )
            for path, handler in OllamaApi(asking).paths().items()
        }
    return {
        path: handler if handler.page else replace(handler, answer=_begun(service, handler.answer))
        for path, handler in handlers.items()
    }


def _begun(service: Service, answer: Answer) -> Answer:
    """Return `answer` as one that waits for the providers in the first second."""

    async def later(exchange: HttpExchange, body: bytes) -> None:
        await service.begun()
        await answer(exchange, body)

    return later
