"""Remove secrets from a request before it leaves, and restore them in the answer.

A secret becomes a placeholder that reads like a name (`REDACTED_SECRET_0001`), so that a model can
write it where the secret belongs. The same secret has the same placeholder everywhere in one
request, also where the evidence that revealed it is missing. No part of what a provider receives
holds a secret: prompts, snippets, names of files, tools, their results and their schemas.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from nearfield.errors import NotPermitted
from nearfield.routing import secrets
from nearfield.routing.linear import Pattern
from nearfield.routing.secrets import FoundSecret, ScanDeadline
from nearfield.types import ChatRequest, Delta, EditRequest, InfillRequest, Tool, ToolCall

BASE = "REDACTED_SECRET_"
DIGITS = 4
# A value this short may be an ordinary word elsewhere; it is replaced only where it was found.
MIN_EVERYWHERE_CHARS = 8


@dataclass(frozen=True, slots=True)
class Redactions:
    """The secret for each placeholder, and the number of secrets of each kind."""

    secrets: dict[str, str]
    kinds: tuple[tuple[str, int], ...]


def redact_texts(
    texts: Sequence[str], own: Iterable[Pattern] = (), deadline: ScanDeadline | None = None
) -> tuple[list[str], Redactions]:
    """`texts` without their secrets. They are one request: equal secrets get equal placeholders.
    Raises `NotPermitted` at the deadline."""
    patterns = tuple(own)
    return _replaced(texts, [secrets.find(text, patterns, deadline) for text in texts], deadline)


def _replaced(
    texts: Sequence[str], found: Sequence[Sequence[FoundSecret]], deadline: ScanDeadline | None
) -> tuple[list[str], Redactions]:
    """Return `texts` with each secret in `found` replaced, wherever it occurs."""
    base = _base(texts)
    names: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    for text, spans in zip(texts, found, strict=True):
        for one in spans:
            secret = text[one.start : one.end]
            names.setdefault(secret, f"{base}{len(names) + 1:0{DIGITS}}")
            kinds[one.kind] += 1
    everywhere = _Everywhere(names)
    clean: list[str] = []
    for text, spans in zip(texts, found, strict=True):
        if deadline is not None:
            deadline.check()
        parts: list[str] = []
        at = 0
        for one in spans:
            parts += [everywhere.replace(text[at : one.start]), names[text[one.start : one.end]]]
            at = one.end
        clean.append("".join((*parts, everywhere.replace(text[at:]))))
    table = {placeholder: secret for secret, placeholder in names.items()}
    return clean, Redactions(table, tuple(sorted(kinds.items())))


def _base(texts: Sequence[str]) -> str:
    """A beginning of placeholders that no text holds: only ours may be put back."""
    base, letters = BASE, 0
    while any(base in text for text in texts):
        letters += 1
        base = f"{BASE}{'X' * letters}_"
    return base


class _Everywhere:
    """Replaces known secrets also where nothing gives them away. One pass over the text finds all
    of them, however many there are: each is known by its first characters."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._lengths: dict[str, list[int]] = {}
        for length in sorted({len(secret) for secret in names}, reverse=True):
            for secret in names:
                if len(secret) == length >= MIN_EVERYWHERE_CHARS:
                    self._lengths.setdefault(secret[:MIN_EVERYWHERE_CHARS], []).append(length)

    def replace(self, text: str) -> str:
        """`text` with the placeholders of the secrets in it; the longest counts."""
        if not self._lengths:
            return text
        parts: list[str] = []
        done = at = 0
        while at <= len(text) - MIN_EVERYWHERE_CHARS:
            for length in self._lengths.get(text[at : at + MIN_EVERYWHERE_CHARS], ()):
                if name := self._names.get(text[at : at + length]):
                    parts += [text[done:at], name]
                    at += length
                    done = at
                    break
            else:
                at += 1
        return "".join((*parts, text[done:]))


