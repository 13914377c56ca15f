"""Offers to use a provider beyond this machine, and the consent to send something there.

A client that says `nearfieldOffers` under `experimental` in its capabilities gets each offer as
`nearfield/offer` and answers by the command `nearfield.answer`. Any other is asked with
`window/showMessageRequest`. Nothing waits for the answer: the local one remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp.questions import ask_client, spoken
from nearfield.lsp.session import Session
from nearfield.tasks import run_task

if TYPE_CHECKING:
    from nearfield.features.service import Service
    from nearfield.routing.consent import Consent
    from nearfield.routing.request_context import AskUser, Offer

OFFER = "nearfield/offer"
ANSWER = "nearfield.answer"
CONSENT = "nearfield.consent"
OPT_IN = "nearfieldOffers"

CHOICES = {"Once": "once", "This workspace": "workspace", "Never": "never"}
"""The buttons of the question, and what each says."""


def register(server: LanguageServer, session: Session) -> None:
    """Tell offers, and let the user answer them, see what was said, and revoke it."""

    def started(service: Service) -> None:
        service.offers.subscribe(told)

    def told(offer: Offer) -> None:
        if has_opted_in(session.protocol.client_capabilities):
            session.protocol.notify(OFFER, as_dict(offer))
        else:
            run_task(_ask(session, offer), "put an offer to the user")

    async def answer(offer: Any, decision: Any) -> bool:
        if not isinstance(offer, str) or decision not in CHOICES.values():
            said = ", ".join(CHOICES.values())
            raise JsonRpcInvalidParams(f"{ANSWER} takes the id of an offer and one of {said}.")
        return await _answer(await session.service(), offer, decision)

    async def consent(what: Any = "show", provider: Any = None, workspace: Any = None) -> Any:
        service = await session.service()
        if what == "show":
            return [said.row() for said in await service.consents.said()]
        names = (provider, workspace)
        if what != "revoke" or not all(name is None or isinstance(name, str) for name in names):
            raise JsonRpcInvalidParams(
                f'{CONSENT} takes "show", or "revoke" and a provider and a workspace or null.'
            )
        return {"revoked": await service.consents.revoke(workspace or None, provider or None)}

    session.when_started.add(started)
    server.command(ANSWER)(answer)
    server.command(CONSENT)(consent)


def as_dict(offer: Offer) -> dict[str, Any]:
    """The params of `nearfield/offer`: all that the user must know, and a sentence that says it.
    `price` is in US dollars, null where it is not known."""
    from nearfield.features.offers import words

    return {
        "id": offer.id,
        "message": words(offer),
        "provider": offer.provider,
        "model": offer.model,
        "task": offer.task.value,
        "workspace": offer.workspace,
        "reason": offer.reason,
        "bytes": offer.bytes,
        "files": list(offer.files),
        "redactions": [{"kind": kind, "count": count} for kind, count in offer.redactions],
        "price": None if offer.price is None else float(offer.price),
        "warning": offer.warning,
        "decisions": list(CHOICES.values()),
    }


async def _ask(session: Session, offer: Offer) -> None:
    """Put `offer` to the user as a question; no answer leaves everything as it is."""
    decision = await _choice(session, offer, "Allow it?")
    if decision:
        await _answer(await session.service(), offer.id, decision)


async def _choice(session: Session, offer: Offer, question: str) -> str:
    """Return the user's answer to `offer`, "" for none."""
    from nearfield.features.offers import words

    params = types.ShowMessageRequestParams(
        types.MessageType.Info,
        spoken(f"Nearfield: {words(offer)} {question}"),
        [types.MessageActionItem(title) for title in CHOICES],
    )
    try:
        chosen = await ask_client(session.protocol, types.WINDOW_SHOW_MESSAGE_REQUEST, params)
    except JsonRpcException:
        return ""  # a client that cannot ask has not said yes
    return CHOICES.get(str(getattr(chosen, "title", "")), "")


def asker(session: Session) -> AskUser:
    """Puts what a provider that the user chose would be sent to the user, and waits."""

    async def ask(offer: Offer) -> Consent | None:
        from nearfield.routing.consent import Consent

        decision = await _choice(session, offer, "Send it?")
        return Consent(decision) if decision else None

    return ask


async def _answer(service: Service, offer: str, decision: str) -> bool:
    from nearfield.routing.consent import Consent

    return await service.consents.answer(offer, Consent(decision))


def has_opted_in(capabilities: types.ClientCapabilities, name: str = OPT_IN) -> bool:
    """Return whether the client says `name` under `experimental`."""
    return experimental(capabilities, name) is True


def experimental(capabilities: types.ClientCapabilities, name: str) -> Any:
    """Return what the client says of `name` under `experimental`, which may hold anything; pygls
    makes a named tuple of an object. None for nothing."""
    said: Any = capabilities.experimental
    return said.get(name) if isinstance(said, Mapping) else getattr(said, name, None)
