"""Follow one request through its candidates.

A stream of `Delta | Restart`: text is passed on as it arrives. When another provider has to start
over, a `Restart` takes back the displayed text, but only once the new provider produces text. So a
broken stream's text is never shown twice, and a poor local answer remains unless a better one has
really arrived.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from types import TracebackType

from nearfield.catalog.control_tokens import BEGINNING
from nearfield.errors import (
    BadAnswer,
    DeadlineExceeded,
    EngineError,
    ProviderError,
    RequestStopped,
)
from nearfield.providers.base import Provider
from nearfield.providers.estimate import CHARS_PER_TOKEN
from nearfield.routing.activity import METER, REPORT, Watch, watched
from nearfield.routing.egress import Egress
from nearfield.routing.load import CountedRequest
from nearfield.routing.money import estimate_tokens, read_tokens
from nearfield.routing.plain_text import PlainText, literal_in
from nearfield.routing.plan import Step, Use
from nearfield.routing.provider_pool import ProviderPool
from nearfield.routing.quality import REPEATS, JudgedAnswer, is_endless, judge
from nearfield.routing.request_context import Offer, RequestContext
from nearfield.routing.running import RunningRequest
from nearfield.routing.unanswered import SHARE, Unanswered
from nearfield.types import ChatRequest, Delta, EditRequest, Finish, InfillRequest, Usage

# A provider ends its own stream at the deadline; this long after it the router does.
GRACE_SECONDS = 0.25
# The same without a deadline. Reading a long prompt on a slow processor takes a minute.
STALL_SECONDS = 120.0


MAX_THOUGHT = 1024
"""Tokens of a model that cannot be kept from thinking; then it is given up."""
STOPPED = "You stopped this request."
LOOP_PIECES = 32
"""Pieces of an answer, tokens mostly, between two looks for a loop: a look takes 3 ms."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Discard the text received before: `provider` starts over, because of `reason`
    (one sentence).
    """

    provider: str
    reason: str


@dataclass(slots=True)
class _CandidateReply:
    """The answer of one candidate up to now. `last` is its last delta, held back until the answer
    has been judged; `shown` tells whether any of it has been passed on.
    """

    name: str
    texts: list[str] = field(default_factory=list[str])
    logprobs: list[float] = field(default_factory=list[float])
    calls: bool = False
    last: Delta | None = None
    wrong: str = ""
    looked: int = 0

    @property
    def text(self) -> str:
        return "".join(self.texts) + (self.last.text if self.last else "")

    def is_endless(self) -> bool:
        """Return whether it says the same over and over; looked at every few words."""
        if len(self.texts) - self.looked < LOOP_PIECES:
            return False
        self.looked = len(self.texts)
        return is_endless("".join(self.texts))


class Route:
    """An async context manager over the stream of items; see the module.

    `provider` is the one that is answering. `failures` says why others did not, `offers` what can
    be offered to the user. `wrong` is the gate's objection to the final answer ("" for none);
    `asked` names the providers that received the request, `kept` is true when the answer was
    cached, `rule` names the user's rule that chose the candidates ("" for none). All are final when
    the stream has ended.
    """

    def __init__(
        self,
        pool: ProviderPool,
        role: str,
        request: InfillRequest | EditRequest | ChatRequest,
        context: RequestContext,
        complex_task: bool = False,
        *,
        by_rules: bool = True,
    ) -> None:
        self._pool = pool
        self._by_rules = by_rules
        self._role = role
        self._request = request
        if context.owner and not isinstance(request, EditRequest):
            self._request = replace(request, owner=context.owner)
        self._complex = complex_task
        self._context = context
        self._items = self._run()
        self._shown = ""
        self._held: _CandidateReply | None = None
        self.provider: Provider | None = None
        self._unanswered: Unanswered | None = None
        self.asked: set[str] = set()
        self._texts: dict[str, PlainText] = {}
        self.wrong = ""
        self.rule = ""
        self.kept = False
        self._ended = False
        self._enough = False

    async def __aenter__(self) -> Route:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._items.aclose()

    def __aiter__(self) -> AsyncIterator[Delta | Restart]:
        return self._items

    @property
    def failures(self) -> Sequence[str]:
        """The reasons why the candidates before did not answer."""
        return self._unanswered.failures if self._unanswered is not None else ()

    @property
    def offers(self) -> Sequence[Offer]:
        """The providers that can be offered to the user."""
        return self._unanswered.offers if self._unanswered is not None else ()

    @property
    def ended_by(self) -> str:
        """Return the control token that ended the final answer, "" if none did."""
        text = self._texts.get(self.provider.name) if self.provider is not None else None
        return text.ended_by if text is not None else ""

    def enough(self) -> None:
        """Stop the current provider: the displayed text suffices. Keep listening: the answer up to
        here is judged, and the stream finishes with its end or a `Restart`.
        """
        self._enough = True

    # --- the walk ---

    async def _run(self) -> AsyncGenerator[Delta | Restart]:
        self._pool.pause.check()
        ruled, plan = await self._pool.planned(
            self._role, self._request, self._context, self._complex, by_rules=self._by_rules
        )
        self.rule = ruled.rule
        for name in plan.offer:
            await self._others().offer(name, "this is a complex task")
        for index, step in enumerate(plan.steps):
            if self._is_late():
                self._others().failures.append("the deadline passed")
                break
            if _is_prefill(self._request) and step.name not in self._pool.local:
                continue
            if not self._takes(step.name) or not await self._may(step):
                continue
            rest = plan.steps[index + 1 :]
            async with aclosing(self._turn(step, rest)) as items:
                async for item in items:
                    yield item
            if self._ended:
                return
        if self._held is not None:
            for item in self._stand(self._held):
                yield item
            return
        raise self._others().error(plan.skipped)

    def _others(self) -> Unanswered:
        """Return the candidates that did not answer; most requests have none."""
        if self._unanswered is None:
            self._unanswered = Unanswered(self._pool, self._request, self._context)
        return self._unanswered

    def _takes(self, name: str) -> bool:
        """Return whether the request is written in a form that the provider takes."""
        if not isinstance(self._request, EditRequest):
            return True
        return self._pool.providers[name].capabilities.edit is self._request.form

    async def _may(self, step: Step) -> bool:
        use = step.failed if self._held is None else step.poor
        if use is Use.GO:
            return True
        others = self._others()
        offer = await others.offer(step.name, self._reason(), announce=use is Use.OFFER)
        if use is not Use.ASK or offer is None or not await others.ask(offer):
            return False
        self._context = others.context
        return True

    def _reason(self) -> str:
        if self._held is not None:
            return f"the answer of {self._held.name} is not good enough: {self._held.wrong}"
        return self.failures[-1] if self.failures else "the strategy wants it"

    async def _turn(self, step: Step, rest: tuple[Step, ...]) -> AsyncGenerator[Delta | Restart]:
        """Ask one candidate. Sets `_ended` when its answer is final."""
        said = _CandidateReply(step.name)
        others = any(Use.GO in (later.failed, later.poor) for later in rest)
        is_chat = isinstance(self._request, ChatRequest)
        key = self._pool.kept_key(step.name, self._request) if is_chat else ""
        if key and (kept := await asyncio.to_thread(self._pool.answers.get, key)) is not None:
            for item in self._replay(step.name, kept):
                yield item
            return
        running = self._begin(step.name)
        try:
            self.provider = self._pool.providers[step.name]
            attempt = self._attempt(step.name, running)
            async with aclosing(self._timed(attempt, others, running)) as stream:
                async for delta in stream:
                    if delta.finish is not None:
                        said.last = delta
                        break
                    said.texts.append(delta.text)
                    said.logprobs.extend(delta.logprobs)
                    said.calls = said.calls or bool(delta.tool_calls)
                    is_answer = bool(delta.text or delta.tool_calls)
                    if is_answer and not self._shown:
                        self._shown = said.name
                    elif is_answer and self._shown != said.name:
                        for item in self._taken_back(said.name):
                            yield item
                    # What the prompt cost, sent early, and what is thought take no text back.
                    is_told = self._shown in ("", said.name) and (delta.usage or delta.thinking)
                    if is_answer or is_told:
                        yield delta
                    if isinstance(self._request, ChatRequest) and said.is_endless():
                        said.last, said.wrong = Delta(finish=Finish.STOP), REPEATS
                        break
                    if self._enough:
                        said.last, self._enough = Delta(finish=Finish.STOP), False
                        break
        except (ProviderError, EngineError) as error:
            self._others().failed(said.name, error)
            return
        finally:
            del self._pool.running[running.id]
        if self._context.checks:  # they may parse the document
            await asyncio.to_thread(self._judge, said)
        elif rest or is_chat:  # a completion is judged only where another candidate may be better
            self._judge(said)
        if said.wrong and rest:
            if said.text or self._held is None:
                self._held = said
            return
        for item in self._stand(said):
            yield item
        if key and not said.wrong and isinstance(self._request, ChatRequest):
            self._pool.keep(key, self._request, said.text)

    def _judge(self, said: _CandidateReply) -> None:
        if said.name not in self._pool.local or _is_prefill(self._request):
            return
        if isinstance(self._request, EditRequest):
            return  # an empty answer is a good one, and the gate of next edits judges the others
        last = said.last or Delta()
        schema = self._request.schema if isinstance(self._request, ChatRequest) else None
        calls = last.tool_calls
        answer = JudgedAnswer(
            said.text, (*said.logprobs, *last.logprobs), calls, last.finish, schema
        )
        if not said.calls:
            said.wrong = judge(answer, self._pool.config.routing.min_logprob, self._context.checks)

    # --- what is shown ---

    def _taken_back(self, name: str) -> list[Restart]:
        """Return the `Restart` that must precede the text of `name`, if another provider's was
        shown.
        """
        before, self._shown = self._shown, name
        if before in ("", name):
            return []
        self.provider = self._pool.providers[name]
        return [Restart(name, self._reason())]

    def _stand(self, said: _CandidateReply) -> list[Delta | Restart]:
        """End with the answer `said`: its last delta, after all of it if another provider's text
        was shown.
        """
        again = self._shown not in ("", said.name)
        items: list[Delta | Restart] = [*self._taken_back(said.name)]
        if again:
            text = "".join(said.texts)
            items += [Delta(text, tuple(said.logprobs))] if text else []
        self.provider = self._pool.providers[said.name]
        last = said.last or Delta(finish=Finish.STOP, usage=Usage(self.provider.model))
        self.wrong = said.wrong
        self._ended = True
        return [*items, last]

    def _replay(self, name: str, text: str) -> list[Delta | Restart]:
        self.kept = True
        last = Delta(finish=Finish.STOP, usage=Usage(self._pool.providers[name].model))
        return self._stand(_CandidateReply(name, [text], last=replace(last, text=text)))

    # --- asking ---

    def _begin(self, name: str) -> RunningRequest:
        """Show the request to the user, who may stop it; until `del pool.running[its id]`."""
        task = "prefill" if _is_prefill(self._request) else self._context.task.value
        model, is_local = self._pool.providers[name].model, name in self._pool.local
        running = RunningRequest(task, name, model, is_local)
        self._pool.running[running.id] = running
        return running

    async def _attempt(self, name: str, running: RunningRequest) -> AsyncGenerator[Delta]:
        """Stream from one provider, under its breaker."""
        breaker = self._pool.breakers[name]
        if breaker.has_failed:
            breaker.begin(time.monotonic())
        self.asked.add(name)
        spoke, has_failed, characters, tokens, usage = False, False, 0, 0, None
        try:
            watching: AbstractAsyncContextManager[Watch | None] = nullcontext()
            if REPORT.get() is not None:
                is_local = name in self._pool.local
                watching = watched(self._pool.providers[name], is_local=is_local)
            spoken = self._spoken(name, self._request)
            counted: AbstractContextManager[CountedRequest | None] = nullcontext()
            if isinstance(self._request, ChatRequest) or self._context.owner:
                counted = self._pool.loads.answering(name, self._request.priority)
            with counted as answering:
                async with watching as watch, aclosing(spoken) as stream:
                    async for delta in stream:
                        if watch is not None:
                            watch.heard(delta)
                        if delta.read is not None:
                            running.last = delta
                            continue
                        spoke = True
                        if delta.text or delta.tool_calls or delta.thinking:
                            running.last = delta
                            running.tokens += len(delta.logprobs) or 1
                        if answering is not None:
                            self._pool.loads.spoke(name, answering)
                        characters += len(delta.text)
                        tokens += len(delta.logprobs)
                        usage = delta.usage or usage
                        yield delta
        except (ProviderError, EngineError) as error:
            breaker.fail(error, time.monotonic())
            spoke, has_failed = False, True
            raise
        except asyncio.CancelledError:
            # Too slow, or no longer wanted: that it had begun to speak proves nothing.
            spoke = False
            raise
        finally:
            if spoke and breaker.has_failed:
                breaker.succeed()
            elif not spoke:
                breaker.abandon()
            if not (has_failed or _is_prefill(self._request)):  # a user does not ask for a prefill
                self._account(name, usage, tokens or estimate_tokens(characters), spoke)

    def _account(self, name: str, usage: Usage | None, written: int, spoke: bool) -> None:
        """Count what an answer cost, also one whose client has hung up: as the provider says, else
        the `written` tokens that came."""
        if usage is not None and usage.generated_tokens is not None:
            written = usage.generated_tokens
        if (meter := METER.get()) is not None:
            meter(self._pool.providers[name].model, read_tokens(usage, self._request), written)
        if spoke:
            self._pool.count(name, self._context, usage, written)

    async def _spoken(
        self, name: str, request: InfillRequest | EditRequest | ChatRequest
    ) -> AsyncGenerator[Delta]:
        """Stream from one provider, which is asked again not to think when it thinks for longer
        than it may. Raises `BadAnswer` when it does so nevertheless."""
        text, said = None, ""
        self._texts.pop(name, None)
        may_think = request.thinking if isinstance(request, ChatRequest) else 0
        limit = may_think or MAX_THOUGHT
        thought, has_spoken = 0.0, False
        opened = _stream(self._pool.providers[name], request, self._context)
        async with aclosing(opened) as stream:
            async for piece in stream:
                # Control tokens are looked for from the first piece that may hold one, or a part of
                # a character.
                delta = piece
                is_part = delta.logprobs and not delta.text and delta.finish is None
                if text is None and (is_part or BEGINNING.search(delta.text)):
                    literal = literal_in(request, self._context.document)
                    is_chat = isinstance(request, ChatRequest)
                    text = self._texts[name] = PlainText(literal, mentions=is_chat, said=said)
                if text is None:
                    said = said.strip()[-1:] + delta.text
                else:
                    delta = text.take(delta)
                    if text.ended_by and delta.finish is None:
                        if delta.text or delta.tool_calls:
                            yield delta
                        return  # closing the stream frees the model
                thought += len(delta.thinking.strip()) / CHARS_PER_TOKEN
                has_spoken = has_spoken or bool(delta.text.strip() or delta.tool_calls)
                is_cut = delta.finish is Finish.LENGTH and thought > 0
                if not has_spoken and (thought > limit or is_cut):
                    break
                yield delta
            else:
                return
        if not (isinstance(request, ChatRequest) and may_think):
            model = self._pool.providers[name].model
            raise BadAnswer(
                f"{model} thinks for too long and does not answer.",
                "Choose a model that thinks less for this role.",
            )
        async with aclosing(self._spoken(name, replace(request, thinking=0))) as again:
            async for delta in again:
                yield delta

    async def _timed(
        self, stream: AsyncGenerator[Delta], others: bool, running: RunningRequest
    ) -> AsyncGenerator[Delta]:
        """Yield from `stream`, cut off when the user stops it, it keeps the others waiting or
        passes the deadline."""
        async with aclosing(stream):
            while True:
                try:
                    async with asyncio.timeout(self._patience(others)) as limit:
                        running.limit = limit
                        if running.is_stopped:
                            raise RequestStopped(STOPPED)
                        delta = await anext(stream)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    if running.is_stopped:
                        raise RequestStopped(STOPPED) from None
                    error = DeadlineExceeded("It did not answer in time.")
                    if self.provider is not None:
                        self._pool.breakers[self.provider.name].fail(error, time.monotonic())
                    raise error from None
                finally:
                    running.limit = None
                yield delta

    def _patience(self, others: bool) -> float | None:
        """Seconds to wait for the next piece."""
        deadline = self._request.deadline
        if deadline is None:
            return STALL_SECONDS if others else None
        left = max(0.0, deadline - time.monotonic())
        return left * SHARE if others else left + GRACE_SECONDS

    def _is_late(self) -> bool:
        deadline = self._request.deadline
        return bool(self.failures) and deadline is not None and time.monotonic() >= deadline


def _stream(
    provider: Provider,
    request: InfillRequest | EditRequest | ChatRequest,
    context: RequestContext,
) -> AsyncGenerator[Delta]:
    """Return the stream of `provider`, through the egress where it is outside this machine."""
    if isinstance(provider, Egress):
        if isinstance(request, InfillRequest):
            return provider.infill(request, context)
        if isinstance(request, EditRequest):
            return provider.edit(request, context)
        return provider.chat(request, context)
    if isinstance(request, InfillRequest):
        return provider.infill(request)
    return provider.edit(request) if isinstance(request, EditRequest) else provider.chat(request)


def _is_prefill(request: InfillRequest | EditRequest | ChatRequest) -> bool:
    return isinstance(request, InfillRequest) and request.prefill_only