def redact_infill(
    request: InfillRequest, own: Iterable[Pattern] = (), deadline: ScanDeadline | None = None
) -> tuple[InfillRequest, Redactions]:
    """Return an infill request without its secrets. The evidence for one may be on the other side
    of the cursor, so both sides are searched as one text; a secret around the cursor is moved to
    the prefix. The prefix is also searched alone: it may end in a piece of a secret. Raises
    `NotPermitted` at the deadline.
    """
    patterns = tuple(own)
    whole = request.prefix + request.suffix
    cut = len(request.prefix)
    found = secrets.find(whole, patterns, deadline)
    found = secrets.merged([*found, *secrets.find(request.prefix, patterns, deadline)])
    for one in found:
        if one.start < cut < one.end:
            cut = one.end
    before = [one for one in found if one.end <= cut]
    after = [
        replace(one, start=one.start - cut, end=one.end - cut) for one in found if one.start >= cut
    ]
    others = [request.path, request.repo, *request.stop]
    for snippet in request.snippets:
        others += [snippet.path, snippet.text]
    spans = [secrets.find(text, patterns, deadline) for text in others]
    texts = [whole[:cut], whole[cut:], *others]
    clean, redactions = _replaced(texts, [before, after, *spans], deadline)
    prefix, suffix, path, repo, *rest = clean
    stops = len(request.stop)
    shown = iter(rest[stops:])
    snippets = tuple(replace(s, path=next(shown), text=next(shown)) for s in request.snippets)
    clean_request = replace(
        request,
        prefix=prefix,
        suffix=suffix,
        path=path,
        repo=repo,
        stop=tuple(rest[:stops]),
        snippets=snippets,
        typed=prefix.rpartition("\n")[2] if request.typed else "",
        variants=(),
    )
    return clean_request, redactions


_MARK = re.compile(r"<\|[a-z_]+\d*\|>")
"""Marks that an edit prompt writes into a document's text: the cursor, the number of a block."""


def redact_edit(
    request: EditRequest, own: Iterable[Pattern] = (), deadline: ScanDeadline | None = None
) -> tuple[EditRequest, Redactions]:
    """Return an edit request without its secrets. They are looked for in the document's text, which
    marks interrupt; one in the middle of a secret is moved to its end. Raises `NotPermitted` at the
    deadline."""
    patterns = tuple(own)
    texts = [request.path]
    found = [secrets.find(request.path, patterns, deadline)]
    for segment in request.segments:
        text, spans = _marks_moved("" if segment.special else segment.text, patterns, deadline)
        texts.append(text)
        found.append(spans)
    clean, redactions = _replaced(texts, found, deadline)
    segments = tuple(
        segment if segment.special else replace(segment, text=text)
        for segment, text in zip(request.segments, clean[1:], strict=True)
    )
    return replace(request, path=clean[0], segments=segments), redactions


def _marks_moved(
    text: str, own: tuple[Pattern, ...], deadline: ScanDeadline | None
) -> tuple[str, list[FoundSecret]]:
    """Return the text with each mark moved after the secret that contains it, and its secrets."""
    marks = list(_MARK.finditer(text))
    if not marks:
        return text, secrets.find(text, own, deadline)
    spans = secrets.find(_MARK.sub("", text), own, deadline)
    places: list[tuple[int, str]] = []
    removed = 0
    for match in marks:
        at = match.start() - removed
        removed += len(match[0])
        places.append((max([at, *(o.end for o in spans if o.start < at < o.end)]), match[0]))
    plain, parts, done = _MARK.sub("", text), list[str](), 0
    for at, mark in places:
        parts += [plain[done:at], mark]
        done = max(done, at)
    moved = "".join((*parts, plain[done:]))
    shifted = [
        replace(
            one,
            start=one.start + sum(len(mark) for at, mark in places if at <= one.start),
            end=one.end + sum(len(mark) for at, mark in places if at <= one.start),
        )
        for one in spans
    ]
    # Text that looks like a secret because of a mark is one to a reader.
    return moved, secrets.merged([*shifted, *secrets.find(moved, own, deadline)])


