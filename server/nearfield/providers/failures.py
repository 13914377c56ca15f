"""Map a server's refusal to our error tree.

A server's own message is read, to tell the cases apart, but never repeated: it may quote the prompt
or the key. Our message names the server, the kind of failure, and what to do.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from nearfield.errors import (
    BadAnswer,
    ContextTooLong,
    ModelNotServed,
    NotReady,
    ProviderError,
    RateLimited,
    Unauthorised,
    Unreachable,
    Unsupported,
)

_TOO_LONG = re.compile(
    r"exceed_context_size|context_length_exceeded|maximum context length|context window"
    r"|exceeds the (available )?context|context size|prompt is too long|input is too long"
    r"|too many (input )?tokens|max_model_len|longer than the (maximum )?(model|context)"
    r"|input length .*exceeds|request_too_large"
)
_NO_MODEL = re.compile(
    r"model_not_found|unknown[_ ]model|model .{0,200}(not found|does not exist|not exist|not served"
    r"|not supported)|no such model|not_found_error.{0,80}model|deploymentnotfound"
    r"|deployment .{0,200}does not exist|invalid model",
    re.DOTALL,
)
_NO_KEY = re.compile(
    r"authentication_error|invalid_api_key|permission_error|unauthori[sz]ed"
    r"|api key (not valid|not found|expired)"  # Gemini, with status 400
    r"|no_db_connection"  # LiteLLM without a database, with status 400
)
_LIMITED = re.compile(
    r"rate_limit|overloaded|insufficient_quota|too many requests|resource_exhausted"
    r"|maximum pending requests"  # Ollama, with status 503
)
_LOADING = re.compile(r"loading model|unavailable_error|model is loading|still loading")
_CANNOT = re.compile(
    r"not_supported_error|does not support|not supported by this model|is not currently supported"
    r"|unsupported_parameter|not implemented"
)
_NO_MEMORY = re.compile(r"requires more (system|gpu) memory|out of memory")
_BEHIND = re.compile(r"\bconnection error")
"""A gateway (LiteLLM, with status 500) that does not reach the server behind it."""
_NO_WAY_OUT = re.compile(
    r"dial tcp(?! 127\.)|no such host|i/o timeout|tls handshake|max retries exceeded"
)
"""An Ollama that does not reach its library, in a stream, or its cloud, with status 500 or 502."""
_SIGNED_OUT = re.compile(r"signin_url")
_NO_CLOUD = re.compile(r"ollama cloud is disabled")
_OWN_FAULTS = (500, 502, 503, 504)
MAX_WAIT_SECONDS = 86_400.0
"""A server that wants to be left alone for longer is asked again after a day."""
MAX_MESSAGE_CHARS = 4000
"""Characters of a server's message that are read; the significant words come first."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whom an error is about: the provider's name, its host, the model that was asked for."""

    name: str
    host: str
    model: str
    key_hint: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.host})"


def of_response(who: Who, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error for an answer with a failing `status`."""
    return _classify(who, status, _telling(body), retry_after(headers))


def passes(status: int, error: ProviderError) -> bool:
    """Return whether a failure may have gone a moment later: the server's own, not one of the
    request."""
    return status in _OWN_FAULTS and isinstance(error, BadAnswer | Unreachable)


def of_event(who: Who, error: object) -> ProviderError:
    """Return the error for an error object inside a stream that had begun well."""
    code = error.get("code") if isinstance(error, Mapping) else None
    status = code if isinstance(code, int) and 400 <= code <= 599 else 0
    return _classify(who, status, _flat(error), None)


def _classify(who: Who, status: int, said: str, wait: float | None) -> ProviderError:
    if status in (0, 500, 502) and _NO_WAY_OUT.search(said):
        return Unreachable(
            f"{who} does not reach its maker's servers.",
            "Is that machine online? Behind a proxy the server itself needs HTTPS_PROXY.",
        )
    if status == 401 and _SIGNED_OUT.search(said):
        return Unauthorised(f"{who} is signed in to no cloud.", "Run `ollama signin`.")
    if _NO_CLOUD.search(said):
        return Unsupported(f"{who} has its cloud turned off.", "Choose a model of that machine.")
    if status in (401, 403) or _NO_KEY.search(said):
        return Unauthorised(f"{who} refused the key.", who.key_hint)
    if status in (429, 529) or _LIMITED.search(said):
        hint = f"It asks to wait {wait:.0f} s." if wait is not None else "Wait and ask again."
        return RateLimited(f"{who} takes no more requests for now.", hint, wait)
    if status == 413 or (status in (0, 400, 422, 500) and _TOO_LONG.search(said)):
        return ContextTooLong(
            f"The prompt is longer than what {who.model or 'the model'} at {who} can read.",
            "Ask about less, or serve the model with a larger context.",
        )
    if status in (0, 400, 404, 422) and _NO_MODEL.search(said):
        return ModelNotServed(f"{who} does not serve the model {who.model!r}.")
    if status in (405, 501) or (status in (0, 400, 422) and _CANNOT.search(said)):
        return Unsupported(f"{who} cannot do that with {who.model or 'its model'}.")
    if status == 404:
        return Unsupported(
            f"{who} has no such endpoint.", "Is the provider's kind and base_url right?"
        )
    if status == 503 and (_LOADING.search(said) or wait is not None):
        return NotReady(f"{who} is still loading its model.", "Ask again in a moment.")
    if status == 500 and _NO_MEMORY.search(said):
        return BadAnswer(
            f"{who} has too little memory for {who.model or 'its model'}.",
            "Choose a smaller model, or less context.",
        )
    if status == 500 and _BEHIND.search(said):
        return Unreachable(f"{who} does not reach its model.", "Is the model behind it up?")
    if status in (502, 503, 504):
        return Unreachable(f"{who} answered with status {status}.", "Is the model behind it up?")
    if status:
        return BadAnswer(f"{who} answered with status {status}.", "Its own log says why.")
    return BadAnswer(f"{who} broke off with an error.", "Its own log says why.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, from `retry-after-ms` or `retry-after` (a number, or an HTTP
    date: RFC 9110, section 10.2.3); None where there is none or it makes no sense."""
    wait = _said_wait(headers)
    return None if wait is None else min(wait, MAX_WAIT_SECONDS)


def _said_wait(headers: Mapping[str, str]) -> float | None:
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    said = headers.get("retry-after")
    if said is None:
        return None
    seconds = _number(said)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _telling(body: bytes) -> str:
    """Return the words of an error body that tell the cases apart, lower case."""
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body[:MAX_MESSAGE_CHARS].decode("utf-8", "replace").lower()
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]  # Gemini wraps its error object in a list.
    if not isinstance(decoded, Mapping):
        return _flat(decoded)
    # Ollama gives the address to sign in at beside its error.
    return _flat(decoded.get("error", decoded)) + " signin_url" * ("signin_url" in decoded)


def _flat(error: object) -> str:
    if not isinstance(error, Mapping):
        return str(error)[:MAX_MESSAGE_CHARS].lower()
    parts = [str(error.get(k, "")) for k in ("type", "code", "status", "message", "detail")]
    return " ".join(parts)[:MAX_MESSAGE_CHARS].lower()
