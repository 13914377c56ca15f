"""Parameters that a server refuses: found in its answer, left out next time.

Servers that speak OpenAI's protocol take different parts of it. A refusal names the parameter in
one of a few ways: in a field `param` (OpenAI, Azure), in a path `loc` (FastAPI: vLLM, SGLang,
Mistral), or in its words (Groq, Gemini, LiteLLM, LM Studio). Most parameters can be left out;
`max_tokens` has a second name; the ones that hold the question stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from nearfield.providers.failures import MAX_MESSAGE_CHARS

STATUSES = frozenset({400, 422, 500, 501})
"""With these a server refuses a request for what is in it."""

MAX_REFUSED = 8
"""Parameters that are left out of one request at most; so often it is sent again."""

OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The longest answer in tokens, as older and newer servers call it."""

NEEDED = {
    "tools": "Set the option tools = false for this provider.",
    "tool_choice": "Set the option tools = false for this provider.",
    "response_format": "Set the option schema = false for this provider.",
    "format": "Use a newer server, or another model.",
    "suffix": 'Set the option infill = "template" or "none" for this provider.',
    "stream": "Use a server that streams.",
    **dict.fromkeys(
        (
            *("model", "messages", "prompt", "input", "content", "system", "raw", "template"),
            *("parse_special", "add_special", "input_prefix", "input_suffix", "input_extra"),
        ),
        "Is the provider's kind and base_url right?",
    ),
}
"""Parameters without which it would be another question, and what to do about each."""

_REFUSING = re.compile(
    r"un(known|supported|recogni[sz]ed|expected)"
    r"|not (\w+ )?(supported|permitted|allowed|recogni[sz]ed|valid|implemented)"
    r"|(does|do)(n't| not) support|invalid|extra|forbidden|cannot find field|deprecated"
    r"|too (long|many)|must be|no such|at most|maximum",
    re.IGNORECASE,
)

Path = tuple[str, ...]
"""A parameter in a body: its name, or that of a table and of one in it."""


class Refusals:
    """The parameters that one server has refused, by endpoint; forgotten with the process."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Path, str]] = {}

    def fitted(self, endpoint: str, body: object) -> object:
        """`body` without what is refused there, and with the other names of what has one."""
        known = self._known.get(endpoint)
        if not known or not isinstance(body, dict):
            return body
        fit = {k: dict(v) if isinstance(v, dict) else v for k, v in _items(body)}
        for path, instead in known.items():
            table = fit if len(path) == 1 else fit.get(path[0], {})
            if path[-1] in table:
                value = table.pop(path[-1])
                if instead:
                    table[instead] = value
        return fit

    def known(self, endpoint: str) -> dict[Path, str]:
        """Return the refused parameters, each with its replacement ("" for none)."""
        return dict(self._known.get(endpoint, {}))

    def restore(self, endpoint: str, known: dict[Path, str]) -> None:
        """Know again what was `known`: to leave more out has not helped."""
        self._known[endpoint] = known

    def learn(self, endpoint: str, body: object, status: int, content: bytes) -> bool:
        """Remember what the answer refuses of `body`; whether it is worth another try."""
        if status not in STATUSES or not isinstance(body, dict):
            return False
        path = _named(cast(dict[str, Any], body), status, content)
        if path is None or path[0] in NEEDED:
            return False
        known = self._known.setdefault(endpoint, {})
        # A name that was put in another's place and is refused as well: neither is known there.
        for first, instead in known.items():
            if instead == path[-1]:
                known[first] = ""
                return True
        if path in known:
            return False
        other = OTHER_NAMES.get(path[-1], "") if len(path) == 1 else ""
        known[path] = "" if other in body else other
        return True


def needed(body: object, status: int, content: bytes) -> tuple[str, str] | None:
    """Return the parameter that the answer refuses and that cannot be left out, and what to do."""
    if status not in STATUSES or not isinstance(body, dict):
        return None
    path = _named(cast(dict[str, Any], body), status, content)
    return (path[0], NEEDED[path[0]]) if path is not None and path[0] in NEEDED else None


def _items(body: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    yield from body.items()


def _named(body: Mapping[str, Any], status: int, content: bytes) -> Path | None:
    """Return the parameter of `body` that a refusal names."""
    paths = {key: (key,) for key in body}
    options = body.get("options")
    if isinstance(options, Mapping):
        paths |= {str(key): ("options", str(key)) for key in options if key not in body}
    try:
        said: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = content.decode("utf-8", "replace")
    for name in _fields(said):
        if name in paths:
            return paths[name]
    words = " ".join(_texts(said))[:MAX_MESSAGE_CHARS]
    return _in_words(words, paths) if status != 500 or _REFUSING.search(words) else None


def _in_words(words: str, paths: Mapping[str, Path]) -> Path | None:
    """Return the parameter that is named first: a later one may be the replacement. A plain word
    such as "model" counts only in quotes, and any only where something is refused."""
    if not _REFUSING.search(words):
        return None
    found: list[tuple[int, Path]] = []
    for name, path in paths.items():
        quoted = rf"[\"'`\[{{(]\s*[\"'`]?{re.escape(name)}(?![A-Za-z0-9_])"
        plain = rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])"
        match = re.search(quoted if path[0] in NEEDED else plain, words)
        if match:
            found.append((match.start(), path))
    return min(found)[1] if found else None


def _fields(said: Any) -> Iterator[str]:
    """Yield the names in the fields `param` and `loc`, also inside words that are a list in
    Python."""
    if isinstance(said, list):
        for one in cast(list[Any], said):
            yield from _fields(one)
    elif isinstance(said, dict):
        table = cast(dict[str, Any], said)
        param, loc = table.get("param"), table.get("loc")
        if isinstance(param, str) and param:
            yield from re.split(r"[.\[]", param)
        if isinstance(loc, list):
            yield from (str(one) for one in cast(list[Any], loc) if one != "body")
        for value in table.values():
            yield from _fields(value)
    elif isinstance(said, str):
        for loc in re.findall(r"['\"]loc['\"]: [(\[]([^)\]]*)", said):
            yield from (name for name in re.findall(r"['\"](\w+)['\"]", loc) if name != "body")


def _texts(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        for one in cast(list[Any], said):
            yield from _texts(one)
    elif isinstance(said, dict):
        for key, value in cast(dict[str, Any], said).items():
            if key not in ("input", "ctx", "url", "request_id"):  # what we sent, not what is wrong
                yield from _texts(value)
