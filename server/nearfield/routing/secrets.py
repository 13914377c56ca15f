"""Finding what looks like a key, a token or a password in any text.

Three kinds of evidence, from sure to likely:

* shapes that only a secret has: vendors' token formats (those of detect-secrets' plugins and our
  own), private key blocks, JSON web tokens;
* places where only a secret stands: the password of a connection string, an Authorization header;
* a value assigned to a name that says secret, password, token or key, where the value looks random
  or at least like a password, and not like a word, a path, a variable or a placeholder.

A bare random string with no such name stays: hashes, ids and test vectors are everywhere in code,
and a prompt without them is worth little. tests/unit/routing/corpus.py measures both sides.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from nearfield.routing.shapes import HEADER, SHAPES, plugin_shapes

# Longer lines and values than these are data, not keys; the bound keeps matching linear.
LONGEST_VALUE = 512


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A secret at `start:end` of the text, of a `kind` in a few words."""

    start: int
    end: int
    kind: str


# scheme://user:password@host
_LOGIN = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@'\"`<>(){}]{0,100}:(?P<s>[^\s/@'\"`<>]{3,200})@(?=[\w\[])"
)
# Names that say what stands beside them: one of these words, at the end of the name. Looking for
# the bare words first and at their surroundings only then is ten times as fast as one pattern.
_WORD = re.compile(r"pass|pwd|secret|token|credential|auth|key")
_KEY_OF = re.compile(
    r"(?:api|access|secret|private|signing|signature|encryption|account|master|service|storage|"
    r"license|auth|app|application|client|consumer|shared|session|subscription|ssh|webhook|deploy|admin|jwt|"
    r"hmac|crypto|cipher|aes|rsa|s3|aws|gcp|stripe|openai|anthropic|sendgrid|twilio|mailgun|datadog|"
    r"cloudflare|algolia)[_\-.]?\Z"
)
_KEY_OF_LONGEST = len("subscription_")
_ASSIGNED = re.compile(
    r"(?P<name>(?:pass(?:word|wd|wort|phrase|code)?|pwd|secret|token|credentials?|auth|key)"
    r"(?:[_\-](?:value|b64|base64|prod|production|dev|staging|live|old|new|id|\d{1,2}))?\d{0,2})"
    r"(?P<close>[\"'`]?\]?)"
    r"(?:[ \t]*:[ \t]*(?:str|string|&str|&'static str|Optional\[str\]|bytes)[ \t]*)?"
    r"[ \t]*(?P<sign>=>|:=|==|!=|=|:|,|>|\s--\s)[ \t]*"
    r"(?P<wrap>[\w.]{0,24}\([ \t]*)?(?:[brfu]{1,2}(?=[\"']))?"
    r"(?:\"(?P<double>[^\"\n]{4,512})(?:\"|$)|'(?P<single>[^'\n]{4,512})(?:'|$)|`(?P<back>[^`\n]{4,512})`"
    r"|(?P<bare>[^\s\"'`,;<>(){}\[\]]{6,512}))",
    re.IGNORECASE | re.MULTILINE,
)
# --password VALUE, -p VALUE and curl's -u user:password
_OPTION = re.compile(
    r"--(?:password|passwd|token|secret|api-?key|auth-?token|access-?key|secret-?key|client-?secret)"
    r"[ \t]+"
    r"(?P<q>[\"']?)(?P<s>[^\s\"']{6,512})(?P=q)"
    r"|\bcurl\b[^\n|]{0,200}?\s(?:-u|--user)[ \t]+(?P<q2>[\"']?)[^\s:\"']{1,80}:"
    r"(?P<s2>[^\s\"']{4,200})(?P=q2)",
    re.IGNORECASE,
)

