"""The formats of keys and tokens: what only a secret looks like.

Most vendors mark their tokens with a prefix, so most of this is a table of prefixes with the
characters that follow. A text may be cut in the middle of a token; then as much of it as is there
counts, if it has the whole prefix. Everything here is matched by RE2, in time linear in the text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from nearfield.routing.linear import Pattern, compiled_for_bytes
from nearfield.routing.values import is_key, is_password, is_placeholder, is_random

ALNUM = "[A-Za-z0-9]"
URLSAFE = r"[A-Za-z0-9_\-]"
BASE64 = "[A-Za-z0-9+/=]"
HEX = "[a-f0-9]"

# Kind, prefix, what follows it, and at least how many of that.
_PREFIXED: tuple[tuple[str, str, str, int], ...] = (
    ("AWS key", "(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)", "[A-Z0-9]", 16),
    ("GitHub token", "gh[pousr]_", ALNUM, 36),
    ("GitHub token", "github_pat_", "[A-Za-z0-9_]", 30),
    ("GitLab token", "(?:gl(?:pat|dt|rt|ptt|soat|ft|cbt|imt|agent)-|GR1348941)", r"[A-Za-z0-9_\-.]", 20),
    ("Anthropic key", "sk-ant-", URLSAFE, 20),
    ("OpenAI key", "sk-(?:proj-|svcacct-|admin-|or-v1-)?", URLSAFE, 32),
    ("Google key", "AIza", URLSAFE, 35),
    ("Google secret", "GOCSPX-", URLSAFE, 28),
    ("Google token", r"ya29\.", URLSAFE, 30),
    ("Slack token", "(?:xox[abeoprs]|xapp)-", r"[A-Za-z0-9\-]", 16),
    ("Stripe key", "(?:[sr]k_(?:live|test)_)", ALNUM, 16),
    ("Stripe key", "whsec_", BASE64, 24),
    ("npm token", "npm_", ALNUM, 36),
    ("PyPI token", "pypi-AgE", URLSAFE, 50),
    ("Hugging Face token", "hf_", ALNUM, 30),
    ("DigitalOcean token", "do[por]_v1_", HEX, 64),
    ("Shopify token", "shp(?:at|ca|pa|ss)_", "[a-fA-F0-9]", 32),
    ("Square token", "EAAA", URLSAFE, 60),
    ("Square token", "sq0(?:atp|csp|idp)-", URLSAFE, 22),
    ("Databricks token", "dapi", HEX, 32),
    ("Atlassian token", "AT[AC]TT3", r"[A-Za-z0-9_\-=.]", 60),
    ("Linear key", "lin_(?:api|oauth)_", ALNUM, 32),
    ("Notion token", "ntn_", ALNUM, 40),
    ("Notion token", "secret_", ALNUM, 43),
    ("Vault token", r"hv[sbr]\.", URLSAFE, 24),
    ("Doppler token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_\-]{2,35}\.)?", ALNUM, 40),
    ("Grafana token", "glsa_", r"[A-Za-z0-9_]", 40),
    ("Grafana token", "(?:glc_|eyJrIjoi)", BASE64, 32),
    ("Sentry token", "sntry[su]_", r"[A-Za-z0-9+/=_\-]", 40),
    ("New Relic key", "NR(?:AK|JS|II)-", URLSAFE, 19),
    ("Postman key", "PMAK-", r"[a-f0-9\-]", 58),
    ("Pulumi token", "pul-", HEX, 40),
    ("Groq key", "gsk_", ALNUM, 48),
    ("Replicate token", "r8_", ALNUM, 37),
    ("Perplexity key", "pplx-", ALNUM, 40),
    ("xAI key", "xai-", ALNUM, 60),
    ("Mailgun key", "key-", HEX, 32),
    ("SendGrid key", r"SG\.", r"[A-Za-z0-9_\-.]", 60),
    ("Twilio key", "(?:AC|SK)", HEX, 32),
    ("Alibaba key", "LTAI", ALNUM, 16),
    ("Tencent key", "AKID", ALNUM, 32),
    ("age key", "AGE-SECRET-KEY-1", "[A-Z0-9]", 50),
)  # fmt: skip

# Kind and pattern; the secret is the group, or all of it.
_OTHER: tuple[tuple[str, str], ...] = (
    ("JSON web token", r"eyJ[A-Za-z0-9_\-=]{10,}\.eyJ[A-Za-z0-9_\-=]{10,}(?:\.[A-Za-z0-9_\-+/=]*)?"),
    ("JSON web token", r"eyJ[A-Za-z0-9_\-=]{10,}\.[A-Za-z0-9_\-=]*\z"),
    ("Slack webhook", r"(?:https://)?hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9_/]{20,}"),
    ("Discord webhook", r"discord(?:app)?\.com/api/webhooks/(\d{15,21}/[A-Za-z0-9_\-]{50,})"),
    ("Discord token", r"[MNO][A-Za-z0-9_\-]{23,25}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,38}"),
    ("Telegram token", r"[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}"),
    ("Mailchimp key", r"[0-9a-z]{32}-us[0-9]{1,2}"),
    ("npm token", r"_authToken[ \t]*=[ \t]*([^\s$\"']{8,})"),
    ("Terraform token", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-=]{60,}"),
    ("Azure secret", r"[A-Za-z0-9_~.\-]{3}[78]Q~[A-Za-z0-9_~.\-]{31,34}"),
    ("Azure signature", r"[?&;]sig=([A-Za-z0-9%+/=]{30,})"),
    ("Azure key", r"(?:AccountKey|SharedAccessKey)\s*=\s*([A-Za-z0-9+/=]{40,})"),
    ("Firebase key", r"AAAA[A-Za-z0-9_\-]{7}:APA91b[A-Za-z0-9_\-]{100,}"),
    ("private key", r"Private-Lines: \d+\s+((?:[A-Za-z0-9+/=]{16,}\s+)+)"),
    ("netrc password", r"\bmachine[ \t]+\S+\s+login\s+\S+\s+password\s+(\S{4,})"),
    ("password file", r"(?m)^[\w.*\-]+:(?:\d{1,5}|\*):[^:\s]+:[^:\s]+:([^:\s]{5,})\r?$"),
)  # fmt: skip
# scheme://user:password@host
_LOGIN = r"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@'\"`<>(){}]*:([^\s/@'\"`<>]{3,})@[\w\[]"
ADDRESS = "password in an address"
HEADER = "Authorization header"
_HEADERS = (
    r"(?i)\b(?:bearer|token|apikey)[ \t]+([A-Za-z0-9._~+/%\-]{20,}=*)",
    r"(?i)\bbasic[ \t]+([A-Za-z0-9+/]{12,}={0,2})",
)
_BEGIN = r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
_END = r"-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
# A piece of a file may begin in the middle of a key.
_KEY_BEFORE_END = (
    r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\n)+(?:\d{1,6}[ +]?[|:] ?)?(?:[+\-#*>/][ \t]*)?)+" + _END
)
# Prefixes that words and names end with, too: "task-", "shelf_", "primary-key-".
_AMBIGUOUS = frozenset((
    "OpenAI key", "Hugging Face token", "Replicate token", "Mailgun key", "Twilio key",
    "Notion token",
))  # fmt: skip
_KEY_BODY = re.compile(rb"[A-Za-z0-9+/=]{20}")
_KEY_BEGUN = re.compile(rb"(?:\n|\\n)[^\n]{0,8}?[A-Za-z0-9+/=]{4}")
# What files, strings, diffs and comments put before and after a line of a key, and the lines that
# some keys begin with.
_LINE_MARKS = b" \t\r\"'`,;+-#*>|\\/"
_KEY_LINE = re.compile(
    rb"(?:\d{1,6}[ +]?[|:][ +\-]*)?[A-Za-z0-9+/=]*|[A-Z][A-Za-z\-]{1,20}: .{0,100}"
)
# What has a vendor's shape is a key unless it is filled with marks.
_FILLER = re.compile(r"xxxx|XXXX|\*\*\*\*|\.\.\.|[<>{}]|your[-_]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern that only a secret has. `bounded`: no character of a token may precede it."""

    kind: str
    pattern: Pattern
    bounded: bool


