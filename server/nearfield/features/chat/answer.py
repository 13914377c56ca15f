"""Answer a message: ask the model, carry out its calls, and repeat until it answers in words.

It always ends: after a number of rounds, a time, or when the model repeats the same call. Then it
is asked once more, for words alone and with only the question and the results of its calls. Small
models can do that even if a conversation with functions confuses them. If that fails too, the
earlier text is kept, with a sentence that says why it ended.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nearfield.coerce import NotJson, shallow
from nearfield.config.schema import Chat
from nearfield.errors import ContextTooLong, DeadlineExceeded, NoProvider
from nearfield.features.chat.chat_states import prompt_name
from nearfield.features.chat.protocol import (
    Access,
    Ask,
    CallReport,
    CallState,
    ChatFinish,
    Listener,
    Reply,
    ToolOutcome,
    TurnPart,
    said,
)
from nearfield.features.chat.prune import fit
from nearfield.features.chat.session import MESSAGE_TOKENS, SYSTEM, ChatSession, ChatTurn
from nearfield.features.chat.tool_calls import ToolCaller
from nearfield.features.trace import RequestMetrics
from nearfield.providers.estimate import CHARS_PER_TOKEN, tokens
from nearfield.routing.egress import Egress
from nearfield.routing.request_context import Offer, RequestContext
from nearfield.routing.route import Route
from nearfield.routing.router import Restart, Router
from nearfield.types import ChatRequest, Message, Role, Tool, ToolCall, Usage
from nearfield.types import Finish as Ended

SAME_CALL = 3
"""The same call, asked for so often with nothing changed between, ends the calling. Until then it
is answered from what it has brought before."""
CALLS_A_ROUND = 8
"""More calls at once are not carried out."""
SUMMARY_TOKENS = 200
SUMMARY_SECONDS = 60.0
TIGHTER = 0.7
"""When a provider says that the window is full although our estimate fitted."""

_NO_FUNCTION = (
    "Nothing was done: there is no function `{name}` here, or it is not allowed (`chat.functions`)."
)
_ONLY_TEXT = "Nothing was done: this is a call that the model wrote as text. Ask again."
_AGAIN = "(You have made this call already. It has brought the same as before; use it.)"
_IN_WORDS = "Answer in words, from what is above."
_FROM_BEFORE = (
    "The model kept asking for calls, so it was told to answer from what they had brought."
)
_FROM_SILENCE = "The model said nothing, so it was asked again without functions."
_CUT = "The answer was cut off at its limit of {count} tokens."
_CALL_ALONE = re.compile(
    r'(?:\w+\s*\n\s*)?(?:```\w*\s*)?\[?\s*\{\s*"(?:name|function|tool)"\s*:\s*"(\w{1,64})"\s*,'
    r'\s*"(?:arguments|parameters)"\s*:\s*(\{.*\})\s*\}\s*\]?\s*(?:```)?',
    re.DOTALL,
)
_BEGINS_AS_CALL = (
    r"(?i)[\s>]*(?:\w+\s*\n\s*)?(?:```\w*\s*)?\[?\s*"
    r'(?:\{\s*"(?:name|function|tool)"\s*:\s*"(?:NAMES)"|(?:NAMES)\()'
)
_ENOUGH = {
    ChatFinish.ROUNDS: "I stopped here: I have called functions {count} times without an answer.",
    ChatFinish.LOOP: "I stopped here: I kept asking for the same call of {count}.",
    ChatFinish.DEADLINE: "I stopped here: the time for one answer ({count} s) is over.",
    ChatFinish.EMPTY: "The model has given no answer, also when it was asked again in words. Ask in"
    " other words, or use a larger model: `nearfield models recommend` names one.",
}


@dataclass(slots=True)
class Answering:
    """An answer in a session. `room` is the number of tokens that the conversation may take. With
    `in_words` the model is asked for words alone first, and offered `tools` if none come.
    """

    router: Router
    session: ChatSession
    ask: Ask
    caller: ToolCaller
    listener: Listener
    limits: Chat
    context: Callable[[ChatSession], RequestContext]
    room: int
    reply: Reply
    account: RequestMetrics
    tools: tuple[Tool, ...] = ()
    in_words: bool = False
    offered: Callable[[Sequence[Offer]], None] = lambda offers: None
    _deadline: float = field(init=False, default=0.0)
    _seen: Counter[tuple[str, str]] = field(init=False, default_factory=Counter[tuple[str, str]])
    _brought: dict[tuple[str, str], ToolOutcome] = field(
        init=False, default_factory=dict[tuple[str, str], ToolOutcome]
    )
    _shown: list[str] = field(init=False, default_factory=list[str])
    _round: str = field(init=False, default="")
    _usage: Usage | None = field(init=False, default=None)

    async def run(self) -> None:
        """Fill `reply`, and add the turns to the session. Raises `NearfieldError`s of providers
        and of the audit; cancelling it leaves the session as a whole exchange."""
        self._deadline = time.monotonic() + self.limits.timeout_s
        for _ in range(self.limits.max_rounds):
            if time.monotonic() >= self._deadline:
                self._end(ChatFinish.DEADLINE, "")
                break
            calls = await self._said()
            if self.in_words and not calls:
                self.in_words = False
                if self._round.strip() and not self._is_muddled():
                    break
                self._forget()
                continue
            if not calls:
                await self._mend()
                break
            ended = await self._call(calls)
            if ended is ChatFinish.LOOP and await self._say_in_words():
                break
            if ended is not None:
                self._end(ended, calls[0].name if ended is ChatFinish.LOOP else "")
                break
        else:
            self._end(ChatFinish.ROUNDS, str(self.limits.max_rounds))
        if self.reply.finish is ChatFinish.LENGTH:
            self.reply.notes.append(_CUT.format(count=self.ask.max_tokens))
        self.reply.text = "\n\n".join(self._shown)

    # --- asking -----------------------------------------------------------------------------

    async def _said(self) -> tuple[ToolCall, ...]:
        """Ask the model once; the calls that it wants."""
        await fit(self.session, self.room, self._summarised)
        try:
            return await self._asked()
        except NoProvider as error:
            if not any(isinstance(cause, ContextTooLong) for cause in error.causes):
                raise
        self.room = int(self.room * TIGHTER)
        await fit(self.session, self.room, self._summarised)
        return await self._asked()

    async def _asked(self) -> tuple[ToolCall, ...]:
        return await self._heard(
            ChatRequest(
                self.session.messages,
                tools=() if self.in_words else self.tools,
                max_tokens=self.ask.max_tokens,
                temperature=self.session.wishes.temperature,
                deadline=self._deadline,
                session=prompt_name(self.session.id),
                thinking=self.limits.thinking_tokens,
            )
        )

    async def _heard(self, request: ChatRequest) -> tuple[ToolCall, ...]:
        calls: list[ToolCall] = []
        self._round, self._usage = "", None
        if self._shown:
            self.listener.text("\n\n")
        route = self.router.chat(request, self.ask.role, self.context(self.session))
        whole = False
        try:
            async with route:
                await self._listen(route, calls)
            whole = True
        finally:
            self.offered(route.offers)
            if self._usage is not None:
                self.account.spent(self._usage)
            if whole and len(calls) > CALLS_A_ROUND:
                self.reply.notes.append(
                    f"The model asked for {len(calls)} calls at once; only the first"
                    f" {CALLS_A_ROUND} were looked at."
                )
            # The words of an answer that broke off stay; calls without results may not.
            del calls[CALLS_A_ROUND if whole else 0 :]
            if whole and request.tools and not calls:
                self._take_written(calls)
            if text := self._round.strip():
                self._shown.append(text)
            if text or calls:
                parts = [TurnPart(self._round)]
                if not isinstance(route.provider, Egress):
                    # A model on this machine may repeat in its own words what may not leave it. One
                    # outside was never told.
                    parts += [TurnPart("", path) for path in self.session.paths]
                turn = ChatTurn(Role.ASSISTANT, parts, tuple(calls))
                self.session.turns.append(turn)
        if route.provider is not None:
            self.reply.provider, self.reply.model = route.provider.name, route.provider.model
        self.reply.wrong = route.wrong
        self.caller.provider, self.caller.model = self.reply.provider, self.reply.model
        return tuple(calls)

    def _take_written(self, calls: list[ToolCall]) -> None:
        """An answer that is nothing but a call, written as text: of a function that only looks it
        is one; of others it is said that nothing was done."""
        found = _CALL_ALONE.fullmatch(self._round.strip())
        if found is None:
            return
        name, arguments = found[1], found[2]
        function = self.caller.functions.get(name)
        if function is not None and function.access is Access.READ:
            calls.append(_named(ToolCall("written", name, arguments), len(self.session.turns)))
            self._take_back()
        elif function is not None:
            self._add(f"\n\n{_ONLY_TEXT}")
        elif not self.reply.calls:
            self._add(f"\n\n{_NO_FUNCTION.format(name=name)}")

    def _take_back(self, behind: str = "") -> None:
        """Discard the text of this round; `behind` follows the text before it."""
        self._round = ""
        self.listener.restart()
        if self._shown:
            self.listener.text("\n\n".join(self._shown) + behind)

    def _forget(self) -> None:
        """Take the whole last round back."""
        if self._round.strip():
            self._shown.pop()
            self.session.turns.pop()
            self._take_back()

    def _add(self, text: str) -> None:
        """Add our own words after the model's."""
        self._round += text
        self.listener.text(text)

    async def _listen(self, route: Route, calls: list[ToolCall]) -> None:
        async for item in route:
            if isinstance(item, Restart):
                calls.clear()
                self._take_back("\n\n")
                continue
            self._usage = item.usage or self._usage
            if item.thinking:
                self.listener.thinking(item.thinking)
            if item.text:
                self._round += item.text
                self.listener.text(item.text)
            calls += [
                _named(call, len(self.session.turns) + len(calls)) for call in item.tool_calls
            ]
            if item.finish is Ended.LENGTH:
                self.reply.finish = ChatFinish.LENGTH
            elif item.finish is Ended.DEADLINE:
                self.reply.finish = ChatFinish.DEADLINE
            elif item.finish is not None:
                self.reply.finish = ChatFinish.STOP

    def _is_muddled(self) -> bool:
        """Return whether the last text is no answer but calls, written in an unknown form."""
        names = "|".join(re.escape(tool.name) for tool in self.tools)
        return (
            bool(names)
            and re.match(_BEGINS_AS_CALL.replace("NAMES", names), self._round) is not None
        )

    async def _mend(self) -> None:
        """Ask for words where the last round has brought none."""
        if self.reply.calls and self._is_muddled():
            await self._say_in_words()
            return
        is_silent = not self._round.strip() and self.reply.finish is not ChatFinish.DEADLINE
        if is_silent and not (self.tools and await self._say_in_words(_FROM_SILENCE)):
            self._end(ChatFinish.EMPTY, "")

    async def _say_in_words(self, why: str = _FROM_BEFORE) -> bool:
        """Ask for words alone, with the question and what the calls have brought; whether any
        came. `why` tells the user then."""
        if self._is_muddled():
            self._forget()
        before = len(self._shown)
        request = ChatRequest(
            self._last_question(),
            max_tokens=self.ask.max_tokens,
            temperature=self.session.wishes.temperature,
            deadline=self._deadline,
            session=prompt_name(self.session.id),
        )
        try:
            await self._heard(request)
        except (NoProvider, DeadlineExceeded):
            return False
        if len(self._shown) == before:
            return False
        self.reply.notes.append(why)
        return True

    def _last_question(self) -> tuple[Message, ...]:
        """Return the user's last question, after the results of its calls."""
        turns = self.session.turns
        begins = max(i for i, turn in enumerate(turns) if turn.opens)
        question = turns[begins].text
        results = [turn.text for turn in turns[begins:] if turn.role is Role.TOOL]
        results = list(dict.fromkeys(text.removesuffix(f"\n\n{_AGAIN}") for text in results))
        room = self.room - tokens(SYSTEM + question) - MESSAGE_TOKENS * 4
        most = max(0, int(room * CHARS_PER_TOKEN) // max(1, len(results)))
        text = "\n\n".join([*(one[:most] for one in results), question, _IN_WORDS])
        return Message(Role.SYSTEM, SYSTEM), Message(Role.USER, text)

    async def _summarised(self, text: str) -> str:
        """A summary by the model, "" when there is none in time."""
        messages = (
            Message(Role.SYSTEM, "Summarise the conversation in at most 100 words. Keep names."),
            Message(Role.USER, text),
        )
        deadline = min(self._deadline, time.monotonic() + SUMMARY_SECONDS)
        request = ChatRequest(messages, max_tokens=SUMMARY_TOKENS, deadline=deadline)
        # It names every file of the conversation, so it has the same restrictions as they.
        context = self.context(self.session)
        found = ""
        try:
            async with self.router.chat(request, self.ask.role, context) as route:
                async for item in route:
                    found = "" if isinstance(item, Restart) else found + item.text
                return "" if route.wrong else found
        except (NoProvider, DeadlineExceeded):
            return ""

    # --- calling ----------------------------------------------------------------------------

    async def _call(self, calls: Sequence[ToolCall]) -> ChatFinish | None:
        """Carry out what the model wants; why that was the end, None when it was not."""
        ended: ChatFinish | None = None
        try:
            for call in calls:
                outcome, report = await self._one(call)
                self.reply.calls.append(report)
                self._told(call, outcome)
                again = self._seen[call.name, _same(call.arguments)]
                if again >= SAME_CALL:
                    ended = ChatFinish.LOOP
        except TimeoutError:
            ended = ChatFinish.DEADLINE
        finally:
            # Every call has an answer in the history, or the next request would be refused.
            answered = {turn.call_id for turn in self.session.turns}
            for call in calls:
                if call.id not in answered:
                    self._told(call, said("Not done: the answer was ended."))
        return ended

    async def _one(self, call: ToolCall) -> tuple[ToolOutcome, CallReport]:
        key = call.name, _same(call.arguments)
        self._seen[key] += 1
        if (known := self._brought.get(key)) is not None and self._seen[key] > 1:
            report = CallReport(call.id, call.name, {}, CallState.DENIED, _AGAIN)
            self.listener.call(report)
            return ToolOutcome((*known.parts, TurnPart(f"\n\n{_AGAIN}"))), report
        left = max(0.0, self._deadline - time.monotonic())
        async with asyncio.timeout(left):
            outcome, report = await self.caller.call(call)
        function = self.caller.functions.get(call.name)
        if report.state is CallState.DONE and function and function.access is not Access.READ:
            # Something has changed, so that the same question may have another answer.
            self._seen = Counter({key: self._seen[key]})
            self._brought.clear()
        self._brought[key] = outcome
        return outcome, report

    def _told(self, call: ToolCall, outcome: ToolOutcome) -> None:
        self.session.turns.append(ChatTurn(Role.TOOL, list(outcome.parts), call_id=call.id))

    def _end(self, finish: ChatFinish, count: str) -> None:
        seconds = str(self.limits.timeout_s)
        text = _ENOUGH[finish].format(count=seconds if finish is ChatFinish.DEADLINE else count)
        self.reply.finish = finish
        self.listener.text(f"\n\n{text}" if self._shown else text)
        self._shown.append(text)
        self.session.turns.append(ChatTurn(Role.ASSISTANT, [TurnPart(text)]))


def _named(call: ToolCall, number: int) -> ToolCall:
    """A call under an id of its own: what models give repeats from round to round."""
    return ToolCall(f"{call.id}-{number}", call.name, call.arguments)


def _same(arguments: str) -> str:
    """Arguments in one spelling."""
    try:
        return json.dumps(shallow(arguments or "{}"), sort_keys=True)
    except NotJson:
        return arguments
