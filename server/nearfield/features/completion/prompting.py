"""Which part of the document a model is shown: as much as arrives in time.

What has been evaluated already costs nothing, so a request goes on from there when it can (see
held.py). Else a slice is cut that can be evaluated in time. Idle prefill evaluates a larger one, so
that the next request goes on from that. So it is with the snippets of other files: a request
that would be late with them goes without, and once idle prefill has read them they cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nearfield.config.schema import Completion
from nearfield.context.slice import Budget, Slice, Window, build
from nearfield.features.completion.budget import CHARS_PER_TOKEN, LEAST_TOKENS, Allowance
from nearfield.features.completion.cached_prompt import CachedPrompt, Prompt, chars_of
from nearfield.features.documents import Document
from nearfield.files.lines import plain_breaks, previous_line
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.syntax.parser import Parsed
from nearfield.types import (
    Included,
    InfillRequest,
    Priority,
    Selected,
    Snapshot,
    Snippet,
    SnippetKind,
)

SUFFIX_SHARE = 0.3
"""Of a prompt's size, without the snippets."""

LEAD_LINES = 1
"""So many lines above the cursor's stand behind the middle token from the start: a model continues
lines better than it begins them (tests/bench/RESULTS.md, Forms)."""

GROWTH_TOKENS = 240
"""Kept free in a prompt that idle prefill makes: what may be written until the next one."""