@cache
def shapes() -> tuple[Shape, ...]:
    """All of them, compiled when first asked for."""
    prefixed = (
        Shape(kind, compiled_for_bytes(rf"{prefix}(?:{chars}{{{least},}}|{chars}*\z)"), True)
        for kind, prefix, chars, least in _PREFIXED
    )
    other = (Shape(kind, compiled_for_bytes(pattern), False) for kind, pattern in _OTHER)
    headers = (Shape(HEADER, compiled_for_bytes(pattern), False) for pattern in _HEADERS)
    return (*prefixed, *other, *headers, Shape(ADDRESS, compiled_for_bytes(_LOGIN), False))


def shaped(view: bytes, shape: Shape) -> Iterator[tuple[int, int]]:
    """Yield the spans of the secrets in `view` that have `shape`."""
    group = 1 if shape.pattern.groups else 0
    for match in shape.pattern.finditer(view):
        start, end = match.span(group)
        if shape.bounded and _goes_on_to_the_left(view, start, shape.kind):
            continue
        secret = view[start:end].decode("ascii")
        if shape.kind == HEADER:
            if not is_placeholder(secret) and (is_random(secret) or _is_login(secret)):
                yield start, end
        elif shape.kind == ADDRESS:
            if is_password(secret) or is_key(secret):
                yield start, end
        elif not _FILLER.search(secret) and (
            shape.kind != "OpenAI key" or any(map(str.isdigit, secret))
        ):
            yield start, end


