"""The requests to a model for one action.

Each `say` is one request to the router, with everything that consent, redaction, the ledger and the
quality gate need to know. A provider outside this machine that the user chose by hand is used only
after the user has seen what would be sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Protocol

from nearfield.config.folders import FolderConfigs
from nearfield.context.slice import prompt_hash
from nearfield.errors import EditRefused
from nearfield.features.code_actions.prompts import ActionPrompt
from nearfield.features.offers import Offers
from nearfield.features.project_rules import ProjectRules
from nearfield.features.remote_choice import RemoteChoice
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.providers.base import Provider
from nearfield.providers.estimate import CHARS_PER_TOKEN
from nearfield.routing.request_context import AskUser, Check, RequestContext
from nearfield.routing.router import Restart, Router, built
from nearfield.types import ChatRequest, Role

MAX_GROWTH = 1.6
"""An answer may be this much longer than the code that it replaces, …"""
MIN_ANSWER_TOKENS = 300
"""… and at least this long."""
UNKNOWN_CONTEXT_TOKENS = 8192
"""Context size assumed for a provider that does not report one."""
_CLOSED = re.compile(r"(?:\A|\n)[ \t]*(`{3,})[^\n`]*\n.*?\n[ \t]*\1[ \t]*(?:\n|\Z)", re.S)


class Backing(Protocol):
    """The parts of the service that an action needs."""

    configs: FolderConfigs
    router: Router | None
    offers: Offers
    traces: TraceLog


@dataclass(frozen=True, slots=True)
class ModelReply:
    """An answer, its provider and model, the objection of the quality gate ("" for none), and the
    SHA-256 of the prompt."""

    text: str
    provider: str
    model: str
    wrong: str = ""
    prompt: str = ""


class Dialogue:
    """The requests of one action, whose cost is added to `account`. An answer ends with the first
    code block that holds `wanted`. `provider` names one outside this machine that the user chose;
    `ask` puts offers to the user, None if that is not possible. `rules` are the project's."""

    def __init__(
        self,
        backing: Backing,
        context: RequestContext,
        account: RequestMetrics,
        *,
        wanted: str = "",
        provider: str = "",
        ask: AskUser | None = None,
        rules: ProjectRules | None = None,
    ) -> None:
        self._backing = backing
        self._context = context
        self._account = account
        self._wanted = wanted
        self._rules = rules
        self._remote = RemoteChoice(provider, ask) if provider else None
        self._accepted: tuple[str, ...] | None = None

    def speaker(self, prompt: ActionPrompt) -> str:
        """Return the model that would be asked first, as the user knows it; "" for none."""
        if self._remote is not None:
            return built(self._backing.router).provider(self._remote.provider).model
        first = self._first(prompt)
        return first.model if first else ""

    def room(self, prompt: ActionPrompt, code: str) -> int:
        """Return how many tokens an answer may have so that it can hold `code`. Raises
        `EditRefused` if prompt and answer do not fit into the model's context."""
        prompt = self._whole(prompt)
        first = self._first(prompt)
        holds = first.capabilities.context_tokens if first else None
        read = int(sum(len(m.content) for m in prompt.messages) / CHARS_PER_TOKEN)
        wanted = max(int(MAX_GROWTH * len(code) / CHARS_PER_TOKEN), MIN_ANSWER_TOKENS)
        room = min(wanted, (holds or UNKNOWN_CONTEXT_TOKENS) - read)
        if room < len(code) / CHARS_PER_TOKEN:
            raise EditRefused(
                "The code is too long for the model.",
                "Select a smaller part, or raise engine.chat_context_size.",
            )
        return room

    def _whole(self, prompt: ActionPrompt) -> ActionPrompt:
        """Return the prompt with what the repository says about its style."""
        if self._rules is None:
            return prompt
        messages = (self._rules.message, *prompt.messages)
        return ActionPrompt(messages, (*prompt.sources, self._rules.source))

    def _first(self, prompt: ActionPrompt) -> Provider | None:
        """Return the provider that would be asked first."""
        router = built(self._backing.router)
        role = router.choose(ChatRequest(prompt.messages), self._context).role
        return next(iter(router.candidates(role)), None)

    async def say(
        self,
        prompt: ActionPrompt,
        max_tokens: int,
        checks: tuple[Check, ...] = (),
        copied: str = "",
    ) -> ModelReply:
        """Ask, and return the answer, which mostly repeats `copied`. Raises what the router raises,
        and `NotPermitted` if the user does not want to send it."""
        prompt = self._whole(prompt)
        request = ChatRequest(
            prompt.messages, max_tokens=max_tokens, temperature=0.0, copied=copied
        )
        sources = (*self._context.sources, *prompt.sources)
        if any(message.role is Role.ASSISTANT for message in prompt.messages):
            # An answer may repeat any of the sources in other words: with one that may not leave,
            # none of it does.
            sources = tuple(replace(source, text="") for source in sources)
        context = replace(self._context, checks=checks, sources=sources)
        router, offers = built(self._backing.router), self._backing.offers
        if self._accepted is None and self._remote is not None:
            self._accepted = await self._remote.accepted(router, request, context)
        elif self._accepted is None:
            self._accepted = offers.take(context.workspace, context.task)
        accepted = self._accepted
        text, is_complete, usage = "", False, None
        route = router.chat(request, context=replace(context, accepted=accepted))
        try:
            async with route:
                async for item in route:
                    if isinstance(item, Restart):
                        text, is_complete = "", False
                        continue
                    usage = item.usage or usage
                    text += item.text
                    may_close = "\n" in item.text or "`" in item.text
                    if may_close and not is_complete and self._has_block(text):
                        is_complete = True
                        route.enough()
        finally:
            offers.add(route.offers)
            unused = [one for one in accepted if one not in route.asked]
            offers.give_back(context.workspace, context.task, unused)
        speaker = route.provider
        name, model = (speaker.name, speaker.model) if speaker else ("", "")
        self._account.provider, self._account.model, self._account.usage = name, model, usage
        asked = prompt_hash(message.content for message in prompt.messages)
        return ModelReply(text, name, model, route.wrong, asked)

    def _has_block(self, text: str) -> bool:
        """Return whether a code block that holds the wanted name is closed."""
        return any(self._wanted in block[0] for block in _CLOSED.finditer(text))
