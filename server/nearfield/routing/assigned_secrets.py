"""Secrets recognised by a name beside them, in any language or format.

A name that means secret is looked for first. From its end a short walk leads to the values nearby.
It passes what languages and formats put between a name and its value: signs, quotes, brackets,
tags, types, line breaks, marks of diffs and comments. The surer the relation, the less a value has
to look like a secret. Beside an assignment sign a password may be any mixture of characters; two
words further on only clearly random text counts.

The walk is bounded, so all of it takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from nearfield.config.secret_words import Says, says_secret
from nearfield.routing.linear import compiled_for_bytes
from nearfield.routing.shapes import has_shape
from nearfield.routing.values import (
    is_key,
    is_password,
    is_random,
    is_strong_password,
    is_surely_key,
    joins,
)

MAX_VALUE_CHARS = 4096
MAX_BARE_CHARS = 512
# A key as a list of numbers is longer than as text.
MAX_TOKEN_CHARS = 32_768
# Number of a value's leading characters that are judged.
JUDGED = 256
# Maximum distance of a value from its name: characters, and lines and words between them.
REACH = 400
LINES_BETWEEN = 4
WORDS_BETWEEN = 7

# Runs of a name's characters with one of the words in it.
_NAMES = (
    r"(?i)[A-Za-z0-9_.\-]*(?:identified by|pass|pwd|pw|secret|token|credential|auth|key|jwt|cookie|sess|sid|webhook|dsn|ur[il]|"
    r"mnemonic|securestring|totp|fernet|hmac|bearer|kennwort|contrasena|senha|wachtwoord|haslo|parola|"
    r"\bpat\b|\A[a-z]{4,}\b)[A-Za-z0-9_.\-]*"
)
_MAX_NAME_RUN_CHARS = 200
# "pass" is a verb, too, and a statement of Python's.
_SIGN = re.compile(r"[\"'`\])]{0,2}[ \t]{0,8}[=:>,(|]")
_WORD_BEFORE = re.compile(r"([A-Za-z]{1,24})[ ]\Z")
# Of a name that the text begins in, this much is enough.
_CUT_NAMES = {
    "password": Says.PASSWORD,
    "passwd": Says.PASSWORD,
    "secret": Says.KEY,
    "token": Says.KEY,
}
# Closers of the place that holds the name: a quote, a bracket, a tag.
_CLOSE = re.compile(r"\\{0,3}[\"'`*]{0,3}\s?[\])}]?")

# The name and its value as two arguments; over a line break it would be a list of names.
_NEXT = re.compile(r",(?![ \t]{0,40}\r?\n)")
# What views of a file put before a line: its number, the mark of a diff.
_LEAD = r"(?:[ \t]{0,6}\d{1,6}[ \t+]?[|:][ \t]?)?[+\- ]?[ \t]*"
_QUOTE = r"\\{0,3}(?:\"\"\"|'''|[\"'`])"
_TOKEN = re.compile(
    r"(?P<line>\r?\n(?:[ \t]{0,6}\d{1,6}[ \t+]?[|:](?=[ \t]))?(?:(?:[+\- ](?=[ \t\"'<(])|>(?= )|[ \t]*(?:\#|//|\*|--|;|rem)(?=[ \t]))?[ \t]*))"
    r"|(?P<space>[ \t\r\f\v]+)"
    r"|(?P<continued>\\(?=\r?\n))"
    r"|(?P<block>(?:[|>][+\-]?|<<[~\-]?\w+|<<<)(?=[ \t]*\r?\n))"
    r"|(?P<tag></?[A-Za-z][^<>\n\"']{0,60}/?>|<!\[CDATA\[)"
    r"|(?P<other>\|\||\?\?=?|\?:|\|\|=|:-)"
    r"|(?P<sign>=>|->|<-|:=|\?=|!:(?!:)|[!=]==?|::|[=:>~])"
    r"|(?P<life>&'static\b)"
    r"|(?P<mark>(?:&|!{1,2})\w{1,40}(?=[ \t]+[\"'\w]))"
    r"|(?P<bytes>(?:0x[0-9A-Fa-f]{1,2},\s*){7,4096}0x[0-9A-Fa-f]{1,2})"
    r"|(?P<string>(?:[A-Za-z$@]{1,2}\#{0,2}|@\$|\$@|\#)?(?=[\"'`\\])" + _QUOTE + r")"
    r"|(?P<long>\[=*\[|%[qQ][({])"
    r"|(?P<comma>,)"
    r"|(?P<end>;)"
    r"|(?P<open>[(\[{<])"
    r"|(?P<close>[)\]}])"
    r"|(?P<bare>[^\s\"'`,;<>(){}\[\]|]{1,512})"  # MAX_BARE_CHARS
    r"|(?P<rest>.)",
    re.ASCII,
)
# Between two strings that are one: an operator, a line break, a mark of a diff.
_JOIN = re.compile(
    rf"[ \t]*(?:\\?\r?\n{_LEAD})?(?:(?:\+\+?|\.{{1,2}}|<>|&|~|\\)(?!\d)[ \t]*)?(?:\\?\r?\n{_LEAD})?"
    r"(?=[\"'`])"
)
_VALUE_WORDS = frozenset((
    "value", "values", "default", "content", "val", "data", "body", "text", "string", "by", "to", "is",
    "was", "with", "or", "else", "plaintext",
    "lazy", "example", "echo", "return",
))  # fmt: skip
_LINKS = frozenset(("is", "was", "to", "by", "or", "else"))
_ASSIGNS = frozenset(("=", ":=", "=>", "<-"))
# Another name with its own value.
_ASSIGNMENT = re.compile(r"[A-Za-z_][\w.\-]*(?::$|[=:](?=[^=:]))")
# `String::from`, whose argument may be the value.
_PATH = re.compile(r"[A-Za-z_]+(?:::[A-Za-z_]+)+")
_QUERY = re.compile(r"&(?:amp;)?[\w.\-]{1,40}=")
_MORE = re.compile(
    rf"\r?\n(?:{_LEAD}|[ \t]*(?:#|//|\*)[ \t]*)([A-Za-z0-9+/=_\-]{{16,100}})(?=[ \t]*(?:\r?\n|\Z))"
)
_PAIR = re.compile(
    r"\(\s{0,20}(?:[^()\"'\n]{1,60},\s{0,20})?(?:[\"'][^\"'\n]{1,100}[\"']\s{0,20},\s{0,20}){1,2}"
)
_LOGIN_CALLS = re.compile(
    r"(?:\b(?:auth|credentials)\s*=\s*|\blogin|\bauth|basic_auth|BasicAuth|getConnection|set_password|authenticate|create_?user)\Z",
    re.IGNORECASE,
)

_LONG_RUN = re.compile(r"[A-Za-z0-9+/=%._\-]{1,4096}")
_WORD = re.compile(r"[^\s\"'`]+")
# A string in a string has its quotes inside.
_AROUND = " \t\r\n\\\"'"

Span = tuple[int, int]


class Bond(Enum):
    """Strength of the relation between the name and the next value, by the text between them."""

    BESIDE = auto()  # nothing but space
    SIGN = auto()  # an assignment sign last
    TYPED = auto()  # a sign and a word: a type, a call, or the value, which is no secret then
    NEAR = auto()  # other values
    CUT = auto()  # there is no name: what was before the text may have been one


@dataclass(slots=True)
class _Walk:
    """State of a walk: offset, bond, words, lines and bracket depth passed. `last` is the kind of
    the last token, `indent` the indentation of the line.
    """

    at: int
    bond: Bond
    words: int = 0
    lines: int = 0
    depth: int = 0
    last: str = ""
    indent: int = 0


def assigned(text: str, view: bytes, tick: Callable[[], None]) -> Iterator[Span]:
    """The secrets beside names. `view` is `text` with a byte a character; `tick` is called often
    and may raise."""
    done = 0
    # The end of such a name may precede the text.
    for span in _values(text, 0, Says.KEY, Bond.CUT):
        yield span
        done = span[1]
    for match in compiled_for_bytes(_NAMES).finditer(view):
        tick()
        start, end = match.span()
        if end <= done:
            continue
        run = text[max(start, end - _MAX_NAME_RUN_CHARS) : end]
        name = run.rstrip("-.")
        says = _says(text, start, name)
        if says is None or (name.lower() == "pass" and not _SIGN.match(text, end)):
            continue
        for span in _values(text, end - len(run) + len(name), says, Bond.BESIDE):
            yield span
            done = max(done, span[1])


def _says(text: str, start: int, name: str) -> Says | None:
    """Return what kind of secret `name` announces, if any; a method called on it does not count."""
    if " " in name:
        return Says.PASSWORD
    if len(name) >= 16 and is_random(name):
        return None
    before = _WORD_BEFORE.search(text, max(0, start - 26), start)
    said = says_secret(name, before.group(1) if before else "")
    if said is None and start == 0 and name.isalpha() and len(name) > 3:
        said = next((one for word, one in _CUT_NAMES.items() if word.endswith(name.lower())), None)
    if said is None and "." in name:
        said = says_secret(name.rpartition(".")[0])
    return said


def _values(text: str, at: int, says: Says, bond: Bond) -> list[Span]:
    """The first secret after `at`: a span for each piece of it."""
    walk = _Walk(at, bond)
    if bond is Bond.BESIDE and (closed := _CLOSE.match(text, at)) and closed.end() > at:
        walk.at = closed.end()
        if closed.group()[-1] in "\"'`" and _NEXT.match(text, walk.at):
            walk.bond, walk.at = Bond.SIGN, walk.at + 1
    elif bond is Bond.BESIDE and text.startswith(",", at) and not text[at + 1 : at + 2].isspace():
        walk.at += 1
    end = min(len(text), at + REACH)
    indent = _indent(text, at)
    while walk.at < end and walk.words <= WORDS_BETWEEN and walk.lines <= LINES_BETWEEN:
        token = _TOKEN.match(text, walk.at, end + MAX_TOKEN_CHARS)
        if token is None:
            break
        kind = token.lastgroup or ""
        if kind == "bare" and bond is Bond.BESIDE and token.start() == at:
            break  # It is the rest of the word.
        if kind == "string" and text[token.start() - 1].isalnum() and token.start() > at:
            kind = "close"  # the closing quote of a word
        if kind in ("string", "long", "bytes", "bare"):
            spans, after = _READERS[kind](text, token)
            # Unclosed: the string is still being typed, or the text ends in it.
            is_open = after in (span[1] for span in spans[-1:]) and (
                kind == "string" or after == len(text)
            )
            if spans and _is_secret(text, spans, says, walk, kind, is_open):
                return spans if kind == "bytes" else _continued(text, spans)
            what = text[token.start() : after]
            if not _passed(walk, what, kind, indent):
                break
            # A name with its sign: the sign counts by itself.
            walk.at = after - (kind == "bare" and len(what) > 1 and what[-1] in "=:")
        else:
            _stepped(walk, kind, token.group())
            walk.at = token.end()
    return []


def _indent(text: str, at: int) -> int:
    """Return the indentation of the line of `at`, in characters."""
    line = text[text.rfind("\n", max(0, at - REACH), at) + 1 : at]
    return len(line) - len(line.lstrip(" \t+-"))


def _stepped(walk: _Walk, kind: str, what: str) -> None:
    """Take note of a token that is no value."""
    if kind == "space":
        return
    if walk.bond is Bond.CUT:
        walk.lines += kind in ("line", "end")
        walk.last = kind
        return
    if kind == "line":
        walk.lines += 1
        walk.indent = len(what.lstrip("\r\n"))
        if walk.bond in (Bond.TYPED, Bond.BESIDE):
            walk.bond = Bond.NEAR
    elif kind in ("sign", "other"):
        renewed = walk.last == "value" or (walk.last == "close" and what in _ASSIGNS)
        if walk.bond is not Bond.NEAR or renewed:
            walk.bond = Bond.SIGN
    elif kind in ("comma", "end"):
        walk.bond = Bond.NEAR
        walk.words += kind == "end"
    elif kind == "open":
        walk.depth += 1
        if walk.bond is Bond.BESIDE and what != "<":
            walk.bond = Bond.SIGN
    elif kind == "close":
        walk.depth -= 1
        if walk.bond is Bond.TYPED and walk.depth <= 0:
            walk.bond = Bond.NEAR
    elif kind in ("tag", "block"):
        walk.bond = Bond.SIGN
    walk.last = kind


def _passed(walk: _Walk, what: str, kind: str, indent: int) -> bool:
    """Take note of a value that is no secret; False where the walk ends. `indent` is that of the
    name's line."""
    walk.words += 1
    word = what.strip("\"'`\\-:=").lower()
    if word in _VALUE_WORDS:
        walk.last = "value"
        if walk.bond is Bond.NEAR and word in _LINKS:
            walk.bond = Bond.BESIDE
        return True
    if walk.bond is Bond.CUT:
        # The first word may be the rest of the name.
        return walk.words == 1 and walk.lines < 2 and kind == "bare"
    if kind == "bare" and walk.bond is not Bond.TYPED and says_secret(what.rstrip(":=")):
        return False
    if kind == "bare" and walk.last == "line" and _ASSIGNMENT.match(what):
        # An attribute of the named object, or the next object.
        walk.bond, walk.last = Bond.NEAR, "word"
        return walk.indent > indent
    walk.bond = Bond.TYPED if walk.bond is Bond.SIGN and kind == "bare" else Bond.NEAR
    walk.last = "word"
    return True