def redact_chat(
    request: ChatRequest, own: Iterable[Pattern] = (), deadline: ScanDeadline | None = None
) -> tuple[ChatRequest, Redactions]:
    """A conversation without its secrets: messages, calls, tools, the schema, stops. Raises
    `NotPermitted` at the deadline."""
    tools = json.dumps(
        [[t.name, t.description, dict(t.parameters), t.is_general] for t in request.tools]
    )
    schema = "null" if request.schema is None else json.dumps(dict(request.schema))
    fields = [tools, schema, *request.stop]
    for message in request.messages:
        fields.append(message.content)
        fields += [call.arguments for call in message.tool_calls]
    patterns = tuple(own)
    found = [secrets.find(text, patterns, deadline) for text in fields]
    found[:2] = [_in_strings(text, spans) for text, spans in zip(fields[:2], found, strict=False)]
    clean, redactions = _replaced(fields, found, deadline)
    texts = iter(clean[2 + len(request.stop) :])
    messages = tuple(
        replace(
            message,
            content=next(texts),
            tool_calls=tuple(replace(call, arguments=next(texts)) for call in message.tool_calls),
        )
        for message in request.messages
    )
    return (
        replace(
            request,
            messages=messages,
            tools=tuple(Tool(*one) for one in _parsed(clean[0])),
            schema=_parsed(clean[1]),
            stop=tuple(clean[2 : 2 + len(request.stop)]),
        ),
        redactions,
    )


_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _in_strings(text: str, found: Sequence[FoundSecret]) -> list[FoundSecret]:
    """Return `found` in a JSON text, cut to the strings it is in, so that the text stays JSON.
    Raises `NotPermitted` where a secret is a number."""
    pieces: list[FoundSecret] = []
    strings = [(match.start() + 1, match.end() - 1) for match in _JSON_STRING.finditer(text)]
    at = 0
    for one in found:
        outside, done = "", one.start
        while at < len(strings) and strings[at][1] <= one.start:
            at += 1
        for number in range(at, len(strings)):
            start, end = strings[number]
            if start >= one.end:
                break
            outside += text[done : max(done, start)]
            pieces.append(replace(one, start=max(start, one.start), end=min(end, one.end)))
            done = min(end, one.end)
        if any(map(str.isdigit, outside + text[done : one.end])):
            raise _not_removable()
    return [one for one in pieces if one.start < one.end]


def _not_removable() -> NotPermitted:
    return NotPermitted("Nothing is sent: a secret in a function's schema cannot be taken out.")


def _parsed(text: str) -> Any:
    # A placeholder holds nothing that JSON escapes. A secret that spans several strings, and
    # is found again here, still breaks it; then nothing may leave.
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError):
        raise _not_removable() from None


class Restorer:
    """Puts secrets back into a streamed answer, also where a placeholder comes in pieces. `as_json`
    for an answer that is JSON text: the secret is escaped as a string's inside."""

    def __init__(self, redactions: Redactions, as_json: bool = False) -> None:
        self._table = {
            name: json.dumps(secret)[1:-1] if as_json else secret
            for name, secret in redactions.secrets.items()
        }
        self._escaped = {n: json.dumps(s)[1:-1] for n, s in redactions.secrets.items()}
        self._pattern = _any_of(self._table)
        self._held = ""
        self._logprobs: tuple[float, ...] = ()

    def feed(self, delta: Delta) -> Delta | None:
        """`delta` with what can be put back; None when all of it is held back for now."""
        if self._pattern is None:
            return delta
        text = self._held + delta.text
        keep = 0 if delta.finish is not None else self._unfinished(text)
        ready, self._held = text[: len(text) - keep], text[len(text) - keep :]
        logprobs = self._logprobs + delta.logprobs
        calls = tuple(self._call(call) for call in delta.tool_calls)
        if not ready and not calls and delta.finish is None:
            self._logprobs = logprobs
            return None
        self._logprobs = ()
        return replace(delta, text=self._put(ready), logprobs=logprobs, tool_calls=calls)

    def rest(self) -> str:
        """Return the text held back at the end of a stream that had no last delta."""
        held, self._held = self._held, ""
        return self._put(held)

    def _put(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._table[match.group()], text)

    def _call(self, call: ToolCall) -> ToolCall:
        if self._pattern is None:
            return call
        put = self._pattern.sub(lambda match: self._escaped[match.group()], call.arguments)
        return replace(call, arguments=put)

    def _unfinished(self, text: str) -> int:
        """Return the number of characters at the end of `text` that may begin a placeholder."""
        longest = max(map(len, self._table)) - 1
        for size in range(min(longest, len(text)), 0, -1):
            tail = text[-size:]
            if any(name.startswith(tail) for name in self._table):
                return size
        return 0


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    ordered = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None
