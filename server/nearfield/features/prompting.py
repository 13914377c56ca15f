"""Which part of the document a model is shown: as much as arrives in time.

What has been evaluated already costs nothing, so the largest slice is tried first: it is taken when
what is new in it can be evaluated in time, else a smaller one is. Idle prefill evaluates the
largest one, so that it fits the next time. So it is with the snippets of other files: a request
that would be late with them goes without, and once idle prefill has read them they cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nearfield.config.schema import Completion
from nearfield.context.slice import Budget, Slice, build
from nearfield.features.budget import CHARS_PER_TOKEN, LEAST_TOKENS, Allowance
from nearfield.features.documents import Document, Prompt, chars_of
from nearfield.routing.errand import Errand, Source, Task
from nearfield.syntax.parser import Parsed
from nearfield.types import Included, InfillRequest, Priority, Selected, Snapshot, Snippet

SUFFIX_SHARE = 0.3
"""Of what may be evaluated in time, not of the whole prompt: after a new line the suffix is
evaluated again, all of it, because it stands behind the prefix. With more of it a warm prefix would
not be affordable."""

HELD_SLACK = 64
"""Tokens that a slice may be larger than the one that is held: the lines just written, so that its
top need not move at every line."""

SUFFIX_SLACK = 1.5
"""The suffix keeps its size until another one would be this much larger or smaller: measured rates
waver, and every other size would have to be evaluated anew."""

SNIPPET_WORTH = 200
"""Characters more that may be evaluated to answer with snippets rather than without: some sixty
tokens, once."""


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
) -> Slice:
    """The slice at `cursor` to ask with, no more of it new to the provider than the allowance.

    Whoever is `patient` gets the largest. Whoever types gets the one with the least that is new:
    to show more than is held would cost every time what idle prefill does for nothing. With
    `snippets`, or those that the provider holds, where they are affordable.
    """
    found: list[Slice] = []
    for shown in dict.fromkeys((snippets, *(one.snippets for one in document.held[::-1]), ())):
        taken = int(chars_of(shown) / CHARS_PER_TOKEN)
        held, most = _held_tokens(document), max(allowance.prompt_tokens - taken, LEAST_TOKENS)
        fresh_tokens = allowance.fresh_tokens
        if patient and all(one.snippets != shown for one in document.held):
            # Of what can be read in time the document itself gets at least as much.
            fresh_tokens -= min(taken, fresh_tokens // 2)
        sizes = [most, held + fresh_tokens, fresh_tokens]
        if held and not patient:
            sizes.insert(1, held + HELD_SLACK)
        found += [
            cut(cursor, document, size, allowance, settings, shown)
            for size in dict.fromkeys(min(size, most) for size in sizes)
        ]
    fresh = [document.fresh_chars(prompt_of(piece)) for piece in found]
    affordable = [i for i, new in enumerate(fresh) if new <= allowance.fresh_chars]
    if not affordable:
        return found[-1]
    if patient:
        return found[affordable[0]]
    least = min(affordable, key=fresh.__getitem__)
    near = fresh[least] + SNIPPET_WORTH
    told = [i for i in affordable if found[i].snippets and fresh[i] <= near]
    return found[min(told, key=fresh.__getitem__) if told else least]


def cut(
    cursor: Cursor,
    document: Document,
    tokens: int,
    allowance: Allowance,
    settings: Completion,
    snippets: tuple[Snippet, ...] = (),
) -> Slice:
    """The slice of `tokens` at `cursor`, its top where the document's last one was if that will do,
    with `snippets`, which are not of these tokens.

    The suffix does not depend on `tokens`: what idle prefill has evaluated must be the beginning of
    what is asked for later.
    """
    suffix = allowance.fresh_tokens * SUFFIX_SHARE
    if not suffix / SUFFIX_SLACK <= document.suffix_tokens <= suffix * SUFFIX_SLACK:
        document.suffix_tokens = suffix
    budget = Budget(
        tokens=tokens,
        chars_per_token=CHARS_PER_TOKEN,
        suffix_share=min(document.suffix_tokens / tokens, SUFFIX_SHARE),
        prefix_lines=settings.prefix_lines,
        suffix_lines=settings.suffix_lines,
    )
    piece = build(
        cursor.snapshot, cursor.parsed, cursor.offset, budget, document.window, cursor.selected
    )
    return replace(piece, snippets=snippets) if snippets else piece


def prompt_of(piece: Slice) -> Prompt:
    """What of `piece` stands where in a prompt."""
    head = piece.prefix[: len(piece.prefix) - len(piece.typed)]
    return Prompt(head, piece.typed, piece.suffix, piece.snippets)


def included(piece: Slice) -> tuple[Included, ...]:
    """What of other files is in the prompt for `piece`, for its account."""
    return tuple(
        Included(one.path, one.kind, int(chars_of((one,)) / CHARS_PER_TOKEN))
        for one in piece.snippets
    )


def request_of(
    piece: Slice,
    cursor: Cursor,
    settings: Completion,
    *,
    single_line: bool,
    deadline: float | None,
    prefill_only: bool = False,
    patient: bool = False,
) -> InfillRequest:
    """`piece` as providers take it."""
    root = (cursor.snapshot.root or "").replace("\\", "/").rstrip("/")
    return InfillRequest(
        document=cursor.snapshot.uri,
        path=piece.path,
        language=piece.language,
        prefix=piece.prefix,
        suffix=piece.suffix,
        typed=piece.typed,
        snippets=piece.snippets,
        repo=root.rpartition("/")[2],
        single_line=single_line,
        max_tokens=settings.max_tokens,
        deadline=deadline,
        priority=Priority.PREFILL if prefill_only else Priority.COMPLETION,
        prefill_only=prefill_only,
        patient=patient,
    )


def errand_of(cursor: Cursor, accepted: tuple[str, ...] = ()) -> Errand:
    """What routing must know: from which file of which workspace the request is. `accepted` names
    providers that the user has let answer this once."""
    snapshot = cursor.snapshot
    return Errand(
        task=Task.COMPLETE,
        workspace=snapshot.root or "",
        sources=(Source(snapshot.path or snapshot.uri),),
        accepted=accepted,
    )


def _held_tokens(document: Document) -> int:
    if not document.held:
        return 0
    last = document.held[-1]
    return int((len(last.head) + len(last.suffix)) / CHARS_PER_TOKEN)
