"""Taking secrets out of a request before it leaves, and putting them back into the answer.

A secret becomes a placeholder that reads like a name (`REDACTED_SECRET_0001`), so that a model can
write it where the secret belongs. The same secret has the same placeholder everywhere in one
request, also where it stands without the evidence by which it was found. What a provider is told
holds none of them: prompts, snippets, names of files, tools, their results and their schemas.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from nearfield.routing import secrets
from nearfield.routing.linear import Pattern, compiled
from nearfield.types import ChatRequest, Delta, InfillRequest, Tool, ToolCall

BASE = "REDACTED_SECRET_"
DIGITS = 4
# A value this short may be an ordinary word elsewhere; it is replaced only where it was found.
SHORTEST_EVERYWHERE = 8


@dataclass(frozen=True, slots=True)
class Redactions:
    """What was replaced: the secret for each placeholder, and how often each kind was found."""

    secrets: dict[str, str]
    kinds: tuple[tuple[str, int], ...]


def redact_texts(
    texts: Sequence[str],
    own: Iterable[Pattern] = (),
    known: Mapping[str, str] | None = None,
) -> tuple[list[str], Redactions]:
    """`texts` without their secrets. They are one request: equal secrets get equal placeholders.
    `known` has the kinds of secrets that were found before and come back by way of `own`."""
    patterns = tuple(own)
    found = [secrets.find(text, patterns) for text in texts]
    base = _base(texts)
    names: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    for text, spans in zip(texts, found, strict=True):
        for one in spans:
            secret = text[one.start : one.end]
            names.setdefault(secret, f"{base}{len(names) + 1:0{DIGITS}}")
            kinds[(known or {}).get(secret, one.kind)] += 1
    everywhere = sorted((s for s in names if len(s) >= SHORTEST_EVERYWHERE), key=len, reverse=True)
    clean = [
        _replace(text, spans, names, everywhere) for text, spans in zip(texts, found, strict=True)
    ]
    table = {placeholder: secret for secret, placeholder in names.items()}
    return clean, Redactions(table, tuple(sorted(kinds.items())))


def _base(texts: Sequence[str]) -> str:
    """A beginning of placeholders that no text holds: only ours may be put back."""
    base, letters = BASE, 0
    while any(base in text for text in texts):
        letters += 1
        base = f"{BASE}{'X' * letters}_"
    return base


def _replace(
    text: str, spans: Sequence[secrets.Found], names: dict[str, str], everywhere: Sequence[str]
) -> str:
    parts: list[str] = []
    at = 0
    for one in spans:
        parts += [text[at : one.start], names[text[one.start : one.end]]]
        at = one.end
    clean = "".join((*parts, text[at:]))
    for secret in everywhere:
        clean = clean.replace(secret, names[secret])
    return clean


def redact_infill(
    request: InfillRequest, own: Iterable[Pattern] = ()
) -> tuple[InfillRequest, Redactions]:
    """An infill request without its secrets. One that the cursor stands in is found too: the text
    around the cursor is looked at as a whole."""
    whole = request.prefix + request.suffix
    cut = len(request.prefix)
    patterns = tuple(own)
    found = secrets.find(whole, patterns)
    prefix, suffix = request.prefix, request.suffix
    held: tuple[str, ...] = ()
    for one in found:
        if one.start < cut < one.end:
            held = (whole[one.start : one.end],)
            prefix, suffix = whole[: one.start], whole[one.end :]
    # What gives a secret away may be on the other side of the cursor.
    known = {whole[one.start : one.end]: one.kind for one in found}
    always = [compiled(re.escape(secret)) for secret in known]
    fields = [prefix, suffix, request.path, request.repo, *request.stop, *held]
    for snippet in request.snippets:
        fields += [snippet.path, snippet.text]
    clean, redactions = redact_texts(fields, (*patterns, *always), known)
    stops, pieces = len(request.stop), len(held)
    middle = clean[4 + stops] if held else ""
    texts = iter(clean[4 + stops + pieces :])
    snippets = tuple(replace(s, path=next(texts), text=next(texts)) for s in request.snippets)
    new_prefix = clean[0] + middle
    typed = new_prefix.rpartition("\n")[2] if request.typed else ""
    return (
        replace(
            request,
            prefix=new_prefix,
            suffix=clean[1],
            path=clean[2],
            repo=clean[3],
            stop=tuple(clean[4 : 4 + stops]),
            snippets=snippets,
            typed=typed,
        ),
        redactions,
    )


def redact_chat(
    request: ChatRequest, own: Iterable[Pattern] = ()
) -> tuple[ChatRequest, Redactions]:
    """A conversation without its secrets: messages, calls, tools, the schema, stops."""
    tools = json.dumps([[t.name, t.description, dict(t.parameters)] for t in request.tools])
    schema = "null" if request.schema is None else json.dumps(dict(request.schema))
    fields = [tools, schema, *request.stop]
    for message in request.messages:
        fields.append(message.content)
        fields += [call.arguments for call in message.tool_calls]
    clean, redactions = redact_texts(fields, own)
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


def _parsed(text: str) -> Any:
    # A placeholder holds nothing that JSON escapes, so what was JSON still is.
    return msgspec.json.decode(text.encode())


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
        """What is held back at the end of a stream that had no last delta."""
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
        """How many characters at the end of `text` may be the beginning of a placeholder."""
        longest = max(map(len, self._table)) - 1
        for size in range(min(longest, len(text)), 0, -1):
            tail = text[-size:]
            if any(name.startswith(tail) for name in self._table):
                return size
        return 0


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    ordered = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None