def _is_secret(
    text: str, spans: list[Span], says: Says, walk: _Walk, kind: str, is_open: bool
) -> bool:
    """Return whether a value is one. Less of one that `is_open` is enough."""
    value = "".join(text[start : min(end, start + JUDGED)] for start, end in spans)[:JUDGED]
    bond, bare = walk.bond, kind == "bare"
    if bond is Bond.CUT and walk.words and walk.last != "sign":
        return False
    if is_surely_key(value):
        return True
    if kind == "bytes":
        return bond is not Bond.CUT
    if bond in (Bond.NEAR, Bond.CUT):
        return False
    if bare and (_ASSIGNMENT.match(value) or _PATH.fullmatch(value)):
        return False
    if len(spans) > 1 and has_shape(value):
        return True
    if says is Says.KEY:
        begun = is_password(value, bare) or (not bare and joins(value) > 1)
        return (
            is_key(value)
            or (bond is Bond.SIGN and is_strong_password(value))
            or (is_open and bond is Bond.SIGN and begun)
        )
    if bond is Bond.BESIDE and bare:
        return is_strong_password(value) or is_key(value)
    return is_password(value, bare) and not (bond is Bond.TYPED and bare)


def _string(text: str, token: re.Match[str]) -> tuple[list[Span], int]:
    """A quoted value, with the strings that are joined to it, and where it ends."""
    spans: list[Span] = []
    after = token.end()
    opened: re.Match[str] | None = token
    while opened is not None and len(spans) < 20:
        span, after = _inside(text, opened)
        spans.append(span)
        join = _JOIN.match(text, after) if after > span[1] else None
        opened = _TOKEN.match(text, join.end()) if join else None
        if opened is not None and (opened.lastgroup != "string" or len(opened.group()) > 2):
            opened = None
    return spans, after