def _goes_on_to_the_left(view: bytes, start: int, kind: str) -> bool:
    """Return whether the text at `start` is the end of a longer word, not counting the letter of an
    escaped line break.
    """
    before = view[max(0, start - 2) : start]
    if before[-1:].isalnum():
        return before not in (b"\\n", b"\\r", b"\\t")
    return kind in _AMBIGUOUS and before[-1:] in (b"_", b"-")


def has_shape(text: str) -> bool:
    """Return whether `text` has a secret by its shape alone."""
    view = text.encode("ascii", "replace")
    return any(True for shape in shapes() for _ in shaped(view, shape))


def _is_login(text: str) -> bool:
    """Return whether it is base64 of "user:password"."""
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in plain and plain.isascii() and plain.decode().isprintable()


def private_keys(view: bytes) -> Iterator[tuple[int, int]]:
    """Yield private key blocks, also those that begin before the text or end after it."""
    if b"PRIVATE KEY" not in view:
        return
    ends = [match.span() for match in compiled_for_bytes(_END).finditer(view)]
    after = 0
    number = 0
    for match in compiled_for_bytes(_BEGIN).finditer(view):
        start, body = match.span()
        if start < after:
            continue
        while number < len(ends) and ends[number][0] < body:
            number += 1
        end = ends[number][1] if number < len(ends) else _end_of_lines(view, body)
        # Where the text ends in it, less of a key is there.
        has_body = _KEY_BEGUN if end == len(view) else _KEY_BODY
        if has_body.search(view[body : min(end, body + 400)]):
            yield start, end
            after = end
    for match in compiled_for_bytes(_KEY_BEFORE_END).finditer(view):
        if match.span()[0] >= after or not after:
            yield match.span()


def _end_of_lines(view: bytes, start: int) -> int:
    """Return where the lines of a key without its second mark end."""
    at = start
    while at < len(view):
        newline = view.find(b"\n", at)
        end = newline if newline >= 0 else len(view)
        line = view[at:end].replace(b"\\n", b"").strip(_LINE_MARKS)
        if not _KEY_LINE.fullmatch(line):
            break
        at = end + 1
    return min(at, len(view))
