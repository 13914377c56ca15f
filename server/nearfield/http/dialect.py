"""The forms of streams and errors in the APIs that the HTTP frontend speaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nearfield.errors import (
    BadAnswer,
    ContextTooLong,
    NearfieldError,
    NoProvider,
    NotPermitted,
    NotReady,
)
from nearfield.http.wire import BadRequest
from nearfield.json_schema import SchemaUnusable


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error on its way to a client: an HTTP status, and OpenAI's `kind`, `code` and `param`,
    each "" where there is none. `hint` is the part of the message that says what to do."""

    status: int
    message: str
    kind: str = "server_error"
    code: str = ""
    param: str = ""
    hint: str = ""


def api_error_of(error: NearfieldError | None) -> ApiError:
    """Return what a client is told of `error`, None for an unexpected one."""
    return replace(_api_error_of(error), hint=error.hint if error is not None else "")


def _api_error_of(error: NearfieldError | None) -> ApiError:
    message = str(error) if error is not None else "Nearfield failed; its log says where."
    causes = error.causes if isinstance(error, NoProvider) else ()
    if isinstance(error, BadRequest):
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(error.status, "invalid_request_error" if error.status < 500 else "")
        return ApiError(error.status, message, kind or "server_error", error.code, error.param)
    if isinstance(error, SchemaUnusable):
        return ApiError(400, message, "invalid_request_error", param="response_format")
    if isinstance(error, BadAnswer):
        return ApiError(502, message, code="bad_answer")
    if any(isinstance(cause, ContextTooLong) for cause in causes):
        return ApiError(400, message, "invalid_request_error", "context_length_exceeded")
    if isinstance(error, NotReady) or any(isinstance(cause, NotReady) for cause in causes):
        return ApiError(503, message, code="not_ready")
    if isinstance(error, NoProvider | NotPermitted):
        return ApiError(503, message, code="no_provider")
    return ApiError(500, message)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Writers of one API: of an error's body, and of the events of a stream, each by `frame`, then
    `last`. `media` is a stream's media type."""

    error: Callable[[ApiError], dict[str, Any]]
    frame: Callable[[dict[str, Any]], str]
    last: str = ""
    media: str = "text/event-stream; charset=utf-8"


def _compact(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _data(event: dict[str, Any]) -> str:
    return f"data: {_compact(event)}\n\n"


def _named(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\n{_data(event)}"


def _line(event: dict[str, Any]) -> str:
    return f"{_compact(event)}\n"


def _openai(failure: ApiError) -> dict[str, Any]:
    told = {"message": failure.message, "type": failure.kind}
    return {"error": {**told, "param": failure.param or None, "code": failure.code or None}}


_LLAMA_CPP_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    501: "not_supported_error",
    503: "unavailable_error",
}


def _llama_cpp(failure: ApiError) -> dict[str, Any]:
    usual = "invalid_request_error" if failure.status < 500 else "server_error"
    kind = _LLAMA_CPP_KINDS.get(failure.status, usual)
    return {"error": {"code": failure.status, "message": failure.message, "type": kind}}


_ANTHROPIC_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def _anthropic(failure: ApiError) -> dict[str, Any]:
    usual = "invalid_request_error" if failure.status < 500 else "api_error"
    kind = _ANTHROPIC_KINDS.get(failure.status, usual)
    message = failure.message
    if failure.code == "context_length_exceeded":
        # Agents compress their conversation when they read this.
        message = f"prompt is too long: {message}"
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


def _ollama(failure: ApiError) -> dict[str, Any]:
    return {"error": failure.message}


OPENAI = Dialect(_openai, _data, "data: [DONE]\n\n")
LLAMA_CPP = Dialect(_llama_cpp, _data)
ANTHROPIC = Dialect(_anthropic, _named)
OLLAMA = Dialect(_ollama, _line, media="application/x-ndjson")