SNIPPET_WORTH = 200
"""Characters more that may be evaluated to answer with snippets rather than without: some sixty
tokens, once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask with: `piece`, whose prefix ends with `held.prompt.written`, and what the
    provider will hold then."""

    piece: Slice
    held: CachedPrompt

    @property
    def prompt(self) -> Prompt:
        """What stands where in the prompt."""
        return self.held.prompt


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor in a parsed document."""

    snapshot: Snapshot
    parsed: Parsed | None
    offset: int
    selected: Selected | None = None


def choose(
    cursor: Cursor,
    document: Document,
    allowance: Allowance,
    settings: Completion,
    *,
    patient: bool = False,
    snippets: tuple[Snippet, ...] = (),
) -> Plan:
    """What to ask with at `cursor`, no more of it new to the provider than the allowance.

    Whoever types goes on from what is held, where that is possible. Else whoever is `patient` gets
    the largest slice, and whoever types the one with the least that is new: to show more would cost
    every time what idle prefill does for nothing. With `snippets`, or those that the provider
    holds, where they are affordable.
    """
    going_on = go_on(cursor, document, allowance)
    if going_on is not None and (not patient or _all_of_it(going_on, snippets)):
        return going_on
    found: list[Plan] = []
    for shown in dict.fromkeys((snippets, *(one.prompt.snippets for one in document.held), ())):
        taken = int(chars_of(shown) / CHARS_PER_TOKEN)
        most = max(allowance.prompt_tokens - taken, LEAST_TOKENS)
        some = allowance.fresh_tokens
        if patient and all(one.prompt.snippets != shown for one in document.held):
            # Of what can be read in time the document itself gets at least as much.
            some -= min(taken, some // 2)
        found += [
            cut(cursor, document, size, settings, shown)
            for size in dict.fromkeys((most, min(most, some)))
        ]
    fresh = [document.fresh_chars(plan.prompt) for plan in found]
    affordable = [i for i, new in enumerate(fresh) if new <= allowance.fresh_chars]
    if not affordable:
        return found[-1]
    if patient:
        return found[affordable[0]]
    least = min(affordable, key=fresh.__getitem__)
    near = fresh[least] + SNIPPET_WORTH
    told = [i for i in affordable if found[i].piece.snippets and fresh[i] <= near]
    return found[min(told, key=fresh.__getitem__) if told else least]


def go_on(cursor: Cursor, document: Document, allowance: Allowance) -> Plan | None:
    """The largest held prompt that only needs what has been written since; None where there is
    none."""
    around = _around(cursor)
    plans: list[Plan] = []
    for held in document.held:
        plan = _again(cursor, around, document.window or Window(0), held)
        if plan is None or plan.prompt.chars > allowance.prompt_chars:
            continue
        if plan.prompt.fresh_chars(held.prompt) <= allowance.fresh_chars:
            plans.append(plan)
    return max(plans, key=lambda plan: plan.prompt.chars, default=None)


def resume(cursor: Cursor, document: Document, snippets: tuple[Snippet, ...]) -> Plan | None:
    """The prompt that idle prefill was interrupted in, where it still is what it would make."""
    if document.begun is None:
        return None
    held, window = document.begun
    if held.stale or held.prompt.snippets != snippets:
        return None
    return _again(cursor, _around(cursor), window, held)


def _all_of_it(plan: Plan, snippets: tuple[Snippet, ...]) -> bool:
    return plan.held.full and plan.prompt.snippets == snippets


def cut(
    cursor: Cursor,
    document: Document,
    tokens: int,
    settings: Completion,
    snippets: tuple[Snippet, ...] = (),
    *,
    full: bool = False,
) -> Plan:
    """The slice of `tokens` at `cursor`, its top where the document's last one was if that will do,
    with `snippets`, which are not of these tokens."""
    budget = Budget(
        tokens=tokens,
        chars_per_token=CHARS_PER_TOKEN,
        suffix_share=SUFFIX_SHARE,
        prefix_lines=settings.prefix_lines,
        suffix_lines=settings.suffix_lines,
    )
    piece = build(
        cursor.snapshot, cursor.parsed, cursor.offset, budget, document.window, cursor.selected
    )
    piece = replace(piece, snippets=snippets) if snippets else piece
    return Plan(piece, _held(cursor, piece, full))


def _held(cursor: Cursor, piece: Slice, full: bool) -> CachedPrompt:
    """`piece` as it will be held: the last lines behind the middle token."""
    text = cursor.snapshot.text
    left = cursor.selected.span.start if cursor.selected else cursor.offset
    item = cursor.selected.text if cursor.selected else ""
    anchor = left - (len(piece.typed) - len(item))
    for _ in range(LEAD_LINES):
        if anchor > piece.window.top and text[anchor - 1] in "\r\n":
            anchor = max(previous_line(text, anchor), piece.window.top)
    written = plain_breaks(text[anchor:left]) + item
    right = max(cursor.offset, cursor.selected.span.end) if cursor.selected else cursor.offset
    head = piece.prefix[: len(piece.prefix) - len(written)]
    return CachedPrompt(
        Prompt(head, written, piece.suffix, piece.snippets),
        piece.window.top,
        anchor,
        text[piece.window.top : anchor],
        text[right : piece.end],
        piece.end == len(text),
        full,
        cells=cursor.snapshot.above,
        cell_chars=piece.cells,
    )


def _again(
    cursor: Cursor, around: tuple[str, str], window: Window, held: CachedPrompt
) -> Plan | None:
    """The slice that goes on from `held`; None where the cursor, with the text `around` it,
    cannot."""
    written = held.written(*around)
    if written is None or held.cells != cursor.snapshot.above:
        return None
    again = replace(held, prompt=replace(held.prompt, written=written))
    return Plan(_piece(again, cursor, window), again)


def _piece(held: CachedPrompt, cursor: Cursor, window: Window) -> Slice:
    """The slice of which `held` was made."""
    snapshot, prompt = cursor.snapshot, held.prompt
    return Slice(
        prefix=prompt.head + prompt.written,
        suffix=prompt.suffix,
        typed=prompt.written.rpartition("\n")[2],
        path=snapshot.shown_path,
        language=cursor.parsed.language.name if cursor.parsed else snapshot.language,
        window=window,
        snippets=prompt.snippets,
        cells=held.cell_chars,
    )


def request_of_held(held: CachedPrompt, snapshot: Snapshot) -> InfillRequest:
    """The request that `held` is the prompt of: it tells a provider which of its prompts is
    meant."""
    cursor = Cursor(snapshot, None, held.anchor)
    plan = Plan(_piece(held, cursor, Window(0)), held)
    return request_of(
        plan, cursor, Completion(), single_line=False, deadline=None, prefill_only=True
    )


def _around(cursor: Cursor) -> tuple[str, str]:
    """The text before and behind the cursor, as if the selected item were in."""
    text, selected = cursor.snapshot.text, cursor.selected
    if selected is None:
        return text[: cursor.offset], text[cursor.offset :]
    right = max(cursor.offset, selected.span.end)
    return text[: selected.span.start] + selected.text, text[right:]


def included(piece: Slice) -> tuple[Included, ...]:
    """What of other files and cells is in the prompt for `piece`, for its account."""
    told = [
        Included(one.path, one.kind, int(chars_of((one,)) / CHARS_PER_TOKEN))
        for one in piece.snippets
    ]
    if piece.cells:
        tokens = int(piece.cells / CHARS_PER_TOKEN)
        told.append(Included(piece.path, SnippetKind.CELLS, tokens))
    return tuple(told)


def request_of(
    plan: Plan,
    cursor: Cursor,
    settings: Completion,
    *,
    single_line: bool,
    deadline: float | None,
    prefill_only: bool = False,
    patient: bool = False,
) -> InfillRequest:
    """`plan` as providers take it."""
    piece = plan.piece
    root = (cursor.snapshot.root or "").replace("\\", "/").rstrip("/")
    return InfillRequest(
        document=cursor.snapshot.uri,
        path=piece.path,
        language=piece.language,
        prefix=piece.prefix,
        suffix=piece.suffix,
        typed=piece.typed,
        written=plan.prompt.written,
        snippets=piece.snippets,
        repo=root.rpartition("/")[2],
        single_line=single_line,
        max_tokens=settings.max_tokens,
        deadline=deadline,
        priority=Priority.PREFILL if prefill_only else Priority.COMPLETION,
        prefill_only=prefill_only,
        patient=patient,
    )


def errand_of(cursor: Cursor, accepted: tuple[str, ...] = ()) -> RequestContext:
    """What routing must know: from which file of which workspace the request is. `accepted` names
    providers that the user has let answer this once."""
    snapshot = cursor.snapshot
    return RequestContext(
        task=Task.COMPLETE,
        workspace=snapshot.root or "",
        sources=(Source(snapshot.path or snapshot.uri),),
        accepted=accepted,
        document=snapshot.text,
    )
