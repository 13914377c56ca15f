"""The prompts that a model may be asked with at a cursor: as much of the document as is in time.

What is in the KV cache costs nothing, and only the engine knows what that is. So a request carries
several prompts, and the engine takes the best one that it can evaluate in time: one that continues
a prompt sent before, one with snippets of other files, or a small one. Idle prefill evaluates a
large one with snippets, which the next request then continues.

A prompt token costs about a third of a generated one, and all of them are paid before the first
character of the answer. So the deadline is divided: the time to write one line is subtracted first,
the rest buys prompt tokens at the measured rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nearfield.config.schema import Completion
from nearfield.context.slice import PromptText, SentPrompt, Slice, SliceBudget, build, snippet_chars
from nearfield.features.documents import Document
from nearfield.files.lines import plain_breaks, previous_line
from nearfield.providers.estimate import (
    CHARS_PER_TOKEN,
    LINE_TOKENS,
    UNKNOWN_DECODE_RATE,
    UNKNOWN_PREFILL_RATE,
)
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.syntax.differences import common_prefix
from nearfield.syntax.parser import Cursor
from nearfield.types import (
    Capabilities,
    Included,
    InfillRequest,
    Priority,
    PromptVariant,
    Snapshot,
    Snippet,
    SnippetKind,
)

SUFFIX_SHARE = 0.3
"""Share of a prompt's size, without the snippets."""

LEAD_LINES = 1
"""Lines above the cursor's that are after the middle token from the start: a model continues lines
better than it begins them (tests/bench/RESULTS.md, Forms)."""

GROWTH_TOKENS = 240
"""Kept free in a prompt that idle prefill makes, for what is written until the next one."""

EXTRA_TOKENS = 64
"""Tokens more that may be evaluated to continue a prompt, or to show snippets, rather than to begin
a small one without."""

FIXED_SECONDS = 0.05
"""Everything but the model, with the round trip to the worker; see tests/bench/overhead.py."""

MIN_PROMPT_TOKENS = 64
"""A smaller prompt says too little to be worth a request: some five lines."""

FIRST_TOKENS = 176
"""A first answer is written from about 35 lines; more of them make it later than they make it
better."""

FIRST_SECONDS = 0.3
"""A machine that evaluates more than `FIRST_TOKENS` in this time shows the model more."""

ARRIVAL_SECONDS = 1.2
"""The same at an empty line that the user has just come to: the next line follows from more than
the one above it, and the user looks before typing (tests/bench/RESULTS.md, Openings)."""

IDLE_SECONDS = 10.0
"""The longest that idle prefill works on one prompt."""

TEMPLATE_TOKENS = 64
"""Kept for control tokens and file names, and for text that has more tokens than estimated."""

SNIPPET_SHARE = 0.3
"""Of a prompt, for the snippets of other files, …"""

SNIPPET_TOKENS = 700
"""… and their maximum. They are a share of the whole prompt, so a slower machine gives them no
less: idle prefill evaluates as much without them."""

