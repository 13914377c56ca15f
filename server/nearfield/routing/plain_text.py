"""Keep control tokens out of a provider's answer.

Every answer passes here before it is displayed, whatever provider it comes from. A token that
belongs before an answer is left out there, a passage of reasoning is left out with its marks, and
any other token ends the answer. A token that the request or its document holds itself is text: the
user may be editing a tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace

from nearfield.catalog.control_tokens import (
    HEADERS,
    MIDDLES,
    SPEAKERS,
    STARTS,
    STRIKE,
    TOKEN,
    TOOL_MARKS,
    WORDS,
    begun,
)
from nearfield.types import REASONING, ChatRequest, Delta, EditRequest, InfillRequest

_MARKUP = frozenset(
    {
        *("html", "xml", "vue", "svelte", "astro", "markdown", "mdx", "php", "handlebars"),
        *("javascriptreact", "typescriptreact"),
    }
)
"""Languages in which `<s>` is a tag."""


def literal_in(
    request: InfillRequest | EditRequest | ChatRequest, document: str
) -> Callable[[str], bool]:
    """Return what says whether a token is text in answers to `request`; `document` is the whole
    text that the request is about, "" where there is none."""
    if isinstance(request, EditRequest):
        return lambda token: True  # its reader knows the form's own marks
    texts = [document]
    if isinstance(request, InfillRequest):
        texts += [request.prefix, request.suffix, *(one.text for one in request.snippets)]
    else:
        texts += [message.content for message in request.messages]

    def holds(token: str) -> bool:
        if token in TOOL_MARKS and isinstance(request, ChatRequest) and request.tools:
            return True
        if any(token in text for text in texts):
            return True
        if token in STRIKE:
            tags = isinstance(request, ChatRequest) or request.language in _MARKUP
            return any("<s>" in text for text in texts) or (tags and token != STRIKE[1])
        if token not in WORDS:
            return False
        known = re.compile(rf"\b{token.strip('<>[]|/')}\b")
        return any(known.search(text) for text in texts)

    return holds


@dataclass(slots=True)
class PlainText:
    """Takes the control tokens out of one answer. `literal` says which are text in it; in a chat
    (`mentions`) so is a token between backticks. `said` is the text before, in which none begins.

    `thought` is the reasoning that was left out since it was last taken; `ended_by` is the token
    that ended the answer, "" while none has.
    """

    literal: Callable[[str], bool]
    mentions: bool = False
    ended_by: str = ""
    thought: str = ""
    said: InitVar[str] = ""
    _held: str = field(default="", init=False)
    _said: str = field(default="", init=False)  # the last character that was let through
    _visible: bool = field(default=False, init=False)
    _logprobs: tuple[float, ...] = field(default=(), init=False)
    _struck: bool = field(default=False, init=False)  # whether the answer has opened a <s> itself
    _header: bool = field(default=False, init=False)  # a role's name may be next
    _broken: bool = field(default=False, init=False)  # line breaks that follow are left out
    _until: str = field(default="", init=False)  # what closes the reasoning that is read

    def __post_init__(self, said: str) -> None:
        self._said, self._visible = said[-1:], bool(said.strip())

    def take(self, delta: Delta) -> Delta:
        """Return `delta` without control tokens. Text that may become one is held until the next
        piece, with what is known of its tokens; after a piece that sets `ended_by` nothing more is
        wanted."""
        said = self.feed(delta.text, ended=delta.finish is not None)
        logprobs, self._logprobs = self._logprobs + delta.logprobs, ()
        if not said and delta.finish is None and not (self.ended_by and delta.tool_calls):
            self._logprobs, logprobs = logprobs, ()
        thinking, self.thought = delta.thinking + self.thought, ""
        return replace(delta, text=said, logprobs=logprobs, thinking=thinking)

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return the part of the answer that is certainly text after `text`; `ended` means it is
        the last.
        """
        if self.ended_by:
            return ""
        self._held += text
        shown = ""
        while self._held and not self.ended_by:
            size = len(self._held)
            shown += self._step(ended)
            if len(self._held) == size:
                break
        return shown

    def _step(self, ended: bool) -> str:
        """Take a piece off the held text and return its visible part; take nothing if more must
        come first.
        """
        if self._until:
            return self._reasoning(ended)
        if self._header and not self._named(ended):
            return ""
        if self._broken:
            self._held = self._held.lstrip("\n")
            self._broken = not self._held
        found = TOKEN.search(self._held)
        if found is None:
            return self._let(len(self._held) - (0 if ended else begun(self._held)))
        token = found[0]
        if not ended and self.mentions and found.end() == len(self._held):
            return self._let(found.start())  # the text after it may make it a mention
        if self._is_text(found):
            return self._let(found.end())
        before = self._let(found.start())
        self._held = self._held[len(token) :]
        if not self._visible and token in REASONING:
            self._until = REASONING[token]
        elif not self._visible and token in STARTS:
            self._header = token in HEADERS
            self._broken = token not in MIDDLES
        else:
            self.ended_by, self._held = token, ""
        return before

    def _is_text(self, found: re.Match[str]) -> bool:
        token, before = found[0], self._held[: found.start()] or self._said
        if self.mentions and before.endswith("`") and self._held.startswith("`", found.end()):
            return True
        if token == STRIKE[1] and self._struck:
            return True
        literal = self.literal(token)
        self._struck = self._struck or (literal and token == STRIKE[0])
        return literal

    def _let(self, size: int) -> str:
        """Let `size` characters of what is held through."""
        text, self._held = self._held[:size], self._held[size:]
        self._visible = self._visible or bool(text.strip())
        self._said = text[-1:] or self._said
        return text

    def _named(self, ended: bool) -> bool:
        """Remove the name after a header; False while it may still be coming."""
        rest = self._held.lstrip(" \n")
        whole = rest.endswith("\n") or ended
        if not whole and any(name.startswith(rest) for name in SPEAKERS):
            return False
        name = next((one for one in SPEAKERS if re.match(rf"{one}\b", rest)), "")
        self._header = False
        self._until = REASONING.get(name, "")
        self._held = rest[len(name) :] if name else self._held
        return True

    def _reasoning(self, ended: bool) -> str:
        at = self._held.find(self._until)
        if at >= 0:
            self.thought += self._held[:at]
            self._held = self._held[at + len(self._until) :]
            self._until, self._broken = "", True
        else:
            left = 0 if ended else len(self._until)
            passed = max(0, len(self._held) - left)
            self.thought += self._held[:passed]
            self._held = self._held[passed:]
        return ""