def _inside(text: str, opened: re.Match[str]) -> tuple[Span, int]:
    """Return the span between the quote that `opened` ends with and its closing quote, and the end."""
    quote = opened.group().lstrip("\\abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$@#")
    start = opened.end()
    limit = start + MAX_VALUE_CHARS
    if len(quote) == 3 or quote == "`":
        end = text.find(quote, start, limit)
    else:
        end = _closing(text, quote, start, limit, escaped="\\" in opened.group())
    if end < 0:
        # An apostrophe, or a string that is still being typed or cut off here.
        rest = _WORD.match(text, start, limit)
        end = rest.end() if rest else start
        return (start, end), end
    after = end + len(quote)
    value = text[start:end]
    start += len(value) - len(value.lstrip(_AROUND))
    return (start, start + len(value.strip(_AROUND))), after


def _closing(text: str, quote: str, start: int, limit: int, *, escaped: bool) -> int:
    """Return the offset at which a string of one line ends, -1 if it does not end on that line."""
    line = text.find("\n", start, limit)
    at = text.find(quote, start, line if line >= 0 else limit)
    while at >= 0 and not escaped and text[at - 1] == "\\" and at > start:
        at = text.find(quote, at + 1, line if line >= 0 else limit)
    return at


def _long(text: str, token: re.Match[str]) -> tuple[list[Span], int]:
    """Lua's and Ruby's strings in brackets."""
    opening = token.group()
    closing = opening.replace("[", "]") if opening[0] == "[" else ")" if opening[-1] == "(" else "}"
    end = text.find(closing, token.end(), token.end() + MAX_VALUE_CHARS)
    if end < 0 or (opening == "[[" and '"' in text[token.end() : end]):
        return [], token.end()
    return [(token.end(), end)], end + len(closing)