# Values that stand for a secret, or are none.
_PLACEHOLDER = re.compile(
    r"[<>{}]|^\$|\$[{(]|%[({]|^%\w*%?$|%s|%d|^\*+$|\.\.\.|…|^[x*.\-_#0]+$|xxxx|\*\*\*\*|"
    r"example|sample|dummy|fake|placeholder|change[-_ ]?me|replace[-_ ]?me|redacted|"
    r"your[-_ ]|^your|my[-_ ]?secret|"
    r"insert|todo|^test|^none$|^null$|undefined|foobar|lorem|process\.env|os\.environ|getenv|"
    r"deadbeef|123456789|abcdefgh|not[-_ ]?(?:a[-_ ])?(?:real|secret)",
    re.IGNORECASE,
)
# What has a vendor's shape is a key unless it is filled with marks.
_FILLER = re.compile(r"xxxx|\*\*\*\*|\.\.\.|[<>{}]|your[-_]", re.IGNORECASE)
_WORDS = frozenset((
    "password", "passwd", "passw0rd", "p4ssw0rd", "password1", "password123", "pass", "secret",
    "secrets", "token", "admin", "root", "user", "username", "postgres", "mysql", "redis",
    "guest", "public", "private", "default", "required", "optional", "string", "bearer", "basic",
    "oauth", "oauth2", "changeit", "letmein", "qwerty", "qwerty123", "hunter2", "test1234",
    "pass123", "pass1234", "admin123", "abc123",
))  # fmt: skip
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_]*\d{0,2}(?:[.\-:/][A-Za-z_]+\d{0,2})*")
_NAME_LIKE = re.compile(r"[A-Za-z_.:\-|]+\d?")
_CALL_OR_PATH = re.compile(
    r"^(?:https?://|file:|arn:|[./~\\]|[A-Za-z]:\\)|[()\[\]]|^\w+(?:\.\w+)+$|\s"
)
_HASH = re.compile(r"^(?:sha(?:1|256|384|512)|md5)[-:]|^\$2[aby]\$|^data:", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def find(text: str, own: Iterable[re.Pattern[str]] = ()) -> list[Found]:
    """Every secret in `text`, in order, none overlapping another. `own` are the user's patterns."""
    found = list(_all(text, own))
    found.sort(key=lambda f: (f.start, -f.end))
    kept: list[Found] = []
    for one in found:
        if kept and one.start < kept[-1].end:
            if one.end > kept[-1].end:
                kept[-1] = Found(kept[-1].start, one.end, kept[-1].kind)
        else:
            kept.append(one)
    return kept


def _all(text: str, own: Iterable[re.Pattern[str]]) -> Iterator[Found]:
    for pattern in own:
        for match in pattern.finditer(text):
            yield from _span(match, 1 if pattern.groups else 0, "your pattern")
    lower = _lower(text)
    for shape in (*SHAPES, *plugin_shapes()):
        if any(needle in lower for needle in shape.needles):
            group = "s" if "s" in shape.pattern.groupindex else 0
            stands_for = _PLACEHOLDER if shape.kind == HEADER else _FILLER
            for match in shape.pattern.finditer(text):
                if "PRIVATE" in match.group() or not stands_for.search(match.group(group)):
                    yield from _span(match, group, shape.kind)
    if "://" in lower:
        for match in _LOGIN.finditer(text):
            if _is_password(match.group("s")):
                yield from _span(match, "s", "password in an address")
    yield from _assigned(text, lower)
    if "--" in lower or "curl" in lower:
        yield from _options(text)


def _span(match: re.Match[str], group: str | int, kind: str) -> Iterator[Found]:
    start, end = match.span(group)
    if 0 <= start < end:
        yield Found(start, end, kind)


def _lower(text: str) -> str:
    """`text` in lower case with every offset kept (a few letters become two when lowered)."""
    lower = text.lower()
    return lower if len(lower) == len(text) else re.sub(r"[^\x00-\x7f]", "?", text).lower()


def _assigned(text: str, lower: str) -> Iterator[Found]:
    for word in _WORD.finditer(lower):
        start = word.start()
        match = _ASSIGNED.match(text, start)
        if match is None or not _ends_a_name(text, lower, word):
            continue
        value = _value(match)
        if value is None or (match.group("sign") in (",", ">") and not _certain(match)):
            continue
        judge = _is_password if word.group() in ("pass", "pwd") else _is_key
        if judge(text[value[0] : value[1]], match.group("bare") is not None):
            yield Found(*value, "assigned secret")


def _ends_a_name(text: str, lower: str, word: re.Match[str]) -> bool:
    """Whether the word is one of its own at its place: no "compass", no "primary_key"."""
    start = word.start()
    if word.group() == "key":
        return bool(_KEY_OF.search(lower, max(0, start - _KEY_OF_LONGEST), start))
    if word.group() in ("pass", "auth") and not lower.startswith(("password", "passwd"), start):
        before = text[start - 1 : start]
        return not before.isalpha() or (before.islower() and text[start].isupper())
    return True


def _options(text: str) -> Iterator[Found]:
    for match in _OPTION.finditer(text):
        group = "s" if match.group("s") else "s2"
        if _is_password(match.group(group).rstrip(".,;:"), True):
            yield from _span(match, group, "secret on a command line")


def _value(match: re.Match[str]) -> tuple[int, int] | None:
    for group in ("double", "single", "back", "bare"):
        if match.group(group) is not None:
            if group == "bare" and match.group("wrap"):
                return None
            return match.span(group)
    return None


def _certain(match: re.Match[str]) -> bool:
    """Of a comma or an angle bracket: whether it joins a name to its value (`"password", "…"`,
    `<password>…`), and does not part two things."""
    if match.group("sign") == ",":
        return bool(match.group("close")) and match.group("bare") is None
    return bool(
        re.search(r"<[\w.\-:]{0,40}\Z", match.string[max(0, match.start() - 42) : match.start()])
    )


def _is_password(value: str, bare: bool = False) -> bool:
    """Whether `value`, beside a name that says password, is one: mixed, and no word of code."""
    if len(value) < 5 or value.lower() in _WORDS or _PLACEHOLDER.search(value) or value.isdigit():
        return False
    if _IDENTIFIER.fullmatch(value) or _CALL_OR_PATH.search(value) or _HASH.search(value):
        return _is_random(value)
    letters = any(c.isalpha() for c in value)
    others = any(not c.isalpha() for c in value)
    return letters and others and not (bare and value[-1] in ":=")


def _is_key(value: str, bare: bool = False) -> bool:
    """Whether `value`, beside a name that says token, secret or key, is one: long and random."""
    if len(value) < 12 or _PLACEHOLDER.search(value) or _HASH.search(value):
        return False
    if _UUID.fullmatch(value):
        return True
    return not _CALL_OR_PATH.search(value) and _is_random(value)


def _is_random(value: str) -> bool:
    """Whether a person would not have made `value` up of words: digits among letters, or changes
    between cases and marks, more often than names have them, and many different characters."""
    if len(value) < 12 or re.search(r"\s", value):
        return False
    kinds = [_kind(c) for c in value]
    changes = sum(a != b for a, b in pairwise(kinds))
    digits = sum(c.isdigit() for c in value)
    wild = changes >= len(value) / 3 and not _NAME_LIKE.fullmatch(value)
    return ((digits >= 2 and changes >= 4) or wild) and entropy(value) >= 2.8


def _kind(char: str) -> str:
    if char.isdigit():
        return "0"
    if char.isalpha():
        return "A" if char.isupper() else "a"
    return "-"


def entropy(text: str) -> float:
    """Shannon's, in bits a character."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values())
