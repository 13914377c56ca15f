"""Judge from its characters whether a value is a secret.

The name beside it decides the question: a password may be any mixture that is no word, path or
code; a key has to look random.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

MIN_PASSWORD_CHARS = 5
MIN_KEY_CHARS = 12

# Placeholders of a secret, or values that are none.
_PLACEHOLDER = re.compile(
    r"[<>{}]|^\$|\$[{(]|%[({]|^%\w*%?$|%[sd](?![A-Za-z0-9])|%Y-|%H:|^\*+$|\.\.\.|…|a-z|^[x*.\-_#0]+$|xxxx|\*\*\*\*|"
    r"example|sample|dummy|fake|placeholder|change[-_ ]?me|replace[-_ ]?me|redacted|"
    r"your[-_ ]|^your|my[-_ ]?secret|"
    r"insert|todo|^test|^none$|^null$|undefined|foobar|lorem|process\.env|os\.environ|getenv|"
    r"deadbeef|123456789|abcdefgh|not[-_ ]?(?:a[-_ ])?(?:real|secret)",
    re.IGNORECASE,
)
_WORDS = frozenset((
    "password", "passwd", "passw0rd", "p4ssw0rd", "password1", "password123", "pass", "secret",
    "secrets", "token", "admin", "root", "user", "username", "postgres", "mysql", "redis",
    "guest", "public", "private", "default", "required", "optional", "string", "bearer", "basic",
    "oauth", "oauth2", "changeit", "letmein", "qwerty", "qwerty123", "hunter2", "test1234",
    "pass123", "pass1234", "admin123", "abc123",
))  # fmt: skip
_IDENTIFIER = re.compile(
    r"[\-:@=?]{0,2}[A-Za-z_]+\d{0,2}(?:[.\-:/=](?:[A-Za-z_]+\d{0,2}|\d{1,2}))*[\-:=?]{0,2}"
)
_RUNS = re.compile(r"[^\W_]+")
_CHUNKS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+|.")
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9_\-+/.~%]+={0,2}")
_CODE = re.compile(r"^(?:https?://|file:|arn:)|://$|[()\[\]]|\s|\\[nrt]|^0x[0-9A-Fa-f]+$|![rsa]$")
_PATH = re.compile(r"^(?:[./~\\]|[A-Za-z]:\\)|^\w+(?:\.\w+)+$")
# Five consonants in a row, as words do not have them.
_UNPRONOUNCEABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_HASH = re.compile(r"\b(?:sha(?:1|256|384|512)|md5)[-:]|^\$2[aby]\$|^data:|^h1:", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?:[0-9a-f]+|[0-9A-F]+)[.\-]?")
_BYTES = re.compile(r"(?:\\x[0-9A-Fa-f]{2}){8,}|(?:0x[0-9A-Fa-f]{1,2},\s*){7,}0x[0-9A-Fa-f]{1,2},?")
_PHRASE = re.compile(r"[a-z]{2,12}(?:[ \-][a-z]{2,12}){3,11}")
_PASSWORD_MARK = re.compile(r"[#$%^&*@]|!(?!\d$)")
_ADDRESS = re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+|.*[/\\].*")
# A sentence has some of these, a passphrase of words drawn by chance has none.
_SENTENCE = re.compile(
    r"\b(?:an?|the|your|my|our|is|are|be|must|may|can|not|no|of|for|to|in|on|at|with|and|or|from|"
    r"this|that|enter|password|passwords|passphrase|secret|token|key|user|service|app|db)\b"
)


def is_password(value: str, bare: bool = False) -> bool:
    """Return whether `value`, beside a name that says password, is one: mixed, and no word of code.
    `bare` is one without quotes.
    """
    if len(value) < MIN_PASSWORD_CHARS or value.lower() in _WORDS or is_placeholder(value):
        return False
    if _BYTES.fullmatch(value):
        return True
    if value.isdigit():
        return False
    if _PHRASE.fullmatch(value) and not bare:
        return not _SENTENCE.search(value)
    if _CODE.search(value) or _HASH.search(value):
        return False
    if _IDENTIFIER.fullmatch(value) or _PATH.search(value):
        return is_random(value)
    letters = any(c.isalpha() for c in value)
    others = any(not c.isalpha() for c in value)
    return letters and others and not (bare and value[-1] in ":=")


def is_key(value: str) -> bool:
    """Return whether `value`, beside a name that says token, secret or key, is one: long and
    random.
    """
    if len(value) < MIN_KEY_CHARS or is_placeholder(value) or _HASH.search(value):
        return False
    if _UUID.fullmatch(value) or _BYTES.fullmatch(value):
        return True
    if _CODE.search(value) or (_PATH.search(value) and not _is_dense(value)):
        return False
    return is_random(value)


def is_surely_key(value: str) -> bool:
    """Return whether `value` is a key even if its name is only near it: no hash, no id, no
    attribute, and mixed throughout.
    """
    if len(value) < 16 or not _TOKEN_LIKE.fullmatch(value) or _HEX.fullmatch(value):
        return False
    return not _UUID.fullmatch(value) and is_key(value) and _is_dense(value)


def is_strong_password(value: str) -> bool:
    """Return whether `value` is a password even if its name says key, or only a space is between
    them. It needs letters, digits and a mark that names, versions, addresses and paths do not have.
    """
    kinds = {_kind(c) for c in value}
    if len(value) < 8 or not {"0", "-"} <= kinds or len(kinds) < 3 or _ADDRESS.fullmatch(value):
        return False
    return _PASSWORD_MARK.search(value) is not None and is_password(value, True)


def is_placeholder(value: str) -> bool:
    """Return whether `value` is a placeholder for a secret."""
    return _PLACEHOLDER.search(value) is not None


def is_random(value: str) -> bool:
    """Return whether `value` is not made of words. Such a value has more digits among letters and
    changes of case than names have, or many marks, and many different characters.
    """
    if len(value) < MIN_KEY_CHARS or re.search(r"\s", value) or entropy(value) < 2.8:
        return False
    digits = sum(c.isdigit() for c in value)
    joined = joins(value)
    if joined >= len(value) / 3 or (digits >= 2 and joined >= 4 and len(value) < 5.5 * joined):
        return True
    if joined >= (1 if digits else max(3, len(value) / 5)) and _UNPRONOUNCEABLE.search(value):
        return True
    kinds = [_kind(c) for c in value]
    marks = {c for c in value if _kind(c) == "-"}
    return len(marks) > 2 and sum(a != b for a, b in pairwise(kinds)) >= len(value) / 3


def _is_dense(value: str) -> bool:
    """Return whether words and numbers in it are no longer than three characters on average."""
    return len(value) <= 3 * (joins(value) + 1)


def joins(value: str) -> int:
    """Return how often a word or a number borders on another one without a mark between. A capital
    before small letters belongs to their word.
    """
    return sum(len(_CHUNKS.findall(run)) - 1 for run in _RUNS.findall(value))


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
