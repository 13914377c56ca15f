"""Asking models for an action: what is sent where, how long an answer may get, when it is complete.

One `ask` is one request to the router, with everything that consent, redaction, the ledger and the
quality gate need to know. A provider outside this machine that the user chose by hand is put to the
user with what would be sent before anything is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from nearfield.config.folders import FolderConfigs
from nearfield.errors import EditRefused
from nearfield.features.code_actions.prompts import Prompt
from nearfield.features.offers import Offers
from nearfield.features.remote_choice import RemoteChoice
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.routing.request_context import AskUser, Check, RequestContext
from nearfield.routing.router import Restart, Router, built
from nearfield.types import ChatRequest, Role

CHARS_PER_TOKEN = 3.0
"""Of code, in the tokenizers of the catalogue; on the safe side."""
ROOM = 1.6
"""An answer may be so much longer than the code it stands for, …"""
LEAST_TOKENS = 300
"""… and at least so long."""
UNKNOWN_CONTEXT = 8192
"""Tokens that a provider can hold when it does not say."""
_CLOSED = re.compile(r"(?:\A|\n)[ \t]*(`{3,})[^\n`]*\n.*?\n[ \t]*\1[ \t]*(?:\n|\Z)", re.S)


class Backing(Protocol):
    """What an action needs of the service."""

    configs: FolderConfigs
    router: Router | None
    offers: Offers
    traces: TraceLog


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, who gave it, and what the quality gate has against it ("" for nothing)."""

    text: str
    provider: str
    model: str
    wrong: str = ""


class Dialogue:
    """The requests of one action, whose cost goes to `account`. `wanted` is the name that an
    answer's code block must have to be the last that is listened to. `provider` names one outside
    this machine that the user wants; `ask` puts offers to the user, None where nobody can be
    asked."""

    def __init__(
        self,
        backing: Backing,
        errand: RequestContext,
        account: RequestMetrics,
        *,
        wanted: str = "",
        provider: str = "",
        ask: AskUser | None = None,
        heard: Callable[[int], None],
    ) -> None:
        self._backing = backing
        self._errand = errand
        self._account = account
        self._wanted = wanted
        self._provider = provider
        self._put = ask
        self._heard = heard
        self._accepted: tuple[str, ...] | None = None

    @property
    def router(self) -> Router:
        """The router of now. Raises `NotReady`."""
        return built(self._backing.router)

    def speaker(self, prompt: Prompt) -> str:
        """The model that would be asked first, as the user knows it; "" for none."""
        if self._provider:
            return self.router.provider(self._provider).model
        role = self.router.choose(ChatRequest(prompt.messages), self._errand).role
        candidates = self.router.candidates(role)
        return candidates[0].model if candidates else ""

    def room(self, prompt: Prompt, code: str) -> int:
        """How long the answer may be, in tokens, so that it can hold `code`. Raises `EditRefused`
        when prompt and answer do not fit into what the model can hold."""
        role = self.router.choose(ChatRequest(prompt.messages), self._errand).role
        candidates = self.router.candidates(role)
        holds = candidates[0].capabilities.context_tokens if candidates else None
        read = int(sum(len(m.content) for m in prompt.messages) / CHARS_PER_TOKEN)
        wanted = max(int(ROOM * len(code) / CHARS_PER_TOKEN), LEAST_TOKENS)
        room = min(wanted, (holds or UNKNOWN_CONTEXT) - read)
        if room < len(code) / CHARS_PER_TOKEN:
            raise EditRefused(
                "The code is too long for the model.",
                "Select a smaller part, or raise engine.chat_context_size.",
            )
        return room

    async def say(self, prompt: Prompt, max_tokens: int, checks: tuple[Check, ...] = ()) -> Said:
        """Ask. The answer ends with the first code block that is closed and has what is wanted.
        Raises what the router raises, and `NotPermitted` when the user does not want to send it."""
        request = ChatRequest(prompt.messages, max_tokens=max_tokens, temperature=0.0)
        sources = (*self._errand.sources, *prompt.sources)
        errand = replace(self._errand, checks=checks, sources=sources)
        if any(message.role is Role.ASSISTANT for message in prompt.messages):
            # An answer may repeat any of the sources in other words: with one that may not leave,
            # none of it does.
            bare = tuple(replace(source, text="") for source in errand.sources)
            errand = replace(errand, sources=bare)
        accepted = await self._admitted(request, errand)
        errand = replace(errand, accepted=accepted)
        text, complete, usage = "", False, None
        route = self.router.chat(request, context=errand)
        try:
            async with route:
                async for item in route:
                    if isinstance(item, Restart):
                        text, complete = "", False
                        continue
                    usage = item.usage or usage
                    text += item.text
                    self._heard(text.count("\n") + 1)
                    marked = "\n" in item.text or "`" in item.text
                    if not complete and marked and self._is_complete(text):
                        complete = True
                        route.enough()
        finally:
            self._backing.offers.add(route.offers)
            workspace, task = errand.workspace, errand.task
            self._backing.offers.give_back(
                workspace, task, [one for one in accepted if one not in route.asked]
            )
        speaker = route.provider
        name, model = (speaker.name, speaker.model) if speaker else ("", "")
        self._account.provider, self._account.model, self._account.usage = name, model, usage
        return Said(text, name, model, route.wrong)

    def _is_complete(self, text: str) -> bool:
        return any(self._wanted in block[0] for block in _CLOSED.finditer(text))

    async def _admitted(self, request: ChatRequest, errand: RequestContext) -> tuple[str, ...]:
        """Who outside this machine may be asked first."""
        if self._accepted is None:
            if self._provider:
                chosen = RemoteChoice(self._provider, self._put)
                self._accepted = await chosen.accepted(self.router, request, errand)
            else:
                self._accepted = self._backing.offers.take(errand.workspace, errand.task)
        return self._accepted
