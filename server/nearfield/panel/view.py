"""The parts of the panel's API: views with things to read and to do, and how each is answered.

Every request shows the token and comes from this server's own page or from no page at all. An
expected error is answered with what happened and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from nearfield.errors import (
    CatalogError,
    ConfigError,
    NearfieldError,
    NotPermitted,
    UnknownModel,
)
from nearfield.features.running.client import ServerError
from nearfield.http import wire
from nearfield.http.app import PathHandler
from nearfield.http.dialect import ApiError, Dialect
from nearfield.http.exchange import Answer, HttpExchange
from nearfield.http.wire import BadRequest

BASE = "/panel/api/"
MAX_DIGITS = 20

Query = Mapping[str, str]
Read = Callable[[Query], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ViewAction:
    """Something that can be done, and the form of its request's body."""

    body: type[msgspec.Struct]
    do: Callable[[Any], Awaitable[Any]]


class View(Protocol):
    """A part of the page: what it shows, and what it does, by path."""

    def reads(self) -> Mapping[str, Read]:
        """Return what can be read."""
        ...

    def actions(self) -> Mapping[str, ViewAction]:
        """Return what can be done."""
        ...


class NoBody(msgspec.Struct, frozen=True):
    """A request that says nothing."""


def _error(failure: ApiError) -> dict[str, Any]:
    message = failure.message.removesuffix(failure.hint).strip()
    return {"error": {"message": message, "hint": failure.hint, "field": failure.param}}


def _event(event: dict[str, Any]) -> str:
    if not event.get("event"):
        return ":\n\n"
    data = json.dumps(event["data"], ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['event']}\ndata: {data}\n\n"


PANEL = Dialect(_error, _event)


def paths_of(view: View) -> dict[str, PathHandler]:
    """Return the handlers of a view, by path."""
    reads = {
        BASE + path: PathHandler("GET", _reading(read), dialect=PANEL)
        for path, read in view.reads().items()
    }
    actions = {
        BASE + path: PathHandler("POST", _doing(action), dialect=PANEL)
        for path, action in view.actions().items()
    }
    return reads | actions


def own(answer: Answer) -> Answer:
    """Return `answer` for requests of this server's own page, and of programs; refused for those of
    other pages, whatever they show."""

    async def guarded(exchange: HttpExchange, body: bytes) -> None:
        origin = exchange.headers.get("origin", "")
        if origin and origin != f"http://{exchange.headers.get('host', '')}":
            raise BadRequest("Only the panel's own page is answered.", status=403)
        if exchange.headers.get("sec-fetch-site", "") in ("cross-site", "same-site"):
            raise BadRequest("Only the panel's own page is answered.", status=403)
        try:
            await answer(exchange, body)
        except BadRequest:
            raise
        except NearfieldError as error:
            raise _refusal(error) from error

    return guarded


def plain(value: object) -> Any:
    """Return `value` as JSON can hold it: dollars as text, objects by their fields."""
    return msgspec.to_builtins(value, str_keys=True)


def number(query: Query, name: str, usual: int, least: int, most: int) -> int:
    """Return a number of the address. Raises `BadRequest`."""
    said = query.get(name, "")
    if not said:
        return usual
    # No number of many digits, which would take long to read.
    found = int(said) if said.isdecimal() and len(said) <= MAX_DIGITS else least - 1
    if not least <= found <= most:
        raise BadRequest(f"{name} is a number from {least} to {most}.", name)
    return found


def _reading(read: Read) -> Answer:
    async def answer(exchange: HttpExchange, body: bytes) -> None:
        await exchange.json(plain(await read(exchange.query)))

    return own(answer)


def _doing(action: ViewAction) -> Answer:
    async def answer(exchange: HttpExchange, body: bytes) -> None:
        await exchange.json(plain(await action.do(wire.read(action.body, body or b"{}"))))

    return own(answer)


def _refusal(error: NearfieldError) -> BadRequest:
    """Return what a client is told of an error, with the status that suits it."""
    statuses: tuple[tuple[type[NearfieldError], int], ...] = (
        (ServerError, 502),
        (UnknownModel, 404),
        (ConfigError, 400),
        (CatalogError, 409),
        (NotPermitted, 503),
    )
    status = next((status for kind, status in statuses if isinstance(error, kind)), 409)
    return BadRequest(error.message, status=status, hint=error.hint)
