"""The questions that a running server answers to the user's other programs, and what it can be told
to do. No answer holds text of a document.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from nearfield.errors import ConfigError
from nearfield.features.reasons import words
from nearfield.features.status import as_dict
from nearfield.features.trace import flat
from nearfield.types import Surface, Trace

if TYPE_CHECKING:
    from nearfield.features.service import Service

SHOWN_REQUESTS = 20
SPEED_REQUESTS = 100
"""Requests whose tokens a second are averaged."""

WHAT: Mapping[Surface, str] = {
    Surface.GHOST_TEXT: "ghost text",
    Surface.POPUP: "popup",
    Surface.COMMAND_LINE: "command line",
    Surface.INFILL: "infill",
    Surface.NEXT_EDIT: "next edit",
    Surface.HOVER: "hover",
    Surface.EXPLANATION: "explanation",
    Surface.ACTION: "code action",
    Surface.REVIEW: "review",
    Surface.CHAT: "chat",
    Surface.GENERATED: "generated text",
    Surface.COMMIT_MESSAGE: "commit message",
}

Params = Mapping[str, Any]


class ServerQuestions:
    """Answers for one service. `folders` are those of its workspace, `lines` the last lines of the
    log."""

    def __init__(
        self,
        service: Service,
        folders: Callable[[], Sequence[str]],
        lines: Sequence[dict[str, Any]],
    ) -> None:
        self._service = service
        self._folders = folders
        self._lines = lines
        self._answers: Mapping[str, Callable[[Params], Awaitable[Any]]] = {
            "now": self._now,
            "pause": self._pause,
            "load": self._load,
            "unload": self._unload,
            "cancel": self._cancel,
            "log": self._log,
            "index/pause": self._pause_index,
            "index/rebuild": self._rebuild_index,
        }

    async def answer(self, what: str, params: Params) -> Any:
        """Answer a question. Raises `NearfieldError`."""
        found = self._answers.get(what)
        if found is None:
            raise ConfigError(f"This server knows no question {what[:40]!r}.", "Update Nearfield.")
        return await found(params)

    async def _now(self, params: Params) -> dict[str, Any]:
        """Return the state of the server, what runs in it, and its last requests."""
        service = self._service
        workspace = service.workspace
        # The roles as last known: asking every second how they are would keep servers awake.
        status = service.status
        if not status.roles:
            status = replace(status, roles=await service.roles(workspace))
        known = as_dict(status, service.knowledge.state, service.last, service.models)
        traces = service.traces.last(SPEED_REQUESTS)
        for model in known["models"]:
            model["context_tokens"] = _context_tokens(service, model["provider"])
            model["context_used"] = _context_used(traces, model["provider"])
        return {
            "workspace": workspace,
            "folders": list(self._folders()),
            "paused": service.is_paused,
            **known,
            "running": _running(service),
            "spent": {kind.name.lower(): asdict(total) for kind, total in service.spent().items()},
            "speed": _speed(traces),
            "breakers": _breakers(service),
            "indexes": service.knowledge.states(),
            "requests": [_request(one) for one in traces[:SHOWN_REQUESTS]],
        }

    async def _pause(self, params: Params) -> dict[str, Any]:
        if params.get("on", True):
            self._service.pause()
        else:
            self._service.resume()
        return {"paused": self._service.is_paused}

    async def _load(self, params: Params) -> dict[str, Any]:
        role = _text(params, "role") or "complete"
        return {"providers": [self._service.loader.load(role, self._service.workspace)]}

    async def _unload(self, params: Params) -> dict[str, Any]:
        role = _text(params, "role")
        return {"providers": await self._service.loader.unload(role, self._service.workspace)}

    async def _cancel(self, params: Params) -> dict[str, Any]:
        number, router = params.get("request"), self._service.router
        known = router is not None and isinstance(number, int) and router.running.stop(number)
        return {"cancelled": known}

    async def _log(self, params: Params) -> dict[str, Any]:
        return {"lines": list(self._lines)}

    async def _pause_index(self, params: Params) -> dict[str, Any]:
        root, on = _text(params, "root"), bool(params.get("on", True))
        return {"known": self._service.knowledge.pause(root, on)}

    async def _rebuild_index(self, params: Params) -> dict[str, Any]:
        root, fresh = _text(params, "root"), bool(params.get("fresh"))
        return {"known": await self._service.knowledge.rebuild(root, fresh=fresh)}


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    return value if isinstance(value, str) else ""


def _running(service: Service) -> list[dict[str, Any]]:
    if service.router is None:
        return []
    seconds = time.monotonic()
    return [
        {
            "id": one.id,
            "task": one.task,
            "provider": one.provider,
            "model": one.model,
            "local": one.is_local,
            "phase": str(one.phase or "waiting"),
            "share": one.share,
            "tokens": one.tokens,
            "seconds": round(seconds - one.begun, 1),
        }
        for one in service.router.running.values()
    ]


def _breakers(service: Service) -> list[dict[str, str]]:
    router = service.router
    found = router.breakers() if router is not None else {}
    return [
        {"provider": name, "state": str(state), "why": why} for name, (state, why) in found.items()
    ]


def _context_tokens(service: Service, provider: str) -> int | None:
    known = service.providers.get(provider)
    return known.capabilities.context_tokens if known is not None else None


def _context_used(traces: Sequence[Trace], provider: str) -> int | None:
    """Return the tokens that a model's last request has left in its context."""
    for one in traces:
        if one.provider == provider and one.usage is not None and one.usage.prompt_tokens:
            return one.usage.prompt_tokens + (one.usage.generated_tokens or 0)
    return None


def _speed(traces: Sequence[Trace]) -> dict[str, float | None]:
    """Return the tokens a second that were read and written by the last requests."""
    used = [one.usage for one in traces if one.usage is not None]
    read = [(one.evaluated_tokens, one.prefill_ms) for one in used]
    written = [(one.generated_tokens, one.decode_ms) for one in used]
    return {"read": _rate(read), "write": _rate(written)}


def _rate(pairs: Sequence[tuple[int | None, float | None]]) -> float | None:
    known = [(tokens, ms) for tokens, ms in pairs if tokens and ms]
    ms = sum(one for _, one in known)
    return round(1000 * sum(tokens for tokens, _ in known) / ms, 1) if ms else None


def _request(trace: Trace) -> dict[str, Any]:
    told = words(trace)
    return {
        **flat(trace),
        "what": WHAT.get(trace.surface, str(trace.surface)),
        "sentence": told.sentence,
        "advice": told.advice,
    }