def _bare(text: str, token: re.Match[str]) -> tuple[list[Span], int]:
    """A value without quotes, which ends before the next parameter of a URL."""
    start, end = token.span()
    if end - start == MAX_BARE_CHARS and (rest := _LONG_RUN.match(text, end)):
        end = rest.end()
    if query := _QUERY.search(text, start, end):
        end = query.start()
    return [(start, end)], max(end, start + 1)


def _bytes(text: str, token: re.Match[str]) -> tuple[list[Span], int]:
    return [token.span()], token.end()


_READERS = {"string": _string, "long": _long, "bare": _bare, "bytes": _bytes}


def _continued(text: str, spans: list[Span]) -> list[Span]:
    """`spans` with the lines of the same block that follow: a long secret is broken into lines."""
    first, end = spans[-1]
    while end - first >= 16 and len(spans) < 200 and (more := _MORE.match(text, end)):
        if not is_key(more.group(1)) or "\n" not in text[end : more.start(1)]:
            break
        spans = [*spans, more.span(1)]
        end = more.end(1)
    return spans


def pairs(text: str) -> Iterator[Span]:
    """Passwords in `login("user", "…")`, `auth=("user", "…")` and what is called like them."""
    for match in _PAIR.finditer(text):
        before = text[max(0, match.start() - 24) : match.start()]
        token = _TOKEN.match(text, match.end())
        if _LOGIN_CALLS.search(before) and token is not None and token.lastgroup == "string":
            spans, _ = _string(text, token)
            value = "".join(text[start:end] for start, end in spans)
            if is_password(value):
                yield from spans