UNKNOWN_CONTEXT = 4096
"""Tokens, where a provider does not say."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """`fresh_tokens` may be evaluated before the answer. `prompt_tokens` is the most that a prompt
    may hold in all, of which `snippet_tokens` may be other files'. `idle_tokens` is the most that
    idle prefill evaluates."""

    fresh_tokens: int
    prompt_tokens: int
    snippet_tokens: int = 0
    idle_tokens: int = 0

    @property
    def fresh_chars(self) -> int:
        """`fresh_tokens` in characters."""
        return int(self.fresh_tokens * CHARS_PER_TOKEN)

    @property
    def snippet_chars(self) -> int:
        """`snippet_tokens` in characters."""
        return int(self.snippet_tokens * CHARS_PER_TOKEN)

    @property
    def prompt_chars(self) -> int:
        """`prompt_tokens` in characters."""
        return int(self.prompt_tokens * CHARS_PER_TOKEN)


def allow(
    can: Capabilities,
    seconds: float,
    max_tokens: int,
    *,
    is_manual: bool = False,
    is_arrival: bool = False,
) -> Allowance:
    """Return what is in time within `seconds` with the rates in `can`; `max_tokens` of the context
    are kept free.

    fresh = (seconds - fixed - line / decode rate) * prefill rate, at least `MIN_PROMPT_TOKENS`. An
    automatic request wants the first answer soon: of that, `FIRST_TOKENS` are enough, or what is
    evaluated in `FIRST_SECONDS`, for `is_arrival` in `ARRIVAL_SECONDS`. Idle prefill adds the rest.
    """
    prefill = can.prefill_rate or UNKNOWN_PREFILL_RATE
    decode = can.decode_rate or UNKNOWN_DECODE_RATE
    context = can.context_tokens or UNKNOWN_CONTEXT
    most = max(MIN_PROMPT_TOKENS, context - max_tokens - TEMPLATE_TOKENS)
    fresh = int((seconds - FIXED_SECONDS - LINE_TOKENS / decode) * prefill)
    if not is_manual:
        first = ARRIVAL_SECONDS if is_arrival else FIRST_SECONDS
        fresh = min(fresh, max(FIRST_TOKENS, int(first * prefill)))
    snippets = min(SNIPPET_TOKENS, int(most * SNIPPET_SHARE))
    fresh = min(most, max(MIN_PROMPT_TOKENS, fresh))
    idle = min(most, max(fresh, int(IDLE_SECONDS * prefill)))
    return Allowance(fresh, most, snippets, idle)


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """A prompt that may be sent: `piece`, whose prefix ends with `sent.text.written`.
    `max_extra_tokens` is for the engine's choice. `new_chars` is how many characters were not in
    the prompt that it continues, all if that was interrupted."""

    piece: Slice
    sent: SentPrompt
    max_extra_tokens: int = 0
    new_chars: int = 0


def candidates(
    cursor: Cursor,
    document: Document,
    allowance: Allowance,
    settings: Completion,
    *,
    is_manual: bool = False,
    snippets: tuple[Snippet, ...] = (),
) -> list[PromptPlan]:
    """Return the prompts that may be sent at `cursor`, best first.

    An automatic request gets what is cheapest: a prompt that is continued, else a slice that can
    be evaluated in time. To show more would cost at each request what idle prefill does for
    nothing. For a manual request the largest slice in time comes first.
    """
    found = continued(cursor, document, allowance)
    if is_manual:
        found = [plan for plan in found if plan.sent.full and plan.sent.text.snippets == snippets]
    elif found:
        small = min(allowance.fresh_tokens, allowance.prompt_tokens)
        return [*found, cut(cursor, document, small, settings)]
    earlier = [sent.text.snippets for sent in document.prompts]
    for shown in dict.fromkeys((snippets, *earlier, ())):
        taken = int(snippet_chars(shown) / CHARS_PER_TOKEN)
        most = max(allowance.prompt_tokens - taken, MIN_PROMPT_TOKENS)
        some = allowance.fresh_tokens
        if is_manual and shown not in earlier:
            # Of what can be evaluated in time at least half is the document's own.
            some -= min(taken, some // 2)
        for size in dict.fromkeys((most, min(most, some))):
            plan = cut(cursor, document, size, settings, shown)
            found.append(replace(plan, max_extra_tokens=EXTRA_TOKENS if shown else 0))
    if is_manual:
        found = [replace(plan, max_extra_tokens=allowance.prompt_tokens) for plan in found]
    return found


def unchosen(plans: Sequence[PromptPlan], allowance: Allowance) -> int:
    """Return the index of the plan for a provider that does not choose: the first that continues a
    prompt or can be evaluated in time with no cache, as the engine would take it, else the last."""
    fewest = min(plan.new_chars for plan in plans)
    for i, plan in enumerate(plans):
        most = min(allowance.fresh_chars, fewest + plan.max_extra_tokens * CHARS_PER_TOKEN)
        if plan.new_chars <= most:
            return i
    return len(plans) - 1


def continued(cursor: Cursor, document: Document, allowance: Allowance) -> list[PromptPlan]:
    """Return the prompts sent before that need only what was written since, the last one first."""
    text, selected = cursor.snapshot.text, cursor.selected
    before, after = text[: cursor.offset], text[cursor.offset :]
    if selected is not None:
        before = text[: selected.span.start] + selected.text
        after = text[max(cursor.offset, selected.span.end) :]
    plans: list[PromptPlan] = []
    for sent in reversed(document.prompts):
        known = sent.text.written
        room = allowance.prompt_chars - (sent.text.chars - len(known))
        written = sent.written(before, after)
        if written is None or len(written) > room or sent.cells != cursor.snapshot.above:
            continue
        now = replace(sent, text=replace(sent.text, written=written))
        if not sent.is_evaluated:
            new = now.text.chars
        elif written.startswith(known):
            new = len(written) - len(known)
        else:
            new = len(written) - common_prefix(written, known)
        plans.append(PromptPlan(_piece(now), now, EXTRA_TOKENS, new))
    return plans


def cut(
    cursor: Cursor,
    document: Document,
    tokens: int,
    settings: Completion,
    snippets: tuple[Snippet, ...] = (),
    *,
    full: bool = False,
) -> PromptPlan:
    """Return the slice of `tokens` at `cursor`, which begins where the document's last one did if
    possible, with `snippets`, which do not count as part of these tokens."""
    budget = SliceBudget(
        tokens=tokens,
        chars_per_token=CHARS_PER_TOKEN,
        suffix_share=SUFFIX_SHARE,
        prefix_lines=settings.prefix_lines,
        suffix_lines=settings.suffix_lines,
    )
    snapshot, selected = cursor.snapshot, cursor.selected
    piece = build(snapshot, cursor.parsed, cursor.offset, budget, document.window, selected)
    piece = replace(piece, snippets=snippets) if snippets else piece
    text, top = snapshot.text, piece.window.top
    left = selected.span.start if selected else cursor.offset
    right = max(cursor.offset, selected.span.end) if selected else cursor.offset
    item = selected.text if selected else ""
    anchor = left - (len(piece.typed) - len(item))
    for _ in range(LEAD_LINES):
        if anchor > top and text[anchor - 1] in "\r\n":
            anchor = max(previous_line(text, anchor), top)
    written = plain_breaks(text[anchor:left]) + item
    head = piece.prefix[: len(piece.prefix) - len(written)]
    sent = SentPrompt(
        PromptText(head, written, piece.suffix, piece.snippets),
        top,
        anchor,
        above=text[top:anchor],
        below=text[right : piece.end],
        to_end=piece.end == len(text),
        full=full,
        window=piece.window,
        cells=snapshot.above,
        cell_chars=piece.cells,
    )
    return PromptPlan(piece, sent, new_chars=sent.text.chars)


def _piece(sent: SentPrompt) -> Slice:
    """Return the slice that `sent` is the prompt of."""
    text = sent.text
    return Slice(
        prefix=text.head + text.written,
        suffix=text.suffix,
        typed=text.written.rpartition("\n")[2],
        window=sent.window,
        snippets=text.snippets,
        cells=sent.cell_chars,
    )


def request_of_sent(sent: SentPrompt, snapshot: Snapshot) -> InfillRequest:
    """Return the request that evaluates `sent`: it tells a provider which prompt is meant."""
    cursor = Cursor(snapshot, None, sent.anchor)
    return prefill_request(PromptPlan(_piece(sent), sent), cursor, Completion())


def prefill_request(plan: PromptPlan, cursor: Cursor, settings: Completion) -> InfillRequest:
    """Return the request that evaluates a prompt and generates nothing."""
    request = infill_request([plan], 0, cursor, settings, single_line=False, deadline=None)
    return replace(request, priority=Priority.PREFILL, prefill_only=True)


def included(piece: Slice, snapshot: Snapshot) -> tuple[Included, ...]:
    """Return the snippets and cells in the prompt for `piece` of a document, for its metrics."""
    told = [
        Included(one.path, one.kind, int(snippet_chars((one,)) / CHARS_PER_TOKEN))
        for one in piece.snippets
    ]
    if piece.cells:
        tokens = int(piece.cells / CHARS_PER_TOKEN)
        told.append(Included(snapshot.shown_path, SnippetKind.CELLS, tokens))
    return tuple(told)


def infill_request(
    plans: Sequence[PromptPlan],
    default: int,
    cursor: Cursor,
    settings: Completion,
    *,
    single_line: bool,
    deadline: float | None,
    is_manual: bool = False,
) -> InfillRequest:
    """Return the request with `plans` as variants; the prompt of a provider that does not choose is
    that at the index `default`."""
    variants = tuple(
        PromptVariant(
            plan.piece.prefix,
            plan.piece.suffix,
            plan.piece.typed,
            plan.sent.text.written,
            plan.piece.snippets,
            plan.max_extra_tokens,
        )
        for plan in plans
    )
    own, snapshot = variants[default], cursor.snapshot
    root = (snapshot.root or "").replace("\\", "/").rstrip("/")
    return InfillRequest(
        document=snapshot.uri,
        path=snapshot.shown_path,
        language=cursor.parsed.language.name if cursor.parsed else snapshot.language,
        prefix=own.prefix,
        suffix=own.suffix,
        typed=own.typed,
        written=own.written,
        snippets=own.snippets,
        repo=root.rpartition("/")[2],
        single_line=single_line,
        max_tokens=settings.max_tokens,
        deadline=deadline,
        patient=is_manual,
        variants=variants if len(variants) > 1 else (),
    )


def request_context(cursor: Cursor, only: str = "") -> RequestContext:
    """Return what routing must know: the file and workspace of the request. `only` names the
    provider that a trial chose."""
    snapshot = cursor.snapshot
    return RequestContext(
        task=Task.COMPLETE,
        workspace=snapshot.root or "",
        sources=(Source(snapshot.path or snapshot.uri),),
        document=snapshot.text,
        only=only,
    )
